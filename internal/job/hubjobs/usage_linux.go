package hubjobs

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ml-intern/internal/hub/hubserver"
)

// tick is the kernel's unit of CPU time in /proc, the same on all machines
// that we run on.
const tick = 10 * time.Millisecond

// usage sums what the processes of a session use, which is where a job's are.
func usage(session int) (hubserver.Usage, bool) {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return hubserver.Usage{}, false
	}
	u := hubserver.Usage{MemoryTotal: memoryTotal()}
	found := false
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		_, after, _ := bytes.Cut(data[max(0, bytes.LastIndexByte(data, ')')):], []byte(" "))
		fields := bytes.Fields(after) // from the third on, the state
		if len(fields) < 22 || number(fields[3]) != int64(session) {
			continue
		}
		found = true
		u.CPU += time.Duration(number(fields[11])+number(fields[12])) * tick
		u.MemoryBytes += number(fields[21]) * int64(os.Getpagesize())
	}
	return u, found
}

func number(field []byte) int64 {
	n, _ := strconv.ParseInt(string(field), 10, 64) // the kernel writes no other
	return n
}

func memoryTotal() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if value, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			if fields := bytes.Fields(value); len(fields) > 0 {
				return number(fields[0]) << 10
			}
		}
	}
	return 0
}
