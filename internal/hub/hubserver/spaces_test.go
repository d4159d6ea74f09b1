package hubserver_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

const newSpaceBody = `{"name":"app","type":"space","sdk":"gradio","private":false,` +
	`"secrets":[{"key":"TOKEN","value":"s3cr3t-value"}],"variables":[{"key":"MODE","value":"fast"}]}`

// A secret is in no answer, and on the disk only its owner can read it.
func TestSecretsAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, hubserver.Options{Dir: dir})
	answers := []answer{s.do("POST", "/api/repos/create", newSpaceBody)}
	for _, path := range []string{"secrets", "variables", "runtime", "", "revision/main", "tree/main?recursive=1", "refs"} {
		answers = append(answers, s.do("GET", "/api/spaces/me/app/"+path, ""))
	}
	answers = append(answers,
		s.do("GET", "/api/spaces?full=true", ""), s.do("GET", "/spaces/me/app", ""),
		s.do("POST", "/api/spaces/me/app/secrets", `{"key":"KEY","value":"s3cr3t-value"}`),
		s.do("POST", "/api/spaces/me/app/secrets", `{"key":"bad key","value":"s3cr3t-value"}`),
		s.do("DELETE", "/api/spaces/me/app/secrets", `{"key":"KEY"}`))
	for i, a := range answers {
		if strings.Contains(a.body, "s3cr3t") || strings.Contains(fmt.Sprint(a.header), "s3cr3t") {
			t.Errorf("answer %d tells the secret: %s", i, a.body)
		}
	}
	if runtime.GOOS == "windows" {
		return // access is given by lists there
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if info, err := d.Info(); err != nil || strings.Contains(string(data), "s3cr3t") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the secret and the mode %v, %v", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSpaceRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.do("POST", "/api/repos/create", newSpaceBody)
	s.do("POST", "/api/repos/create", `{"name":"page","type":"space","sdk":"static"}`)
	s.do("POST", "/api/repos/create", `{"name":"model"}`)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/api/spaces/me/app/secrets", `{"key":"1A","value":"x"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/secrets", `{"key":"A-B","value":"x"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/secrets", `{"key":"","value":"x"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/secrets", `{"key":"MODE","value":"x"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/variables", `{"key":"TOKEN","value":"x"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/variables", `{"key":"BIG","value":"` + strings.Repeat("x", 70_000) + `"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/variables", `{"key":`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/hardware", `{"flavor":"t4-small"}`, 402, "PaymentRequired"},
		{"POST", "/api/spaces/me/app/hardware", `{"flavor":"abacus"}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/hardware", `{"flavor":"cpu-basic","sleepTimeSeconds":-7}`, 400, "BadRequest"},
		{"POST", "/api/spaces/me/app/sleeptime", `{"seconds":0}`, 400, "BadRequest"},
		{"PUT", "/api/spaces/me/app/volumes", `{"volumes":[{"type":"model","source":"a/b","mountPath":"data"}]}`, 400, "BadRequest"},
		{"PUT", "/api/spaces/me/app/volumes", `{"volumes":[{"type":"floppy","source":"a/b","mountPath":"/data"}]}`, 400, "BadRequest"},
		{"PUT", "/api/spaces/me/app/volumes", `{"volumes":[{"type":"model","source":"a/b","mountPath":"/data","readOnly":false}]}`, 400, "BadRequest"},
		{"GET", "/api/spaces/me/app/logs/other", "", 404, "NotFound"},
		{"PUT", "/api/spaces/me/app/pause", "", 405, "MethodNotAllowed"},
		{"POST", "/api/spaces/me/page/pause", "", 400, "BadRequest"},
		{"POST", "/api/spaces/me/page/restart", "", 400, "BadRequest"},
		{"POST", "/api/spaces/me/page/hardware", `{"flavor":"cpu-basic"}`, 400, "BadRequest"},
		{"GET", "/api/spaces/me/none/runtime", "", 404, "RepoNotFound"},
		{"GET", "/api/models/me/model/runtime", "", 404, "NotFound"},
		{"GET", "/api/models/me/model/secrets", "", 404, "NotFound"},
		{"POST", "/api/repos/create", `{"name":"new","type":"space","sdk":"gradio","secrets":[{"key":"?","value":"x"}]}`, 400, "BadRequest"},
		{"POST", "/api/repos/create", `{"name":"new","type":"space","sdk":"gradio","hardware":"a100-large"}`, 402, "PaymentRequired"},
		{"GET", "/api/spaces/me/new/runtime", "", 404, "RepoNotFound"}, // nothing is left of the two
		{"GET", "/api/no/such/thing", "", 404, "NotFound"},
		{"POST", "/api/no-such-thing", "{}", 404, "NotFound"},
	} {
		a := s.do(c.method, c.path, c.body)
		var said struct{ Error string }
		a.json(t, &said)
		if a.status != c.status || a.header.Get("X-Error-Code") != c.code || said.Error == "" {
			t.Errorf("%s %s %.60s: %d %s %s; want %d %s", c.method, c.path, c.body, a.status, a.header.Get("X-Error-Code"), a.body, c.status, c.code)
		}
	}
}

// Only those who may write to a Space see what is set, and what it prints.
func TestSpaceAccess(t *testing.T) {
	t.Parallel()
	owner := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_me": {Name: "me"}, "hf_look": {Name: "me", ReadOnly: true}, "hf_other": {Name: "other"},
	}})
	owner.token = "hf_me"
	owner.do("POST", "/api/repos/create", newSpaceBody)
	stranger, reader, other := owner, owner, owner
	stranger.token, reader.token, other.token = "", "hf_look", "hf_other"
	for _, path := range []string{"secrets", "variables", "logs/run"} {
		for who, c := range map[string]struct {
			site
			status int
		}{"a stranger": {stranger, 401}, "a reader": {reader, 403}, "another": {other, 403}} {
			if a := c.do("GET", "/api/spaces/me/app/"+path, ""); a.status != c.status || a.header.Get("X-Error-Code") == "" {
				t.Errorf("%s gets %s: %d %s", who, path, a.status, a.body)
			}
			if a := c.do("POST", "/api/spaces/me/app/pause", ""); a.status != c.status {
				t.Errorf("%s pauses the Space: %d", who, a.status)
			}
		}
	}
	if a := stranger.do("GET", "/api/spaces/me/app/runtime", ""); a.status != http.StatusOK {
		t.Errorf("a stranger does not see how a public Space is: %d %s", a.status, a.body)
	}
}

// What is kept about a Space goes where the Space goes.
func TestSpaceStateMovesAlong(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.do("POST", "/api/repos/create", newSpaceBody)
	s.do("POST", "/api/repos/move", `{"fromRepo":"me/app","toRepo":"me/new","type":"space"}`)
	if a := s.do("GET", "/api/spaces/me/new/secrets", ""); !strings.Contains(a.body, "TOKEN") {
		t.Errorf("after a move: %s", a.body)
	}
	s.do("DELETE", "/api/repos/delete", `{"name":"new","type":"space"}`)
	s.do("POST", "/api/repos/create", `{"name":"new","type":"space","sdk":"gradio"}`)
	if a := s.do("GET", "/api/spaces/me/new/secrets", ""); strings.TrimSpace(a.body) != "{}" {
		t.Errorf("a new Space has the secrets of a deleted one: %s", a.body)
	}
}

// Changes at the same time, on two servers of one folder, are all kept.
func TestSettingsTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := newSite(t, hubserver.Options{Dir: dir}), newSite(t, hubserver.Options{Dir: dir})
	a.do("POST", "/api/repos/create", newSpaceBody)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			s := []site{a, b}[i%2]
			if got := s.do("POST", "/api/spaces/me/app/secrets", fmt.Sprintf(`{"key":"K%d","value":"v"}`, i)); got.status != http.StatusOK {
				t.Errorf("set K%d: %d %s", i, got.status, got.body)
			}
			if i == 0 {
				s.do("POST", "/api/spaces/me/app/commit/main", commitBody("", fileLine("app.py", "x")), "Content-Type", "application/x-ndjson")
			}
		})
	}
	wg.Wait()
	var secrets map[string]any
	b.do("GET", "/api/spaces/me/app/secrets", "").json(t, &secrets)
	if len(secrets) != 21 {
		t.Errorf("%d secrets are left of 21", len(secrets))
	}
}
