//go:build unix

package ssh_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
	"ml-intern/internal/job/ssh"
)

// A server is a real sshd behind a wire that can be cut.
type server struct {
	dir     string // keys and configurations
	sshd    *exec.Cmd
	wire    *wire
	options []string // that lead to it
}

// serve starts an sshd as this user, with keys of its own, that gives sessions
// these variables, and an empty home folder: what the startup files of the
// person here do is not ours to test.
func serve(t *testing.T, variables ...string) *server {
	t.Helper()
	program := os.Getenv("SSH_TEST_SSHD")
	if program == "" {
		t.Skip("this is `make test-ssh`")
	}
	s := &server{dir: elsewhere(t)}
	for _, key := range []string{"host", "user", "stranger"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path(key)).CombinedOutput(); err != nil {
			t.Fatalf("make a key: %v: %s", err, out)
		}
	}
	port := freePort(t)
	write(t, s.path("sshd_config"), fmt.Sprintf(`ListenAddress 127.0.0.1:%d
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin yes
SetEnv HOME=%s %s
`, port, s.path("host"), s.path("user.pub"), s.dir, strings.Join(variables, " ")))
	s.start(t, program)
	s.wire = newWire(t, fmt.Sprintf("127.0.0.1:%d", port))
	hostKey, err := os.ReadFile(s.path("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.path("known"), "far "+string(hostKey))
	write(t, s.path("config"), fmt.Sprintf(`Host far
	HostName 127.0.0.1
	Port %d
	IdentityFile %s
	IdentitiesOnly yes
	UserKnownHostsFile %s
	GlobalKnownHostsFile none
	HostKeyAlias far
	StrictHostKeyChecking ask
	ForwardAgent yes
	RemoteCommand echo
	LocalForward %d 127.0.0.1:22
`, s.wire.port, s.path("user"), s.path("known"), freePort(t)))
	s.options = []string{"-F", s.path("config")}
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

// start starts the sshd and waits for it.
func (s *server) start(t *testing.T, program string) {
	t.Helper()
	s.sshd = exec.Command(program, "-D", "-e", "-f", s.path("sshd_config"))
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.sshd.Stderr = log
	if err := s.sshd.Start(); err != nil {
		t.Fatalf("start sshd: %v", err)
	}
	t.Cleanup(func() { s.stop() })
	for range 100 {
		if text, _ := os.ReadFile(s.path("log")); strings.Contains(string(text), "listening") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(s.path("log"))
	t.Fatalf("sshd does not listen: %s", text)
}

// stop kills the sshd with its connections, as when the machine drops off.
func (s *server) stop() {
	pid := s.sshd.Process.Pid
	for _, child := range children(pid) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = s.sshd.Process.Kill()
	_ = s.sshd.Wait()
	os.Remove(s.path("log"))
}

// children are the processes that one has started, and theirs of the same name.
func children(pid int) (all []int) {
	out, _ := exec.Command("ps", "-A", "-o", "pid=,ppid=,comm=").Output()
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[1] == strconv.Itoa(pid) && fields[2] == "sshd" {
			child, _ := strconv.Atoi(fields[0])
			all = append(append(all, children(child)...), child)
		}
	}
	return all
}

// backend returns one whose machine is behind the server.
func (s *server) backend(t *testing.T) *ssh.Backend {
	t.Helper()
	b := &ssh.Backend{Host: "far", Options: s.options, Dir: filepath.Join(t.TempDir(), "state"), FarDir: filepath.Join(elsewhere(t), "jobs")}
	return b
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A wire passes connections on, counts them, and can be cut.
type wire struct {
	port   int
	opened atomic.Int64
	listen net.Listener
	mu     sync.Mutex
	open   []net.Conn
	after  int64 // cut a connection when so many bytes have come; 0 never
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{port: l.Addr().(*net.TCPAddr).Port, listen: l}
	go func() { // ends with the listener
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			w.opened.Add(1)
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, near, far)
			after := w.after
			w.mu.Unlock()
			go pass(far, near, 0)
			go pass(near, far, after)
		}
	}()
	t.Cleanup(func() { l.Close(); w.cut() })
	return w
}

func pass(to, from net.Conn, limit int64) {
	if limit > 0 {
		_, _ = io.CopyN(to, from, limit)
	} else {
		_, _ = io.Copy(to, from)
	}
	to.Close()
	from.Close()
}

// cut ends the connections that are open.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

// cutAfter makes every later connection end after so many bytes to this side.
func (w *wire) cutAfter(bytes int64) {
	w.mu.Lock()
	w.after = bytes
	w.mu.Unlock()
	w.cut()
}

func TestReal(t *testing.T) {
	s := serve(t)
	jobtest.Run(t, func(t *testing.T) job.Backend { return s.backend(t) }, jobtest.Traits{Elsewhere: true})
}

// TestRealOneConnection asks often, and much at once.
func TestRealOneConnection(t *testing.T) {
	s := serve(t)
	b := s.backend(t)
	running := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sleep", "300"}})
	for range 30 {
		if _, err := b.Offers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if s, err := b.Status(t.Context(), running.ID); err != nil || s.State != job.Running {
				t.Errorf("status: %+v, %v", s, err)
			}
		})
	}
	wg.Wait()
	if n := s.wire.opened.Load(); n != 1 {
		t.Errorf("%d connections were opened", n)
	}
	if err := b.Cancel(t.Context(), running.ID); err != nil {
		t.Error(err)
	}
}

// TestRealClean looks at what a job sees of how it was sent.
func TestRealClean(t *testing.T) {
	b := serve(t, "FAR_TOKEN=hunter2-far").backend(t)
	s := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "env; ps -o tty= -p $$"}})
	wait(t, b, s.ID)
	if text := logged(t, b, s.ID); strings.Contains(text, "hunter2") || strings.Contains(text, "SSH_") || !strings.HasSuffix(text, "?\n") {
		t.Errorf("the job sees %s", text)
	}
}

// TestRealLogsCut cuts the connection again and again while a log is read.
func TestRealLogsCut(t *testing.T) {
	s := serve(t)
	b := s.backend(t)
	const lines = 40_000
	job := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "seq -f 'line number %.0f of the log' " + strconv.Itoa(lines)}})
	wait(t, b, job.ID)
	s.wire.cutAfter(200 << 10) // the log has 1 MB
	before := s.wire.opened.Load()
	n := 0
	for line, err := range b.Logs(t.Context(), job.ID, 0) {
		if err != nil {
			t.Fatalf("after %d lines: %v", n, err)
		}
		if n++; line.Text != fmt.Sprintf("line number %d of the log", n) {
			t.Fatalf("line %d is %q", n, line.Text)
		}
	}
	if n != lines || s.wire.opened.Load() < before+3 {
		t.Errorf("%d lines came over %d connections", n, s.wire.opened.Load()-before)
	}
}

// TestRealServerKilled kills the sshd, its connections with it, while a job
// runs and somebody waits: the job goes on.
func TestRealServerKilled(t *testing.T) {
	s := serve(t)
	b := s.backend(t)
	spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", `echo begun; sleep 3; echo ended; echo 1 >"$OUTPUT_DIR/result"`}}
	running := submit(t, b, spec)
	untilLogged(t, b, running.ID, "begun")
	s.stop()
	if status, err := b.Status(t.Context(), running.ID); err == nil || !strings.Contains(err.Error(), "far") {
		t.Errorf("without a server: %+v, %v", status, err)
	}
	if status, err := b.Submit(t.Context(), spec); err == nil {
		t.Errorf("without a server submit says %+v", status)
	}
	time.Sleep(3 * time.Second)
	s.start(t, os.Getenv("SSH_TEST_SSHD"))
	again := submit(t, b, spec)
	if done := wait(t, b, again.ID); done.ID != running.ID || done.State != job.Succeeded || logged(t, b, done.ID) != "begun\nended\n" {
		t.Errorf("the job is %+v", done)
	}
	if err := b.Collect(t.Context(), again.ID); err != nil {
		t.Error(err)
	}
}

// TestRealSendingCut cuts the connection at many places while a job is sent.
func TestRealSendingCut(t *testing.T) {
	s := serve(t)
	b := s.backend(t)
	trace := filepath.Join(elsewhere(t), "trace")
	spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", `echo run >>"$0"`, trace}}
	failed := 0
	for size := int64(2000); size < 6000; size += 250 {
		s.wire.cutAfter(size)
		if _, err := b.Submit(t.Context(), spec); err != nil {
			failed++
		}
	}
	s.wire.cutAfter(0)
	if done := wait(t, b, submit(t, b, spec).ID); done.State != job.Succeeded {
		t.Errorf("the job is %+v", done)
	}
	if data, _ := os.ReadFile(trace); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
	if failed == 0 || failed == 16 {
		t.Errorf("of 16 sendings %d failed", failed)
	}
}

// TestRealAgentKilled kills agents around Submit.
func TestRealAgentKilled(t *testing.T) {
	b := serve(t).backend(t)
	agentKilled(t, b, 10)
}

// TestRealCollectCut cuts the connection while results come.
func TestRealCollectCut(t *testing.T) {
	s := serve(t)
	b := s.backend(t)
	done := wait(t, b, submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", `head -c 3000000 /dev/urandom >"$OUTPUT_DIR/weights"`}}).ID)
	s.wire.cutAfter(1 << 20)
	if err := b.Collect(t.Context(), done.ID); err == nil || !strings.Contains(err.Error(), "connection") {
		t.Errorf("over a cut connection: %v", err)
	}
	if _, err := os.Stat(done.OutputDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half of the results are in place: %v", err)
	}
	s.wire.cutAfter(0)
	if err := b.Collect(t.Context(), done.ID); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(done.OutputDir, "weights")); err != nil || info.Size() != 3_000_000 {
		t.Errorf("the results are %v, %v", info, err)
	}
}

// TestRealTroubles checks what real refusals become.
func TestRealTroubles(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *server)
		want  string
	}{
		"changed key": {func(s *server) {
			key, _ := os.ReadFile(s.path("stranger.pub"))
			write(t, s.path("known"), "far "+string(key))
		}, "the host key of far has changed"},
		"unknown key": {func(s *server) { write(t, s.path("known"), "") }, "log in once by hand with `ssh far`"},
		"wrong key":   {func(s *server) { os.Rename(s.path("stranger"), s.path("user")) }, "far refuses the login"},
		"no server":   {func(s *server) { s.wire.listen.Close() }, "far takes no ssh connections"},
		"no name":     {func(s *server) { s.options = append(s.options, "-o", "HostName=no-such-host.invalid") }, "look at HostName"},
		"no way":      {func(s *server) { s.options = append(s.options, "-o", "ProxyCommand=false") }, "the connection to far was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c.spoil(s)
			_, err := s.backend(t).Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"true"}})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("submit says %v, want %q", err, c.want)
			}
			t.Log(err)
		})
	}
}
