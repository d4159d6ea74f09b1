package local

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/job"
)

// A logFile is a job's output on disk, in numbered segments of equal size. A
// byte's cursor is its place in all that the job ever wrote, so cursors hold
// when segments go: the first ones stay, of the others only the newest.
type logFile struct {
	dir     string
	segment int64
}

const (
	logPrefix   = "log."
	segmentSize = 16 << 20
	keptFirst   = 2 // segments with the beginning
	keptLast    = 2 // segments with the end, the one being written included
)

func (f folder) log() logFile { return logFile{dir: string(f), segment: segmentSize} }

func (l logFile) path(n int64) string {
	return filepath.Join(l.dir, logPrefix+strconv.FormatInt(n, 10))
}

// segments returns the numbers of those that are there, in order.
func (l logFile) segments() ([]int64, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	var numbers []int64
	for _, e := range entries {
		if text, ok := strings.CutPrefix(e.Name(), logPrefix); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// lines yields what is there from a cursor on; see job.Backend.
func (l logFile) lines(from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		from, err := l.place(from)
		var behind int64 // before it there is no more
		for err == nil {
			var n int64
			n, err = l.next(max(from, behind) / l.segment)
			if err != nil || n < 0 {
				break
			}
			if start := n * l.segment; start > from {
				gap := job.Line{Text: fmt.Sprintf("[%d bytes of output were dropped here]", start-from), Next: start}
				if !yield(gap, nil) {
					return
				}
				from = start
			}
			r := &segmentReader{log: l, at: from}
			for line, err := range job.Lines(r, from) {
				if !yield(line, err) || err != nil {
					r.close()
					return
				}
			}
			r.close()
			if r.end {
				return
			}
			from, behind = r.at, r.behind // where the gap begins and, if it is not a whole segment, ends
		}
		if err != nil {
			yield(job.Line{}, err)
		}
	}
}

// place returns the cursor for one that may count from the end.
func (l logFile) place(from int64) (int64, error) {
	if from >= 0 {
		return from, nil
	}
	end, err := l.end()
	return max(0, end+from), err
}

// end is the cursor behind all that is there.
func (l logFile) end() (int64, error) {
	numbers, err := l.segments()
	if err != nil || len(numbers) == 0 {
		return 0, err
	}
	last := numbers[len(numbers)-1]
	info, err := os.Stat(l.path(last))
	if errors.Is(err, fs.ErrNotExist) { // somebody removes it
		return last * l.segment, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read log: %w", err)
	}
	return last*l.segment + info.Size(), nil
}

// next is the first segment that is there from n on, -1 if none is.
func (l logFile) next(n int64) (int64, error) {
	numbers, err := l.segments()
	if i, _ := slices.BinarySearch(numbers, n); err == nil && i < len(numbers) {
		return numbers[i], nil
	}
	return -1, err
}

// A segmentReader reads on over the borders of segments.
type segmentReader struct {
	log    logFile
	at     int64
	file   *os.File
	end    bool  // there is nothing more yet; otherwise there is a gap
	behind int64 // it, if the rest of a segment is gone that somebody cut
}

func (r *segmentReader) Read(p []byte) (int, error) {
	if r.file == nil {
		file, err := os.Open(r.log.path(r.at / r.log.segment))
		if errors.Is(err, fs.ErrNotExist) {
			n, err := r.log.next(r.at / r.log.segment)
			if err != nil {
				return 0, err
			}
			r.end = n < 0
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		r.file = file
	}
	n, err := r.readHere(p)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	later, laterErr := r.log.next(r.at/r.log.segment + 1)
	if laterErr != nil || later < 0 {
		r.end = true
		return 0, cmp.Or(laterErr, err)
	}
	// A segment is full before the next begins; it was not full just now.
	if n, err = r.readHere(p); n == 0 {
		r.behind = later * r.log.segment
	}
	return n, err
}

// readHere reads from the present segment.
func (r *segmentReader) readHere(p []byte) (int, error) {
	left := r.log.segment - r.at%r.log.segment
	n, err := r.file.ReadAt(p[:min(int64(len(p)), left)], r.at%r.log.segment)
	r.at += int64(n)
	if n == 0 {
		return 0, err
	}
	if r.at%r.log.segment == 0 {
		r.close()
	}
	return n, nil
}

func (r *segmentReader) close() {
	if r.file != nil {
		_ = r.file.Close() // was only read
		r.file = nil
	}
}

// A logWriter writes a job's output. It never fails: a job is not stopped
// because its output cannot be kept.
type logWriter struct {
	log  logFile
	at   int64
	file *os.File
	lost int64 // bytes that could not be written since the last that could
}

func (w *logWriter) Write(p []byte) (int, error) {
	if lost := w.lost; lost > 0 {
		note := fmt.Appendf(nil, "\n[%d bytes of output could not be written]\n", lost)
		if w.keep(note) < len(note) {
			w.lost += int64(len(p))
			return len(p), nil
		}
		w.lost = 0
	}
	w.lost += int64(len(p) - w.keep(p))
	return len(p), nil
}

// keep writes as much of p as it can and returns how much that is.
func (w *logWriter) keep(p []byte) (kept int) {
	for kept < len(p) {
		if w.file == nil {
			if err := w.open(); err != nil {
				return kept
			}
		}
		left := w.log.segment - w.at%w.log.segment
		n, err := w.file.WriteAt(p[kept:min(int64(len(p)), int64(kept)+left)], w.at%w.log.segment)
		kept += n
		w.at += int64(n)
		if int64(n) == left {
			err = errors.Join(err, w.file.Close())
			w.file = nil
		}
		if err != nil {
			return kept
		}
	}
	return kept
}

// open starts the present segment and drops the one that makes room for it. It
// is written at places, so that cursors hold when somebody cuts it.
func (w *logWriter) open() error {
	n := w.at / w.log.segment
	if old := n - keptLast; old >= keptFirst {
		_ = os.Remove(w.log.path(old)) // one too many is no harm
	}
	var err error
	w.file, err = os.OpenFile(w.log.path(n), os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

func (w *logWriter) close() error {
	if w.file == nil {
		return nil
	}
	return errors.Join(w.file.Sync(), w.file.Close())
}
