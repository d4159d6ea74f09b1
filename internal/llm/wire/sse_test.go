package wire_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"ml-intern/internal/llm/wire"
)

// listed are the events of a stream, one a line.
func listed(r io.Reader) string {
	var b strings.Builder
	for e, err := range wire.Events(bufio.NewReader(r)) {
		fmt.Fprintf(&b, "%s|%s|%v\n", e.Name, e.Data, err)
	}
	return b.String()
}

func TestEvents(t *testing.T) {
	for name, c := range map[string]struct{ stream, want string }{
		"named":                  {"event: error\ndata: {}\n\ndata: x\n\n", "error|{}|<nil>\n|x|<nil>\n"},
		"name after data":        {"data: x\nevent: late\n\n", "late|x|<nil>\n"},
		"name without data":      {"event: a\n\ndata: x\n\n", "|x|<nil>\n"},
		"several lines":          {"data: a\ndata: b\n\n", "|a\nb|<nil>\n"},
		"no blank line":          {"event: a\ndata: {}\nevent: b\ndata: {\"x\":1}\n\n", "a|{}|<nil>\nb|{\"x\":1}|<nil>\n"},
		"comments, CRLF, blanks": {": ping\r\n\r\nevent:a\r\ndata:x\r\nid: 1\r\n\r\n\r\n", "a|x|<nil>\n"},
		"cut":                    {"event: a\ndata: x", "a|x|<nil>\n"},
		"nothing":                {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := listed(strings.NewReader(c.stream)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestEventsFail(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("data: x\n\ndata: y"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if got, want := listed(broken), "|x|<nil>\n||unexpected EOF\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// FuzzEvents holds that events do not depend on where the network cuts.
func FuzzEvents(f *testing.F) {
	f.Add("event: a\ndata: {}\nevent: b\ndata: {\"x\":1}\n\n")
	f.Add(":\r\ndata:\r\n\r\ndata: x\rdata")
	f.Fuzz(func(t *testing.T, stream string) {
		whole := listed(strings.NewReader(stream))
		if cut := listed(iotest.OneByteReader(strings.NewReader(stream))); cut != whole {
			t.Errorf("whole:\n%s\nbytewise:\n%s", whole, cut)
		}
	})
}
