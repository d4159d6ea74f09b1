package dataset

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// availableIn reads how many bytes of memory are free to take from the files
// Linux keeps under its root: the machine's, or the container's if less.
// Zero means unknown.
func availableIn(root fs.FS) int64 {
	free := meminfo(root)
	for _, group := range []struct{ limit, used string }{
		{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"},
		{"sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"},
	} {
		limit, ok := readInt(root, group.limit)
		used, okUsed := readInt(root, group.used)
		if ok && okUsed && (free == 0 || limit-used < free) {
			free = max(limit-used, 1)
		}
	}
	return free
}

func meminfo(root fs.FS) int64 {
	data, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if rest, ok := strings.CutPrefix(string(line), "MemAvailable:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil && kb > 0 {
				return kb << 10
			}
		}
	}
	return 0
}

// readInt fails on "max", which is how a group without a limit says so.
func readInt(root fs.FS, name string) (int64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil && n >= 0
}

// checkFits refuses a table that would not fit in memory while training.
func checkFits(name string, size int64, opts Options) error {
	if opts.AvailableMemory <= 0 || size <= opts.AvailableMemory/memoryFactor {
		return nil
	}
	return &Error{
		CodeTooLarge,
		fmt.Sprintf("%s holds %s of data; training on it takes about %d times that in memory, and only %s are free here.",
			name, humanBytes(size), memoryFactor, humanBytes(opts.AvailableMemory)),
		"Train on a random sample of its rows, drop columns you do not need, or use a machine with more memory.",
	}
}

func humanBytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n), 0
	for v /= 1000; v >= 999.5 && unit < len(units)-1; v /= 1000 {
		unit++
	}
	if v >= 10 {
		return fmt.Sprintf("%.0f %cB", v, units[unit])
	}
	return fmt.Sprintf("%.1f %cB", v, units[unit])
}
