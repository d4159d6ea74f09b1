package local

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"A": "hunter2", "LONG": "hunter2-more", "LINES": "one\ntwo", "SHORT": "ab"}
	for in, want := range map[string]string{
		"":                                "",
		"plain ab":                        "plain ab",
		"hunter2":                         "[A]",
		"hunter2-more hunter2-mor":        "[LONG] [A]-mor",
		"hunthunter2hunter2":              "hunt[A][A]",
		"x one\ntwo\none\nthree":          "x [LINES]\none\nthree",
		"hunter":                          "hunter",
		"hunter2-hunter2-more2-mo":        "[A]-[LONG]2-mo",
		"\xff\x00hunter2\xff hunter hunt": "\xff\x00[A]\xff hunter hunt",
	} {
		for size := 1; size <= len(in)+1; size++ {
			var out strings.Builder
			r := newRedactor(&out, secrets)
			for rest := in; rest != ""; {
				n := min(size, len(rest))
				if got, err := r.Write([]byte(rest[:n])); got != n || err != nil {
					t.Fatalf("Write: %d, %v", got, err)
				}
				if strings.Contains(out.String(), "hunter2") {
					t.Errorf("in pieces of %d, %q let %q through", size, in, out.String())
				}
				rest = rest[n:]
			}
			if err := r.flush(); err != nil || out.String() != want {
				t.Errorf("in pieces of %d, %q became %q, %v; want %q", size, in, out.String(), err, want)
			}
		}
	}
}

// A note parts no line and no secret, and waits for the end of a line only so long.
func TestRedactorNotes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := newRedactor(&out, map[string]string{"A": "hunter2"})
		put := func(text string) {
			if _, err := r.Write([]byte(text)); err != nil {
				t.Error(err)
			}
		}
		r.note("[1]")
		put("loss ")
		r.note("[2]")
		r.note("[3]")
		put("0.5\nthe ")
		put("next\nhunt")
		r.note("[4]")
		r.hurry()
		put("er2\nthird")
		r.note("[5]")
		time.Sleep(noteWait / 2)
		r.hurry()
		put(" and more")
		time.Sleep(noteWait)
		r.hurry()
		put("\nlast")
		r.note("[6]")
		if err := r.flush(); err != nil {
			t.Error(err)
		}
		if want := "[1]\nloss 0.5\n[2]\n[3]\nthe next\n[A]\n[4]\nthird and more\n[5]\n\nlast\n[6]\n"; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

// FuzzRedactor checks that pieces make no difference.
func FuzzRedactor(f *testing.F) {
	f.Add("xhunter2hunter2-more", uint8(3))
	f.Fuzz(func(t *testing.T, in string, size uint8) {
		secrets := map[string]string{"A": "abab", "B": "ababc", "C": "baba"}
		var whole, pieces strings.Builder
		r := newRedactor(&whole, secrets)
		_, _ = r.Write([]byte(in))
		_ = r.flush()
		r = newRedactor(&pieces, secrets)
		for rest := in; rest != ""; {
			n := min(int(size)+1, len(rest))
			_, _ = r.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		_ = r.flush()
		if whole.String() != pieces.String() {
			t.Errorf("%q became %q, in pieces %q", in, whole.String(), pieces.String())
		}
		if strings.Contains(whole.String(), "abab") {
			t.Errorf("%q became %q", in, whole.String())
		}
	})
}

func TestHoldsPassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"PATH=/a@b:/c": false, "UV_INDEX_URL=https://host/a@b": false, "UV_INDEX_URL=https://u:p@host/simple": true,
		"X=http://a/ https://token@b": true, "X=a://": false,
	} {
		if got := holdsPassword(text); got != want {
			t.Errorf("holdsPassword(%q) = %v", text, got)
		}
	}
}
