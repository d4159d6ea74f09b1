package job_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"ml-intern/internal/job"
)

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 40<<10) // 80 KiB, a character across every even border
	for name, c := range map[string]struct {
		in   string
		want []job.Line
	}{
		"nothing":         {"", nil},
		"lines":           {"a\n\nb\n", []job.Line{{"a", 102}, {"", 103}, {"b", 105}}},
		"no end":          {"a\nb", []job.Line{{"a", 102}, {"b", 103}}},
		"windows":         {"a\r\nb\r\n", []job.Line{{"a", 103}, {"b", 106}}},
		"progress":        {"1%\r2%\r3%\nx", []job.Line{{"3%", 109}, {"x", 110}}},
		"progress so far": {"1%\r2%\r", []job.Line{{"2%", 106}}},
		"odd bytes":       {"a\xff\xfeb\n", []job.Line{{"a\uFFFDb", 105}}},
		"half a rune":     {"a\xe6\x97", []job.Line{{"a", 101}}},
		"only half":       {"\xe6\x97", nil},
		"long":            {"x" + long + "\n", []job.Line{{"x" + long[:64<<10-2], 100 + 64<<10 - 1}, {long[64<<10-2:], 100 + 80<<10 + 2}}},
	} {
		var got []job.Line
		for line, err := range job.Lines(iotest.OneByteReader(strings.NewReader(c.in)), 100) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got = append(got, line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %.200v, want %.200v", name, got, c.want)
		}
	}
}

func TestLinesBrokenReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var last error
	for _, err := range job.Lines(iotest.ErrReader(broken), 0) {
		last = err
	}
	if !errors.Is(last, broken) {
		t.Errorf("the reader's error became %v", last)
	}
}

// FuzzLines checks that any cursor goes on exactly where it was.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\xe6\x97\n\r\nc\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var next int64
		for line, err := range job.Lines(bytes.NewReader(data), 0) {
			if err != nil || !utf8.ValidString(line.Text) || strings.Contains(line.Text, "\n") || line.Next <= next {
				t.Fatalf("line %+v after %d, %v", line, next, err)
			}
			next = line.Next
		}
		if left := int64(len(data)) - next; left < 0 || left >= utf8.UTFMax {
			t.Fatalf("%d bytes are left", left)
		}
	})
}
