package confine

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A group is a cgroup of version 2 in which a cell, or a job, is alone: what it
// limits is for all its processes together. Where this process may not make one,
// or cannot be told from the machine, there is none, and limits are by process.
type group struct{ dir string }

// groupPrefix begins the names of ours; who finds an old empty one removes it.
const groupPrefix = "ml-intern-"

// groupAge is more than it takes to move a process into a new one.
const groupAge = time.Minute

// newGroup makes a group with the limits.
func newGroup(l Limits) (*group, error) {
	base, err := groupBase()
	if err != nil {
		return nil, err
	}
	old, _ := filepath.Glob(filepath.Join(base, groupPrefix+"*")) // the pattern is good
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > groupAge {
			_ = os.Remove(dir) // one with processes stays
		}
	}
	g := &group{filepath.Join(base, groupPrefix+strings.ToLower(rand.Text()[:10]))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("none can be made: %w", err)
	}
	// Half of what the agent has of the processors when both want them; and nothing is
	// swapped out, which is slower than to fail.
	limits := map[string]string{"cpu.weight": "50", "memory.swap.max": "0"}
	if l.Memory > 0 {
		limits["memory.max"] = strconv.FormatUint(l.Memory-l.Memory/16, 10) // the machine lives
	}
	if l.Processes > 0 {
		limits["pids.max"] = strconv.FormatUint(l.Processes+spare, 10)
	}
	for name, value := range limits {
		err := os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0)
		if err != nil && (name == "memory.max" || name == "pids.max") { // the others are not everywhere
			return nil, errors.Join(fmt.Errorf("it cannot be limited: %w", err), os.Remove(g.dir))
		}
	}
	return g, nil
}

// groupBase is the folder of the group in which ours are made: the one that this
// process is in where groups below it have memory limits, else the one above.
func groupBase() (string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	_, own, ok := strings.Cut("\n"+string(data), "\n0::")
	if err != nil || !ok {
		return "", errors.New("there is no cgroup v2")
	}
	own, _, _ = strings.Cut(own, "\n")
	root, point, err := groupMount()
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, own)
	if err != nil || !filepath.IsLocal(rel) {
		return "", errors.New("the cgroup of this process is out of sight")
	}
	for _, dir := range []string{filepath.Join(point, rel), filepath.Dir(filepath.Join(point, rel))} {
		given, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		words := strings.Fields(string(given))
		if err == nil && within(point, dir) && slices.Contains(words, "memory") && slices.Contains(words, "pids") {
			return dir, nil
		}
	}
	return "", errors.New("memory and pids are not delegated to this process")
}

// groupMount is where cgroup v2 is mounted, and what of it.
func groupMount() (root, point string, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", "", fmt.Errorf("find cgroup v2: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		mount, kind, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(mount)
		if ok && strings.HasPrefix(kind, "cgroup2 ") && len(fields) > 4 {
			return fields[3], fields[4], nil
		}
	}
	return "", "", errors.New("cgroup v2 is not mounted")
}

// take moves a process into the group, before it starts others.
func (g *group) take(pid int) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// kills is how often the group's memory ran out and a process was ended for it.
func (g *group) kills() int {
	if g == nil {
		return 0
	}
	data, _ := os.ReadFile(filepath.Join(g.dir, "memory.events")) // gone with the group
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, _ := strconv.Atoi(strings.TrimSpace(n))
			return count
		}
	}
	return 0
}

// end ends all that is in the group, and the group.
func (g *group) end() {
	if g == nil {
		return
	}
	_ = os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0) // before Linux 5.14 by the cell alone
	for range 50 {
		if err := os.Remove(g.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(2 * time.Millisecond) // the last ones are ending
	}
}

// grouped is a group with that process in it, nil if there can be none.
func grouped(pid int, l Limits) *group {
	g, err := newGroup(l)
	if err != nil {
		return nil
	}
	if err := g.take(pid); err != nil {
		g.end()
		return nil
	}
	return g
}

// cgroupLayer says whether a cgroup holds all of a command, by making one.
func cgroupLayer() Layer {
	l := Layer{Name: layerCgroup, Optional: true}
	g, err := newGroup(Reasonable())
	if err != nil {
		l.Level = err.Error() + ": memory is limited for each process, not for all of a command"
		return l
	}
	g.end()
	l.Holds, l.Level = true, "memory and processes of all of a command or job, in "+filepath.Dir(g.dir)
	return l
}
