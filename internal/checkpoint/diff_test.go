package checkpoint_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/checkpoint"
)

// A diff is one that patch applies, whatever the texts are.
func TestUnifiedApplies(t *testing.T) {
	t.Parallel()
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("there is no patch")
	}
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range r.IntN(30) {
			fmt.Fprintf(&b, "line %d\n", r.IntN(6))
		}
		if r.IntN(3) == 0 {
			b.WriteString("no end")
		}
		return b.String()
	}
	for i := range 150 {
		before, after := text(), text()
		if before == after {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		diff := checkpoint.Unified("a/f", "b/f", before, after)
		cmd := exec.Command(patch, "-p1", "--posix", "f")
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(diff)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%d: %v\n%s\n%s", i, err, out, diff)
		}
		got, _ := os.ReadFile(filepath.Join(dir, "f")) // patch removes what is empty
		if string(got) != after {
			t.Fatalf("%d: %q is not %q\n%s", i, got, after, diff)
		}
	}
}

func TestUnified(t *testing.T) {
	t.Parallel()
	got := checkpoint.Unified("a/f", "b/f", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n")
	want := "--- a/f\n+++ b/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	long := strings.Repeat("a\n", 2000)
	if diff := checkpoint.Unified("a", "b", long, strings.Repeat("b\n", 2000)); strings.Count(diff, "\n-a") != 2000 || strings.Count(diff, "\n+b") != 2000 {
		t.Error("a text that is all new is not")
	}
}
