package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cell is the outside of a process that runs one command at a time.
type cell struct {
	wire    wire
	process *exec.Cmd
	files   string // see Rules.look
	rules   Rules
	bare    bool   // see form
	group   *group // nil for none
	proxy   net.Listener
	serving sync.WaitGroup
}

// outOfMemory is said of a command whose cgroup ran out of memory.
const outOfMemory = "The processes of the command together took more memory than commands may have here, so one of them was killed."

// Run runs the command in a cell and waits for it and all that it started to
// end. When ctx ends they are killed, and the error is that of ctx.
func (c *Cells) Run(ctx context.Context, cmd Command) (Result, error) {
	rules := c.Rules()
	if dir, err := filepath.EvalSymlinks(cmd.Dir); err == nil {
		cmd.Dir = dir
	}
	seen, found := c.survey(&rules)
	before := rules.watch()
	cell, err := c.take(rules.look())
	if err == nil && cell == nil {
		cell, err = c.start(ctx, rules)
	}
	if err != nil {
		return Result{Code: -1}, err
	}
	cmd.Env = cell.environ(cmd.Env)
	restore := before.restore
	var files map[string][]entry
	if cell.bare {
		if restore, err = c.hold(before); err != nil {
			c.give(cell)
			return Result{Code: -1}, err
		}
		files = c.copied()
	}
	left := before.begin(seen, files)
	defer left.end()
	kills := cell.group.kills()
	code, err := cell.run(ctx, cmd)
	var notes []string
	if cell.group.kills() > kills {
		notes = append(notes, outOfMemory)
	}
	if err != nil {
		cell.end()
	} else {
		c.give(cell)
	}
	return Result{Code: code, Notes: slices.Concat(notes, restore(), found(), c.firstBare())}, err
}

// startNamed makes a cell in namespaces.
func (c *Cells) startNamed(ctx context.Context, rules Rules) (*cell, error) {
	files := rules.look()
	rules = rules.withSockets()
	version := landlockVersion()
	off := c.off
	if slices.Contains(off, layerNamespaces) {
		return nil, errForbidden
	}
	if version < landlockLeast { // the mounts hold without it, and doctor says so
		off = append(off[:len(off):len(off)], layerLandlock)
	}
	process := exec.Command(c.program[0], c.program[1:]...)
	process.SysProcAttr = namespaces(rules, off)
	made := &cell{files: files, rules: rules}
	setup := &setup{Rules: rules, Off: off, Landlock: version, Proxy: rules.Serve != nil && !rules.Network}
	return made, made.begin(ctx, process, setup)
}

// begin starts the process that is the inside of the cell, and makes it one.
func (c *cell) begin(ctx context.Context, process *exec.Cmd, setup *setup) error {
	here, there, err := wires()
	if err != nil {
		return err
	}
	c.wire, c.process = here, process
	process.Dir, process.Env, process.ExtraFiles = "/", []string{"GOMAXPROCS=2"}, []*os.File{there}
	err = process.Start()
	err = errors.Join(err, there.Close())
	if err != nil {
		if forbids(err) {
			err = fmt.Errorf("%w: %w", errForbidden, err)
		}
		return errors.Join(err, here.conn.Close(), c.closeProxy())
	}
	if !slices.Contains(setup.Off, layerCgroup) {
		c.group = grouped(process.Process.Pid, setup.Rules.Limits) // it starts nothing before its first order
	}
	_, handed, err := c.ask(ctx, order{Setup: setup})
	if err != nil {
		c.end()
		return err
	}
	return c.serve(handed, setup.Rules.Serve)
}

// namespaces are those of a cell. Users are the same inside, as far as this
// process may say so.
func namespaces(rules Rules, off []string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWUTS}
	for layer, flag := range map[string]uintptr{
		layerProcesses: unix.CLONE_NEWPID, layerNetwork: unix.CLONE_NEWNET, layerIPC: unix.CLONE_NEWIPC,
	} {
		if !slices.Contains(off, layer) && (layer != layerNetwork || !rules.Network) {
			attr.Cloneflags |= flag
		}
	}
	attr.UidMappings, attr.GidMappings = identity("/proc/self/uid_map", os.Geteuid()), identity("/proc/self/gid_map", os.Getegid())
	// Starting a program takes these from all users but 0. No command gets them.
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP}
	attr.GidMappingsEnableSetgroups = os.Geteuid() == 0 && setsGroups()
	return attr
}

// setsGroups reports whether the namespace that this process is in lets root of
// one below set its groups: what is denied once stays so below.
func setsGroups() bool {
	said, err := os.ReadFile("/proc/self/setgroups")
	return err == nil && strings.TrimSpace(string(said)) == "allow"
}

// identity maps each id to itself: all that there are for root, else one.
func identity(file string, id int) []syscall.SysProcIDMap {
	one := []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	if os.Geteuid() != 0 {
		return one
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return one
	}
	var all []syscall.SysProcIDMap
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) != 3 {
			return one
		}
		first, err1 := strconv.Atoi(fields[0])
		size, err2 := strconv.Atoi(fields[2])
		if err1 != nil || err2 != nil {
			return one
		}
		all = append(all, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: size})
	}
	return all
}

// ask sends an order and waits for the answer. A cell whose order is not wanted
// any more is killed.
func (c *cell) ask(ctx context.Context, o order, files ...*os.File) (reply, []*os.File, error) {
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	if err := c.wire.send(o, files...); err != nil {
		return reply{}, nil, err
	}
	var r reply
	got, err := c.wire.receive(&r)
	switch {
	case ctx.Err() != nil:
		return r, nil, context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return r, nil, errors.New("the process that confines the command ended unexpectedly")
	case err == nil && r.Error != "":
		err = errors.New(r.Error)
		if r.Forbidden {
			err = fmt.Errorf("%w: %w", errForbidden, err)
		}
	}
	return r, got, err
}

func (c *cell) run(ctx context.Context, cmd Command) (int, error) {
	output := cmd.Output
	cmd.Output = nil
	r, _, err := c.ask(ctx, order{Run: &cmd}, output)
	return r.Code, err
}

// serve lets the proxy answer on the listener that the cell has made.
func (c *cell) serve(files []*os.File, serve func(net.Listener)) error {
	if len(files) == 0 {
		return nil
	}
	defer files[0].Close()
	l, err := net.FileListener(files[0])
	if err != nil {
		c.end()
		return fmt.Errorf("listen in the cell: %w", err)
	}
	c.proxy = l
	c.serving.Go(func() { serve(l) })
	return nil
}

// environ is the environment of a command in the cell.
func (c *cell) environ(env []string) []string {
	kept := insideEnviron(env)
	if c.bare {
		kept = c.rules.bareEnviron(env)
	}
	if c.proxy == nil {
		return kept
	}
	return c.rules.withProxy(kept, c.proxy.Addr().String())
}

// kill ends what runs in the cell. A bare one ends it itself when nobody is
// there to tell it anything.
func (c *cell) kill() {
	if c.bare {
		_ = c.wire.conn.Close()
		return
	}
	_ = c.process.Process.Kill() // it may have ended
}

// end ends the cell and what runs in it.
func (c *cell) end() {
	_ = c.wire.conn.Close()
	c.kill()
	late := time.AfterFunc(restTime+5*time.Second, func() { _ = c.process.Process.Kill() })
	_ = c.process.Wait() // killed
	late.Stop()
	c.group.end()
	_ = c.closeProxy()
	c.serving.Wait()
}

func (c *cell) closeProxy() error {
	if c.proxy == nil {
		return nil
	}
	return c.proxy.Close()
}
