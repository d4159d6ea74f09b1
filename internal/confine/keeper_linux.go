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
	ending bool              // no command may start any more
	ask    chan chan<- error // of the thread that is there; nil for none
}

// start runs begin on a thread that restrict has walled off, and keeps it.
func (k *keeper) start(restrict func() error, begin func() (int, error)) (pid int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending {
		return -1, errors.New("the cell ends")
	}
	ask, started := make(chan chan<- error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends here
		if err = restrict(); err == nil {
			if err = scoped(); err == nil {
				pid, err = begin()
			}
		}
		close(started)
		for answer := range ask {
			answer <- killScope()
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

// scoped makes sure that this thread's signals reach nobody outside: the one
// who started this process is.
func scoped() error {
	if err := unix.Kill(os.Getppid(), 0); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%s: a signal to outside was not refused (%w)", layerLandlock, errors.Join(err, ErrUnavailable))
	}
	return nil
}

func killScope() error {
	if err := scoped(); err != nil {
		return err
	}
	_ = unix.Kill(-1, unix.SIGKILL) // ESRCH when all have ended
	return nil
}

// kill kills all of the command.
func (k *keeper) kill() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ask == nil {
		return nil
	}
	answer := make(chan error)
	k.ask <- answer
	return <-answer
}

// rest kills all of the command and waits until there is nothing left.
func (k *keeper) rest() error {
	for deadline := time.Now().Add(restTime); time.Now().Before(deadline); {
		if err := k.kill(); err != nil {
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
	watch := &watcher{fd: -1, rules: h.setup.Rules.bare(), door: h.setup.Door}
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
	}, func() (int, error) { return h.exec(c, &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}) })
	defer h.keeper.done()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		if err == nil {
			watch.run()
		}
	}()
	var status unix.WaitStatus
	if err == nil {
		// What a command does to the machine's memory is its own end before that of its cell.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("800"), 0)
		h.limitCPU(pid)
		stop := h.limitCrowd()
		status, err = waitFor(pid)
		stop()
		err = errors.Join(err, h.keeper.rest())
	}
	err = errors.Join(err, watch.close())
	<-watching
	return status, errors.Join(err, watch.release())
}

// crowdEvery is how often the processes of the machine are counted.
const crowdEvery = 20 * time.Millisecond

// limitCrowd ends a command that makes too many processes: outside of a namespace
// the kernel does not count those of root, and all of another user's. It counts
// those of the whole machine, which is one call, by how many more they have become.
func (h *helper) limitCrowd() (stop func()) {
	var before, now unix.Sysinfo_t
	most := h.setup.Rules.Limits.Processes
	if most == 0 || !h.on(layerLimits) || unix.Sysinfo(&before) != nil {
		return func() {}
	}
	ended, counting := make(chan struct{}), sync.WaitGroup{}
	counting.Go(func() {
		tick := time.NewTicker(crowdEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			if unix.Sysinfo(&now) == nil && uint64(now.Procs) > uint64(before.Procs)+most {
				_ = h.keeper.kill() // it is tried again
			}
		}
	})
	return func() { close(ended); counting.Wait() }
}
