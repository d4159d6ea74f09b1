//go:build unix

package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// slotPoll is how often the one job whose turn it is looks for a free slot.
const slotPoll = 10 * time.Millisecond

// takeSlots waits for its turn, then for want of total slots, and holds them as
// long as this process lives. Jobs queue for the turn in the kernel, first come
// first served, so that many waiting jobs cost nothing and a large one is not
// passed by small ones for ever.
func takeSlots(dir string, total, want int) (taken []int, err error) {
	turn, err := os.OpenFile(filepath.Join(dir, "turn"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("queue job: %w", err)
	}
	defer turn.Close()
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(turn.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, fmt.Errorf("queue job: %w", err)
	}
	var free []int // files of slots that are not ours yet, -1 for those that are
	defer func() {
		for _, fd := range free {
			if fd >= 0 {
				_ = syscall.Close(fd)
			}
		}
	}()
	for i := range total {
		fd, err := syscall.Open(filepath.Join(dir, strconv.Itoa(i)), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open slot: %w", err)
		}
		free = append(free, fd)
	}
	for {
		for i, fd := range free {
			if fd >= 0 && len(taken) < want && syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				taken, free[i] = append(taken, i), -1 // never closed: held to the end
			}
		}
		if len(taken) == want {
			return taken, nil
		}
		time.Sleep(slotPoll)
	}
}
