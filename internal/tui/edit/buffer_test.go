package edit_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/style"
)

func TestPasteCountsLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Repeat("x\n", 25_000):       "[paste 1: 25,000 lines]",
		strings.Repeat("x\n", 25_000) + "x": "[paste 1: 25,001 lines]",
		strings.Repeat("x", 9_000) + "\n":   "[paste 1: 9,001 characters]",
	} {
		var b edit.Buffer
		if b.Paste(text); b.Text != want {
			t.Errorf("%q, want %q", b.Text, want)
		}
	}
}

func TestPaste(t *testing.T) {
	t.Parallel()
	var b edit.Buffer
	b.Insert("look at ")
	long := strings.Repeat("a line\r\n", 1233) + "\x1b[2Jthe [paste 2: 3 lines] last\x00"
	b.Paste(long)
	b.Insert(" please ")
	b.Paste(strings.Repeat("x", 1<<20))
	if want := "look at [paste 1: 1,234 lines] please [paste 2: 1,048,576 characters]"; b.Text != want {
		t.Fatalf("text %q", b.Text)
	}
	whole := b.Expanded()
	if !strings.HasPrefix(whole, "look at a line\na line\n") || !strings.Contains(whole, "[2Jthe [paste 2: 3 lines] last please xxx") || len(whole) < 1<<20 {
		t.Errorf("expanded to %d bytes: %.60q", len(whole), whole)
	}
	if strings.ContainsAny(whole, "\x1b\r\x00") {
		t.Error("control characters went in")
	}
	b.Key("backspace", 80) // the label is one character
	if b.Text != "look at [paste 1: 1,234 lines] please " {
		t.Errorf("text %q", b.Text)
	}
	b.Key("home", 80)
	for range len("look at ") + 1 {
		b.Key("right", 80)
	}
	if rest := b.Text[b.Pos:]; rest != " please " {
		t.Errorf("right of the cursor is %q", rest)
	}
}

// Whatever is typed, the rows of a prompt are its text in order, none is wider
// than the screen, and the cursor is in one of them.
func TestWrapLosesNothing(t *testing.T) {
	t.Parallel()
	letters := []string{"a", " ", "word ", "\n", "漢字", "👩‍👩‍👧", "é", "e\u0301", "\t", "-", "/path/to/file "}
	keys := []string{"left", "right", "up", "down", "home", "end", "backspace", "delete", "ctrl+w", "alt+b", "alt+f", "ctrl+k", "ctrl+u", "ctrl+y", "ctrl+_", "alt+d"}
	for range 300 {
		var b edit.Buffer
		width := 2 + rand.IntN(40)
		for range 80 {
			if rand.IntN(3) > 0 {
				b.Insert(letters[rand.IntN(len(letters))])
			} else {
				b.Key(keys[rand.IntN(len(keys))], width)
			}
			at := 0
			rows := b.Wrap(width)
			for _, r := range rows {
				if skipped := b.Text[at:r.Start]; skipped != "" && skipped != "\n" {
					t.Fatalf("rows of %q at %d leave out %q", b.Text, width, skipped)
				}
				if w := style.Width(b.Text[r.Start:r.End]); w > max(width, 4) {
					t.Fatalf("a row of %q is %d cells wide, more than %d", b.Text, w, width)
				}
				at = r.End
			}
			if at != len(b.Text) {
				t.Fatalf("rows of %q end at %d", b.Text, at)
			}
			if x, y := b.Cursor(width); x < 0 || x > max(width, 4) || y < 0 || y >= len(rows) {
				t.Fatalf("the cursor of %q is at %d, %d", b.Text, x, y)
			}
		}
	}
}
