package confine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bare reports whether programs here can only be confined without namespaces. It
// makes a cell, with the program that New takes, and ends it.
func Bare(ctx context.Context, program ...string) (bool, error) {
	c := New(Rules{}, program...)
	made, err := c.start(ctx, c.Rules())
	if err != nil {
		return false, err
	}
	made.end()
	return c.formNow() == formBare, nil
}

// Enter lets the process that attr starts put up walls by Become. It is for
// programs that outlive the one who starts them, and keep their place among its
// processes: the walls are those of a cell but for the view of processes, which
// they see and cannot touch. Without namespaces there is nothing to let.
func (r Rules) Enter(attr *syscall.SysProcAttr) {
	if r.Bare {
		return
	}
	in := namespaces(Rules{Network: r.Network}, []string{layerProcesses})
	attr.Cloneflags |= in.Cloneflags
	attr.UidMappings, attr.GidMappings = in.UidMappings, in.GidMappings
	attr.GidMappingsEnableSetgroups, attr.AmbientCaps = in.GidMappingsEnableSetgroups, in.AmbientCaps
}

// Become puts up the walls around this process, which Enter let, and becomes
// the program, with the environment that was Wrapped. Without namespaces it stays
// and watches the program, which is its child, and ends as that does. It returns
// only with an error.
func Become(rules Rules, argv []string) error {
	runtime.LockOSThread() // this thread is what the program will be
	if err := wear(); err != nil {
		return err
	}
	rules = rules.real()
	if rules.Bare {
		if err := rules.holdsBare(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	rules = rules.withSockets()
	h := &helper{setup: setup{Rules: rules, Off: []string{layerProcesses}, Landlock: landlockVersion(), Proxy: rules.Exit > 0 && !rules.Bare, Bare: rules.Bare}}
	_ = grouped(os.Getpid(), rules.Limits) // whoever makes another one later removes it
	least := landlockLeast
	if rules.Bare {
		least = landlockBare
	}
	if h.setup.Landlock < least {
		return fmt.Errorf("%w: without it nothing keeps a job from other processes: Landlock has version %d in this kernel, and at least %d is needed", ErrUnavailable, h.setup.Landlock, least)
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working folder: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("find the working folder: %w", err)
	}
	listeners, err := h.prepare()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	proxy, err := h.wayOut(listeners)
	if err != nil {
		return fmt.Errorf("open the way out: %w", err)
	}
	if err := os.Chdir(dir); err != nil { // what was the folder is covered now
		return fmt.Errorf("go to the working folder: %w", err)
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("keep open files from the program: %w", err)
	}
	env := insideEnviron(os.Environ())
	if rules.Bare {
		env = rules.bareEnviron(os.Environ())
	}
	if proxy != "" {
		env = rules.withProxy(env, proxy)
	}
	if rules.Bare {
		return errors.Join(errors.New("start the program"), h.stay(path, argv, env))
	}
	if err := h.restrict(); err != nil {
		return err
	}
	return errors.Join(errors.New("start the program"), syscall.Exec(path, argv, env))
}

// insideEnviron is env as it is right inside.
func insideEnviron(env []string) []string {
	extra := map[string]string{
		"TMPDIR":       "/tmp",
		"UV_LINK_MODE": "copy", // the cache is another mount, to which no link leads
	}
	if os.Geteuid() == 0 {
		extra["TAR_OPTIONS"] = "--no-same-owner" // nobody changes owners here, 0 neither
	}
	var kept []string
	for _, pair := range env {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "TMPDIR", "TMP", "TEMP", "XDG_RUNTIME_DIR":
		default:
			delete(extra, name)
			kept = append(kept, pair)
		}
	}
	for name, value := range extra {
		kept = append(kept, name+"="+value)
	}
	return kept
}
