//go:build unix

package remote

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxSecret is what a pipe takes at once on every system.
const maxSecret = 4096

// TakeSecret returns the secret of the environment, and the environment without
// it. What a process was started with stays readable in /proc, for a command
// that runs as the same user and for the file tools: so the program starts
// itself anew without the secret, and is handed it through a pipe.
func TakeSecret(env []string) (secret string, rest []string, err error) {
	secret, rest = variable(env, SecretVariable)
	fd, rest := variable(rest, fdVariable)
	switch {
	case secret != "":
		return "", nil, startAnew(secret, rest)
	case fd == "":
		return "", rest, nil
	}
	n, err := strconv.Atoi(fd)
	if err != nil || n < 3 {
		return "", nil, fmt.Errorf("read the secret of the sandbox: %s is no descriptor", fdVariable)
	}
	pipe := os.NewFile(uintptr(n), "secret")
	data, err := io.ReadAll(io.LimitReader(pipe, maxSecret))
	if err = errors.Join(err, pipe.Close()); err != nil {
		return "", nil, fmt.Errorf("read the secret of the sandbox: %w", err)
	}
	hide()
	return string(data), rest, nil
}

// startAnew returns only if it fails.
func startAnew(secret string, env []string) error {
	if len(secret) > maxSecret {
		return fmt.Errorf("the secret of the sandbox has more than %d bytes", maxSecret)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err)
	}
	_, err = w.WriteString(secret)
	err = errors.Join(err, w.Close())
	if err == nil {
		_, err = unix.FcntlInt(r.Fd(), unix.F_SETFD, 0) // the program that comes has it too
	}
	if err == nil {
		env = append(env, fdVariable+"="+strconv.Itoa(int(r.Fd())))
		err = unix.Exec(exe, os.Args, env)
	}
	return errors.Join(fmt.Errorf("start the sandbox without its secret in sight: %w", err), r.Close())
}
