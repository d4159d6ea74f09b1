package hub

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"
)

const (
	followLimit = 2 * time.Minute // of silence; the Hub says every 30 s that it is there
	quietLimit  = 5 * time.Second // after which a log that is not followed has no more
	lineSlack   = time.Second     // of the Date of an answer
)

// A LogLine is a line of what a Space or a job printed.
type LogLine struct {
	Time time.Time
	Text string // without its end
}

func (l LogLine) hash() string {
	sum := sha256.Sum256([]byte(l.Time.UTC().Format(time.RFC3339Nano) + " " + l.Text))
	return hex.EncodeToString(sum[:16])
}

// LogOptions say which part of a log to read.
type LogOptions struct {
	Follow bool // go on when more is printed; otherwise stop at what is there now
	Tail   int  // only so many of the last lines that are there, of a job; 0 for all

	// Quiet, if above 0, is the silence that ends a log that is not followed;
	// then nothing is concluded from the lines' times, which a clock has written
	// that need not be the Hub's.
	Quiet time.Duration

	// Mark, if not nil, is how far the log was read before; every line moves it
	// on. Kept, it lets another reading begin where one has ended.
	Mark *LogMark
}

// A logReader reads a log over any number of connections. The Hub sends a log
// from its beginning each time, so what was yielded before is left out.
type logReader struct {
	client *Client
	path   string
	opts   LogOptions
	over   func(context.Context) (bool, error) // whether all was printed; nil if a log never ends
	mark   *LogMark
	whole  bool // a part is not enough to see what is new
}

// A LogMark is how far a log was read.
type LogMark struct {
	First  string    `json:"first"`   // hash of the first line, which tells whether the log is still the same
	Lines  int       `json:"lines"`   // of it
	Last   time.Time `json:"last"`    // of the last line
	AtLast int       `json:"at_last"` // how many of the last lines have that time
}

// overlap is how many lines are asked for again of a log that was read before:
// as many as come between two looks, and some to know the place by.
const overlap = 1000

// errGap says that the part of a log that was asked for may begin after lines
// that were not read.
var errGap = errors.New("the end of the log does not show where it goes on")

// lines yields the log. A connection that breaks is made anew, from where the
// log was; an answer that says no ends it.
func (r *logReader) lines(ctx context.Context) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		if r.mark = r.opts.Mark; r.mark == nil {
			r.mark = &LogMark{}
		}
		for try := 1; ; try++ {
			before := *r.mark
			more, err := r.connect(ctx, yield)
			if !more {
				return
			}
			if errors.Is(err, errGap) {
				r.whole = true
				continue
			}
			if *r.mark != before {
				try = 1
			}
			if over, err := r.end(ctx, err, try); over {
				if err != nil {
					yield(LogLine{}, err)
				}
				return
			}
			if err := sleep(ctx, backoff(try+1)); err != nil {
				yield(LogLine{}, err)
				return
			}
		}
	}
}

// end tells whether the log is over after a connection ended with err, and
// with which error.
func (r *logReader) end(ctx context.Context, err error, try int) (bool, error) {
	stalled := errors.Is(err, errStalled)
	refused, _ := errors.AsType[*Error](err)
	switch {
	case ctx.Err() != nil:
		return true, context.Cause(ctx)
	case !r.opts.Follow:
		if stalled {
			err = nil
		}
		return true, err
	case refused != nil || err != nil && try >= attempts && (!stalled || r.over == nil):
		return true, err
	case r.over == nil || err != nil && !stalled: // a log that broke off has a rest to read
		return false, nil
	}
	return r.over(ctx)
}

// connect reads the log once. It returns false if the reader wants no more.
func (r *logReader) connect(ctx context.Context, yield func(LogLine, error) bool) (bool, error) {
	path, reading := r.path, r.mark.reading()
	switch {
	case r.opts.Tail > 0 && r.mark.Lines == 0:
		path = fmt.Sprintf("%s?tail=%d", path, r.opts.Tail)
	case r.opts.Mark != nil && r.opts.Tail == 0 && !r.whole && r.mark.Lines > overlap:
		path = fmt.Sprintf("%s?tail=%d", path, overlap)
		reading.part = true
	}
	resp, err := r.client.do(ctx, call{
		method: "GET", path: path, limit: followLimit, header: http.Header{"Accept": {"text/event-stream"}},
	})
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	until := time.Time{}
	if !r.opts.Follow {
		if w, ok := resp.Body.(*watched); ok {
			w.watch.hasten(cmp.Or(r.opts.Quiet, quietLimit))
		}
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && r.opts.Quiet == 0 {
			until = date.Add(lineSlack)
		}
	}
	for ev, err := range events(resp.Body) {
		if err != nil {
			if errors.Is(context.Cause(resp.Request.Context()), errStalled) {
				err = errStalled
			}
			return true, plainError(resp.Request.URL, err)
		}
		line, ok := logLine(ev)
		if !ok {
			continue
		}
		if !until.IsZero() && line.Time.After(until) {
			return true, nil
		}
		if reading.gap(line) {
			return true, errGap
		}
		if reading.fresh(line) && !yield(line, nil) {
			return false, nil
		}
	}
	return true, nil
}

// hasten makes the watchdog less patient from now on.
func (w *watchdog) hasten(limit time.Duration) {
	w.limit = limit
	w.timer.Reset(limit)
}

// logLine reads an event. What is no line, as an event that says only that the
// Hub is there, does not count.
func logLine(ev event) (LogLine, bool) {
	var v struct {
		Data *string         `json:"data"`
		Time json.RawMessage `json:"timestamp"`
	}
	if json.Unmarshal(ev.data, &v) != nil || v.Data == nil {
		return LogLine{}, false
	}
	line := LogLine{Text: strings.TrimRight(*v.Data, "\r\n")}
	if json.Unmarshal(v.Time, &line.Time) != nil {
		line.Time = time.Time{} // a line whose time cannot be read is a line
	}
	return line, true
}

// A logReading is one connection's way through a log.
type logReading struct {
	mark  *LogMark
	old   LogMark // when it began
	part  bool    // it is the end of the log, not all of it
	same  bool    // the log begins as it did before
	at    int     // lines so far
	equal int     // of them, with the time of the last line before
}

func (m *LogMark) reading() *logReading { return &logReading{mark: m, old: *m} }

// gap reports whether the reading is of a part that shows, by its first line,
// not all that is new. A log that is shorter than the part comes whole.
func (r *logReading) gap(line LogLine) bool {
	if !r.part || r.at > 0 {
		return false
	}
	r.part = line.hash() != r.old.First
	return r.part && !line.Time.Before(r.old.Last)
}

// fresh counts a line and reports whether it was not read before: by its place
// in a log that is still the same, else by its time.
func (r *logReading) fresh(line LogLine) bool {
	if r.at == 0 && !r.part {
		first := line.hash()
		r.same = r.old.Lines > 0 && first == r.old.First
		if !r.same {
			r.mark.First, r.mark.Lines = first, 0
		}
	}
	r.at++
	if !r.part {
		r.mark.Lines = max(r.mark.Lines, r.at)
	}
	if r.known(line) {
		return false
	}
	if r.part {
		r.mark.Lines++
	}
	if !line.Time.Equal(r.mark.Last) {
		r.mark.Last, r.mark.AtLast = line.Time, 0
	}
	r.mark.AtLast++
	return true
}

func (r *logReading) known(line LogLine) bool {
	switch {
	case r.same:
		return r.at <= r.old.Lines
	case r.old.Lines == 0 || line.Time.IsZero() || line.Time.After(r.old.Last):
		return false
	case line.Time.Equal(r.old.Last):
		r.equal++
		return r.equal <= r.old.AtLast
	}
	return true
}
