package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A keeper is the thread that started the command of a bare cell. It has the
// command's walls, so a signal that it sends to all reaches the command, all
// that came of it, and nobody else: the kernel holds Landlock's scope.
type keeper struct {
	mu     sync.Mutex
	ending bool           // no command may start any more
	ask    chan signalled // of the thread that is there; nil for none
}

// start runs begin on a thread that restrict has walled off, and keeps it.
func (k *keeper) start(restrict func() error, begin func() (int, error)) (pid int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending {
		return -1, errors.New("the cell ends")
	}
	ask, started := make(chan signalled), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends here
		if err = restrict(); err == nil {
			if err = scoped(); err == nil {
				pid, err = begin()
			}
		}
		close(started)
		for o := range ask {
			o.answer <- signalScope(o.signal)
		}
	}()
	<-started
	if err != nil {
		close(ask)
		return -1, err
	}
	k.ask = ask
	return pid, nil
}

// signalled is a signal for the thread to send.
type signalled struct {
	signal unix.Signal
	answer chan<- error
}

// scoped makes sure that this thread's signals reach nobody outside: the one
// who started this process is.
func scoped() error {
	if err := unix.Kill(os.Getppid(), 0); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%s: a signal to outside was not refused (%w)", layerLandlock, errors.Join(err, ErrUnavailable))
	}
	return nil
}

func signalScope(s unix.Signal) error {
	if err := scoped(); err != nil {
		return err
	}
	_ = unix.Kill(-1, s) // ESRCH when all have ended
	return nil
}

// signal sends a signal to all of the command.
func (k *keeper) signal(s unix.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ask == nil {
		return nil
	}
	answer := make(chan error)
	k.ask <- signalled{s, answer}
	return <-answer
}

// rest kills all of the command and waits until there is nothing left.
func (k *keeper) rest() error {
	for deadline := time.Now().Add(restTime); time.Now().Before(deadline); {
		if err := k.signal(unix.SIGKILL); err != nil {
			return err
		}
		switch got, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); {
		case errors.Is(err, unix.ECHILD):
			return nil
		case got == 0 || err != nil:
			time.Sleep(200 * time.Microsecond)
		}
	}
	return errors.New("processes of the command do not end")
}

// done lets the thread go.
func (k *keeper) done() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ask != nil {
		close(k.ask)
		k.ask = nil
	}
}

// end ends what runs, for good.
func (k *keeper) end() {
	k.mu.Lock()
	k.ending = true
	running := k.ask != nil
	k.mu.Unlock()
	if running {
		_ = k.rest() // the process ends now, and its child by its death
	}
}

// runBare starts the command, waits for it and ends all that is left of it.
func (h *helper) runBare(c Command) (unix.WaitStatus, error) {
	return h.watched(func() (int, error) {
		return h.exec(c.Path, c.Args, h.attr(c, &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}))
	}, func(pid int) (unix.WaitStatus, error) {
		// What a command does to the machine's memory is its own end before that of its cell.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("800"), 0)
		h.limitCPU(pid)
		stop := h.limitCrowd()
		status, err := waitFor(pid)
		stop()
		return status, errors.Join(err, h.keeper.rest())
	})
}

// watched begins a process behind the walls, and makes the calls that are left to
// a watcher until wait returns.
func (h *helper) watched(begin func() (int, error), wait func(pid int) (unix.WaitStatus, error)) (unix.WaitStatus, error) {
	watch := &watcher{fd: -1, rules: h.setup.Rules.bare(), door: h.setup.Door, served: map[uint64]bool{}, restrict: h.restrict}
	if err := watch.open(); err != nil {
		return 0, err
	}
	pid, err := h.keeper.start(func() error {
		if err := h.restrict(); err != nil {
			return err
		}
		var err error
		watch.fd, err = h.calls.installWatched()
		return err
	}, begin)
	defer h.keeper.done()
	watching, started := make(chan struct{}), err == nil
	go func() {
		defer close(watching)
		if started {
			watch.run()
		}
	}()
	var status unix.WaitStatus
	if started {
		status, err = wait(pid)
	}
	err = errors.Join(err, watch.close())
	<-watching
	return status, errors.Join(err, watch.release())
}
