package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// grace is how long a program has to end by itself when nobody speaks to it
// any more.
const grace = time.Second

// A program is a server that runs here.
type program struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *os.File
	lines  *lines
	stderr *tail

	ended chan struct{} // closed when it has ended
	err   error         // how, once ended is closed
	once  sync.Once
}

// start runs the program of a server in a process group of its own.
func start(s Server, limit *bucket) (*program, error) {
	cmd := exec.Command(s.Command, s.Args...) //nolint:noctx // it outlives the call that starts it; stop ends it
	cmd.Dir, cmd.Env = s.Dir, s.Env
	cmd.WaitDelay = grace
	group(cmd)
	p := &program{cmd: cmd, stderr: &tail{}, ended: make(chan struct{})}
	cmd.Stderr = p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Command, err)
	}
	ours, theirs, err := os.Pipe() // of our own, so that Wait does not cut off what is still to be read
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Command, errors.Join(err, stdin.Close()))
	}
	cmd.Stdout = theirs
	p.stdin, p.stdout = stdin, ours
	if err := cmd.Start(); err != nil {
		_, _, _ = stdin.Close(), ours.Close(), theirs.Close() // which it may have done
		return nil, err
	}
	_ = theirs.Close() // the program has it
	p.lines = newLines(ours, limit)
	go p.wait()
	return p, nil
}

// wait notes how the program ended, and ends what it has left behind.
func (p *program) wait() {
	p.err = p.cmd.Wait()
	_ = killGroup(p.cmd) // nobody may be left
	close(p.ended)
}

// transport speaks with the program.
func (p *program) transport() sdk.Transport {
	return &sdk.IOTransport{Reader: reading{p}, Writer: p.stdin, MaxLineLength: maxMessage + 1<<10}
}

// reading is the program's output. To close it is to end the program, so that a
// read that waits returns.
type reading struct{ p *program }

func (r reading) Read(b []byte) (int, error) { return r.p.lines.Read(b) }
func (r reading) Close() error               { r.p.stop(); return nil }

// stop ends the program: by the end of its input, then by force.
func (p *program) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close() // it may be closed
		select {
		case <-p.ended:
		case <-time.After(grace):
			_ = killGroup(p.cmd) // it may have ended
			<-p.ended
		}
		_ = p.stdout.Close()
	})
}

// cut says why the program is no longer listened to, nil if it is.
func (p *program) cut() error {
	err := p.lines.cause()
	if errors.Is(err, errTooLong) || errors.Is(err, errFlood) || errors.Is(err, errBroken) {
		return err
	}
	return nil
}

// cause says why the program no longer answers.
func (p *program) cause(ctx context.Context) error {
	if err := p.cut(); err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(grace): // it has closed its output and runs on
		return errors.New("it stopped talking")
	}
	how := "it ended"
	if p.err != nil {
		how = "it ended with " + p.err.Error()
	}
	if last := p.stderr.last(); last != "" {
		how += ": " + last
	}
	return errors.New(how)
}
