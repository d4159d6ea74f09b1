package local

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// processes reads /proc.
func processes() ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	era := era()
	var all []process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProcess(pid, era); ok {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// era names what process numbers are unique in: a container that starts again
// begins to count anew, as the machine does.
func era() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = []byte("boot")
	}
	namespace, _ := os.Readlink("/proc/self/ns/pid")
	return string(bytes.TrimSpace(boot)) + " " + namespace
}

// readProcess reads one line of the table; it may have ended meanwhile.
func readProcess(pid int, era string) (process, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The program's name comes in parentheses and may hold some of its own.
	_, rest, ok := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 22 {
		return process{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	return process{
		pid: pid, parent: number(1), group: number(2), session: number(3),
		mark:   era + "/" + fields[19],
		rss:    int64(number(21)) * int64(os.Getpagesize()),
		zombie: fields[0] == "Z" || fields[0] == "X",
	}, true
}

// proportionalMemory is a process's memory with shared pages divided among
// those who share them.
func proportionalMemory(p process) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
	if err != nil {
		return p.rss
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			if kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return p.rss
}

// hasEnv reports whether a process was started with an environment variable.
func hasEnv(pid int, pair string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && slices.Contains(strings.Split(string(data), "\x00"), pair)
}

// adopts says whether adoptOrphans works.
const adopts = true

// adoptOrphans makes this process the parent of its descendants whose own
// parent ends.
func adoptOrphans() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// collect removes adopted children that have ended from the system's table.
// The job's first process has its own waiter.
func collect(all []process, first int) {
	for _, p := range all {
		if p.zombie && p.parent == os.Getpid() && p.pid != first {
			_, _ = syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// pin binds a process to the CPUs of its slots.
func pin(pid int, slots []int) error {
	var allowed, chosen unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("read CPU affinity: %w", err)
	}
	var cpus []int
	for cpu := range len(allowed) * strconv.IntSize {
		if allowed.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	for _, slot := range slots {
		chosen.Set(cpus[slot%len(cpus)])
	}
	if err := unix.SchedSetaffinity(pid, &chosen); err != nil {
		return fmt.Errorf("set CPU affinity: %w", err)
	}
	return nil
}

// memoryKills is how often this machine has killed a process because memory
// ran out, -1 if it does not say.
func memoryKills() int {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "oom_kill "); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(rest)); err == nil {
				return n
			}
		}
	}
	return -1
}
