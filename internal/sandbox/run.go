package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"ml-intern/internal/confine"
)

// start runs c, in a cell if there are any, and passes on what it prints.
func (l Local) start(ctx context.Context, c *exec.Cmd, output io.Writer) (confine.Result, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return confine.Result{Code: -1}, fmt.Errorf("open pipe: %w", err)
	}
	defer r.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(output, r) // ends by EOF or by the deadline below
	}()
	var result confine.Result
	if l.Cells != nil {
		cmd := confine.Command{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Output: w}
		result, err = l.Cells.Run(ctx, cmd)
	} else {
		result.Code, err = runGroup(ctx, c, w)
	}
	w.Close()
	_ = r.SetReadDeadline(time.Now().Add(drainTime))
	<-read
	_ = confine.Leftover(output, r) // the writer never fails
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil // the caller says it
	}
	return result, err
}

// drainTime is how long output may still come after the shell has ended.
const drainTime = 200 * time.Millisecond

// runGroup runs c in a process group of its own and returns its exit status. It
// does not wait for a grandchild that keeps the output open.
func runGroup(ctx context.Context, c *exec.Cmd, output *os.File) (int, error) {
	runtime.LockOSThread() // the shell dies with this thread
	defer runtime.UnlockOSThread()
	c.Stdout, c.Stderr = output, output
	if err := c.Start(); err != nil {
		return -1, fmt.Errorf("start command: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { killGroup(c) })
	err := c.Wait()
	stop()
	killGroup(c)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return -1, fmt.Errorf("run command: %w", err)
	}
	return exitStatus(c.ProcessState), nil
}

// temporary is where a file is that a command wrote to its /tmp.
func (l Local) temporary(abs string) string {
	if l.Cells == nil || within(l.Dir, abs) {
		return abs
	}
	temp := l.Cells.Rules().Temp
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) && temp != "" {
			if inside := filepath.Join(temp, rel); exists(inside) {
				return inside
			}
		}
	}
	return abs
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
