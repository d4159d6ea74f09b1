package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// How often is a loop. A call whose numbers move one way is honest polling and
// none at all: work goes on somewhere, and looking at it is right. Results that
// are the same to the byte need the least, those that differ in times and ids
// twice as much, because a mask may hide what matters. A number that counts by
// one may be the number of the call or that of an epoch: the guard speaks late,
// once, and refuses nothing for it; a failing call's counter means nothing. A
// call that waited costs little and gets twice the patience.
const (
	longestCycle   = 5  // calls
	maxRepeats     = 3  // with the same results
	maxNearRepeats = 6  // with results that differ only in times, ids and numbers that go nowhere
	maxCounted     = 24 // of one call, where nothing but counters moves
	maxSameErrors  = 5  // of one tool with one error, from near-identical arguments
	patience       = 20 // seconds that a call took which only waited
	refuseAfter    = 2  // notes in a turn; from then on the calls are refused
)

// repetition minds calls that are made again and again to no effect: one call
// or a cycle of up to five, or one tool with one error. It first says so, then
// has the calls refused, then ends the turn. After a note only new evidence
// counts.
func repetition(s *session.Session) (string, error) {
	found := loop(s.Events())
	if found.calls == nil || found.doubtful && s.Notes("repetition") > 0 {
		return "", nil
	}
	cycle := found.calls[:found.period]
	calls := plural(len(cycle), "call", "calls")
	switch s.Notes("repetition") {
	case 0:
		return fmt.Sprintf("You made the same %s %d times to the same effect: %s. Repeating it will not help: "+
			"change something, try another way, or tell the person what stops you.", calls, found.times, describe(cycle)), nil
	case 1:
		return fmt.Sprintf("You go on repeating the same %s to the same effect: %s. From now on they are refused in this turn. "+
			"Do something else, or tell the person what stops you.", calls, describe(cycle)), nil
	}
	return "", fmt.Errorf("%w: told twice, it goes on repeating: %s", ErrLoop, summary(s.Events(), cycle))
}

// A deed is a call with its result.
type deed struct {
	llm.ToolCall
	result *session.Result
	reply  int // of which it is a part, counted from the end

	spelling   string // see args
	near       *masked
	nearArgs   *masked
	isSpelling bool
}

// A pattern is what the latest calls, latest first, do again and again.
type pattern struct {
	calls  []*deed // that are to stop; nil when there is no loop
	period int     // so many of them tell the rest
	times  int

	doubtful bool // it may be honest: worth a note, not more
}

// loop finds the pattern that the log ends with.
func loop(events []session.Event) pattern {
	done := settled(events, longestCycle*maxNearRepeats*2)
	for period := 1; period <= longestCycle; period++ {
		if !cycles(done, period, maxRepeats, sameCall) {
			continue
		}
		factor := 1
		if waited(done[:period]) {
			factor = 2
		}
		if n := maxRepeats * factor; cycles(done, period, n, sameResult) {
			return pattern{calls: done[:period], period: period, times: n}
		}
		n := maxNearRepeats * factor
		if !cycles(done, period, n, nearResult) {
			continue
		}
		switch move(done, period, n) {
		case stands:
			return pattern{calls: done[:period], period: period, times: n}
		case counts:
			if period == 1 && cycles(done, 1, maxCounted, nearResult) && move(done, 1, maxCounted) != goesOn {
				return pattern{calls: done[:1], period: 1, times: maxCounted, doubtful: true}
			}
		case goesOn:
			return pattern{} // a longer cycle holds the same results
		}
	}
	if failed := failures(done); failed != nil {
		return pattern{calls: failed, period: 1, times: maxSameErrors}
	}
	return pattern{}
}

// cycles reports whether the latest deeds are so many times the same period
// deeds.
func cycles(done []*deed, period, times int, same func(a, b *deed) bool) bool {
	n := period * times
	if len(done) < n {
		return false
	}
	for i := period; i < n; i++ {
		if !same(done[i], done[i-period]) {
			return false
		}
	}
	return true
}

func sameCall(a, b *deed) bool {
	if a.Name != b.Name {
		return false
	}
	if a.Args == b.Args {
		return true
	}
	return max(len(a.Args), len(b.Args)) <= maxSpelled && weight(a.Args) == weight(b.Args) && a.args() == b.args()
}

// weight is the same for all orders and spacings of a JSON text: a cheap look
// before it is read.
func weight(args string) (sum int) {
	for i := range len(args) {
		if args[i] > ' ' {
			sum += 1<<8 + int(args[i])
		}
	}
	return sum
}

func sameResult(a, b *deed) bool { return sameCall(a, b) && a.result.Text == b.result.Text }

func nearResult(a, b *deed) bool {
	return sameCall(a, b) && a.result.IsError == b.result.IsError && a.masked().shape == b.masked().shape
}

// waited reports whether the time of a cycle went by in a call that succeeded
// only after a while: waiting for something, most likely.
func waited(cycle []*deed) bool {
	return slices.ContainsFunc(cycle, func(d *deed) bool { return !d.result.IsError && d.result.Seconds >= patience })
}

// How the numbers in results move that are the same but for them.
const (
	stands = iota // nowhere, or to and fro
	counts        // some count by one
	goesOn        // some go one way: progress
)

// move tells how the results of a cycle move that came so many times.
func move(done []*deed, period, times int) int {
	most := stands
	for at := range period {
		var series []*masked
		for i := at; i < period*times; i += period {
			series = append(series, done[i].masked())
		}
		most = max(most, moves(series))
	}
	return most
}

// moves tells how the numbers move, the latest first. One way means that there
// are three stations at least.
func moves(series []*masked) int {
	most := stands
	for col := range series[0].numbers {
		up, down, byOne, values := true, true, true, 1
		for i := 1; i < len(series); i++ {
			if len(series[i].numbers) != len(series[0].numbers) {
				return goesOn // there is more to tell than before, or less
			}
			step := series[i-1].numbers[col] - series[i].numbers[col]
			up, down = up && step >= 0, down && step <= 0
			byOne = byOne && (step == 1 || step == -1)
			if step != 0 {
				values++
			}
		}
		switch {
		case !up && !down || values < 3:
		case !byOne:
			return goesOn
		default:
			most = counts
		}
	}
	return most
}

// failures returns the latest calls of one tool if they failed again and again
// with the same error and near-identical arguments, whatever was done in
// between; nil otherwise. An error that moves on, from line to line, is
// progress.
func failures(done []*deed) []*deed {
	var row []*deed
	var series []*masked
	for _, d := range done {
		switch {
		case d.Name != done[0].Name:
			continue
		case !d.result.IsError || d.result.BadArgs: // that is for another guard
			return nil
		case len(row) > 0 && d.reply == row[len(row)-1].reply: // side by side: it could not know better
			continue
		case len(row) > 0 && (d.maskedArgs().shape != row[0].maskedArgs().shape || d.masked().shape != row[0].masked().shape):
			return nil
		}
		row, series = append(row, d), append(series, d.masked())
		if len(row) == maxSameErrors {
			break
		}
	}
	if len(row) < maxSameErrors || moves(series) == goesOn {
		return nil
	}
	return row
}

// settled lists the calls with their results since the last prompt or
// repetition note, latest first, up to limit of them. A call that was
// interrupted is no evidence: making it again is what it takes. The same call
// twice in one reply counts once.
func settled(events []session.Event, limit int) []*deed {
	results := make(map[string]*session.Result)
	var done []*deed
	reply := 0
	for _, ev := range slices.Backward(events) {
		switch {
		case ev.Prompt != nil, isNote(ev, "repetition"):
			return done
		case ev.Result != nil:
			results[ev.Result.CallID] = ev.Result
		case ev.Reply != nil:
			reply++
			from := len(done)
			for _, call := range slices.Backward(ev.Reply.Message.Calls()) {
				d := &deed{ToolCall: call, result: results[call.ID], reply: reply}
				if d.result == nil {
					d.result = &session.Result{}
				}
				again := slices.ContainsFunc(done[from:], func(o *deed) bool { return sameCall(o, d) })
				if !again && !strings.HasPrefix(d.result.Text, interrupted) {
					done = append(done, d)
				}
				if len(done) >= limit {
					return done
				}
			}
		}
	}
	return done
}

func isNote(ev session.Event, guard string) bool { return ev.Note != nil && ev.Note.Guard == guard }

func (d *deed) masked() *masked {
	if d.near == nil {
		m := mask(d.result.Text)
		d.near = &m
	}
	return d.near
}

func (d *deed) maskedArgs() *masked {
	if d.nearArgs == nil {
		m := mask(d.Args)
		d.nearArgs = &m
	}
	return d.nearArgs
}

// maxSpelled is the size up to which arguments are compared as JSON, in bytes.
// Those that are longer hold a file, and no model spells it in two ways.
const maxSpelled = 4096

// args are the arguments with sorted keys and without blanks; what is no JSON
// stays as it is.
func (d *deed) args() string {
	if !d.isSpelling {
		d.spelling, d.isSpelling = oneSpelling(d.Args), true
	}
	return d.spelling
}

func oneSpelling(args string) string {
	dec := json.NewDecoder(bytes.NewReader([]byte(args)))
	dec.UseNumber() // 1.0 and 1 are not the same
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return args
	}
	text, err := json.Marshal(v)
	if err != nil {
		return args
	}
	return string(text)
}

// describe names the calls of a cycle and what they brought.
func describe(cycle []*deed) string {
	var parts []string
	for _, d := range slices.Backward(cycle) {
		parts = append(parts, fmt.Sprintf("%s %s -> %s", d.Name, shorten(d.Args, 120), firstWords(d.result.Text)))
	}
	return strings.Join(parts, "; ")
}

func firstWords(result string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(result), "\n")
	return shorten(line, 120)
}

// summary tells the person what was repeated: how often in this turn, and what
// it brought before it was refused.
func summary(events []session.Event, cycle []*deed) string {
	times := make([]int, len(cycle))
	texts := make([]string, len(cycle))
	results := make(map[string]string)
scan:
	for _, ev := range slices.Backward(events) {
		switch {
		case ev.Prompt != nil:
			break scan
		case ev.Result != nil:
			results[ev.Result.CallID] = ev.Result.Text
		case ev.Reply != nil:
			for _, call := range ev.Reply.Message.Calls() {
				i := slices.IndexFunc(cycle, func(d *deed) bool { return sameCall(d, &deed{ToolCall: call}) })
				if i < 0 {
					continue
				}
				times[i]++
				if text := results[call.ID]; texts[i] == "" && text != "refused: "+loopReason {
					texts[i] = text
				}
			}
		}
	}
	var parts []string
	for i, d := range slices.Backward(cycle) {
		parts = append(parts, fmt.Sprintf("%s %s, %d times, with %q", d.Name, shorten(d.Args, 120), times[i], firstWords(texts[i])))
	}
	return strings.Join(parts, "; ")
}

// loopReason is told to the model for a call that it keeps repeating.
const loopReason = "you made this call again and again to the same effect, and were told so; do something else, or tell the person what stops you"

// banned returns the calls that are refused for the rest of this turn: those
// with which the model earned its second note.
func banned(s *session.Session) func(llm.ToolCall) bool {
	if s.Notes("repetition") < refuseAfter {
		return func(llm.ToolCall) bool { return false }
	}
	events := s.Events()
	notes := s.Notes("repetition")
	for i, ev := range slices.Backward(events) {
		if !isNote(ev, "repetition") {
			continue
		}
		if notes == refuseAfter {
			events = events[:i]
			break
		}
		notes--
	}
	found := loop(events)
	return func(call llm.ToolCall) bool {
		return slices.ContainsFunc(found.calls, func(d *deed) bool { return sameCall(d, &deed{ToolCall: call}) })
	}
}
