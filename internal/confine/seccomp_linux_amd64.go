package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	x32Bit    = 0x40000000 // of calls of the x32 interface
)

// forbiddenHere are forbidden calls that only this architecture has.
var forbiddenHere = []uintptr{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_CREATE_MODULE}

// filterHere judges the older calls that only this architecture has.
func filterHere(denied uint32) map[uintptr]filter {
	return map[uintptr]filter{
		unix.SYS_CHMOD: bits(1, setIDs, denied),
		unix.SYS_MKNOD: bits(1, setIDs|unix.S_IFCHR, denied),
		unix.SYS_OPEN:  creating(1, denied),
		unix.SYS_CREAT: bits(1, setIDs, denied),
	}
}

// bareHere judges more of them in a bare cell.
func bareHere(denied uint32) []judged {
	return []judged{
		{unix.SYS_CHMOD, modes(1, denied)},
		{unix.SYS_CHOWN, ownership(1, denied)},
		{unix.SYS_LCHOWN, ownership(1, denied)},
		{unix.SYS_UTIME, answered(denied)},
		{unix.SYS_UTIMES, answered(denied)},
		{unix.SYS_FUTIMESAT, answered(denied)},
	}
}

// chmodHere is the oldest of the calls that change a mode.
const chmodHere = unix.SYS_CHMOD
