package ray

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/job"
)

// A job's output is copied to a file here, byte for byte, so that cursors are
// places in it and it outlives the cluster. Ray hands out the last so many
// lines of the shim's log; these say where in the output they belong.

const (
	firstLines = 200 // to ask for; then more, until they reach what is here
	moreLines  = 16
	mostLines  = 100_000
	lockWait   = time.Minute
)

func (b Backend) logPath(id string) string { return filepath.Join(b.Dir, "logs", id) }

// Logs implements job.Backend. If Ray cannot be asked, it yields what is here,
// and then the error.
func (b Backend) Logs(ctx context.Context, id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		rec, err := b.records().Get(id)
		if err != nil {
			yield(job.Line{}, err)
			return
		}
		if err := rec.Last.Gone(); err != nil {
			yield(job.Line{}, err)
			return
		}
		if rec, err = b.settle(ctx, rec); err == nil && rec.Kept[keptLog] == "" {
			err = b.fetchLog(ctx, rec)
		}
		for line, readErr := range b.logLines(id, from) {
			if !yield(line, readErr) || readErr != nil {
				return
			}
		}
		if err != nil {
			yield(job.Line{}, err)
		}
	}
}

// logLines yields what is here of a job's output.
func (b Backend) logLines(id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		file, err := os.Open(b.logPath(id))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(job.Line{}, fmt.Errorf("read log: %w", err))
			return
		}
		defer file.Close()
		if from < 0 {
			info, err := file.Stat()
			if err != nil {
				yield(job.Line{}, fmt.Errorf("read log: %w", err))
				return
			}
			from = max(0, info.Size()+from)
		}
		for line, err := range job.Lines(io.NewSectionReader(file, from, 1<<62-from), from) {
			if !yield(line, err) {
				return
			}
		}
	}
}

// appendLog gives the copy of a job's log to one writer at a time.
func (b Backend) appendLog(ctx context.Context, id string, write func(file *os.File, size int64) error) error {
	path := b.logPath(id)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("copy log: %w", err)
	}
	ctx, stop := context.WithTimeout(ctx, lockWait)
	defer stop()
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another copy of the log: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // it ends with this process
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("copy log: %w", err)
	}
	info, err := file.Stat()
	if err == nil {
		err = write(file, info.Size())
	}
	return errors.Join(err, file.Close())
}

// fetchLog brings the copy of a job's log up to date, if its node is there.
func (b Backend) fetchLog(ctx context.Context, rec job.Record) error {
	node := rec.Kept[keptNode]
	if node == "" {
		return nil
	}
	base, _ := strconv.ParseInt(rec.Kept[keptBase], 10, 64) // "" is 0
	return b.appendLog(ctx, rec.ID, func(file *os.File, size int64) error {
		at := size - base
		for lines := firstLines; ; lines *= moreLines {
			if lines > mostLines {
				lines = -1
			}
			var reached bool
			err := repeat(ctx, func() (err error) {
				reached, err = b.copyFrames(ctx, node, shimPath(rec, "log"), lines, file, &at)
				return err
			})
			if gone(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read the log of job %s: %w", rec.ID, err)
			}
			if reached || lines < 0 {
				return nil
			}
		}
	})
}

// copyFrames appends what the last so many lines of the shim's log have from a
// place in the output on, and moves the place. It has not reached if they begin
// behind it.
func (b Backend) copyFrames(ctx context.Context, node, name string, lines int, to io.Writer, at *int64) (reached bool, err error) {
	f, err := b.open(ctx, node, name, lines, ":\n")
	if err != nil {
		return false, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(to, blockSize)
	next := *at
	reached, err = unframe(f.Reader, w, &next)
	if flushErr := w.Flush(); flushErr != nil {
		return false, flushErr // the size of the copy says how far it came
	}
	*at = next
	return reached, err
}

// unframe writes the output from next on that frames hold, and moves next.
func unframe(r *bufio.Reader, w io.Writer, next *int64) (reached bool, err error) {
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // a frame without its end is still being written
			return true, nil
		}
		if err != nil {
			return false, err
		}
		offset, text, ok := frame(line)
		switch end := offset + int64(len(text)); {
		case !ok || end <= *next:
			continue
		case offset > *next:
			return false, nil
		default:
			if _, err := w.Write(text[*next-offset:]); err != nil {
				return false, err
			}
			*next = end
		}
	}
}

// frame takes apart ":OFFSET LENGTH=text", which stands for the text and a line
// end, or ":OFFSET LENGTH+text". One that was torn has not the length it says.
func frame(line []byte) (offset int64, text []byte, ok bool) {
	i := bytes.IndexAny(line, "=+")
	if i < 0 || line[0] != ':' {
		return 0, nil, false
	}
	at, length, _ := bytes.Cut(line[1:i], []byte(" "))
	if text = line[i+1:]; line[i] == '+' {
		text = text[:len(text)-1]
	}
	offset, err := strconv.ParseInt(string(at), 10, 64)
	size, err2 := strconv.Atoi(string(length))
	return offset, text, err == nil && err2 == nil && size == len(text)
}

// rayLog copies what Ray itself has to say of a job whose shim never began.
func (b Backend) rayLog(ctx context.Context, rec job.Record) error {
	var answer struct {
		Logs string `json:"logs"`
	}
	if err := b.ask(ctx, http.MethodGet, "/api/jobs/"+refOf(rec)+"/logs", nil, &answer); err != nil {
		return fmt.Errorf("read Ray's log of job %s: %w", rec.ID, err)
	}
	return b.appendLog(ctx, rec.ID, func(file *os.File, size int64) error {
		if size > 0 {
			return nil
		}
		_, err := file.WriteString(answer.Logs)
		return err
	})
}
