package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

var forbiddenHere []uintptr = nil

func filterHere(uint32) map[uintptr]filter { return nil }

func bareHere(uint32) []judged { return nil }

const chmodHere = ^uintptr(0) // there is none
