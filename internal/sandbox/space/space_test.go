package space_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/remote"
	"ml-intern/internal/sandbox/sandboxtest"
	"ml-intern/internal/sandbox/space"
)

// programs runs the programs of Spaces in this process: each start has an empty
// folder, as a Space's disk is.
type programs struct {
	t    *testing.T
	fail string // why none runs

	mu      sync.Mutex
	running map[string]*started
	visits  map[string]time.Time
	starts  int
}

type started struct {
	start  string
	server *httptest.Server
	box    *remote.Server
}

func (p *programs) Run(_ context.Context, sp hubserver.SpaceProgram) hubserver.SpaceProcess {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != "" {
		return hubserver.SpaceProcess{Error: p.fail, Log: []string{"it says " + sp.Env[remote.SecretVariable], "Traceback: " + p.fail}}
	}
	s := p.running[sp.ID]
	if s == nil || s.start != sp.Start {
		p.stop(sp.ID)
		box, err := remote.NewServer(remote.Options{
			Sandbox: sandbox.Local{Dir: p.t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}, Secret: sp.Env[remote.SecretVariable],
		})
		if err != nil {
			return hubserver.SpaceProcess{Error: err.Error()}
		}
		s = &started{sp.Start, httptest.NewServer(box), box}
		p.running[sp.ID] = s
		p.visits[sp.ID] = time.Now()
		p.starts++
	}
	return hubserver.SpaceProcess{Addr: strings.TrimPrefix(s.server.URL, "http://")}
}

func (p *programs) stop(id string) {
	if s := p.running[id]; s != nil {
		s.server.CloseClientConnections()
		s.server.Close()
		s.box.Close()
	}
	delete(p.running, id)
}

func (p *programs) Stop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop(id)
}

func (p *programs) Visit(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visits[id] = time.Now()
}

func (p *programs) Visited(id string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.visits[id]
}

// elf is the shortest program that looks like one for a Space.
func elf(t *testing.T, machine uint16) string {
	t.Helper()
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	for at, v := range map[int]uint16{16: 2, 18: machine, 20: 1, 52: 64, 54: 56, 58: 64} {
		binary.LittleEndian.PutUint16(head[at:], v)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, append(head, make([]byte, 12<<20)...), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

type world struct {
	*testing.T
	hub   *hubtest.Hub
	runs  *programs
	exe   string
	state string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	p := &programs{t: t, running: map[string]*started{}, visits: map[string]time.Time{}}
	w := &world{T: t, hub: hubtest.StartWith(t, hubserver.Options{Spaces: p, PaidHardware: true}), runs: p, exe: elf(t, 62), state: t.TempDir()}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for id := range p.running {
			p.stop(id)
		}
	})
	return w
}

// spaces is what a program that was just started knows.
func (w *world) spaces() *space.Spaces {
	return &space.Spaces{Hub: w.hub.Client, Dir: w.state, Program: func() (string, error) { return w.exe, nil }, Version: "test", Patience: time.Minute}
}

func spec(label string) space.Spec {
	return space.Spec{Label: label, Hardware: "cpu-basic", Limit: time.Hour, Sleep: time.Hour}
}

func (w *world) create(s *space.Spaces, sp space.Spec) space.Record {
	w.Helper()
	r, err := s.Create(w.Context(), sp, func(line string) { w.Log(line) })
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) found() []space.Found {
	w.Helper()
	all, err := w.spaces().List(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func echo(text string) sandbox.Command {
	return sandbox.Command{Line: "echo " + text + " | tee -a file", Timeout: time.Minute}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.spaces()
	var mu sync.Mutex
	n := 0
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox {
		mu.Lock()
		defer mu.Unlock()
		n++
		r, err := s.Create(t.Context(), spec(fmt.Sprintf("s/%d", n)), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		box, err := s.Open(t.Context(), "s", r.Name)
		if err != nil {
			t.Fatal(err)
		}
		return box
	})
}

// The program is sent once for each version, the Space is private, and the
// secret is nowhere in it.
func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.spaces()
	one := w.create(s, spec("s/1"))
	uploads := w.count("PUT", "/api/storage/")
	w.hub.Break(hubtest.Fault{Path: "/runtime", Status: http.StatusNotFound, Header: map[string]string{"X-Error-Code": "RepoNotFound"}, Times: 2})
	two := w.create(s, spec("s/2"))
	if again := w.count("PUT", "/api/storage/"); uploads != 1 || again != 0 {
		t.Errorf("%d uploads for the first sandbox, %d for the second", uploads, again)
	}
	if one.Name == two.Name || one.Secret == two.Secret || len(one.Secret) < 20 {
		t.Errorf("%+v and %+v", one, two)
	}
	for _, r := range []space.Record{one, two} {
		repo := hub.RepoID{Type: hub.Space, Namespace: r.Owner, Name: r.Name}
		info, err := w.hub.Client.RepoInfo(t.Context(), repo, "")
		if err != nil || !info.Private {
			t.Errorf("%s: private %v, %v", r.Name, info.Private, err)
		}
		for _, f := range info.Siblings {
			var text strings.Builder
			if _, err := w.hub.Client.Download(t.Context(), repo, "main", f.Path, &text); err != nil || strings.Contains(text.String(), r.Secret) {
				t.Errorf("%s holds the secret, or %v", f.Path, err)
			}
		}
	}
	info, err := os.Stat(filepath.Join(w.state, one.Name+".json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record is %v, %v", info, err)
	}
	if _, err := s.Open(t.Context(), "other", one.Name); err == nil {
		t.Error("another session opened it")
	}
	if err := s.Delete(t.Context(), one.Name); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), one.Name); err != nil {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := s.Open(t.Context(), "s", one.Name); !errors.Is(err, space.ErrOver) {
		t.Errorf("one that was deleted: %v", err)
	}
	if r, _ := s.Record(one.Name); r.Secret != "" || r.Gone.IsZero() {
		t.Errorf("the record keeps %+v", r)
	}
}

// count is how many such requests there were since it was last asked.
func (w *world) count(method, path string) (n int) {
	for _, r := range w.hub.Requests() {
		if r.Method == method && strings.HasPrefix(r.Path, path) {
			n++
		}
	}
	return n
}

// Wherever the program is killed while it makes a sandbox, the next one finds
// it again: there is one, it works, and it can be deleted.
func TestKilledWhileItIsMade(t *testing.T) {
	t.Parallel()
	var deaths atomic.Int32
	t.Run("at", func(t *testing.T) {
		for n := range 12 {
			at := 2*n + n%2
			t.Run(fmt.Sprint(at), func(t *testing.T) {
				t.Parallel()
				if killedAt(t, at) {
					deaths.Add(1)
				}
			})
		}
	})
	if deaths.Load() < 6 {
		t.Errorf("it was killed at %d requests only", deaths.Load())
	}
}

// killedAt kills the program at a request, and reports whether it got there.
func killedAt(t *testing.T, at int) bool {
	w := newWorld(t)
	if at%3 == 0 { // the template is there already
		w.create(w.spaces(), spec("before/1"))
	}
	dying := &mortal{left: at, lose: at%4 == 0}
	s := w.spaces()
	s.Hub = &hub.Client{BaseURL: w.hub.URL, HTTP: &http.Client{Transport: dying}}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	dying.die = func() { cancel(errors.New("killed")) }
	if _, err := s.Create(ctx, spec("s/call"), func(string) {}); err != nil && !dying.dead {
		t.Fatal(err)
	}
	for _, f := range w.found() {
		if f.Name == space.Name("s/call") && !f.Here {
			t.Errorf("it is on the Hub, and nobody wrote that down: %+v", f)
		}
	}
	next := w.spaces()
	r := w.create(next, spec("s/call"))
	box, err := next.Open(t.Context(), "s", r.Name)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := box.Exec(t.Context(), echo("works")); err != nil || out.Text != "works\n" {
		t.Errorf("%+v, %v", out, err)
	}
	mine := 0
	for _, f := range w.found() {
		if f.Session == "s" {
			mine++
		}
	}
	if mine != 1 {
		t.Errorf("there are %+v", w.found())
	}
	return dying.dead
}

// mortal lets some requests through, then none: the last one may still arrive.
type mortal struct {
	mu   sync.Mutex
	left int
	lose bool
	dead bool
	die  func()
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	last, dead := m.left == 0, m.dead
	m.left--
	if last {
		m.dead = true
	}
	m.mu.Unlock()
	if last {
		if m.lose {
			if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
		}
		m.die()
	}
	if last || dead {
		return nil, errors.New("killed")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// A machine that slept has lost its files: that is said once, and then it
// works again.
func TestSleepAndWake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sp := spec("s/1")
	sp.Sleep, sp.USDPerHour = time.Second, 1
	r := w.create(w.spaces(), sp)
	box, err := w.spaces().Open(t.Context(), "s", r.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Exec(t.Context(), echo("before")); err != nil {
		t.Fatal(err)
	}
	repo := hub.RepoID{Type: hub.Space, Namespace: r.Owner, Name: r.Name}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if now, err := w.hub.Client.SpaceRuntime(t.Context(), repo); err == nil && now.Stage == hub.Sleeping {
			break
		}
	}
	if len(w.runs.running) != 0 {
		t.Error("its program runs while it sleeps")
	}
	if _, err := w.hub.Client.SetSleepTime(t.Context(), repo, time.Hour); err != nil {
		t.Fatal(err)
	}
	s := w.spaces()
	if _, err := s.Open(t.Context(), "s", r.Name); !errors.Is(err, remote.ErrRestarted) {
		t.Fatalf("after its sleep: %v", err)
	}
	if box, err = s.Open(t.Context(), "s", r.Name); err != nil {
		t.Fatal(err)
	}
	if out, err := box.Exec(t.Context(), sandbox.Command{Line: "ls", Timeout: time.Minute}); err != nil || out.Text != "" {
		t.Errorf("its disk has %q, %v", out.Text, err)
	}
}

// What does not start is explained by the end of its log, without the secret,
// and nothing of it is left.
func TestFailuresAreExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runs.fail = "exit status 3"
	_, err := w.spaces().Create(t.Context(), spec("s/1"), func(string) {})
	if err == nil || !strings.Contains(err.Error(), "RUNTIME_ERROR") || !strings.Contains(err.Error(), "Traceback: exit status 3") || !strings.Contains(err.Error(), "[the secret]") {
		t.Errorf("Create = %v", err)
	}
	if all := w.found(); len(all) != 0 {
		t.Errorf("left behind: %+v", all)
	}
	w.exe = elf(t, 183)
	if _, err := w.spaces().Create(t.Context(), spec("s/2"), func(string) {}); err == nil || !strings.Contains(err.Error(), "AARCH64") {
		t.Errorf("a program for another machine: %v", err)
	}
	w.exe = filepath.Join(w.state, "no-program")
	if _, err := w.spaces().Create(t.Context(), spec("s/3"), func(string) {}); err == nil {
		t.Error("no program")
	}
}

// After its time nobody works there, and it is deleted.
func TestLimit(t *testing.T) {
	t.Parallel()
	limit := 8 * time.Second
	for !limited(t, limit) && limit < time.Minute {
		limit *= 3 // on a busy machine it was over before a command began
	}
}

// limited gives a sandbox so much time, and reports whether that was enough to
// begin a command.
func limited(t *testing.T, limit time.Duration) bool {
	t.Helper()
	w := newWorld(t)
	sp := spec("s/1")
	sp.USDPerHour, sp.Limit = 10, limit
	s := w.spaces()
	var out sandbox.Output
	r, err := s.Create(t.Context(), sp, func(string) {})
	if err == nil {
		box, openErr := s.Open(t.Context(), "s", r.Name)
		if err = openErr; err == nil {
			out, err = box.Exec(t.Context(), sandbox.Command{Line: "echo begun; sleep 600", Timeout: time.Hour})
		}
	}
	if out.Text == "" && limit < time.Minute {
		return false
	}
	if err == nil || !strings.Contains(err.Error(), "time of this sandbox") || out.Text != "begun\n" {
		t.Errorf("a command went on beyond the time: %+v, %v", out, err)
	}
	time.Sleep(time.Until(r.Created.Add(sp.Limit)) + 10*time.Millisecond)
	if _, err := w.spaces().Open(t.Context(), "s", r.Name); !errors.Is(err, space.ErrOver) {
		t.Errorf("Open = %v", err)
	}
	now, err := w.spaces().Record(r.Name)
	if err != nil || !now.Over(time.Now()) || now.Cost(time.Now()) <= 0 || now.Cost(time.Now()) > 0.3 || now.Worst() < 10 || len(w.found()) != 0 {
		t.Errorf("%+v costs %v, %v", now, now.Cost(time.Now()), err)
	}
	return true
}

// Only what says that it is ours is swept.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours := w.create(w.spaces(), spec("s/1")).Name
	for name, marker := range map[string]string{
		"ml-intern-sandbox-000000000001": "",
		"ml-intern-sandbox-000000000002": `{"label":"s/1"}`,
		"ml-intern-sandbox-000000000003": "not JSON",
		"my-sandbox":                     `{"label":"s/1"}`,
	} {
		repo := hub.RepoID{Type: hub.Space, Namespace: "me", Name: name}
		if _, err := w.hub.Client.CreateSpace(t.Context(), hub.SpaceSpec{Repo: repo, SDK: "docker"}); err != nil {
			t.Fatal(err)
		}
		if marker != "" {
			if _, err := w.hub.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "ml-intern-sandbox.json", Content: []byte(marker)}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.state = t.TempDir() // another machine
	all := w.found()
	if len(all) != 4 {
		t.Errorf("found %+v", all)
	}
	for _, f := range all {
		if f.Ours != (f.Name == ours) || f.Here {
			t.Errorf("%+v", f)
		}
		if err := w.spaces().Sweep(t.Context(), f.Name); (err == nil) != (f.Name == ours) {
			t.Errorf("sweep %s: %v", f.Name, err)
		}
	}
	if err := w.spaces().Sweep(t.Context(), "my-sandbox"); err == nil {
		t.Error("swept a Space of the person's")
	}
	if left := w.found(); len(left) != 3 {
		t.Errorf("left are %+v", left)
	}
}
