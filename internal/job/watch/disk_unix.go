//go:build linux || darwin

package watch

import "golang.org/x/sys/unix"

// disk is what is free and what there is, in bytes, where a folder is.
func disk(dir string) (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	block := int64(s.Bsize) //nolint:unconvert // its type differs between systems
	return int64(s.Bavail) * block, int64(s.Blocks) * block, nil
}
