package sandbox

import (
	"fmt"
	"os"
)

// whereabouts is the path of an open file without links: that of the very file,
// whatever has become of its name since.
func whereabouts(f *os.File) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return realPath(f.Name())
	}
	return path
}
