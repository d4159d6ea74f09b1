package githttp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Bounds of one request to fetch.
const (
	maxFetchBody = 32 << 20
	maxLines     = 200_000
)

// A fetch is what a client wants, and what it says that it has.
type fetch struct {
	wants, haves []string
	done         bool
	shallow      map[string]bool // commits whose parents the client lacks
	depth        int             // so many commits deep, 0 for all
	relative     bool            // depth counts from where the client's history ends
	since        time.Time
	not          []string // refs whose history is not wanted

	caps  map[string]bool
	lines int
}

func newFetch() *fetch { return &fetch{shallow: map[string]bool{}, caps: map[string]bool{}} }

// deepens reports whether the client's history is to end somewhere else.
func (f *fetch) deepens() bool { return f.depth > 0 || !f.since.IsZero() || len(f.not) > 0 }

// arg reads one line of a request, which both versions write alike.
func (f *fetch) arg(line string) error {
	if f.lines++; f.lines > maxLines {
		return fmt.Errorf("%w: it has too many lines", ErrRequest)
	}
	key, value, _ := strings.Cut(line, " ")
	switch key {
	case "want", "have", "shallow":
		if _, err := parseID(value); err != nil {
			return err
		}
		switch key {
		case "want":
			f.wants = append(f.wants, value)
		case "have":
			f.haves = append(f.haves, value)
		default:
			f.shallow[value] = true
		}
	case "done":
		f.done = true
	case "deepen":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: depth %.50q", ErrRequest, value)
		}
		f.depth = n
	case "deepen-since":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: time %.50q", ErrRequest, value)
		}
		f.since = time.Unix(n, 0)
	case "deepen-not":
		f.not = append(f.not, value)
	case "deepen-relative":
		f.relative = true
	case "thin-pack", "no-progress", "include-tag", "ofs-delta":
		f.caps[key] = true
	default:
		return fmt.Errorf("%w: %.50q is not known", ErrRequest, line)
	}
	return nil
}

// readWants reads the first part of a version 0 request: what is wanted.
func (f *fetch) readWants(p pktReader) error {
	for {
		kind, line, err := p.line()
		if errors.Is(err, io.EOF) && len(f.wants) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if kind == pktFlush {
			return nil
		}
		if rest, ok := strings.CutPrefix(line, "want "); ok && len(f.wants) == 0 && len(rest) > 40 {
			for c := range strings.FieldsSeq(rest[40:]) {
				f.caps[c] = true
			}
			line = line[:45]
		}
		if err := f.arg(line); err != nil {
			return err
		}
		f.relative = f.caps["deepen-relative"]
	}
}

// readArgs reads the arguments of a version 2 command.
func (f *fetch) readArgs(p pktReader) error {
	for {
		kind, line, err := p.line()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		if kind == pktFlush {
			return nil
		}
		if kind != pktData {
			return fmt.Errorf("%w: a sign is out of place", ErrRequest)
		}
		if err := f.arg(line); err != nil {
			return err
		}
	}
}
