//go:build unix && !darwin

package strongbox_test

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/strongbox"
)

// A bus that takes connections and never says a word, or says nonsense, costs its
// time and nothing else. Nothing of it is left.
func TestBusHangs(t *testing.T) {
	t.Parallel()
	for name, word := range map[string]string{"silent": "", "nonsense": "REJECTED EXTERNAL\r\nOK 1234\r\nAGREE_UNIX_FD\r\n\x00\x01\x02", "refusing": "REJECTED\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("/tmp", "bus") // a socket's name is short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			l, err := net.Listen("unix", filepath.Join(dir, "bus")) //nolint:noctx // closed below
			if err != nil {
				t.Fatal(err)
			}
			var served sync.WaitGroup
			served.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					served.Go(func() {
						_, _ = io.WriteString(c, word)
						_, _ = io.Copy(io.Discard, c) // until the other side has gone
						_ = c.Close()
					})
				}
			})
			ring := strongbox.Find(func(name string) string {
				return map[string]string{"DBUS_SESSION_BUS_ADDRESS": "tcp:host=nowhere;unix:path=" + l.Addr().String()}[name]
			})
			ring.(*strongbox.Desktop).Patience = 100 * time.Millisecond
			k := newKeep(t, strongbox.Auto)
			k.Ring = ring
			for range 2 {
				if place, err := k.Put(t.Context(), "a", json.RawMessage(`"hush"`)); err != nil || place.Keyring || place.Why == nil {
					t.Errorf("%+v, %v", place, err)
				}
			}
			k.has("a", `"hush"`)
			_ = l.Close()
			served.Wait() // all connections are closed
		})
	}
}

// Without a bus of the person's own there is no keyring.
func TestNoBus(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{
		{"XDG_RUNTIME_DIR": t.TempDir()},
		{"DBUS_SESSION_BUS_ADDRESS": "tcp:host=example.org,port=1", "XDG_RUNTIME_DIR": t.TempDir()},
		{"DBUS_SESSION_BUS_ADDRESS": "unixexec:path=/bin/sh", "XDG_RUNTIME_DIR": t.TempDir()},
		{"DBUS_SESSION_BUS_ADDRESS": "autolaunch:", "XDG_RUNTIME_DIR": t.TempDir()},
	} {
		if ring := strongbox.Find(func(name string) string { return env[name] }); ring != nil {
			t.Errorf("%v: %v", env, ring)
		}
	}
	gone := strongbox.Find(func(name string) string { return "unix:path=" + filepath.Join(os.TempDir(), "no-such-bus") })
	if err := strongbox.Check(t.Context(), gone); err == nil || !strings.Contains(err.Error(), "message bus") {
		t.Error(err)
	}
}

// A real keyring, of scripts/test-keyring: KEYRING says in which state it is.
func TestRealKeyring(t *testing.T) {
	state := os.Getenv("ML_INTERN_TEST_KEYRING")
	if state == "" {
		t.Skip("make test-keyring starts one")
	}
	ring := strongbox.Find(os.Getenv)
	if ring == nil {
		t.Fatal("there is no bus")
	}
	if state == "open" {
		ring.(*strongbox.Desktop).Patience = time.Minute // the machine may be busy
	}
	k := newKeep(t, strongbox.Auto)
	k.Ring = ring
	err := strongbox.Check(t.Context(), ring)
	if state != "open" {
		if err == nil {
			t.Errorf("a keyring that is %s answers", state)
		}
		t.Log(err)
		if place := k.put("a", `"hush"`); place.Keyring || place.Why == nil || !k.inFile("hush") {
			t.Errorf("%+v", place)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	long := `"` + strings.Repeat("é", 20_000) + `"`
	for _, secret := range []string{`"hush"`, `{"token":"next"}`, long} { // each in the place of the one before
		if place := k.put("https://a.example/mcp", secret); !place.Keyring || k.inFile("hush") {
			t.Errorf("%+v", place)
		}
		k.has("https://a.example/mcp", secret)
	}
	if was, err := k.Remove(t.Context(), "https://a.example/mcp"); !was || err != nil {
		t.Error(was, err)
	}
	if _, err := ring.Get(t.Context(), "https://a.example/mcp"); err == nil {
		t.Error("it is still there")
	}
	if err := ring.Delete(t.Context(), "never was"); err != nil {
		t.Error(err)
	}
}
