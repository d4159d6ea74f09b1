package confine

import (
	"strings"
	"testing"
)

// What contains comes first, for the last rule that fits counts.
func TestProfile(t *testing.T) {
	t.Parallel()
	r := Rules{
		Writable: []string{"/u/me/ws", "/u/me/state/jobs"}, Hidden: []string{"/u/me/.ssh", "/u/me/state", `/u/me/a"b`},
		Protected: []string{"/u/me/ws/.git/hooks"}, Temp: "/u/me/state/tmp",
	}
	text := r.profile(4000)
	at := -1
	for _, line := range []string{
		"(version 1)", "(allow default)", "(deny file-write*)",
		`(deny file-read* file-write* (subpath "/u/me/.ssh"))`,
		`(deny file-read* file-write* (subpath "/u/me/a\"b"))`,
		`(deny file-read* file-write* (subpath "/u/me/state"))`,
		`(allow file-read* file-write* (subpath "/u/me/state/jobs"))`,
		`(allow file-read* file-write* (subpath "/u/me/state/tmp"))`,
		`(allow file-read* file-write* (subpath "/u/me/ws"))`,
		`(deny file-write* (subpath "/u/me/ws/.git/hooks"))`,
		"(deny network*)", `(allow network-outbound (remote ip "localhost:4000"))`,
	} {
		i := strings.Index(text, line+"\n")
		if i <= at {
			t.Errorf("%s is missing or not after what is above it in\n%s", line, text)
		}
		at = max(at, i)
	}
	if text := r.profile(0); strings.Contains(text, "remote ip") || !strings.Contains(text, "(deny network*)") {
		t.Errorf("without a proxy there is a way out:\n%s", text)
	}
	r.Network = true
	if strings.Contains(r.profile(0), "(deny network") {
		t.Error("a job has no network")
	}
}
