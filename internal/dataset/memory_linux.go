package dataset

import "os"

// AvailableMemory is how many bytes a new process could take on this machine
// or in this container; zero if that cannot be known.
func AvailableMemory() int64 { return availableIn(os.DirFS("/")) }
