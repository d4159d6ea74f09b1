//go:build !unix

package checkpoint

import "io/fs"

// linkOf cannot tell here whether two names are of one file: it takes the
// weaker for true.
func linkOf(fs.FileInfo, stat) bool { return true }

func sameDisk(_, _ string) bool { return true }
