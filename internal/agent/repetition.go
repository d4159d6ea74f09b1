package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
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

// near is the result with every word that holds a digit masked: times, ids,
// numbers. Whether numbers are progress is seen from how they change.
func (d deed) near() string {
	var b strings.Builder
	for word, isWord := range words(d.text()) {
		if isWord && strings.ContainsAny(word, "0123456789") {
			word = "#"
		}
		b.WriteString(word)
	}
	return b.String()
}

// words yields the text in pieces: words of letters, digits and what holds
// times and numbers together, and what stands between them.
func words(text string) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		start, inWord := 0, false
		for i := 0; i <= len(text); i++ {
			w := i < len(text) && wordByte(text[i])
			if i < len(text) && w == inWord {
				continue
			}
			if i > start && !yield(text[start:i], inWord) {
				return
			}
			start, inWord = i, w
		}
	}
}

func wordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80 || strings.IndexByte("_.:+-%", c) >= 0
}

// progress lists the numbers of a result that may tell of progress: plain
// ones, not times, durations, ids or processes.
func (d deed) progress() []float64 {
	var all []float64
	pending, before := -1.0, ""
	for word, isWord := range words(d.text()) {
		if !isWord {
			continue
		}
		word = strings.Trim(word, ".:%")
		if pending >= 0 && !isUnit(word) {
			all = append(all, pending)
		}
		pending = -1
		if v, err := strconv.ParseFloat(word, 64); err == nil && !names(before) && !sinceEpoch(v) {
			pending = v
		}
		before = word
	}
	if pending >= 0 {
		all = append(all, pending)
	}
	return all
}

// isUnit recognizes what makes a number a duration.
func isUnit(word string) bool {
	switch strings.ToLower(word) {
	case "ns", "us", "µs", "ms", "s", "sec", "second", "seconds", "min", "minute", "minutes", "h", "hours":
		return true
	}
	return false
}

// names recognizes the words before a number that names something.
func names(word string) bool {
	switch strings.ToLower(word) {
	case "pid", "process", "id", "request", "port", "exit":
		return true
	}
	return false
}

// sinceEpoch recognizes seconds and milliseconds since 1970, of these decades.
func sinceEpoch(v float64) bool { return v >= 1.5e9 && v < 2.5e9 || v >= 1.5e12 && v < 2.5e12 }

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
			series = append(series, done[i].progress())
		}
		if monotone(series) {
			return true
		}
	}
	return false
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
