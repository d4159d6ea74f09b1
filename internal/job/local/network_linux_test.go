package local_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/confine"
	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

// confinedBackend runs confined jobs that reach what the way says.
func confinedBackend(t *testing.T, way *local.Way) (local.Backend, string) {
	t.Helper()
	dir, temp := t.TempDir(), t.TempDir()
	b := newBackend(t)
	b.Cell = []string{"env", noRaceWait, self(), confine.ConfinedCommand}
	b.Rules = func(dir string) (*confine.Rules, error) {
		return &confine.Rules{Writable: []string{dir}, Hidden: []string{b.Dir}, Temp: temp}, nil
	}
	b.Way = func(job.Spec) *local.Way { return way }
	if way != nil {
		b.HubToken = func() (hub, token string) { return way.Hub, "hf_reading" }
	}
	return b, dir
}

// A seen server remembers who asked it for what, and how many came.
type seen struct {
	*httptest.Server
	mu   sync.Mutex
	all  []string
	came int
}

func watched(t *testing.T) *seen {
	t.Helper()
	s := &seen{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.all = append(s.all, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		s.mu.Unlock()
		fmt.Fprint(w, `{"answer": "here"}`)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.came++
			s.mu.Unlock()
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *seen) port() string { return s.URL[strings.LastIndex(s.URL, ":")+1:] }

// connected is how many have connected, whatever they said. Inside a job a connection
// proves nothing: its proxy has a port of the job's own loopback, which may be the
// same number as this server's.
func (s *seen) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came
}

func (s *seen) asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.all, "\n")
}

const askAround = `
import json, os, socket, sys, threading, urllib.request
def ask(url, data=None):
    try: return urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=20).read().decode()
    except Exception as e: return "refused: %s" % e
def connect(port):
    try: socket.create_connection(("127.0.0.1", int(port)), timeout=20); return "something answers"
    except OSError as e: return "kept: %s" % e
`

// A job reaches what its way says and nothing else: the Hub with a token that it
// does not see, a bridge, its own loopback. What it was refused is in its log and
// in why it failed.
func TestJobNetwork(t *testing.T) {
	t.Parallel()
	t.Run("named", func(t *testing.T) { testJobNetwork(t, nil) })
	t.Run("bare", func(t *testing.T) { testJobNetwork(t, withoutNamespaces(t)) })
}

func testJobNetwork(t *testing.T, before []string) {
	t.Parallel()
	hub, bridged, other := watched(t), watched(t), watched(t)
	var port int
	fmt.Sscan(bridged.port(), &port)
	b, dir := confinedBackend(t, &local.Way{Hub: hub.URL, Bridges: []int{port}, Allow: []string{"pypi.org"}})
	b.Shim = append(before, b.Shim...)
	script := askAround + `
print("hub:", ask(os.environ["HF_ENDPOINT"] + "/api/models/me/private"))
print("writes:", ask(os.environ["HF_ENDPOINT"] + "/api/repos/create", b"{}"))
print("bridge:", ask("http://127.0.0.1:` + bridged.port() + `/through"))
print("other:", connect(` + other.port() + `))
if not os.environ["HF_ENDPOINT"].endswith(":` + other.port() + `"): print(ask("http://127.0.0.1:` + other.port() + `/direct"))
print("host:", ask("https://elsewhere.example/x"))
print("address:", ask("http://93.184.216.34/x"))
s = socket.create_server(("127.0.0.1", 0)) # as the processes of a training do
threading.Thread(target=lambda: s.accept()[0].sendall(b"rank 0"), daemon=True).start()
print("own:", socket.create_connection(s.getsockname()).recv(10).decode())
try: socket.getaddrinfo("pypi.org", 443); print("ESCAPED by name")
except OSError: pass
print("token:", [v for v in os.environ.values() if "hf_" + "reading" in v])
sys.exit(3)
`
	if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	ended, text := ran(t, b, job.Spec{Dir: dir, Script: "train.py"})
	for _, want := range []string{
		`hub: {"answer": "here"}`, "writes: refused: ", `bridge: {"answer": "here"}`, "other: ", "host: refused: ", "address: refused: ", "own: rank 0", "token: []",
		"[network: the sandbox may not reach elsewhere.example:443",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if ended.State != job.Failed || ended.ExitCode != 3 || strings.Contains(text, "ESCAPED") || !strings.Contains(ended.Reason, "of the network: ") {
		t.Errorf("%s: %s\n%s", ended.State, ended.Reason, text)
	}
	if got := hub.asked(); got != "GET /api/models/me/private Bearer hf_reading" {
		t.Errorf("the Hub was asked %q", got)
	}
	if got := bridged.asked(); got != "GET /through " || other.connected() > 0 {
		t.Errorf("the bridge was asked %q, and %d came to the other one, which was asked %q", got, other.connected(), other.asked())
	}
	kept, err := exec.Command("grep", "-r", "hf_reading", b.Dir).Output()
	if len(kept) > 0 {
		t.Errorf("the token is on disk: %s, %v", kept, err)
	}
}

// A token is for its own Hub: who starts a job that was submitted for another
// one, as whoever comes first does for those that wait, gives that nothing.
func TestJobOfAnotherHub(t *testing.T) {
	t.Parallel()
	hub := watched(t)
	b, dir := confinedBackend(t, &local.Way{Hub: hub.URL})
	b.HubToken = func() (hub, token string) { return "https://huggingface.co", "hf_reading" }
	if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte(askAround+`
print("hub:", ask(os.environ["HF_ENDPOINT"] + "/api/models/me/private"))
`), 0o644); err != nil {
		t.Fatal(err)
	}
	if ended, text := ran(t, b, job.Spec{Dir: dir, Script: "train.py"}); ended.State != job.Succeeded || !strings.Contains(text, `hub: {"answer": "here"}`) {
		t.Errorf("%s: %s\n%s", ended.State, ended.Reason, text)
	}
	if got := hub.asked(); strings.TrimSpace(got) != "GET /api/models/me/private" {
		t.Errorf("the Hub was asked %q", got)
	}
}

// A job that reaches nothing has its own loopback and no more.
func TestJobWithoutNetwork(t *testing.T) {
	t.Parallel()
	t.Run("named", func(t *testing.T) { testJobWithoutNetwork(t, nil) })
	t.Run("bare", func(t *testing.T) { testJobWithoutNetwork(t, withoutNamespaces(t)) })
}

func testJobWithoutNetwork(t *testing.T, before []string) {
	t.Parallel()
	other := watched(t)
	b, dir := confinedBackend(t, nil)
	b.Shim = append(before, b.Shim...)
	if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte(askAround+`
print(connect(`+other.port()+`), [n for n in os.environ if "PROXY" in n.upper()])
`), 0o644); err != nil {
		t.Fatal(err)
	}
	ended, text := ran(t, b, job.Spec{Dir: dir, Script: "train.py"})
	if ended.State != job.Succeeded || !strings.Contains(text, "kept: ") || !strings.Contains(text, "[]") || other.connected() > 0 {
		t.Errorf("%s: %s, and %d came\n%s", ended.State, ended.Reason, other.connected(), text)
	}
}
