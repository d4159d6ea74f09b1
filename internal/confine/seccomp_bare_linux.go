package confine

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// answerWatch leaves a call to the watcher.
const answerWatch = unix.SECCOMP_RET_USER_NOTIF

// done is the answer of a call that is not made and says that it was.
const done = unix.SECCOMP_RET_ERRNO

// newBareFilter is the filter of a bare cell: what reaches other processes or
// the outside without a file is refused, and what needs a look at memory is
// watched.
func newBareFilter(network bool) filter {
	denied := answer(unix.EPERM)
	special := append(alone(), []judged{
		{unix.SYS_CONNECT, answered(answerWatch)},
		{unix.SYS_BIND, answered(answerWatch)},
		{unix.SYS_SOCKET, bareSockets(network)},
		// Modes and times of files are not Landlock's to keep.
		{unix.SYS_FCHMOD, modes(1, denied)},
		{unix.SYS_FCHMODAT, modes(2, denied)},
		{unix.SYS_FCHMODAT2, modes(2, denied)},
		{unix.SYS_UTIMENSAT, answered(answerWatch)},
		{unix.SYS_FCHOWN, ownership(1, denied)},
		{unix.SYS_FCHOWNAT, ownership(2, denied)},
	}...)
	if !network {
		// A message that opens a connection asks no one.
		special = append(special, judged{unix.SYS_SENDTO, bits(3, unix.MSG_FASTOPEN, denied)},
			judged{unix.SYS_SENDMSG, bits(2, unix.MSG_FASTOPEN, denied)}, judged{unix.SYS_SENDMMSG, bits(3, unix.MSG_FASTOPEN, denied)})
	}
	for _, call := range attributes {
		special = append(special, judged{call, answered(answer(unix.EOPNOTSUPP))})
	}
	return newFilter(append(special, bareHere(denied)...)...)
}

// alone keeps other processes and what they share out of reach.
func alone() []judged {
	denied := answer(unix.EPERM)
	all := []judged{
		{unix.SYS_SOCKETPAIR, connected(answerAllow)},
		// Another process's limits and priority are not Landlock's to keep.
		{unix.SYS_PRLIMIT64, zero(denied, 0)},
		{unix.SYS_SETPRIORITY, zero(denied, 0, 1)},
		{unix.SYS_SCHED_SETSCHEDULER, zero(denied, 0)},
		{unix.SYS_SCHED_SETPARAM, zero(denied, 0)},
		{unix.SYS_SCHED_SETATTR, zero(denied, 0)},
	}
	for _, call := range bareForbidden {
		all = append(all, judged{call, answered(denied)})
	}
	return all
}

// bareForbidden are calls on what all of the machine shares.
var bareForbidden = []uintptr{
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL,
	unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK, unix.SYS_IOPRIO_SET,
}

// attributes are calls that change extended attributes, which programs do without.
var attributes = []uintptr{
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
	unix.SYS_SETXATTRAT, unix.SYS_REMOVEXATTRAT,
}

func answered(a uint32) filter {
	var f filter
	f.answer(a)
	return f
}

// modes leaves a change of mode, argument n, to the watcher, but for one that
// makes a file run as its owner, which it answers with a.
func modes(n int, a uint32) filter {
	f := bits(n, setIDs, a)
	f[len(f)-1].K = answerWatch
	return f
}

// zero answers a if one of the arguments is not zero.
func zero(a uint32, args ...int) filter {
	var f filter
	for _, n := range args {
		f.load(uint32(offsetArgs + 8*n))
		f.unless(0, a)
	}
	f.answer(answerAllow)
	return f
}

// ownership lets a file stay with its owner, which nobody changes, and answers a
// to all else. Argument n is the user, the next one the group.
func ownership(n int, a uint32) filter {
	var f filter
	for i, own := range []int{os.Geteuid(), os.Getegid()} {
		f.load(uint32(offsetArgs + 8*(n+i)))
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint32(own), 2, 0)
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, ^uint32(0), 1, 0)
		f.answer(a)
	}
	f.answer(done)
	return f
}

// connected answers a if the type, argument 1, is one of sockets that only send
// to whom they are connected to.
func connected(a uint32) filter {
	var f filter
	f.load(offsetArgs + 8)
	f.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, socketType, 0, 0)
	f.when(unix.SOCK_STREAM, a)
	f.when(unix.SOCK_SEQPACKET, a)
	f.answer(answer(unix.EPROTONOSUPPORT))
	return f
}

// socketType is the part of a socket's type that is no flag.
const socketType = 0xf

// bareSockets allows sockets of this machine, which the watcher connects, and asks
// it for those of the internet: it gives one that is connected already. With the
// network it is the other way round.
func bareSockets(network bool) filter {
	var f filter
	f.load(offsetArgs)
	f.on(unix.AF_NETLINK, routeOnly()) // what it tells, /proc does too
	if network {
		f.on(unix.AF_UNIX, connected(answerWatch))
		f.when(unix.AF_INET, answerAllow)
		f.when(unix.AF_INET6, answerAllow)
	} else {
		f.on(unix.AF_UNIX, connected(answerAllow))
		f.on(unix.AF_INET, streams(answerWatch))
	}
	f.answer(answer(unix.EAFNOSUPPORT))
	return f
}

// streams answers a for TCP.
func streams(a uint32) filter {
	var f filter
	f.load(offsetArgs + 2*8)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 2, 0)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, unix.IPPROTO_TCP, 1, 0)
	f.answer(answer(unix.EPROTONOSUPPORT))
	return append(f, connected(a)...)
}

// installWatched puts the filter on this thread and on all that it starts, and
// returns the descriptor on which watched calls come.
func (f filter) installWatched() (int, error) {
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return -1, fmt.Errorf("%s: install system call filter with a watcher (a container that watches calls itself leaves room for no other): %w", layerSeccomp, errno)
	}
	return int(fd), nil
}
