//go:build unix

package main

import (
	"strings"
	"testing"
)

// A table that is too large to be copied is held by a checkpoint before the first
// command, and read after it as before.
func TestLargeFilesAreReadAfterACommand(t *testing.T) {
	t.Parallel()
	l := newLab(t, buildProgram(t), map[string]string{"w/train.csv": "text,label\n" + strings.Repeat("good film,1\n", 1_000_000)})
	got := l.play(do("bash", args{"command": "true"}), do("read", args{"path": "train.csv", "limit": 2}), do("inspect_dataset", args{"path": "train.csv"}))
	if !strings.Contains(got["read"], "good film,1") || !strings.Contains(got["inspect_dataset"], `"rows":1000000`) {
		t.Errorf("told %v", got)
	}
}
