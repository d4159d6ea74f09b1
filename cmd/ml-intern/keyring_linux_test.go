package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"ml-intern/internal/llm/llmtest"
)

// A desk is a desktop with the keyring of scripts/test-keyring, and a server that
// wants a token.
type desk struct {
	*lab
	url string

	mu      sync.Mutex
	bearers []string
}

const deskToken = "token-of-the-desk-5a1f"

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{lab: newLab(t, program(t), nil)}
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		s := sdk.NewServer(&sdk.Implementation{Name: "desk", Version: "1"}, nil)
		sdk.AddTool(s, &sdk.Tool{Name: "look"}, func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{}, nil, nil
		})
		return s
	}, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.bearers = append(d.bearers, r.Header.Get("Authorization"))
		d.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+deskToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL + "/mcp"
	for _, name := range []string{"DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"} {
		d.env = append(d.env, name+"="+os.Getenv(name))
	}
	d.configure("")
	return d
}

func (d *desk) keep(name, text string) {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) configure(more string) {
	d.Helper()
	d.keep("home/config/config.yaml", more+"mcp: {desk: {url: \""+d.url+"\"}}\n")
}

const logins = "home/state/mcp-logins.json"

// inFile reports whether the token is in the file of logins.
func (d *desk) inFile() bool {
	d.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, logins))
	if err != nil {
		d.Fatal(err)
	}
	return strings.Contains(string(text), deskToken)
}

// says runs the program, which must print the word. On a busy machine a keyring may
// take longer than the program waits, so it may be run again.
func (d *desk) says(word string, args ...string) {
	d.Helper()
	for try := 1; ; try++ {
		out, err := d.command(args...).CombinedOutput()
		flat := strings.Join(strings.Fields(string(out)), " ")
		if err == nil && strings.Contains(flat, word) {
			return
		}
		if try == 4 {
			d.Errorf("%q: %v, and no %q in\n%s", args, err, word, out)
			return
		}
	}
}

// lists has the program ask the server with the token, which is then in the file
// or not.
func (d *desk) lists(inFile bool) {
	d.Helper()
	for range 4 {
		if d.says("desk 1 desk 1", "mcp", "ls"); d.inFile() == inFile {
			return
		}
	}
	d.Errorf("that the token is in the file is %v", !inFile)
}

// reach is a command that looks for the message bus.
const reach = `python3 - <<'END'
import os, socket
for path in (os.environ.get("DBUS_SESSION_BUS_ADDRESS", "") + ",BUS").replace("unix:path=", "").split(","):
    if path.startswith("/"):
        try: socket.socket(socket.AF_UNIX).connect(path); print("ESCAPED")
        except OSError as e: print("kept", path, e)
END
cat FILE`

// With a keyring that answers, a login moves there from the file, is used from
// there, is out of reach of commands, and goes when the person logs out. With one
// that does not it stays in the file and works.
func TestRealKeyring(t *testing.T) {
	state := os.Getenv("ML_INTERN_TEST_KEYRING")
	if state == "" {
		t.Skip("make test-keyring starts one")
	}
	d := newDesk(t)
	d.keep(logins, `{"`+d.url+`": {"client_id": "x", "token_url": "`+d.url+`/token", "token": {"access_token": "`+deskToken+`", "token_type": "Bearer"}}}`)
	open := state == "open"
	for range 2 {
		d.lists(!open)
	}
	if !open {
		d.says("that only you can read", "doctor")
		d.configure("secrets: {store: keyring}\n")
		d.says("unlock or start one", "doctor")
		return
	}
	d.says("answers: ", "doctor")
	command, err := json.Marshal(map[string]string{"command": strings.NewReplacer("BUS", os.Getenv("DBUS_SESSION_BUS_ADDRESS"), "FILE", filepath.Join(d.dir, logins)).Replace(reach)})
	if err != nil {
		t.Fatal(err)
	}
	last := d.play(func(told) llmtest.Turn {
		return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "bash", Args: string(command)}}}
	})
	if text := last["bash"]; strings.Contains(text, "ESCAPED") || !strings.Contains(text, "kept /") || strings.Contains(text, `"keyring"`) {
		t.Errorf("a command was told %q", text)
	}
	d.configure("secrets: {store: file}\n")
	d.lists(true)
	d.configure("")
	d.lists(false)
	d.says("logged", "mcp", "logout", "desk")
	d.says("desk 0 no: ", "mcp", "ls")
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.bearers {
		if b != "" && b != "Bearer "+deskToken {
			t.Errorf("the server was shown %q", b)
		}
	}
}
