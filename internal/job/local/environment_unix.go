//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Environments are made by uv and shared by all jobs of a Backend's Dir:
//
//	envs/locks/KEY   what the requirements of that key came to when last resolved
//	envs/NAME        the environment of the lock of that name, whole if .whole is in it
//
// Each has a lock file beside it, which is held while it is made: also by uv
// itself, so that nobody begins anew while a uv still writes whose shim was
// killed. An environment that is whole is never changed.
const (
	envsDir   = "envs"
	locksDir  = "locks"
	wholeFile = ".whole"

	requirementsFile = "requirements.py" // of a job's folder; its lock stays beside it

	// resolvedAge is how long requirements are not resolved again: a version
	// that has come out meanwhile is used from the next day on.
	resolvedAge = 24 * time.Hour

	// environmentLimit is for requirements that are large on a slow network.
	environmentLimit = time.Hour
)

// equip sees to it that what the job requires is installed. If somebody wants
// the job to end meanwhile, the error is a verdict.
func (s *shim) equip(ctx context.Context) error {
	if s.record.Requirements == nil {
		return nil
	}
	late := fmt.Errorf("its environment was not made within %v", environmentLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, environmentLimit, late)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	var wish verdict
	var wg sync.WaitGroup
	wg.Go(func() {
		if wish = s.wished(ctx); wish.state != "" {
			stop(wish)
		}
	})
	err := s.makeEnvironment(ctx, *s.record.Requirements)
	stop(nil)
	wg.Wait()
	if wish.state != "" {
		return wish
	}
	return err
}

// wished returns when somebody wants the job, or this process, to end; with no
// verdict when ctx ends first.
func (s *shim) wished(ctx context.Context) verdict {
	tick := time.NewTicker(wishPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return verdict{}
		case <-s.signals:
			return s.asked()
		case <-tick.C:
			if s.canceled() {
				return s.asked()
			}
		}
	}
}

// makeEnvironment sets s.environment to a folder with what is required.
func (s *shim) makeEnvironment(ctx context.Context, r requirements) error {
	envs := filepath.Join(s.backend().Dir, envsDir)
	if err := os.MkdirAll(filepath.Join(envs, locksDir), 0o700); err != nil {
		return fmt.Errorf("make folder for environments: %w", err)
	}
	resolved, err := s.resolve(ctx, r, filepath.Join(envs, locksDir, r.key(s.uvSettings())))
	if err != nil {
		return err
	}
	dir := filepath.Join(envs, s.environmentName(r, resolved))
	held, err := holdLock(ctx, dir+".lock", os.O_CREATE)
	if err != nil {
		return fmt.Errorf("wait for the job's environment: %w", err)
	}
	defer held.Close()
	s.environment = dir
	if whole(dir) {
		return nil
	}
	// In this order: what is removed in part is not whole.
	err = errors.Join(removeAny(filepath.Join(dir, wholeFile)), os.RemoveAll(dir))
	if err != nil {
		return fmt.Errorf("remove half an environment: %w", err)
	}
	fmt.Fprintf(s.output, "[installing %s]\n", strings.Join(dependencies(r.Block), ", "))
	if err := s.uv(ctx, held, "sync", "--frozen", "--active"); err != nil {
		return err
	}
	syscall.Sync() // or a power cut could leave empty files in what is whole
	if err := writeFile(filepath.Join(dir, wholeFile), nil); err != nil {
		return fmt.Errorf("finish environment: %w", err)
	}
	return nil
}

// whole reports whether there is all of an environment, and the python that it
// was made with.
func whole(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, wholeFile))
	_, gone := os.Stat(filepath.Join(dir, "bin", "python"))
	return err == nil && gone == nil
}

// ofFolder is how a lock says that a package is a folder, whose content it
// does not know.
var ofFolder = regexp.MustCompile(`source = \{ (directory|editable|virtual) =`)

// environmentName is the name of the environment of a lock. One with a package
// that can change is the job's own.
func (s *shim) environmentName(r requirements, resolved string) string {
	if ofFolder.MatchString(resolved) {
		return digest(resolved, r.Python, s.record.ID)
	}
	return digest(resolved, r.Python)
}

// resolve writes the requirements and their lock to the job's folder, and
// returns the lock.
func (s *shim) resolve(ctx context.Context, r requirements, known string) (string, error) {
	held, err := holdLock(ctx, known+".lock", os.O_CREATE)
	if err != nil {
		return "", fmt.Errorf("wait for the job's requirements: %w", err)
	}
	defer held.Close()
	script := s.folder.path(requirementsFile)
	if err := writeFile(script, []byte(r.script())); err != nil {
		return "", fmt.Errorf("write requirements: %w", err)
	}
	old, err := os.ReadFile(known)
	info, statErr := os.Stat(known)
	if err == nil && statErr == nil && time.Since(info.ModTime()).Abs() < resolvedAge {
		return string(old), writeFile(script+".lock", old)
	}
	// Without a network, what uv has still serves, and then what was known.
	resolveErr := s.uv(ctx, held, "lock")
	if resolveErr != nil && s.uv(ctx, held, "lock", "--offline") != nil {
		if err != nil || ctx.Err() != nil {
			return "", resolveErr
		}
		return string(old), writeFile(script+".lock", old)
	}
	resolved, err := os.ReadFile(script + ".lock")
	if err == nil {
		err = writeFile(known, resolved)
	}
	if err != nil {
		return "", fmt.Errorf("keep what the requirements came to: %w", err)
	}
	return string(resolved), nil
}

// uv runs one of its commands on the job's requirements, under a lock that
// stays until uv is gone. What it says is part of the log.
func (s *shim) uv(ctx context.Context, held *os.File, command string, flags ...string) error {
	if s.record.Requirements.Python != "" {
		flags = append(flags, "--python", s.record.Requirements.Python)
	}
	c := exec.CommandContext(ctx, s.record.Requirements.UV, append([]string{command, "--no-progress", "--script", s.folder.path(requirementsFile)}, flags...)...)
	var said tail
	c.Dir, c.ExtraFiles = string(s.folder), []*os.File{held}
	c.Stdout = io.MultiWriter(s.output, &said)
	c.Stderr = c.Stdout
	c.Env = append(s.uvSettings(), "VIRTUAL_ENV="+s.environment)
	for name, value := range s.given.Secrets {
		if strings.HasPrefix(name, "UV_") { // as the password of an index; the rest is the job's only
			c.Env = append(c.Env, name+"="+value)
		}
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error {
		_, err := family(c.Process.Pid).kill(cancelGrace)
		return err
	}
	c.WaitDelay = 10 * time.Second
	err := c.Run()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("uv %s: %w: %s", command, err, clip(strings.Join(strings.Fields(said.String()), " "), 300))
	}
	return nil
}

// uvSettings is the environment of uv: the submitter's, with what the job says
// to uv.
func (s *shim) uvSettings() []string {
	env := s.record.jobEnv()
	for name, value := range s.record.Spec.Env {
		if strings.HasPrefix(name, "UV_") {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// A tail is the end of what was written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if extra := len(*t) - lastBytes; extra > 0 {
		*t = append([]byte{}, (*t)[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(*t), "\uFFFD") }

// removeAny removes a file that may not be there.
func removeAny(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
