package watch

import (
	"context"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/series"
)

// oneRead is how much of an output is read at a time, in bytes.
const oneRead = 4 << 20

// An output is what a job prints, read from a cursor.
type output struct {
	log    series.Log
	cursor int64  // behind the last line that was read
	held   int64  // cursor behind a line that may go on
	last   string // line that is not blank
	done   bool   // the job is: a line without an end is whole
	more   bool   // there is, and it was not read because it was too much
}

// read reads on from a cursor, each line once: those before o.cursor are passed
// over. The last line may go on: it is read when another has come, when it was
// there twice and seems to have an end, or when the job is done.
func (o *output) read(ctx context.Context, b job.Backend, id string, from int64, line func(text string)) (grew bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var last *job.Line
	size := 0
	o.more = false
	for next, err := range b.Logs(ctx, id, from) {
		if err != nil {
			return grew, err
		}
		if next.Next <= o.cursor {
			o.remember(next.Text)
			continue
		}
		if last != nil {
			o.take(*last, line)
			grew = true
		}
		last = &next
		if size += len(next.Text); size > oneRead {
			o.more = true
			break
		}
	}
	switch {
	case last == nil:
	case last.Next == o.held && (o.done || last.Next-o.cursor > int64(len(last.Text))):
		o.take(*last, line)
	case last.Next != o.held:
		o.held, grew = last.Next, true
		o.log.Line(last.Text, time.Time{}, func(series.Sample) {}) // a bar is worth reading as it is
	}
	if last != nil {
		o.remember(last.Text)
	}
	return grew, nil
}

func (o *output) take(l job.Line, line func(text string)) {
	o.cursor, o.held = l.Next, 0
	o.remember(l.Text)
	line(l.Text)
}

func (o *output) remember(text string) {
	if text = strings.TrimSpace(text); text != "" {
		o.last = text
	}
}
