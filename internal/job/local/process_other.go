//go:build unix && !linux

package local

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// processes asks ps, which is the same on all of them.
func processes() ([]process, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,pgid=,rss=,stat=,lstart=").Output()
	if err != nil {
		return nil, err
	}
	var all []process
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			continue
		}
		number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
		all = append(all, process{
			pid: number(0), parent: number(1), group: number(2), session: number(2), // ps has no number for it
			rss: int64(number(3)) << 10, zombie: strings.HasPrefix(fields[4], "Z"),
			mark: strings.Join(fields[5:], " "),
		})
	}
	return all, nil
}

// identify returns the mark of a process, "" if there is none.
func identify(pid int) (string, error) {
	all, err := processes()
	if i := slices.IndexFunc(all, func(p process) bool { return p.pid == pid }); err == nil && i >= 0 {
		return all[i].mark, nil
	}
	return "", err
}

const adopts = false

func proportionalMemory(p process) int64 { return p.rss }
func hasEnv(int, string) bool            { return false }
func adoptOrphans() error                { return nil }
func collect([]process, int)             {}
func childless() bool                    { return false }
func pin(int, []int) error               { return nil }
func syncFiles(string) error             { syscall.Sync(); return nil }
func memoryKills() int                   { return -1 }
