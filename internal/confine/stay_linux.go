package confine

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// stay starts the program where there are no namespaces, makes the calls for it
// that its filter leaves to a watcher, and ends as it does. The program is in the
// process group of this process, so that signals reach it without a hand.
func (h *helper) stay(path string, argv, env []string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGTSTP)
	status, err := h.watched(func() (int, error) {
		return h.exec(path, argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}})
	}, func(pid int) (unix.WaitStatus, error) {
		stop := h.limitCrowd()
		defer stop()
		return waitFor(pid)
	})
	if err != nil {
		return err
	}
	signal.Stop(signals)
	if status.Signaled() {
		signal.Reset(status.Signal())
		_ = unix.Kill(os.Getpid(), status.Signal()) // what ends by a signal is told from what fails
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
	return nil
}
