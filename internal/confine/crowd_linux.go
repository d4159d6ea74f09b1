package confine

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// crowdEvery is how often the processes of the machine are counted.
const crowdEvery = 20 * time.Millisecond

// limitCrowd ends a command that makes too many processes: outside of a namespace
// the kernel does not count those of root, and all of another user's. How many the
// machine has is one call; when they have become more, the command's are counted,
// for others may have ended meanwhile.
func (h *helper) limitCrowd() (stop func()) {
	var now unix.Sysinfo_t
	most := h.setup.Rules.Limits.Processes
	if most == 0 || !h.on(layerLimits) || unix.Sysinfo(&now) != nil {
		return func() {}
	}
	least, counted := uint64(now.Procs), uint64(now.Procs)
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
			if unix.Sysinfo(&now) != nil {
				continue
			}
			all := uint64(now.Procs)
			if least, counted = min(least, all), min(counted, all); all <= counted+most/16 {
				continue
			}
			counted = all
			if crowd(most/2, all-least) > most/2 {
				h.thin(most, all-least)
			}
		}
	})
	return func() { close(ended); counting.Wait() }
}

// thin counts the processes of the command, which stand still meanwhile, and ends
// them if they are more than most.
func (h *helper) thin(most, more uint64) {
	_ = h.keeper.signal(unix.SIGSTOP) // else more are made than counted
	if crowd(most, more) > most {
		_ = h.keeper.signal(unix.SIGKILL)
		return
	}
	_ = h.keeper.signal(unix.SIGCONT)
}

// crowd counts the processes and threads that came of this process, which adopts
// what its descendants leave, and stops counting above most. Where the kernel does not
// list children it is as many as the machine has more.
func crowd(most, more uint64) uint64 {
	self := filepath.Join("/proc", "self")
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		return more
	}
	var n uint64
	for open := childrenOf(self); len(open) > 0 && n <= most; {
		dir := filepath.Join("/proc", open[0])
		n += max(threadsOf(dir), 1)
		open = append(open[1:], childrenOf(dir)...)
	}
	return n
}

func threadsOf(dir string) uint64 {
	var st unix.Stat_t
	if unix.Stat(filepath.Join(dir, "task"), &st) != nil || st.Nlink < 2 {
		return 0 // it has ended
	}
	return uint64(st.Nlink) - 2 //nolint:unconvert // uint32 on arm64
}

// childrenOf are the children of all threads of a process.
func childrenOf(dir string) []string {
	threads, _ := os.ReadDir(filepath.Join(dir, "task")) // none when it has ended
	var all []string
	for _, t := range threads {
		data, _ := os.ReadFile(filepath.Join(dir, "task", t.Name(), "children"))
		all = append(all, strings.Fields(string(data))...)
	}
	return all
}
