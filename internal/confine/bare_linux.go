package confine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The bare form of a cell is for machines that give no namespaces. There
// Landlock keeps the files, the filter and a watcher of calls keep the network,
// and Landlock's scope of signals ends what a command started. It holds less;
// bareLess says what.

// landlockBare is the oldest version that holds without namespaces: files with
// moving and truncating (3), no TCP (4), signals to nobody outside (6).
const landlockBare = 6

// errForbidden is the error of a cell in namespaces that the kernel refuses.
var errForbidden = errors.New("the kernel gives no namespaces")

// forbids reports whether err is the kernel's word that there are no namespaces,
// and not a mishap.
func forbids(err error) bool {
	for _, errno := range []unix.Errno{
		unix.EPERM, unix.EACCES, unix.ENOSPC, unix.EUSERS, unix.ENOSYS, unix.EINVAL, unix.EOPNOTSUPP,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// start makes a cell: in namespaces if the machine gives them, else bare. What
// the first one was, all are, so no command brings the next one into less.
func (c *Cells) start(ctx context.Context, rules Rules) (*cell, error) {
	form := c.formNow()
	var named error
	if form != formBare {
		made, err := c.startNamed(ctx, rules)
		if err == nil {
			c.settle(formNamed)
			return made, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if form == formNamed || !errors.Is(err, errForbidden) {
			return nil, unavailable(err)
		}
		named = err
	}
	made, err := c.startBare(ctx, rules)
	switch {
	case err == nil:
		c.settle(formBare)
		return made, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case named != nil:
		err = fmt.Errorf("%w; nor without them: %w", named, err)
	}
	return nil, unavailable(err)
}

func unavailable(err error) error {
	return fmt.Errorf("confine command: %w: %w; --unconfined runs commands without", ErrUnavailable, err)
}

// startBare makes a bare cell.
func (c *Cells) startBare(ctx context.Context, rules Rules) (*cell, error) {
	files := rules.look()
	if err := rules.holdsBare(); err != nil {
		return nil, err
	}
	version := landlockVersion()
	if version < landlockBare {
		return nil, fmt.Errorf("Landlock has version %d in this kernel, and without namespaces at least %d is needed (Linux 6.12)", version, landlockBare)
	}
	rules = rules.withSockets()
	setup := &setup{Rules: rules, Off: c.off, Landlock: version, Bare: true}
	made := &cell{bare: true, files: files, rules: rules}
	if rules.Serve != nil && !rules.Network {
		door, err := newDoor()
		if err != nil {
			return nil, err
		}
		made.proxy, setup.Door = door, door.key()
	}
	process := exec.Command(c.program[0], c.program[1:]...)
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := made.begin(ctx, process, setup); err != nil {
		return nil, err
	}
	if made.proxy != nil {
		made.serving.Go(func() { rules.Serve(made.proxy) })
	}
	return made, nil
}

// holdsBare says why these rules cannot be kept without mounts: Landlock takes
// nothing away below what it allows.
func (r Rules) holdsBare() error {
	for _, path := range r.Hidden {
		if _, err := os.Lstat(path); err == nil && longest(r.Writable, path) >= 0 && r.Hides(path) {
			return fmt.Errorf("%s cannot be hidden without namespaces, because commands write the folder that it is in: "+
				"move it out of that folder, or work in another one", path)
		}
	}
	return nil
}

// bare is the rules as they are without a view of files of its own.
func (r Rules) bare() Rules {
	r.Hidden = append(r.Hidden[:len(r.Hidden):len(r.Hidden)], "/dev", "/tmp", "/var/tmp")
	if r.Temp != "" {
		r.Writable = append(r.Writable[:len(r.Writable):len(r.Writable)], r.Temp)
	}
	return r
}

// bareEnviron is env as it is right where /tmp is not the command's and what is
// hidden is forbidden, not empty.
func (r Rules) bareEnviron(env []string) []string {
	var kept []string
	for _, pair := range insideEnviron(env) {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "TMPDIR", "HF_TOKEN_PATH":
		default:
			kept = append(kept, pair)
		}
	}
	if r.Temp != "" {
		kept = append(kept, "TMPDIR="+r.Temp)
	}
	return append(kept, "HF_TOKEN_PATH="+os.DevNull) // the library fails on a file that it may not read
}

// prepareBare makes the walls that all commands of a bare cell share.
func (h *helper) prepareBare() error {
	for _, layer := range []string{layerLandlock, layerSeccomp, layerCapabilities, layerDescriptors} {
		if !h.on(layer) { // its scope is what keeps the end of a command from being that of the machine
			return fmt.Errorf("%s: a bare cell does not go without", layer)
		}
	}
	if err := h.closeDescriptors(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("%s: adopt what commands leave: %w", layerProcesses, err)
	}
	var err error
	if h.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	r := h.setup.Rules.bare()
	if h.rules, err = newLandlock(h.setup.Landlock, !r.Network); err == nil {
		err = h.rules.allowBare(r)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", layerLandlock, err)
	}
	h.calls = newBareFilter(r.Network)
	if h.on(layerLimits) {
		if err := limit(r.Limits); err != nil {
			return fmt.Errorf("%s: %w", layerLimits, err)
		}
	}
	return nil
}

// allowBare grants what the rules say, with nothing mounted.
func (l landlock) allowBare(r Rules) error {
	err := l.allowBeside("/", r)
	for _, path := range r.Readable {
		err = errors.Join(err, l.allow(path, landlockRead))
	}
	for _, path := range append(r.Writable, "/dev/shm") {
		err = errors.Join(err, l.allow(path, landlockRead|landlockWrite))
	}
	for _, path := range append(r.Devices, harmlessDevices...) {
		err = errors.Join(err, l.allow(path, landlockNodes))
	}
	return err
}
