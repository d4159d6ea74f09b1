package edit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/tui/edit"
)

// A file of prompts is shortened when it has three times what is kept.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	const kept = 1000
	h := edit.History{Path: filepath.Join(t.TempDir(), "p")}
	for i := range 3 * kept {
		h.Add(fmt.Sprint(i))
	}
	again := edit.History{Path: h.Path}
	n, last := 0, ""
	for text, ok := again.Move(-1, ""); ok; text, ok = again.Move(-1, "") {
		if n++; n == 1 {
			last = text
		}
	}
	if n != kept || last != fmt.Sprint(3*kept-1) {
		t.Errorf("%d entries are kept, the last is %q", n, last)
	}
	if data, _ := os.ReadFile(h.Path); strings.Count(string(data), "\n") != kept {
		t.Errorf("the file keeps %d lines", strings.Count(string(data), "\n"))
	}
}
