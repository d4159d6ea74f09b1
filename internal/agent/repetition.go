package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

const (
	longestCycle   = 5 // calls
	maxRepeats     = 3 // of a cycle with the same results, before the guard speaks
	maxNearRepeats = 6 // of one whose results differ only in times and ids
	maxSameErrors  = 5 // of one tool with the same error, whatever its arguments
	refuseAfter    = 2 // notes in a turn; from then on the calls are refused
)

// repetition minds calls that are made again and again to no effect: one call
// or a cycle of up to five, with the same results, or with results that differ
// only in times and ids; or one tool with one error. It first says so, then
// has the calls refused, then ends the turn. After a note only new evidence
// counts.
func repetition(s *session.Session) (string, error) {
	done := settled(s, longestCycle*maxNearRepeats)
	cycle, times := loops(done)
	if cycle == nil {
		return "", nil
	}
	what := describe(cycle)
	switch s.Notes("repetition") {
	case 0:
		return fmt.Sprintf("You made the same %s %d times to the same effect: %s. Repeating it will not help: "+
			"change something, try another way, or tell the person what stops you.", plural(len(cycle), "call", "calls"), times, what), nil
	case 1:
		return fmt.Sprintf("You go on repeating the same %s to the same effect: %s. From now on they are refused in this turn. "+
			"Do something else, or tell the person what stops you.", plural(len(cycle), "call", "calls"), what), nil
	}
	return "", fmt.Errorf("%w: it was told %d times and goes on repeating %s", ErrLoop, refuseAfter, what)
}

// A deed is a call with its result.
type deed struct {
	llm.ToolCall
	result  string
	isError bool
	reply   int // of which it is a part, counted from the end
}

// sameCall reports whether two deeds are of one call, in whatever spelling.
func (d deed) sameCall(o deed) bool {
	return d.Name == o.Name && (d.Args == o.Args || len(d.Args) < maxCompared && len(o.Args) < maxCompared && oneSpelling(d.Args) == oneSpelling(o.Args))
}

// maxCompared bounds what is read closely of arguments and results, in bytes.
const maxCompared = 1000

// text is the result without the middle of a long one.
func (d deed) text() string {
	if len(d.result) <= maxCompared {
		return d.result
	}
	return d.result[:maxCompared/2] + d.result[len(d.result)-maxCompared/2:]
}

// near is the result without times, ids and numbers: whether numbers are
// progress is seen from how they change.
func (d deed) near() string {
	return numbers.ReplaceAllString(volatile.ReplaceAllString(d.text(), "#"), "#")
}

// loops returns the deeds of a cycle that the latest deeds, latest first, end
// with, and how often it came; nil if they are no loop.
func loops(done []deed) (cycle []deed, times int) {
	same := func(a, b deed) bool { return a.result == b.result && a.sameCall(b) }
	near := func(a, b deed) bool { return a.sameCall(b) && (a.result == b.result || a.near() == b.near()) }
	for period := 1; period <= longestCycle; period++ {
		if cycles(done, period, maxRepeats, same) {
			return done[:period], maxRepeats
		}
		if cycles(done, period, maxNearRepeats, near) && !progresses(done, period) {
			return done[:period], maxNearRepeats
		}
	}
	failing := func(a, b deed) bool {
		return a.isError && b.isError && a.Name == b.Name && (a.result == b.result || a.near() == b.near())
	}
	if cycles(done, 1, maxSameErrors, failing) {
		return done[:1], maxSameErrors
	}
	return nil, 0
}

// cycles reports whether the latest deeds are so many times the same period
// deeds.
func cycles(done []deed, period, times int, equal func(a, b deed) bool) bool {
	n := period * times
	if len(done) < n {
		return false
	}
	for i := period; i < n; i++ {
		if !equal(done[i], done[i-period]) {
			return false
		}
	}
	return true
}

// progresses reports whether some number in the results of the cycle moves one
// way: that is what honest polling sees. Times, durations and ids are masked
// before, and do not count.
func progresses(done []deed, period int) bool {
	for at := range period {
		var series [][]float64
		for i := at; i < period*maxNearRepeats; i += period {
			series = append(series, numbersIn(done[i].text()))
		}
		if monotone(series) {
			return true
		}
	}
	return false
}

func numbersIn(text string) []float64 {
	var all []float64
	for _, n := range numbers.FindAllString(volatile.ReplaceAllString(text, ""), 200) {
		if v, err := strconv.ParseFloat(n, 64); err == nil {
			all = append(all, v)
		}
	}
	return all
}

// monotone reports whether one of the columns only grows or only falls.
func monotone(series [][]float64) bool {
	for col := range series[0] {
		up, down := true, true
		for i := 1; i < len(series); i++ {
			if len(series[i]) != len(series[0]) {
				return false
			}
			up = up && series[i][col] > series[i-1][col]
			down = down && series[i][col] < series[i-1][col]
		}
		if up || down {
			return true
		}
	}
	return false
}

var (
	// volatile is what differs between results that say the same: dates and
	// times, durations, hexadecimal and random ids, processes, folders of the
	// moment.
	volatile = regexp.MustCompile(`(?i)\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?` +
		`|\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b` +
		`|\b\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|sec|seconds?|min|minutes?)\b` +
		`|\b1[6-9]\d{8}(?:\.\d+|\d{3})?\b` + // seconds or milliseconds since 1970
		`|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{7,64}\b` +
		`|\b(?:pid|process|id|req(?:uest)?[-_ ]?id)[ =:#]+[\w-]+|/tmp/\S+|/proc/\d+\S*`)
	numbers = regexp.MustCompile(`\d+(?:\.\d+)?`)
)

// settled lists the calls with their results since the last prompt or
// repetition note, latest first, up to limit of them. A call that was
// interrupted is no evidence: making it again is what it takes. The same call
// twice in one reply counts once.
func settled(s *session.Session, limit int) []deed {
	results := make(map[string]*session.Result)
	var done []deed
	reply := 0
	for _, ev := range slices.Backward(s.Events()) {
		switch {
		case ev.Prompt != nil, ev.Note != nil && ev.Note.Guard == "repetition":
			return done
		case ev.Result != nil:
			results[ev.Result.CallID] = ev.Result
		case ev.Reply != nil:
			reply++
			for _, call := range slices.Backward(ev.Reply.Message.Calls()) {
				r := results[call.ID]
				if r == nil || strings.HasPrefix(r.Text, interrupted) {
					continue
				}
				d := deed{call, r.Text, r.IsError, reply}
				if !slices.ContainsFunc(done, func(o deed) bool { return o.reply == reply && o.Name == d.Name && o.Args == d.Args }) {
					done = append(done, d)
				}
			}
		}
		if len(done) >= limit {
			return done
		}
	}
	return done
}

// oneSpelling writes JSON with sorted keys and no blanks; what is no JSON
// stays as it is.
func oneSpelling(args string) string {
	dec := json.NewDecoder(bytes.NewReader([]byte(args)))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return args
	}
	text, err := json.Marshal(v)
	if err != nil {
		return args
	}
	return string(text)
}

// describe names the calls of a cycle and what they brought.
func describe(cycle []deed) string {
	var parts []string
	for _, d := range slices.Backward(cycle) {
		result, _, _ := strings.Cut(strings.TrimSpace(d.result), "\n")
		parts = append(parts, fmt.Sprintf("%s %s -> %s", d.Name, shorten(d.Args, 120), shorten(result, 120)))
	}
	return strings.Join(parts, "; ")
}

// banned lists the calls that are refused in this turn, as name and arguments:
// those that were repeated although the model had been told.
func banned(s *session.Session) map[string]bool {
	if s.Notes("repetition") < refuseAfter {
		return nil
	}
	counts := make(map[string]int)
	left := s.Notes("repetition") - refuseAfter // notes after the one that bans
	counting := false
	for _, ev := range slices.Backward(s.Events()) {
		switch {
		case ev.Prompt != nil:
			return frequent(counts)
		case ev.Note != nil && ev.Note.Guard == "repetition":
			counting = left == 0
			if left--; left < -1 {
				return frequent(counts) // before the first note there was no warning
			}
		case ev.Reply != nil && counting:
			for _, c := range ev.Reply.Message.Calls() {
				counts[deedKey(c)]++
			}
		}
	}
	return frequent(counts)
}

func deedKey(c llm.ToolCall) string { return c.Name + " " + oneSpelling(c.Args) }

func frequent(counts map[string]int) map[string]bool {
	often := make(map[string]bool)
	for key, n := range counts {
		if n >= maxRepeats {
			often[key] = true
		}
	}
	return often
}
