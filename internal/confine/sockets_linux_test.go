package confine

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A socket with connections is listed by the kernel once for each, and is
// hidden once: a second cover would keep every cell from being made.
func TestSocketsAreHiddenOnce(t *testing.T) {
	t.Parallel()
	home, err := os.UserHomeDir() // sockets below /tmp are out of sight already
	if err != nil {
		t.Skip("there is no home folder")
	}
	dir, err := os.MkdirTemp(home, ".ml-intern-sockets-")
	if err != nil {
		t.Skip("the home folder cannot be written: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		there, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		here, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer here.Close()
	}
	hidden := Rules{Hidden: []string{"/z", "/a"}}.withSockets().Hidden
	if n := len(slices.DeleteFunc(slices.Clone(hidden), func(p string) bool { return p != path })); n != 1 || !slices.Contains(hidden, "/z") {
		t.Errorf("%s is hidden %d times among %v", path, n, hidden)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range Probe(context.WithoutCancel(t.Context()), exe, ConfinedCommand) {
		if strings.Contains(l.Level, "busy") {
			t.Errorf("%s: %s", l.Name, l.Level)
		}
	}
}
