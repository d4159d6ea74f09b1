package confine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// launcher puts a program behind the walls of a profile.
const launcher = "/usr/bin/sandbox-exec"

// Run runs the command behind walls and waits for it. What it left in its
// process group is killed; a process that left the group is not found here.
func (c *Cells) Run(ctx context.Context, cmd Command) (Result, error) {
	rules := c.Rules()
	port, hangUp, err := serve(rules)
	if err != nil {
		return Result{Code: -1}, err
	}
	defer hangUp()
	_, found := c.survey(&rules)
	before := rules.watch()
	p := exec.Command(launcher, append([]string{"-p", rules.profile(port), cmd.Path}, cmd.Args[1:]...)...)
	p.Dir, p.Env, p.Stdout, p.Stderr = cmd.Dir, rules.environ(cmd.Env, port), cmd.Output, cmd.Output
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		return Result{Code: -1}, fmt.Errorf("confine command: %w: %w; --unconfined runs commands without", ErrUnavailable, err)
	}
	kill := func() { _ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) } // ESRCH when all have ended
	stop := context.AfterFunc(ctx, kill)
	err = p.Wait()
	stop()
	kill()
	result := Result{Code: p.ProcessState.ExitCode(), Notes: append(before.restore(), found()...)}
	if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		result.Code = 128 + int(status.Signal())
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return result, fmt.Errorf("run command: %w", err)
	}
	return result, context.Cause(ctx)
}

// serve opens the proxy for one command.
func serve(rules Rules) (port int, hangUp func(), err error) {
	if rules.Serve == nil || rules.Network {
		return 0, func() {}, nil
	}
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, nil, fmt.Errorf("listen for a command: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rules.Serve(l)
	}()
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, nil, errors.Join(errors.New("listen for a command: not TCP"), l.Close())
	}
	return tcp.Port, func() { _ = l.Close(); <-done }, nil
}

func (r Rules) environ(env []string, port int) []string {
	var kept []string
	for _, pair := range env {
		if name, _, _ := strings.Cut(pair, "="); name != "TMPDIR" || r.Temp == "" {
			kept = append(kept, pair)
		}
	}
	if r.Temp != "" {
		kept = append(kept, "TMPDIR="+r.Temp)
	}
	if port > 0 {
		kept = r.withProxy(kept, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return kept
}

// Probe says whether the walls of macOS are there.
func Probe(context.Context, ...string) []Layer {
	_, err := os.Stat(launcher)
	l := Layer{Name: "sandbox-exec", Holds: err == nil, Level: "files, network, signals by a profile"}
	if err != nil {
		l.Level = err.Error()
	}
	return []Layer{l}
}
