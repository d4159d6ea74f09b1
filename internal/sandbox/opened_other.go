//go:build !linux

package sandbox

import "os"

// whereabouts is the path of an open file without links, as it is now.
func whereabouts(f *os.File) string { return realPath(f.Name()) }
