package confine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// look says which of the files that the rules name are there, and which are in
// the folders around what is hidden. While that is the same, so is a cell.
func (r Rules) look() string {
	var b strings.Builder
	for _, paths := range [][]string{r.Writable, r.Hidden, r.Readable, r.Protected, r.Devices} {
		for _, p := range paths {
			var st unix.Stat_t
			if unix.Lstat(p, &st) != nil {
				b.WriteByte('-')
				continue
			}
			fmt.Fprintf(&b, "%d:%d ", st.Dev, st.Ino)
		}
	}
	seen := map[string]bool{}
	for _, p := range r.Hidden {
		for dir := filepath.Dir(p); !seen[dir] && longest(r.Writable, dir) < 0; dir = filepath.Dir(dir) {
			seen[dir] = true
			var st unix.Stat_t
			_ = unix.Lstat(dir, &st) // zero if it is not there
			fmt.Fprintf(&b, "%d.%d ", st.Mtim.Sec, st.Mtim.Nsec)
		}
	}
	return b.String()
}

// withSockets hides the sockets on which programs of this machine listen: a
// mount that is read-only does not keep anybody from talking to them. Those
// below /run and /tmp are out of sight already.
func (r Rules) withSockets() Rules {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return r
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, path, ok := strings.Cut(lines.Text(), " /")
		if ok && !strings.HasPrefix(path, "tmp/") && !strings.HasPrefix(path, "run/") && !r.Hides("/"+path) { // each connection has a line
			if info, err := os.Lstat("/" + path); err == nil && info.Mode()&os.ModeSocket != 0 {
				r.Hidden = append(r.Hidden, "/"+path)
			}
		}
	}
	return r
}
