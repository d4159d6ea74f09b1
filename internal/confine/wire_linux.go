package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A wire carries messages between this program and a cell, each with the files
// that it hands over. A message travels in a file in memory of its own, so it
// has no limit and never comes in pieces.
type wire struct{ conn *net.UnixConn }

// newWire takes the descriptor over.
func newWire(f *os.File) (wire, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return wire{}, fmt.Errorf("open the line to a cell: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return wire{}, errors.Join(errors.New("the line to a cell is no unix socket"), conn.Close())
	}
	return wire{unixConn}, nil
}

// wires are the two ends of a line.
func wires() (here wire, there *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return wire{}, nil, fmt.Errorf("make the line to a cell: %w", err)
	}
	there = os.NewFile(uintptr(fds[1]), "cell")
	here, err = newWire(os.NewFile(uintptr(fds[0]), "cell"))
	if err != nil {
		return wire{}, nil, errors.Join(err, there.Close())
	}
	return here, there, nil
}

func (w wire) send(message any, files ...*os.File) error {
	data, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make message: %w", err)
	}
	memory := os.NewFile(uintptr(fd), "message")
	defer memory.Close()
	if _, err := memory.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	fds := []int{fd}
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	if _, _, err := w.conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// receive returns io.EOF when the other end is gone.
func (w wire) receive(message any) ([]*os.File, error) {
	var one [1]byte
	control := make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := w.conn.ReadMsgUnix(one[:], control)
	if err != nil || n == 0 {
		return nil, errors.Join(err, io.EOF)
	}
	files, err := handed(control[:oobn])
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("receive message: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	defer files[0].Close()
	data, err := io.ReadAll(io.NewSectionReader(files[0], 0, 1<<30))
	if err == nil {
		err = json.Unmarshal(data, message)
	}
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return files[1:], nil
}

func handed(control []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}
