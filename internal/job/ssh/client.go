package ssh

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// shimScript is the far half, but for what other packages have of it.
//
//go:embed shim.sh
var shimScript string

// shim is the far half.
func shim() []byte { return []byte("#!/bin/sh\n" + job.PeekShell + shimScript) }

const (
	// maxCalls is how many questions are asked at once: sshd allows ten of one
	// connection.
	maxCalls = 6

	// silence is how long the machine may say nothing while it is asked.
	silence = 60 * time.Second

	// workTime is the same while it works, as on the hash of a large file.
	workTime = 10 * time.Minute

	greeting = "ml-intern ssh 1" // of the shim; what the machine says before is not ours

	noShim     = 98  // exit code when the shim is not there
	sshTrouble = 255 // exit code of ssh itself
)

var (
	errNoShim  = errors.New("its part of ml-intern is not there")
	errSilence = errors.New("it does not answer")
)

// shimName is the shim's file there: another version is another file.
func shimName() string {
	sum := sha256.Sum256(shim())
	return "shim-" + hex.EncodeToString(sum[:6]) + ".sh"
}

// call runs the shim and returns what it says. Every call may be made again, so
// that one whose connection was lost is.
func (b *Backend) call(ctx context.Context, in func(io.Writer) error, args ...string) (string, error) {
	var text []byte
	err := b.again(ctx, func() error {
		s, err := b.dial(ctx, silence, in, b.shimLine(args))
		if err != nil {
			return err
		}
		defer s.close()
		text, err = io.ReadAll(s)
		return err
	})
	return string(text), err
}

// start runs the shim and returns what it says as it comes.
func (b *Backend) start(ctx context.Context, patience time.Duration, args ...string) (*stream, error) {
	var s *stream
	err := b.again(ctx, func() (err error) {
		s, err = b.dial(ctx, patience, nil, b.shimLine(args))
		return err
	})
	return s, err
}

// again does what may be done again until it works or there is no use: once more
// when the shim had to be copied first, once more when the connection was lost.
func (b *Backend) again(ctx context.Context, do func() error) error {
	copied, lost := false, false
	for {
		err := do()
		switch {
		case errors.Is(err, errNoShim) && !copied:
			copied = true
			if err := b.install(ctx); err != nil {
				return err
			}
		case isPassing(err) && !lost && ctx.Err() == nil:
			lost = true
			b.hangUp(ctx)
		default:
			return err
		}
	}
}

// shimLine is the command line that runs the shim. The person's own shell reads
// it, whichever that is, so it has no more than single quotes.
func (b *Backend) shimLine(args []string) string {
	return fmt.Sprintf(`sh -c 'if [ -f "$0" ]; then exec sh "$0" "$@"; else exit %d; fi' '%s/%s' %s`,
		noShim, b.farDir(), shimName(), strings.Join(args, " "))
}

// install copies the shim to the machine.
func (b *Backend) install(ctx context.Context) error {
	// Whole or not at all: the connection may be cut.
	line := fmt.Sprintf(`sh -c 'umask 077 && mkdir -p "$1" && cat >"$1/$2.$$" && `+
		`[ "$(wc -c <"$1/$2.$$")" -eq $3 ] && mv "$1/$2.$$" "$1/$2" && echo %s' sh '%s' %s %d`,
		greeting, b.farDir(), shimName(), len(shim()))
	s, err := b.dial(ctx, silence, func(w io.Writer) error {
		_, err := w.Write(shim())
		return err
	}, line)
	if err == nil {
		defer s.close()
		_, err = io.Copy(io.Discard, s)
	}
	if err != nil {
		return fmt.Errorf("copy ml-intern's part to %s: %w", b.Host, err)
	}
	return nil
}

// arguments are those of ssh. Ours come first, for the first of a name counts.
func (b *Backend) arguments() []string {
	args := []string{"-T", "-a", "-x"} // no terminal, no agent, no screen for the job
	for _, option := range []string{
		"BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=3", "LogLevel=ERROR",
		"ClearAllForwardings=yes", "RemoteCommand=none", "PermitLocalCommand=no",
	} {
		args = append(args, "-o", option)
	}
	if path := b.controlPath(); path != "" {
		args = append(args, "-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath="+path)
	}
	return append(args, b.Options...)
}

// controlPath is the socket of the shared connection; "" if there can be none.
func (b *Backend) controlPath() string {
	if runtime.GOOS == "windows" { // its ssh has none
		return ""
	}
	dir, err := controlDir()
	if err != nil {
		return "" // each call then has a connection of its own
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{b.Host, b.Program}, b.Options...), "\x00")))
	return filepath.Join(dir, hex.EncodeToString(sum[:10]))
}

// hangUp takes the shared connection, which may be one that leads nowhere, out of
// use. What others still do over it goes on.
func (b *Backend) hangUp(ctx context.Context) {
	if b.controlPath() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, cmp.Or(b.Program, "ssh"), append(append([]string{"-O", "stop"}, b.arguments()...), "--", b.Host)...)
	c.WaitDelay = time.Second
	_ = c.Run() // there may be none
}

// A stream is what a command on the machine says. Its end is io.EOF only if
// the command succeeded.
type stream struct {
	backend  *Backend
	ctx      context.Context // of the one command that it is
	cancel   context.CancelCauseFunc
	patience time.Duration
	timer    *time.Timer
	cmd      *exec.Cmd
	out      *bufio.Reader
	complain *os.File
	fed      chan struct{} // closed when nothing is sent any more
	unfed    error         // why not all was sent; after fed
	stop     func()        // sending
	err      error         // once it has ended
	ended    bool
}

// dial runs a command line on the machine and returns when it has greeted.
func (b *Backend) dial(ctx context.Context, patience time.Duration, in func(io.Writer) error, line string) (*stream, error) {
	select {
	case b.state().calls <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stream{
		backend: b, ctx: ctx, cancel: cancel, patience: patience,
		timer: time.AfterFunc(patience, func() { cancel(errSilence) }),
		fed:   make(chan struct{}), stop: func() {},
	}
	s.cmd = exec.CommandContext(ctx, cmp.Or(b.Program, "ssh"), append(b.arguments(), "--", b.Host, line)...)
	s.cmd.WaitDelay = 2 * time.Second
	s.feed(in)
	out, err := s.run()
	if err != nil {
		s.ended, s.err = true, fmt.Errorf("run ssh: %w", err)
		s.close()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("there is no ssh program here: install the OpenSSH client")
		}
		return nil, s.err
	}
	s.out = bufio.NewReaderSize(out, 64<<10)
	if err := s.greet(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// run starts the command. A shared connection that it opens keeps its standard
// error for as long as it lasts, so that is a pipe whose end nobody waits for.
func (s *stream) run() (out io.Reader, err error) {
	out, err = s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var w *os.File
	if s.complain, w, err = os.Pipe(); err != nil {
		return nil, err
	}
	defer w.Close()
	s.cmd.Stderr = w
	return out, s.cmd.Start()
}

// complaint is what a command that failed has said of it.
func (s *stream) complaint() string {
	_ = s.complain.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // at the latest
	text, _ := io.ReadAll(io.LimitReader(s.complain, 16<<10))
	return string(text)
}

// feed sends what in writes, beside the command.
func (s *stream) feed(in func(io.Writer) error) {
	if in == nil {
		close(s.fed)
		return
	}
	r, w := io.Pipe()
	s.cmd.Stdin = r
	s.stop = func() { _ = r.Close() }
	go func() { // close waits for it
		defer close(s.fed)
		err := in(alive{w, s})
		if !errors.Is(err, io.ErrClosedPipe) { // it had heard enough
			s.unfed = err
		}
		_ = w.CloseWithError(err) // never fails
	}()
}

// An alive writes what the machine takes, which is a sign of life.
type alive struct {
	io.Writer
	s *stream
}

func (a alive) Write(p []byte) (int, error) {
	n, err := a.Writer.Write(p)
	a.s.timer.Reset(a.s.patience)
	return n, err
}

// greet reads up to the greeting.
func (s *stream) greet() error {
	for range 10_000 {
		line, err := s.out.ReadSlice('\n')
		if string(bytes.TrimRight(line, "\r\n")) == greeting {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err = s.end(err); errors.Is(err, io.EOF) {
				err = fmt.Errorf("%s said nothing: does its login shell run commands?", s.backend.Host)
			}
			return err
		}
	}
	return fmt.Errorf("%s talks without end before it does anything: look at its shell's startup files", s.backend.Host)
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.ended {
		return 0, s.err
	}
	n, err := s.out.Read(p)
	if n > 0 {
		s.timer.Reset(s.patience)
	}
	if err != nil {
		return n, s.end(err)
	}
	return n, nil
}

// end says how the command has ended: io.EOF if well.
func (s *stream) end(readErr error) error {
	if s.ended {
		return s.err
	}
	s.ended = true
	s.stop()
	<-s.fed
	err := s.cmd.Wait()
	var exit *exec.ExitError
	switch {
	case s.ctx.Err() != nil:
		s.err = s.silent(context.Cause(s.ctx))
	case s.unfed != nil:
		s.err = s.unfed
	case s.cmd.ProcessState != nil && s.cmd.ProcessState.Success():
		s.err = io.EOF
		if !errors.Is(readErr, io.EOF) {
			s.err = readErr
		}
	case errors.As(err, &exit) && exit.ExitCode() == noShim:
		s.err = errNoShim
	case errors.As(err, &exit) && exit.ExitCode() == sshTrouble:
		s.err = explain(s.backend.Host, s.complaint())
	default:
		s.err = fmt.Errorf("%s: %w: %s", s.backend.Host, err, lastLine(s.complaint()))
	}
	return s.err
}

// silent makes the machine's silence one that may pass.
func (s *stream) silent(cause error) error {
	if errors.Is(cause, errSilence) {
		return &trouble{text: fmt.Sprintf("%s did not answer for %v", s.backend.Host, s.patience), passing: true}
	}
	return cause
}

// close ends the command, if it has not ended, and frees what it held.
func (s *stream) close() {
	s.timer.Stop()
	s.cancel(errors.New("no longer wanted"))
	if !s.ended {
		_ = s.end(io.EOF)
	}
	s.stop()
	<-s.fed
	if s.complain != nil {
		_ = s.complain.Close()
	}
	<-s.backend.state().calls
}
