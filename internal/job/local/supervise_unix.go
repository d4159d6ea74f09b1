//go:build unix

package local

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"ml-intern/internal/job"
)

const (
	cancelGrace = 700 * time.Millisecond // to end by itself after SIGTERM
	limitGrace  = 2 * time.Second        // to save something when time is up

	memoryPoll = 100 * time.Millisecond
	pollCost   = 20 // a look may cost one part in so many of the time
)

// A verdict is why a shim ends its job.
type verdict struct {
	state  job.State
	reason string
	grace  time.Duration
}

func (v verdict) Error() string { return v.reason }

// supervise lets the job's program go and watches it to its end: when it
// returns, no process of the job is left.
func (s *shim) supervise(ctx context.Context, child *exec.Cmd, release func() error) end {
	kills := memoryKills()
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = child.Wait() // how it ended is in child.ProcessState
	}()
	limit := time.NewTimer(s.record.Spec.TimeLimit)
	defer limit.Stop()
	if err := release(); err != nil {
		fmt.Fprintf(s.output, "[the job's program could not be let go: %v]\n", err)
	}
	v := s.watch(ctx, child.Process.Pid, exited, limit.C)
	var left int
	var err error
	if !childless() {
		left, err = family(child.Process.Pid).kill(v.grace)
	}
	<-exited
	if v.state == "" && left > 0 {
		fmt.Fprintf(s.output, "[%d processes that the job left behind were killed]\n", left)
	}
	e := judge(v, exitStatus(child.ProcessState), kills)
	if err != nil {
		e.Reason = joinReasons(e.Reason, "not all of its processes could be ended: "+err.Error())
	}
	return e
}

// watch returns when the job's first process has ended, with no verdict, or
// when the job has to end.
func (s *shim) watch(ctx context.Context, pid int, exited <-chan struct{}, limit <-chan time.Time) verdict {
	spec := s.record.Spec
	pause := wishPoll
	if spec.MemoryMB > 0 {
		pause = memoryPoll
	}
	look := time.NewTimer(pause)
	defer look.Stop()
	for {
		select {
		case <-exited:
			return verdict{}
		case <-s.signals:
			return s.asked()
		case <-ctx.Done():
			return s.asked()
		case <-limit:
			return verdict{job.TimedOut, fmt.Sprintf("it ran longer than its time limit of %v", spec.TimeLimit), limitGrace}
		case <-look.C:
			if s.canceled() {
				return s.asked()
			}
			s.output.hurry()
			began := time.Now()
			used := s.look(pid)
			for range 2 { // what a process shares with one that it forks meanwhile counts twice
				if spec.MemoryMB > 0 && used > spec.MemoryMB<<20 {
					used = min(used, s.look(pid))
				}
			}
			if spec.MemoryMB > 0 && used > spec.MemoryMB<<20 {
				return verdict{job.OutOfMemory, fmt.Sprintf("it used %s of memory, its limit is %s", size(used), size(spec.MemoryMB<<20)), 0}
			}
			look.Reset(max(pause, pollCost*time.Since(began)))
		}
	}
}

// asked is the verdict when somebody wants the job, or this process, to end.
func (s *shim) asked() verdict {
	if s.canceled() {
		return verdict{job.Canceled, "canceled", cancelGrace}
	}
	s.asleep = true
	return verdict{job.Canceled, "its supervisor was asked to end, as when the machine shuts down", cancelGrace}
}

// look returns the memory that the job uses, and collects its dead.
func (s *shim) look(first int) int64 {
	all, err := processes()
	if err != nil {
		return 0 // the next look may succeed
	}
	collect(all, first)
	return family(first).memory(all, s.record.Spec.MemoryMB<<20)
}

// judge says how a job has ended. kills is memoryKills from before it started.
func judge(v verdict, code, kills int) end {
	killed := 128 + int(syscall.SIGKILL) // by a signal, or of a shell whose command was
	switch now := memoryKills(); {
	case v.state != "":
		return end{State: v.state, ExitCode: code, Reason: v.reason}
	case code == 0:
		return end{State: job.Succeeded}
	case code == killed && kills >= 0 && now > kills:
		return end{State: job.OutOfMemory, ExitCode: code, Reason: "the system killed it because the machine's memory ran out"}
	case code == killed:
		return end{State: job.Failed, ExitCode: code, Reason: "it was killed from outside (SIGKILL), most often because the machine's memory ran out"}
	case code > 128 && code < 128+65:
		return end{State: job.Failed, ExitCode: code, Reason: fmt.Sprintf("it was ended by the signal %q", syscall.Signal(code-128))}
	}
	return end{State: job.Failed, ExitCode: code, Reason: fmt.Sprintf("it ended with exit code %d", code)}
}

func joinReasons(first, second string) string {
	if first == "" {
		return second
	}
	return first + "; " + second
}

// size is a number of bytes for people.
func size(bytes int64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%.0f MB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/(1<<30))
}
