package checkpoint

import "golang.org/x/sys/unix"

// telling reports whether the folder is on a disk that is known to give a folder
// another ctime whenever a name in it comes or goes. Disks of a network, those
// that a program makes up and layered ones may not.
func (f folder) telling() bool {
	var disk unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &disk); err != nil {
		return false
	}
	switch int64(disk.Type) { //nolint:unconvert // its type is the system's
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.F2FS_SUPER_MAGIC:
		return true
	}
	return false
}
