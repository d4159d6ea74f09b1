package confine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidden are the system calls that no command needs and that have led out of
// sandboxes: they fail with EPERM.
var forbidden = []uintptr{
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_QUOTACTL,
	unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_VHANGUP, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
}

const (
	namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
		unix.CLONE_NEWPID | unix.CLONE_NEWNET
	setIDs = unix.S_ISUID | unix.S_ISGID
)

// Offsets in struct seccomp_data; of an argument its lower half.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

// The answers of the filter.
const (
	answerAllow = unix.SECCOMP_RET_ALLOW
	answerKill  = unix.SECCOMP_RET_KILL_PROCESS
)

func answer(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// A filter is a program for the kernel's packet filter, which judges each
// system call.
type filter []unix.SockFilter

func (f *filter) add(code uint16, k uint32, yes, no uint8) {
	*f = append(*f, unix.SockFilter{Code: code, K: k, Jt: yes, Jf: no})
}

func (f *filter) load(offset uint32) { f.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }

func (f *filter) answer(a uint32) { f.add(unix.BPF_RET|unix.BPF_K, a, 0, 0) }

// unless answers a if the loaded value is not k.
func (f *filter) unless(k, a uint32) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 1, 0)
	f.answer(a)
}

// when answers a if the loaded value is k.
func (f *filter) when(k, a uint32) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, 1)
	f.answer(a)
}

// on runs more for one system call; more must end in an answer.
func (f *filter) on(call uintptr, more filter) {
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint32(call), 0, uint8(len(more)))
	*f = append(*f, more...)
}

// bits answers a to a call whose argument n has one of the bits set.
func bits(n int, set, a uint32) filter {
	var f filter
	f.load(uint32(offsetArgs + 8*n))
	f.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, set, 0, 1)
	f.answer(a)
	f.answer(answerAllow)
	return f
}

// creating answers a to a call that would make a file that runs as its owner.
// Argument n is the flags, the next one the mode, which counts only with them.
func creating(n int, a uint32) filter {
	var f filter
	f.load(uint32(offsetArgs + 8*n))
	f.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY, 1, 0)
	f.answer(answerAllow)
	return append(f, bits(n+1, setIDs, a)...)
}

// sockets allows sockets of this machine, of the internet, and of the kernel the
// one that name resolution asks for addresses.
func sockets() filter {
	var f filter
	f.load(offsetArgs)
	f.when(unix.AF_UNIX, answerAllow)
	f.when(unix.AF_INET, answerAllow)
	f.when(unix.AF_INET6, answerAllow)
	f.on(unix.AF_NETLINK, routeOnly())
	f.answer(answer(unix.EAFNOSUPPORT))
	return f
}

func routeOnly() filter {
	var f filter
	f.load(offsetArgs + 2*8)
	f.when(unix.NETLINK_ROUTE, answerAllow)
	f.answer(answer(unix.EPROTONOSUPPORT))
	return f
}

// noneOf answers a to a call whose argument n is one of the values.
func noneOf(n int, a uint32, values ...uint32) filter {
	var f filter
	f.load(uint32(offsetArgs + 8*n))
	for _, v := range values {
		f.when(v, a)
	}
	f.answer(answerAllow)
	return f
}

// A judged call has its own answers.
type judged struct {
	call uintptr
	how  filter
}

// newFilter is the filter for commands. Programs of another architecture, whose
// calls have other numbers, are killed. What special says about a call goes over
// the rest.
func newFilter(special ...judged) filter {
	var f filter
	denied := answer(unix.EPERM)
	f.load(offsetArch)
	f.unless(auditArch, answerKill)
	f.load(offsetCall)
	if x32Bit != 0 {
		f.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, x32Bit, 0, 1)
		f.answer(answerKill)
	}
	f.when(unix.SYS_CLONE3, answer(unix.ENOSYS)) // its flags cannot be seen; libraries then use clone
	for _, call := range forbidden {
		f.when(uint32(call), denied)
	}
	for _, call := range forbiddenHere {
		f.when(uint32(call), denied)
	}
	for _, s := range special {
		f.on(s.call, s.how)
	}
	f.on(unix.SYS_CLONE, bits(0, namespaceFlags, denied))
	f.on(unix.SYS_SOCKET, sockets())
	f.on(unix.SYS_IOCTL, noneOf(1, denied, unix.TIOCSTI, tiocLinux))
	f.on(unix.SYS_FCHMOD, bits(1, setIDs, denied))
	f.on(unix.SYS_FCHMODAT, bits(2, setIDs, denied))
	f.on(unix.SYS_FCHMODAT2, bits(2, setIDs, denied))
	f.on(unix.SYS_MKNODAT, bits(2, setIDs|unix.S_IFCHR, denied)) // S_IFBLK has that bit too
	f.on(unix.SYS_OPENAT, creating(2, denied))
	f.when(unix.SYS_OPENAT2, answer(unix.ENOSYS)) // its mode cannot be seen either
	for call, more := range filterHere(denied) {
		f.on(call, more)
	}
	f.answer(answerAllow)
	return f
}

const tiocLinux = 0x541c

// install puts the filter on this thread and on all that it starts, for good.
func (f filter) install() error {
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return fmt.Errorf("install system call filter: %w", errno)
	}
	return nil
}
