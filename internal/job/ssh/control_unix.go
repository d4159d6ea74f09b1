//go:build unix

package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// controlDir is the folder of the shared connections, ours alone: who can put a
// socket there can read what is sent. It is in /tmp because a socket's path may
// have about a hundred bytes, and a home folder may have them already.
func controlDir() (string, error) {
	dir := fmt.Sprintf("/tmp/ml-intern-ssh-%d", os.Getuid())
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm() != 0o700 || int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not a private folder of this user", dir)
	}
	return dir, nil
}
