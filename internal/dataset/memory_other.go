//go:build !linux

package dataset

// AvailableMemory is how many bytes a new process could take on this machine
// or in this container; zero if that cannot be known, as on this system.
func AvailableMemory() int64 { return 0 }
