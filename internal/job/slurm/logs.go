package slurm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ml-intern/internal/job"
)

// Logs implements job.Backend.
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
		read := b.readLog
		if b.Host != "" {
			read = b.fetchLog
		}
		err = read(ctx, id, from, func(r io.Reader, from int64) error {
			for line, err := range job.Lines(r, from) {
				if err == nil && ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				if err != nil {
					return err
				}
				if !yield(line, nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(job.Line{}, fmt.Errorf("read log of job %s: %w", id, err))
		}
	}
}

// readLog reads the log from a cursor, which may count from the end.
func (b *Backend) readLog(_ context.Context, id string, from int64, read func(io.Reader, int64) error) error {
	file, err := os.Open(filepath.Join(b.Dir, jobsDir, id, logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has said nothing yet
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	from = place(from, info.Size())
	return read(io.NewSectionReader(file, from, info.Size()-from), from)
}

// fetchLog does so on another machine.
func (b *Backend) fetchLog(ctx context.Context, id string, from int64, read func(io.Reader, int64) error) error {
	script := b.enter(id) + " || exit\nsize=$(cat " + logFile + " 2>/dev/null | wc -c)\n"
	if from < 0 {
		script += fmt.Sprintf("from=$((size + %d)); [ $from -ge 0 ] || from=0\n", from)
	} else {
		script += fmt.Sprintf("from=%d; [ $from -le $size ] || from=$size\n", from)
	}
	script += "echo $size; [ $size -eq $from ] || tail -c +$((from + 1)) " + logFile + " | head -c $((size - from))"
	return b.stream(ctx, script, nil, func(r *bufio.Reader) error {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: the size of the log is %q", errNoAnswer, clip(line, 100))
		}
		start := place(from, size)
		whole := &io.LimitedReader{R: r, N: size - start}
		if err := read(whole, start); err != nil {
			return err
		}
		if whole.N > 0 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
}

// place is the cursor for one that may count from the end.
func place(from, size int64) int64 {
	if from < 0 {
		return max(0, size+from)
	}
	return min(from, size)
}

// slurmSaid is the end of what Slurm has said of a job.
func (b *Backend) slurmSaid(ctx context.Context, rec job.Record) string {
	name := slurmLogFile
	if task := rec.Kept[keptTask]; task != "" {
		name += "." + task
	}
	out, err := b.run(ctx, b.enter(head(rec))+" && tail -c 2000 "+name+" 2>/dev/null || :")
	if err != nil || strings.TrimSpace(out) == "" {
		return "it does not say why; does its node see the folder " + b.root() + "?"
	}
	return strings.Join(strings.Fields(out), " ")
}
