// Package rows reads the tables of a dataset repository: which configurations
// and splits its files make up, of what types their columns are, and the rows
// themselves, found by number, by words or by a condition.
//
// Its one rule: files are read as a stream and from where they lie, so that
// memory depends on what is asked for and not on their size; what was not
// looked at for lack of time is said. The files come from strangers, and so do
// the conditions. A Cache owns what is remembered of them.
package rows

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A File is a file of the repository.
type File struct {
	Path string
	Size int64
	Open func() (Content, error)
}

// Content is an open file. Who opened it closes it.
type Content interface {
	io.ReaderAt
	io.Closer
}

// An Error is an answer that says no, in the dataset viewer's words.
type Error struct {
	Status int
	Code   string
	Text   string
	Cause  string // what was wrong underneath, "" if nothing was
}

func (e *Error) Error() string {
	if e.Cause != "" {
		return e.Text + ": " + e.Cause
	}
	return e.Text
}

func invalid(format string, args ...any) *Error {
	return &Error{http.StatusUnprocessableEntity, "InvalidParameter", fmt.Sprintf(format, args...), ""}
}

// unreadable says that a file is not what it should be.
func unreadable(path string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{http.StatusInternalServerError, "DatasetGenerationError", "The dataset generation failed because of " + path, err.Error()}
}

// Limits of the work for one answer. What lies behind them is left out, and
// the answer is called partial.
const (
	sampleRows  = 10_000           // rows that types are taken from
	sampleBytes = 16 << 20         // the same in bytes
	maxScanned  = 8 << 30          // bytes that are read to count rows
	maxTime     = 25 * time.Second // of one pass over a split
	maxRecord   = 16 << 20         // bytes of one row
	maxColumns  = 5000
	maxFiles    = 10_000 // of one split
)

// A budget is the time that one pass may take.
type budget struct {
	until time.Time
	steps int
	spent bool
}

func newBudget() *budget { return &budget{until: time.Now().Add(maxTime)} }

// over reports, now and then looking at the clock, whether time is up.
func (b *budget) over() bool {
	if b.steps++; b.steps%1024 == 0 && !b.spent {
		b.spent = time.Now().After(b.until)
	}
	return b.spent
}
