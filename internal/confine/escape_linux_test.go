package confine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// secret is in every file, environment and memory that no command may see.
const secret = "SECRET-7f3a"

// A prison is a little machine around a workspace: what there is to get at.
type prison struct {
	base, home, ws string
	rules          Rules
	victim         *exec.Cmd
	hits           atomic.Int32 // on listeners outside
	env            []string
	leak           *os.File // open, and not closed on exec
}

func newPrison(t *testing.T) *prison {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o755)
	}
	if err != nil {
		cache = "."
	}
	base, err := os.MkdirTemp(cache, "ml-intern-escape-") // not in /tmp, which a cell covers
	if err != nil {
		t.Fatal(err)
	}
	if base, err = filepath.Abs(base); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	p := &prison{base: base, home: filepath.Join(base, "home"), ws: filepath.Join(base, "ws")}
	p.files(t)
	p.neighbours(t)
	temp := filepath.Join(base, "state", "tmp")
	p.rules = Rules{
		Writable:  []string{p.ws},
		Hidden:    []string{p.home + "/.ssh", p.home + "/.netrc", p.home + "/.late", p.ws + "/.env", base + "/state", base + "/config"},
		Protected: ProjectPaths(p.ws),
		Temp:      temp,
		Limits:    Limits{Memory: 1 << 30, Processes: 400, FileSize: 10 << 20},
	}
	return p
}

func (p *prison) files(t *testing.T) {
	t.Helper()
	for name, text := range map[string]string{
		"home/.ssh/id_rsa": secret, "home/.netrc": secret, "home/.bashrc": "# mine", "home/notes.txt": "notes",
		"state/sessions.db": secret, "config/config.yaml": secret, "ws/.env": secret, "state/tmp/.keep": "",
		"ws/train.py": "print(1)", "ws/.git/HEAD": "ref: refs/heads/main\n", "ws/.git/config": "[core]\n\tbare = false\n",
		"ws/.git/hooks/update.sample": "# sample", "ws/.git/objects/.keep": "", "ws/.git/refs/heads/.keep": "",
	} {
		path := filepath.Join(p.base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	leak, err := os.Open(filepath.Join(p.home, ".ssh/id_rsa"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = leak.Close() })
	if err := unix.Dup3(int(leak.Fd()), 200, 0); err != nil { // as a careless parent leaves one
		t.Fatal(err)
	}
	p.leak = leak
}

// neighbours are the processes and listeners outside.
func (p *prison) neighbours(t *testing.T) {
	t.Helper()
	p.victim = exec.Command("sleep", "600")
	p.victim.Args[0] = secret
	p.victim.Env = []string{"KEY=" + secret}
	if err := p.victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.victim.Process.Kill(); _ = p.victim.Wait() })
	abstract := "@ml-intern-escape-" + strconv.Itoa(os.Getpid()) + filepath.Base(p.base)
	tcp := p.listen(t, "tcp4", "127.0.0.1:0")
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "B=" + p.base, "WS=" + p.ws, "VICTIM=" + strconv.Itoa(p.victim.Process.Pid),
		"AGENT=" + strconv.Itoa(os.Getpid()), "PORT=" + port(tcp), "PORT6=" + port(p.listen(t, "tcp6", "[::1]:0")),
		"PORTALL=" + port(p.listen(t, "tcp4", "0.0.0.0:0")), "HOSTIP=" + hostIP(), "ABSTRACT=" + abstract[1:],
		"PYTHONDONTWRITEBYTECODE=1",
	}
	p.listen(t, "unix", abstract)
	p.listen(t, "unix", filepath.Join(p.home, "host.sock"))
	p.env = append(p.env, "BUSES="+strings.Join(p.buses(t), " "))
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		buf := make([]byte, 10)
		for {
			if _, _, err := udp.ReadFrom(buf); err != nil {
				return
			}
			p.hits.Add(1)
		}
	}()
	_, udpPort, _ := net.SplitHostPort(udp.LocalAddr().String())
	p.env = append(p.env, "UDPPORT="+udpPort)
	id, err := unix.SysvShmGet(os.Getpid(), 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
}

// buses are where a desktop has its message bus, by which its keyring is asked.
func (p *prison) buses(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{"/run/user/" + strconv.Itoa(os.Getuid()), "/tmp"} {
		if os.Getuid() == 0 {
			_ = os.MkdirAll(dir, 0o700)
		}
		path := filepath.Join(dir, "dbus-ml-intern-"+strings.TrimPrefix(filepath.Base(p.base), "ml-intern-"))
		if l := p.listen(t, "unix", path); l != nil { // a user without a session has no such folder
			all = append(all, path)
		}
	}
	if len(all) == 0 {
		t.Fatal("no socket of a message bus can be made")
	}
	return all
}

func port(l net.Listener) string {
	if l == nil {
		return "9"
	}
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

// listen counts who connects.
func (p *prison) listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Logf("no listener on %s %s: %v", network, address, err)
		return nil
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.hits.Add(1)
			_ = conn.Close()
		}
	}()
	return l
}

// hostIP is an address of this machine beyond the loopback, if it has one.
func hostIP() string {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

// traces are files that attempts would leave outside the prison.
var traces = []string{
	"/etc/cron.d/ml-intern-escape", "/var/spool/cron/crontabs/ml-intern-escape", "/etc/ml-intern-escape", "/usr/local/bin/ml-intern-escape",
	"/etc/profile.d/ml-intern-escape.sh", "/var/tmp/ml-intern-escape", "/tmp/ml-intern-escape", "/dev/shm/ml-intern-escape",
}

// outside is all that no command may change, in words.
func (p *prison) outside() map[string]string {
	seen := map[string]string{}
	for _, dir := range []string{p.home, p.base + "/state", p.base + "/config", p.ws} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			free := within(p.ws, path) && longest(append(p.rules.Protected, p.ws+"/.env"), path) < 0
			if err != nil || free || within(p.rules.Temp, path) {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return nil
			}
			data, _ := os.ReadFile(path)
			seen[path] = fmt.Sprint(info.Mode(), sha256.Sum256(data))
			return nil
		})
	}
	for _, path := range traces {
		if _, err := os.Lstat(path); err == nil {
			seen[path] = "exists"
		}
	}
	return seen
}

// attempt runs one attempt and returns how it got out, "" if it did not.
func (p *prison) attempt(t *testing.T, c *Cells, a attempt) string {
	t.Helper()
	before, hits := p.outside(), p.hits.Load()
	out, err := p.run(t, c, a)
	if a.after > 0 {
		time.Sleep(a.after)
	}
	switch {
	case err != nil && !a.hard && a.layer != layerLimits: // a cell at its limit may not live
		t.Fatalf("%s: %v", a.name, err)
	case strings.Contains(out, "ESCAPED") || strings.Contains(out, secret):
		return "it says: " + out
	case p.hits.Load() != hits:
		return "it reached a listener"
	case p.victim.Process.Signal(unix.Signal(0)) != nil:
		return "it killed a process outside"
	}
	_ = os.RemoveAll(p.home + "/.late") // ours
	after := p.outside()
	for path, was := range before {
		if after[path] != was {
			return "it changed " + path
		}
	}
	for path := range after {
		if _, was := before[path]; !was {
			_ = os.RemoveAll(path)
			return "it made " + path
		}
	}
	if _, err := os.Lstat(p.ws + "/survivor"); err == nil {
		return "it outlived its command"
	}
	return ""
}

func (p *prison) run(t *testing.T, c *Cells, a attempt) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := make(chan string, 1)
	go func() {
		data, _ := io.ReadAll(r)
		text <- string(data)
	}()
	cmd := Command{Path: "/bin/sh", Args: []string{"sh", "-c", a.sh}, Dir: p.ws, Output: w, Env: p.env}
	if a.py != "" {
		python := python(t)
		cmd.Path, cmd.Args = python, []string{python, "-c", preamble + a.py}
	}
	var busy sync.WaitGroup
	if a.during != nil {
		busy.Go(func() { time.Sleep(300 * time.Millisecond); a.during(p) })
	}
	_, err = c.Run(ctx, cmd)
	busy.Wait() // nothing of it comes later
	w.Close()
	return <-text, err
}

func python(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skip("no python3 to try this with")
	}
	return strings.TrimSpace(string(out))
}

// TestEscape tries every way out with all walls up.
func TestEscape(t *testing.T) {
	p := newPrison(t)
	c := cells(t, p.rules)
	for _, a := range attempts {
		t.Run(a.layer+"/"+strings.ReplaceAll(a.name, "/", "|"), func(t *testing.T) {
			if how := p.attempt(t, c, a); how != "" {
				t.Errorf("escaped: %s", how)
			}
		})
	}
	if len(attempts) < 60 {
		t.Errorf("only %d attempts", len(attempts))
	}
}

// TestEscapeWithoutALayer takes one wall down at a time. An attempt that it
// stands against must get out then, or the suite could not tell.
func TestEscapeWithoutALayer(t *testing.T) {
	for _, layer := range []string{
		layerMounts, layerLandlock, layerSeccomp, layerProcesses, layerNetwork, layerIPC, layerCapabilities, layerDescriptors, layerLimits,
	} {
		t.Run(layer, func(t *testing.T) {
			for _, a := range attempts {
				if a.layer != layer || a.hard {
					continue
				}
				p := newPrison(t)
				if how := p.attempt(t, cells(t, p.rules, layer), a); how != "" {
					t.Logf("%s: %s", a.name, how)
					return
				}
			}
			t.Errorf("without %s nothing gets out that did not before", layer)
		})
	}
}
