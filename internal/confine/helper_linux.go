package confine

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An order is what a cell is told, one of its fields.
type order struct {
	Setup *setup   `json:",omitempty"`
	Run   *Command `json:",omitempty"`
}

// setup makes a process a cell.
type setup struct {
	Rules    Rules
	Off      []string // layers that a test leaves out
	Landlock int      // version
	Proxy    bool     // a listener is wanted
	Bare     bool     // there are no namespaces
	Door     *key     // to the proxy, for a bare cell
}

// A reply is a cell's answer to an order.
type reply struct {
	Error     string `json:",omitempty"`
	Forbidden bool   // the error is that the kernel refuses what a cell in namespaces needs
	Code      int
}

// A helper is the inside of a cell: it starts as the first process of its
// namespaces, makes the walls, and starts the commands inside.
type helper struct {
	wire   wire
	setup  setup
	rules  landlock
	calls  filter
	null   *os.File
	keeper keeper // of a bare cell
}

// wireFD is the descriptor on which a cell finds its orders.
const wireFD = 3

// Main is the whole life of a cell, a process of its own: it ends when the one
// who gives the orders is gone, and everything in the cell with it.
func Main() error {
	// Of commands, maybe. Caught and dropped: what is ignored would be in them too.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE)
	watched, err := unix.FcntlInt(wireFD, unix.F_DUPFD_CLOEXEC, wireFD+1)
	if err != nil {
		return fmt.Errorf("%s is for this program itself: %w", ConfinedCommand, err)
	}
	w, err := newWire(os.NewFile(wireFD, "cell"))
	if err != nil {
		return fmt.Errorf("%s is for this program itself: %w", ConfinedCommand, err)
	}
	h := &helper{wire: w}
	go h.endWith(watched)
	for {
		var o order
		files, err := w.receive(&o)
		if err != nil {
			return nil //nolint:nilerr // nobody is there any more
		}
		answer, out := h.obey(o, files)
		if err := w.send(answer, out...); err != nil {
			return nil //nolint:nilerr // as above
		}
		for _, f := range slices.Concat(files, out) {
			_ = f.Close() // were handed over
		}
	}
}

// endWith ends this process, and so all in the cell, when the other end of the
// line is closed: also in the middle of a command.
func (h *helper) endWith(line int) {
	for {
		polled := []unix.PollFd{{Fd: int32(line), Events: unix.POLLRDHUP}}
		if _, err := unix.Poll(polled, -1); err == nil && polled[0].Revents != 0 {
			h.keeper.end()
			os.Exit(0)
		}
	}
}

func (h *helper) obey(o order, files []*os.File) (reply, []*os.File) {
	var out []*os.File
	code, err := -1, errors.New("the cell does not understand its order")
	switch {
	case o.Setup != nil:
		h.setup = *o.Setup
		out, err = h.prepare()
	case o.Run != nil && len(files) == 1:
		o.Run.Output = files[0]
		code, err = h.run(*o.Run)
	}
	if err != nil {
		return reply{Error: err.Error(), Forbidden: forbids(err), Code: code}, nil
	}
	return reply{Code: code}, out
}

func (h *helper) on(layer string) bool { return !slices.Contains(h.setup.Off, layer) }

// prepare makes the walls that all commands of the cell share.
func (h *helper) prepare() ([]*os.File, error) {
	if h.setup.Bare {
		return nil, h.prepareBare()
	}
	if h.on(layerLimits) {
		// What a command does to the machine's memory is its own end before ours.
		// Where the kernel refuses, the walls stand without it.
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("800"), 0)
	}
	if err := h.closeDescriptors(); err != nil {
		return nil, err
	}
	mask := unix.Umask(0)
	r := h.setup.Rules
	if h.on(layerMounts) {
		if err := (&tree{rules: r, alone: h.on(layerProcesses)}).build(); err != nil {
			return nil, fmt.Errorf("%s: %w", layerMounts, err)
		}
	}
	unix.Umask(mask)
	var err error
	if h.null, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	if h.on(layerLandlock) {
		if h.rules, err = newLandlock(h.setup.Landlock, false); err == nil {
			err = h.rules.allowRules(r, h.on(layerMounts))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", layerLandlock, err)
		}
	}
	h.calls = newFilter()
	if h.on(layerLimits) {
		if err := limit(r.Limits); err != nil {
			return nil, fmt.Errorf("%s: %w", layerLimits, err)
		}
	}
	if h.on(layerNetwork) && !r.Network {
		if err := loopbackUp(); err != nil {
			return nil, fmt.Errorf("%s: %w", layerNetwork, err)
		}
	}
	return h.listen()
}

// closeDescriptors keeps what is open here, and this process, from commands.
func (h *helper) closeDescriptors() error {
	if h.on(layerDescriptors) {
		if err := unix.CloseRange(wireFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
			return fmt.Errorf("%s: keep files that are open from commands: %w", layerDescriptors, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // none may look into this process
		return fmt.Errorf("close the cell to others: %w", err)
	}
	return nil
}

// listen makes the listener of the proxy, and those of bridges.
func (h *helper) listen() ([]*os.File, error) {
	if !h.setup.Proxy {
		return nil, nil
	}
	var all []*os.File
	for _, port := range append([]int{0}, h.setup.Rules.Bridges...) {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			return nil, fmt.Errorf("listen for commands: %w", err)
		}
		f, err := l.File()
		err = errors.Join(err, l.Close()) // its copy goes out
		if err != nil {
			return nil, fmt.Errorf("listen for commands: %w", err)
		}
		all = append(all, f)
	}
	return all, nil
}

// run starts the command, waits for it and ends all that is left of it.
func (h *helper) run(c Command) (int, error) {
	run := h.runNamed
	if h.setup.Bare {
		run = h.runBare
	}
	status, err := run(c)
	switch {
	case err != nil:
		return -1, err
	case status.Signaled():
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

func (h *helper) runNamed(c Command) (unix.WaitStatus, error) {
	pid, err := h.start(c)
	if err != nil {
		return 0, err
	}
	h.limitCPU(pid)
	return h.reap(pid)
}

func (h *helper) limitCPU(pid int) {
	if n := h.setup.Rules.Limits.CPU; n > 0 && h.on(layerLimits) {
		_ = unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: n, Max: n + 1}, nil) // ESRCH: it has ended
	}
}

// start starts the command on a thread that takes the walls on and is then
// thrown away: they are for good, and a thread hands them to what it starts.
func (h *helper) start(c Command) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, so that the thread ends here
		if err = h.restrict(); err == nil {
			pid, err = h.exec(c.Path, c.Args, h.attr(c, &syscall.SysProcAttr{Setsid: true}))
		}
	}()
	<-done
	return pid, err
}

func (h *helper) attr(c Command, sys *syscall.SysProcAttr) *syscall.ProcAttr {
	return &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: []uintptr{h.null.Fd(), c.Output.Fd(), c.Output.Fd()}, Sys: sys}
}

func (h *helper) exec(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if h.on(layerLimits) {
		widen, err := narrow(h.setup.Rules.Limits)
		if err != nil {
			return -1, err
		}
		defer widen()
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return -1, fmt.Errorf("start command: %w", err)
	}
	return pid, nil
}

// restrict puts the walls of a thread on this one.
func (h *helper) restrict() error {
	if h.on(layerCapabilities) {
		if err := dropCapabilities(h.setup.Bare); err != nil {
			return fmt.Errorf("%s: %w", layerCapabilities, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if h.on(layerLandlock) {
		if err := h.rules.restrict(); err != nil {
			return err
		}
	}
	if h.on(layerSeccomp) && !h.setup.Bare { // whose filter has a watcher
		return h.calls.install()
	}
	return nil
}

// reap waits for the command, then ends every other process of the cell.
func (h *helper) reap(pid int) (unix.WaitStatus, error) {
	status, err := waitFor(pid)
	if err != nil {
		return status, err
	}
	if !h.on(layerProcesses) {
		_ = unix.Kill(-pid, unix.SIGKILL) // ESRCH when all have ended
		return status, nil
	}
	return status, killRest()
}

// waitFor waits for a child, and for others that end before it.
func waitFor(pid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return status, fmt.Errorf("wait for command: %w", err)
		case got == pid && (status.Exited() || status.Signaled()):
			return status, nil
		}
	}
}

// restTime is how long what a command left may take to die, as many processes on
// a busy machine do. Who takes longer costs the cell.
const restTime = 10 * time.Second

// killRest ends all processes but this one: it is the first of its namespace,
// and sees none outside.
func killRest() error {
	if os.Getpid() != 1 {
		return errors.New("the cell is not the first process of its namespace")
	}
	for deadline := time.Now().Add(restTime); time.Now().Before(deadline); {
		_ = unix.Kill(-1, unix.SIGKILL) // ESRCH when all have ended
		switch got, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); {
		case errors.Is(err, unix.ECHILD):
			return nil
		case got == 0 || err != nil:
			time.Sleep(200 * time.Microsecond)
		}
	}
	return errors.New("processes of the command do not end")
}
