package app_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// tried is what became of a test of one webhook with this address.
func tried(t *testing.T, address, more string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "notify: {destinations: {hook: {type: webhook, url: '" + address + "', secret: 0123456789abcdef" + more + "}}}\n"
	if err := os.WriteFile(filepath.Join(home, "config", "config.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load([]string{"ML_INTERN_HOME=" + home}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	all, err := app.TestNotifications(t.Context(), cfg, "", func(string) {})
	if len(all) != 1 || (err == nil) != (all[0].Tested == "sent") {
		t.Fatalf("%v %v", all, err)
	}
	return all[0].Tested
}

// An address that the person wrote may be private. A name that turns out to lead
// to a private address may not, unless they say so.
func TestWebhookStaysOutside(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	defer s.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if got := tried(t, s.URL, ""); got != "sent" {
		t.Errorf("the address: %s", got)
	}
	if got := tried(t, "http://localhost:"+port, ""); got != "sent" {
		t.Errorf("localhost: %s", got)
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(context.WithoutCancel(t.Context()), "ip4", name)
	if err != nil || len(addresses) == 0 || !addresses[0].Unmap().IsPrivate() && !addresses[0].Unmap().IsLoopback() || strings.Contains(name, "localhost") {
		t.Skipf("the name of this machine, %s, is not that of a private address: %v", name, err)
	}
	if got := tried(t, "https://"+name+":"+port, ""); !strings.Contains(got, "private address") || !strings.Contains(got, "private: true") {
		t.Errorf("a name of a private address: %s", got)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addresses[0].Unmap(), 0)))
	if err != nil {
		t.Fatal(err)
	}
	named := &httptest.Server{Listener: l, Config: &http.Server{Handler: s.Config.Handler}}
	named.Start()
	defer named.Close()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	if got := tried(t, "http://"+name+":"+port, ", private: true"); got != "sent" {
		t.Errorf("the same by the person's word: %s", got)
	}
}
