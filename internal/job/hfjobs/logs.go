package hfjobs

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
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
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/secret"
)

const (
	logLimit   = 10 * time.Minute // of reading a log, however long it is
	lockLimit  = time.Minute      // of waiting for another process that reads it
	readEvery  = time.Second      // a log is not asked for more often, and later less often
	quiet      = time.Second      // the silence after which a running job has printed no more
	quietAtEnd = 5 * time.Second  // and one that is over
	wholeAfter = time.Minute      // after its end was seen a job's log has all that it will have

	maxLog         = 256 << 20 // bytes of one job's output that are kept here
	shortestSecret = 4         // shorter values are in everything
)

// A logState is how far a job's log has been copied to Dir. What the copy holds
// beyond Size was written by somebody who was killed, and comes again.
type logState struct {
	Mark   hub.LogMark `json:"mark"`
	Size   int64       `json:"size"`
	Blank  bool        `json:"blank"` // an empty line is held back: it may be of wrap.sh
	Full   bool        `json:"full"`  // more is not kept
	Whole  bool        `json:"whole"` // all of the log is here
	Ending ending      `json:"ending"`
	ReadAt time.Time   `json:"read_at"`
}

// An ending is what wrap.sh has printed last.
type ending struct {
	Known  bool `json:"known"`
	Code   int  `json:"code"`
	Memory bool `json:"memory"` // the kernel killed for lack of it
}

func (b *Backend) logPath(id, ext string) string { return filepath.Join(b.Dir, "logs", id+ext) }

func (b *Backend) logState(id string) (l logState, err error) {
	data, err := os.ReadFile(b.logPath(id, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return l, fmt.Errorf("read how far the log of job %s is here: %w", id, err)
	}
	return l, nil
}

// readLog copies what is new in a job's log. Over says that the job is. With an
// error it still tells what is here.
func (b *Backend) readLog(ctx context.Context, rec job.Record, over bool) (logState, error) {
	l, err := b.logState(rec.ID)
	if err != nil || l.Whole || !over && time.Since(l.ReadAt).Abs() < patience(rec, readEvery) {
		return l, err
	}
	ctx, stop := context.WithTimeout(ctx, logLimit)
	defer stop()
	unlock, err := b.lockLog(ctx, rec.ID)
	if err != nil {
		return l, err
	}
	defer unlock()
	if l, err = b.logState(rec.ID); err != nil || l.Whole || !over && time.Since(l.ReadAt).Abs() < patience(rec, readEvery) {
		return l, err // another process was quicker
	}
	copied, err := b.copyLog(ctx, rec, &l, over)
	if copied != nil {
		return l, copied
	}
	l.ReadAt = time.Now().UTC()
	l.Whole = over && err == nil && (l.Ending.Known || !b.soonAfterEnd(&rec, wholeAfter))
	data, merr := json.Marshal(l)
	if merr == nil {
		merr = replaceFile(b.logPath(rec.ID, ".json"), data)
	}
	return l, errors.Join(err, merr)
}

func (b *Backend) lockLog(ctx context.Context, id string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(b.Dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("make folder for logs: %w", err)
	}
	ctx, stop := context.WithTimeout(ctx, lockLimit)
	defer stop()
	lock := flock.New(b.logPath(id, ".lock"))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another reader of the log of job %s: %w", id, err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// copyLog reads from the Hub. An error of the copy leaves everything as it was;
// after one of the Hub what has come is kept.
func (b *Backend) copyLog(ctx context.Context, rec job.Record, l *logState, over bool) (copied, read error) {
	file, err := os.OpenFile(b.logPath(rec.ID, ".log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = file.Truncate(l.Size)
	}
	if err == nil {
		_, err = file.Seek(l.Size, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("keep the log of job %s: %w", rec.ID, err), nil
	}
	defer file.Close()
	w := &logWriter{logState: *l, out: bufio.NewWriterSize(file, 64<<10), id: rec.ID, url: rec.Last.URL}
	w.hide = b.hider(rec.Spec.Secrets)
	opts := hub.LogOptions{Quiet: quiet, Mark: &w.Mark}
	if over {
		opts.Quiet = quietAtEnd
	}
	for line, err := range b.Hub.JobLogs(ctx, rec.Kept[keptNamespace], rec.Ref, opts) {
		if err != nil {
			read = b.plainly(err, rec.Kept[keptNamespace])
			break
		}
		w.line(line.Text)
	}
	if over && read == nil && w.Blank {
		w.Blank = false
		w.write("")
	}
	if err := errors.Join(w.err, w.out.Flush()); err != nil {
		return fmt.Errorf("keep the log of job %s: %w", rec.ID, err), read
	}
	*l = w.logState
	return nil, read
}

// A logWriter writes the lines of a log, and takes the words of wrap.sh out.
type logWriter struct {
	logState
	out  *bufio.Writer
	hide func(string) string
	id   string
	url  string
	err  error
}

var endLine = lazyregexp.New(`===== Job (\S+) ended with exit code (\d+)( for lack of memory)? =====$`)

func (w *logWriter) line(text string) {
	found := endLine.FindStringSubmatchIndex(text)
	if found == nil || text[found[2]:found[3]] != w.id {
		w.hold(text)
		return
	}
	w.Ending = ending{Known: true, Memory: found[6] >= 0}
	w.Ending.Code, _ = strconv.Atoi(text[found[4]:found[5]]) // digits
	if found[0] > 0 {                                        // where empty lines are dropped, so was the one before this
		w.hold(text[:found[0]])
	}
	w.Blank = false
}

// hold writes a line, unless it is empty: then only when another follows.
func (w *logWriter) hold(text string) {
	if w.Blank {
		w.write("")
	}
	if w.Blank = text == ""; !w.Blank {
		w.write(w.hide(text))
	}
}

func (w *logWriter) write(text string) {
	if w.Full || w.err != nil {
		return
	}
	if w.Size > maxLog {
		w.Full = true
		text = "[the rest is not kept here: " + w.url + "]"
	}
	n, err := w.out.WriteString(text + "\n")
	w.Size += int64(n)
	w.err = err
}

// hider returns what puts names in the place of secrets. A line of a value of
// several is one too.
func (b *Backend) hider(names []string) func(string) string {
	if len(names) == 0 {
		return func(text string) string { return text }
	}
	type pair struct{ value, name string }
	var pairs []pair
	for _, name := range names {
		value, _ := b.secret(name)
		for part := range strings.Lines(value) {
			if part = strings.TrimSpace(part); len(part) >= shortestSecret {
				pairs = append(pairs, pair{part, "[" + name + "]"})
			}
		}
	}
	// Of two that begin at one place the longer counts.
	slices.SortFunc(pairs, func(x, y pair) int { return cmp.Compare(len(y.value), len(x.value)) })
	var flat []string
	for _, p := range pairs {
		flat = append(flat, p.value, p.name)
	}
	r := strings.NewReplacer(flat...)
	// The values may be others now than those that the job was given.
	return func(text string) string { return secret.Replace(r.Replace(text), "[secret]") }
}

// Logs implements job.Backend. It reads the copy here, so cursors hold whatever
// becomes of the Hub's; without the Hub it yields what there is, and the error.
func (b *Backend) Logs(ctx context.Context, id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		rec, err := b.records().Get(id)
		if err == nil {
			err = rec.Last.Gone()
		}
		if err != nil {
			yield(job.Line{}, err)
			return
		}
		l, asked := b.newest(ctx, rec)
		for line, err := range b.copied(id, l.Size, from) {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
		if asked != nil {
			yield(job.Line{}, asked)
		}
	}
}

// newest brings the copy of a log up to date.
func (b *Backend) newest(ctx context.Context, rec job.Record) (logState, error) {
	var err error
	if !rec.Last.Done() && rec.Last.Started.IsZero() {
		if rec, err = b.settle(ctx, rec); err != nil {
			l, lerr := b.logState(rec.ID)
			return l, errors.Join(err, lerr)
		}
	}
	if rec.Ref == "" || rec.Last.Started.IsZero() {
		return b.logState(rec.ID)
	}
	return b.readLog(ctx, rec, rec.Last.Done())
}

// copied yields the copy of a log, of which size bytes count.
func (b *Backend) copied(id string, size, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		if from < 0 {
			from = max(0, size+from)
		}
		if from >= size {
			return
		}
		file, err := os.Open(b.logPath(id, ".log"))
		if err != nil {
			yield(job.Line{}, fmt.Errorf("read the log of job %s: %w", id, err))
			return
		}
		defer file.Close()
		job.Lines(io.NewSectionReader(file, from, size-from), from)(yield)
	}
}

// lastLine is the last line with a text in the copy of a log, or its beginning.
func (b *Backend) lastLine(id string, size int64) string {
	last := ""
	for line, err := range b.copied(id, size, -4<<10) {
		if err != nil {
			break
		}
		last = cmp.Or(strings.TrimSpace(line.Text), last)
	}
	if len(last) > 200 {
		last = strings.ToValidUTF8(last[:200], "") + "…"
	}
	return last
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
