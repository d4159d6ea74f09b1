//go:build !linux

package caches

import (
	"io/fs"
	"time"
)

// lastUse is when a file was written: commands are not confined elsewhere, so they
// use none of this.
func lastUse(info fs.FileInfo) time.Time { return info.ModTime() }
