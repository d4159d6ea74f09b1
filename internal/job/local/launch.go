package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/sandbox"
)

// readyWait bounds how long a shim may take to take its job.
const readyWait = 30 * time.Second

// ready is what a shim says on its standard output once the job is its own, or
// is found to be another's.
const ready = "ready\n"

// startShim starts a shim for a job and returns when it has the job. Two shims
// for one job are no harm: the second finds the lock taken and ends.
func (b Backend) startShim(ctx context.Context, f folder) error {
	if len(b.Shim) == 0 {
		return errors.New("no program to start it with")
	}
	var rec record
	if _, err := f.read(specFile, &rec); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err)
	}
	defer r.Close()
	complaints, err := os.OpenFile(f.path(shimLogFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	dir, err := filepath.Abs(string(f))
	if err != nil {
		return errors.Join(err, w.Close(), complaints.Close())
	}
	c := detached(append(append([]string{}, b.Shim...), dir))
	c.Env, c.Stdout, c.Stderr = sandbox.Environ(b.env()), w, complaints
	err = errors.Join(b.runWith(c, b.handover(rec)), w.Close(), complaints.Close())
	if err != nil {
		return fmt.Errorf("start shim: %w", err)
	}
	if err := r.SetReadDeadline(time.Now().Add(readyWait)); err != nil {
		return fmt.Errorf("wait for shim: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) })
	defer stop()
	said, err := bufio.NewReader(r).ReadString('\n')
	if said == ready {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if complaint, _ := os.ReadFile(f.path(shimLogFile)); len(complaint) > 0 {
		err = errors.New(strings.TrimSpace(clip(strings.ToValidUTF8(string(complaint), "\uFFFD"), 1000)))
	}
	return fmt.Errorf("shim ended before it took the job: %w", err)
}

// runWith runs the command that leaves a shim behind, and gives that what it
// must have through a pipe.
func (b Backend) runWith(c *exec.Cmd, h handover) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	c.ExtraFiles = []*os.File{r}
	err = errors.Join(c.Run(), r.Close())
	if err == nil {
		_ = w.SetWriteDeadline(time.Now().Add(readyWait))
		// A shim that finds the job another's does not read.
		_ = json.NewEncoder(w).Encode(h)
	}
	return errors.Join(err, w.Close())
}
