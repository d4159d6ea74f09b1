package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// ExportOptions say what is written, how, and where to.
type ExportOptions struct {
	IDs    []string
	Format string // "" for what the file's name says, else Markdown
	File   string // "" or "-" for standard output
	Force  bool   // over a file that exists

	// Of rows to train on alone.
	All     bool // all sessions, in place of IDs
	Outcome string
	Model   string
	Since   string // an age such as 30d, or a day such as 2026-11-01
	MaxUSD  float64
}

// ExportSessions writes a session for people or other programs, or sessions as
// rows to train a model on.
func ExportSessions(ctx context.Context, cfg *config.Config, o ExportOptions, std Streams) error {
	if o.Format == "" {
		o.Format = formatOf(o.File)
	}
	if err := app.CheckFormat(o.Format); err != nil {
		return err
	}
	rows, err := o.rows(time.Now())
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(a *app.App) error {
		write := func(w io.Writer) error { return a.Export(ctx, w, o.IDs[0], o.Format) }
		var made app.Rows
		if o.Format == app.RowFormat {
			write = func(w io.Writer) (err error) {
				made, err = a.ExportRows(ctx, w, rows)
				return err
			}
		}
		if err := o.write(write, std); err != nil {
			return err
		}
		if o.Format == app.RowFormat {
			fmt.Fprintf(std.Err, "%d rows of %d sessions, %d messages\n", made.Rows, made.Sessions, made.Messages)
		}
		return nil
	})
}

// rows checks what belongs together, and is the query of rows.
func (o ExportOptions) rows(now time.Time) (app.RowQuery, error) {
	q := app.RowQuery{IDs: o.IDs, Outcome: o.Outcome, Model: o.Model, MaxUSD: o.MaxUSD}
	filtered := o.All || o.Outcome != "" || o.Model != "" || o.Since != "" || o.MaxUSD != 0
	switch {
	case o.Format != app.RowFormat && filtered:
		return q, fmt.Errorf("%w: --all, --outcome, --model, --since and --max-usd choose sessions for --format sft alone", app.ErrUsage)
	case o.Format != app.RowFormat && len(o.IDs) != 1:
		return q, fmt.Errorf("%w: ml-intern sessions export takes 1 ID, not %d", app.ErrUsage, len(o.IDs))
	case o.Format == app.RowFormat && o.All == (len(o.IDs) > 0):
		return q, fmt.Errorf("%w: name the sessions by ID, or say --all", app.ErrUsage)
	case o.Outcome != "" && !slices.Contains(app.OutcomeWords(), o.Outcome):
		return q, fmt.Errorf("%w: --outcome is one of %s, not %q", app.ErrUsage, strings.Join(app.OutcomeWords(), ", "), o.Outcome)
	case o.MaxUSD < 0:
		return q, fmt.Errorf("%w: --max-usd cannot be negative", app.ErrUsage)
	}
	if o.Since == "" {
		return q, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, o.Since, time.Local)
	if err == nil {
		q.Since = day
		return q, nil
	}
	age, err := parseAge(o.Since)
	if err != nil {
		return q, fmt.Errorf("%w: --since is an age such as 30d, or a day such as 2026-11-01, not %q", app.ErrUsage, o.Since)
	}
	q.Since = now.Add(-age)
	return q, nil
}

func (o ExportOptions) write(write func(io.Writer) error, std Streams) error {
	if o.File == "" || o.File == "-" {
		return write(std.Out)
	}
	if _, err := os.Lstat(o.File); err == nil && !o.Force {
		return fmt.Errorf("%w: %s exists; --force overwrites it", app.ErrUsage, o.File)
	}
	n, err := writeNew(o.File, o.Force, write)
	if err != nil {
		return fmt.Errorf("write %s: %w", o.File, err)
	}
	fmt.Fprintf(std.Err, "wrote %s, %s\n", o.File, bytesOf(n))
	return nil
}

// writeNew writes a file whole or not at all, and returns its size.
func writeNew(path string, over bool, write func(io.Writer) error) (int64, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return 0, errors.New("it is no file")
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".export-*") // only for its owner, as the session is
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(f)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	n, sizeErr := f.Seek(0, io.SeekCurrent)
	err = errors.Join(err, sizeErr, f.Close())
	if err == nil && over {
		err = os.Rename(f.Name(), path)
	} else if err == nil {
		err = os.Link(f.Name(), path) // fails if somebody made it meanwhile
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = os.Rename(f.Name(), path) // a disk without links
		}
	}
	_ = os.Remove(f.Name()) // gone if it was renamed
	return n, err
}
