// Package hubspaces runs the programs of a Hub server's Spaces as processes of
// this machine.
//
// Its one rule: a program lives no longer than the server that started it, and
// finds nothing of this process's secrets. Where the server is killed, programs
// see to their end themselves. It owns a folder for the programs,
// and one for each start, which is gone when that ends, as a Space's disk is.
package hubspaces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/sandbox"
)

// Runner runs programs. Close it.
type Runner struct {
	dir string
	env []string

	mu      sync.Mutex
	running map[string]*process
	visits  map[string]time.Time
	wg      sync.WaitGroup
}

var _ hubserver.Spaces = (*Runner)(nil)

// New returns a Runner that keeps its files in dir. Programs get of env what
// commands do.
func New(dir string, env []string) *Runner {
	return &Runner{dir: dir, env: sandbox.Environ(env), running: map[string]*process{}, visits: map[string]time.Time{}}
}

// A process is a start of a program.
type process struct {
	start string
	stop  context.CancelFunc
	idle  *time.Timer // nil if it never sleeps
	sleep time.Duration
	done  chan struct{}

	mu   sync.Mutex
	addr string
	err  error
	log  tail
}

// Run implements hubserver.Spaces.
func (r *Runner) Run(ctx context.Context, p hubserver.SpaceProgram) hubserver.SpaceProcess {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.running[p.ID]
	if old != nil && old.start == p.Start {
		return old.state()
	}
	if old != nil {
		old.stop()
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Stop or Close: no request owns it
	now := &process{start: p.Start, stop: stop, sleep: p.Sleep, done: make(chan struct{})}
	if p.Sleep > 0 {
		now.idle = time.AfterFunc(p.Sleep, stop)
	}
	r.running[p.ID] = now
	r.visits[p.ID] = time.Now()
	r.wg.Go(func() {
		defer close(now.done)
		defer stop()
		if old != nil {
			<-old.done
		}
		err := r.run(ctx, p, now)
		now.mu.Lock()
		defer now.mu.Unlock()
		now.addr, now.err = "", err
	})
	return now.state()
}

func (p *process) state() hubserver.SpaceProcess {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := hubserver.SpaceProcess{Addr: p.addr, Log: p.log.lines()}
	if p.err != nil {
		s.Error = p.err.Error()
	}
	return s
}

// Visit implements hubserver.Spaces.
func (r *Runner) Visit(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.visits[id] = time.Now()
	if p := r.running[id]; p != nil && p.idle != nil {
		p.idle.Reset(p.sleep)
	}
}

// Visited implements hubserver.Spaces.
func (r *Runner) Visited(id string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.visits[id]
}

// Stop implements hubserver.Spaces.
func (r *Runner) Stop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.running[id]; p != nil {
		p.stop()
		delete(r.running, id)
	}
}

// Close ends all programs and waits for them.
func (r *Runner) Close() {
	r.mu.Lock()
	for _, p := range r.running {
		p.stop()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// run is the whole life of a program.
func (r *Runner) run(ctx context.Context, p hubserver.SpaceProgram, now *process) error {
	exe, err := r.fetch(p)
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp(r.dir, "space-")
	if err != nil {
		return fmt.Errorf("make a disk for the Space: %w", err)
	}
	defer os.RemoveAll(home)
	addr := filepath.Join(home, ".addr")
	c := exec.CommandContext(ctx, exe, "sandbox", "serve", "--with-parent", "--addr", "127.0.0.1:0", "--addr-file", addr, "--dir", filepath.Join(home, "work"))
	c.Dir, c.Stdout, c.Stderr = home, now, now
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	if runtime.GOOS == "windows" {
		c.Cancel = nil
	}
	c.WaitDelay = 3 * time.Second
	for _, pair := range r.env {
		if !strings.HasPrefix(pair, "HOME=") {
			c.Env = append(c.Env, pair)
		}
	}
	c.Env = append(c.Env, "HOME="+home)
	for key, value := range p.Env {
		c.Env = append(c.Env, key+"="+value)
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start the Space's program: %w", err)
	}
	listening := make(chan struct{})
	go func() { defer close(listening); now.listen(ctx, addr) }()
	err = c.Wait()
	now.stop()
	<-listening
	if err == nil || errors.Is(err, context.Canceled) {
		err = errors.New("exit code 0")
	}
	return fmt.Errorf("the program ended: %w: %s", err, now.last())
}

// listen waits until the program says where it listens.
func (p *process) listen(ctx context.Context, file string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		data, err := os.ReadFile(file)
		if addr, whole := strings.CutSuffix(string(data), "\n"); err == nil && whole {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.addr = addr
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// fetch returns the program as a file that can be run, named by its content.
func (r *Runner) fetch(p hubserver.SpaceProgram) (string, error) {
	exe := filepath.Join(r.dir, "program-"+p.Name)
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	if _, err := os.Stat(exe); err == nil {
		return exe, nil
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return "", fmt.Errorf("make a folder for Spaces: %w", err)
	}
	src, err := p.Open()
	if err != nil {
		return "", fmt.Errorf("open the Space's program: %w", err)
	}
	defer src.Close()
	tmp, err := os.CreateTemp(r.dir, ".program-")
	if err != nil {
		return "", fmt.Errorf("keep the Space's program: %w", err)
	}
	_, err = io.Copy(tmp, src)
	err = errors.Join(err, tmp.Chmod(0o700), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), exe)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("keep the Space's program: %w", err), os.Remove(tmp.Name()))
	}
	return exe, nil
}

// Write takes what the program prints.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.add(text)
	return len(text), nil
}

func (p *process) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := p.log.lines()
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// tailBytes is how much of a program's output is kept.
const tailBytes = 16 << 10

// A tail is the end of a program's output.
type tail []byte

func (t *tail) add(text []byte) {
	*t = append(*t, text...)
	if extra := len(*t) - tailBytes; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
}

func (t *tail) lines() []string {
	var lines []string
	for line := range bytes.Lines(*t) {
		lines = append(lines, sandbox.Printable(bytes.TrimRight(line, "\r\n")))
	}
	return lines
}
