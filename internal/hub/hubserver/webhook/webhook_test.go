package webhook_test

import (
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver/webhook"
)

// On a server for several, nothing is sent to addresses that only the server
// can reach, however they are written.
func TestPublicOnly(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]",
		"[64:ff9b::a00:1]", "[2002:7f00:1::]", "198.18.0.1", "localhost", "2130706433", "0x7f.1",
	} {
		var got error
		s := webhook.NewSender(true, func(_ webhook.Hook, err error) { got = err })
		s.Send(t.Context(), webhook.Hook{URL: "http://" + host + ":9/"}, map[string]any{})
		s.Wait()
		if got == nil || !strings.Contains(got.Error(), "not a public address") && !strings.Contains(got.Error(), "lookup") {
			t.Errorf("%s: %v", host, got)
		}
	}
}
