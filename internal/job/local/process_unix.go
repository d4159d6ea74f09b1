//go:build unix

package local

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A process is one line of the system's table.
type process struct {
	pid, parent, group, session int
	mark                        string // when it started: with pid it names one process for ever
	rss                         int64  // bytes
	zombie                      bool
}

// A selection picks the processes of one job from the table.
type selection func(all []process) []process

// family selects the processes of the job that this process runs: its own
// children, theirs, and so on. Where orphans are adopted nothing that a job does
// leads out; elsewhere the group that first leads is all that can be added.
func family(first int) selection {
	return func(all []process) []process {
		inside := map[int]bool{os.Getpid(): true}
		for grown := true; grown; {
			grown = false
			for _, p := range all {
				if !inside[p.pid] && (inside[p.parent] || !adopts && p.group == first) {
					inside[p.pid], grown = true, true
				}
			}
		}
		return slices.DeleteFunc(slices.Clone(all), func(p process) bool {
			return p.zombie || p.pid == os.Getpid() || !inside[p.pid]
		})
	}
}

// orphans selects what is left of a job whose shim is gone: the session that
// its first process led, and all that still have the job's environment.
func orphans(id string, first start) selection {
	return func(all []process) []process {
		session := first.PID
		if i := slices.IndexFunc(all, func(p process) bool { return p.pid == first.PID }); i >= 0 && all[i].mark != first.Mark {
			session = -1 // the number was given away, so nobody is left in the session
		}
		return slices.DeleteFunc(slices.Clone(all), func(p process) bool {
			inside := (p.session == session || p.group == session) && sameEra(p.mark, first.Mark)
			return p.zombie || p.pid == os.Getpid() || !inside && !hasEnv(p.pid, "JOB_ID="+id)
		})
	}
}

// sameEra reports whether two marks are of one life of the machine, where marks
// tell.
func sameEra(a, b string) bool {
	return a[:strings.LastIndexByte(a, '/')+1] == b[:strings.LastIndexByte(b, '/')+1]
}

// kill ends all selected processes, and what they start meanwhile. They have
// grace to end by themselves. It returns how many it found, and an error that
// names those that cannot be ended.
func (choose selection) kill(grace time.Duration) (found int, err error) {
	deadline := time.Now().Add(grace)
	giveUp := deadline.Add(5 * time.Second)
	signal := syscall.SIGTERM
	termed := map[int]bool{}
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		all, err := processes()
		if err != nil {
			return found, fmt.Errorf("list processes: %w", err)
		}
		chosen := choose(all)
		found = max(found, len(chosen))
		if len(chosen) == 0 {
			return found, nil
		}
		now := time.Now()
		if !now.Before(deadline) {
			signal = syscall.SIGKILL
		}
		if now.After(giveUp) {
			return found, fmt.Errorf("process %d does not end", chosen[0].pid)
		}
		for _, p := range chosen {
			if signal == syscall.SIGKILL || !termed[p.pid] {
				_ = syscall.Kill(p.pid, signal) // it may have ended
				termed[p.pid] = true
			}
		}
		time.Sleep(wait)
	}
}

// memory is what the selected processes use together, in bytes. Pages that
// several share count once if the system can tell; that costs, so it is asked
// only when the simple sum is over the limit.
func (choose selection) memory(all []process, limit int64) int64 {
	chosen := choose(all)
	var sum int64
	for _, p := range chosen {
		sum += p.rss
	}
	if sum <= limit {
		return sum
	}
	sum = 0
	for _, p := range chosen {
		sum += proportionalMemory(p)
	}
	return sum
}

// identify returns the mark of a process, "" if there is none.
func identify(pid int) (string, error) {
	all, err := processes()
	if i := slices.IndexFunc(all, func(p process) bool { return p.pid == pid }); err == nil && i >= 0 {
		return all[i].mark, nil
	}
	return "", err
}
