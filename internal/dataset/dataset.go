// Package dataset reads a person's own table (CSV and its kin, JSON lines, a
// JSON array, Parquet) and says what is in it, well enough to train from.
//
// Its one rule: one pass, bounded memory, whatever the file. Everything a
// profile holds is capped, and what was capped or estimated is said.
//
// The text of a profile comes from a file nobody vouches for: it is data for
// the reader, never an instruction. The caller owns the choice of the path.
package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Options bound an inspection. The zero value reads up to 256 MiB, shows five
// rows, looks for no given target and does not ask how much memory there is.
type Options struct {
	// Target names the column to predict. Empty: an obvious one is guessed.
	Target string
	// SampleRows is how many rows the profile shows: 5 if zero, none if negative, at most 50.
	SampleRows int
	// MaxBytes is how much (decompressed) text is read; past it, counts are
	// of the part read and the number of rows is an estimate. 256 MiB if zero.
	MaxBytes int64
	// MaxRows stops the reading after so many rows. No limit if zero.
	MaxRows int64
	// Open opens the file; os.Open if nil.
	Open func(path string) (*os.File, error)
	// AvailableMemory is what a training job could take, in bytes; a file that
	// needs more is refused with CodeTooLarge. Not checked if zero.
	// AvailableMemory, the function, finds it.
	AvailableMemory int64
}

const (
	defaultMaxBytes   = 256 << 20
	defaultSampleRows = 5
	maxSampleRows     = 50
	// memoryFactor is how many times its size a table takes while a model is
	// trained on it: the text, the parsed frame, the encoded features, copies.
	memoryFactor = 5
	// minLabelled is the fewest rows with a target that are worth a split.
	minLabelled = 10
)

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	switch {
	case o.SampleRows == 0:
		o.SampleRows = defaultSampleRows
	case o.SampleRows < 0:
		o.SampleRows = 0
	}
	o.SampleRows = min(o.SampleRows, maxSampleRows)
	return o
}

// Inspect reads the table at path once and profiles it. A table that cannot be
// used is an *Error, whose message and hint are meant for the person.
func Inspect(ctx context.Context, path string, opts Options) (*Profile, error) {
	opts = opts.withDefaults()
	src, err := open(path, opts)
	if err != nil {
		return nil, err
	}
	defer src.Close()

	t, err := newTable(src.rows, opts)
	if err != nil {
		return nil, located(err, src.name)
	}
	if err := t.readAll(ctx, src); err != nil {
		return nil, located(err, src.name)
	}
	p, err := t.profile(src)
	if err != nil {
		return nil, located(err, src.name)
	}
	return p, nil
}

// readAll feeds rows to the table until the file or the budget ends.
func (t *table) readAll(ctx context.Context, src *source) error {
	for {
		if t.rows%512 == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("inspect %s: %w", src.name, err)
			}
		}
		overBudget := src.textRead() > t.opts.MaxBytes
		if overBudget || (t.opts.MaxRows > 0 && t.rows >= t.opts.MaxRows) {
			t.cut = src.moreRows()
			return nil
		}
		r, err := src.rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		t.add(r)
	}
}

// stat refuses what is not a regular file with something in it.
func stat(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, notFound(path)
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", path, err)
	case info.IsDir():
		return nil, isDirectory(path)
	case !info.Mode().IsRegular():
		return nil, &Error{
			CodeUnsupportedFormat, fmt.Sprintf("%s is not a regular file.", path),
			"Copy the data into an ordinary file and name that.",
		}
	case info.Size() == 0:
		return nil, &Error{
			CodeEmpty, fmt.Sprintf("%s is empty (0 bytes).", path),
			"Check that the download or export finished, then try again.",
		}
	}
	return info, nil
}
