package series

import (
	"strconv"
	"strings"
	"time"
)

// A pair is a name with a number or a text.
type pair struct {
	name   string
	number float64
	text   string // as it stands, if it is no number
	isText bool
}

const (
	deepest  = 4   // dicts in dicts
	maxPairs = 300 // of a dict
)

// A dictReader reads one dict of Python or object of JSON, which also may hold
// what people print in them: nan, None, tensor(0.5, device='cuda:0'). Dicts in
// dicts join their names with a slash; lists are passed over.
type dictReader struct {
	s     string
	i     int
	pairs []pair
	nulls bool // a null is NaN, if its name is one of a metric
}

// readDict reads the dict at the beginning of s, and returns what is behind it.
func readDict(s string) (pairs []pair, rest string, ok bool) {
	r := dictReader{s: s}
	if !r.dict("", 0) {
		return nil, s, false
	}
	return r.pairs, s[r.i:], true
}

func (r *dictReader) space() {
	for r.i < len(r.s) && strings.IndexByte(" \t\n\r", r.s[r.i]) >= 0 {
		r.i++
	}
}

// take steps over a byte if it is next.
func (r *dictReader) take(b byte) bool {
	r.space()
	if r.i < len(r.s) && r.s[r.i] == b {
		r.i++
		return true
	}
	return false
}

func (r *dictReader) dict(prefix string, depth int) bool {
	if depth == deepest || !r.take('{') {
		return false
	}
	if r.take('}') {
		return true
	}
	for len(r.pairs) < maxPairs {
		r.space()
		name, ok := r.quoted()
		if !ok || !r.take(':') || !r.value(prefix+name, depth) {
			return false
		}
		if r.take('}') {
			return true
		}
		if !r.take(',') {
			return false
		}
		if r.take('}') { // a comma may come last in Python
			return true
		}
	}
	return false
}

// quoted reads a text in quotes of either kind.
func (r *dictReader) quoted() (string, bool) {
	if r.i >= len(r.s) || r.s[r.i] != '"' && r.s[r.i] != '\'' {
		return "", false
	}
	quote := r.s[r.i]
	var text strings.Builder
	for i := r.i + 1; i < len(r.s); i++ {
		switch c := r.s[i]; {
		case c == quote:
			r.i = i + 1
			return text.String(), true
		case c == '\\' && i+1 < len(r.s):
			i++
			text.WriteByte(r.s[i])
		default:
			text.WriteByte(c)
		}
	}
	return "", false
}

func (r *dictReader) value(name string, depth int) bool {
	r.space()
	if r.i >= len(r.s) {
		return false
	}
	switch r.s[r.i] {
	case '{':
		return r.dict(name+"/", depth+1)
	case '[', '(':
		return r.skip()
	case '"', '\'':
		text, ok := r.quoted()
		if !ok {
			return false
		}
		r.keep(name, text)
		return true
	}
	start := r.i
	for r.i < len(r.s) && strings.IndexByte(",}])(", r.s[r.i]) < 0 {
		r.i++
	}
	word := strings.TrimSpace(r.s[start:r.i])
	if r.i < len(r.s) && r.s[r.i] == '(' { // tensor(0.5), np.float64(0.5)
		inside := r.i + 1
		if !r.skip() {
			return false
		}
		word, _, _ = strings.Cut(r.s[inside:r.i-1], ",")
	}
	if r.nulls && word == "null" && known(name) {
		word = "nan"
	}
	if v, ok := number(word); ok {
		r.pairs = append(r.pairs, pair{name: name, number: v})
	}
	return word != ""
}

// keep takes a quoted value: Trainer writes numbers so as well.
func (r *dictReader) keep(name, text string) {
	if v, ok := number(text); ok {
		r.pairs = append(r.pairs, pair{name: name, number: v})
	} else if len(text) < 64 {
		r.pairs = append(r.pairs, pair{name: name, text: text, isText: true})
	}
}

// skip steps over something in brackets.
func (r *dictReader) skip() bool {
	open := 0
	for r.i < len(r.s) {
		switch r.s[r.i] {
		case '[', '(', '{':
			open++
		case ']', ')', '}':
			open--
		case '"', '\'':
			if _, ok := r.quoted(); !ok {
				return false
			}
			continue
		}
		r.i++
		if open == 0 {
			return true
		}
	}
	return false
}

// number reads a number as programs print it: 0.5, 1e-05, 90.5%, nan, -inf,
// Infinity, tensor(0.5).
func number(s string) (float64, bool) {
	s = strings.TrimSuffix(strings.TrimSpace(s), "%")
	if s == "" || len(s) > 40 || strings.ContainsAny(s, "xX_pP") {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// A record is a dict's numbers, less those that say when they were measured.
type record struct {
	metrics []pair
	step    float64
	axis    Axis
	time    time.Time
}

// newRecord sorts out what says when.
func newRecord(pairs []pair) record {
	var rec record
	for _, p := range pairs {
		at, isTime := stamp(p)
		switch name := strings.ToLower(p.name); {
		case isStep(name) && !p.isText:
			rec.step, rec.axis = p.number, Step
		case name == "epoch" && !p.isText:
			if rec.axis == "" {
				rec.step, rec.axis = p.number, Epoch
			}
		case isTime:
			rec.time = at
		case !p.isText && name != "":
			rec.metrics = append(rec.metrics, p)
		}
	}
	return rec
}

func isStep(name string) bool {
	switch name {
	case "step", "global_step", "_step", "iter", "iteration", "trainer/global_step", "current_step", "train/global_step", "update":
		return true
	}
	return false
}

// stamp reads a time of day: seconds since 1970, or as ISO 8601 has it.
func stamp(p pair) (time.Time, bool) {
	switch strings.ToLower(p.name) {
	case "time", "timestamp", "_timestamp", "wall_time", "created_at", "ts", "date":
	default:
		return time.Time{}, false
	}
	if p.isText {
		return readTime(p.text)
	}
	const from, to = 1e9, 1e10 // 2001 to 2286; what is less is a duration
	if seconds := p.number; seconds > from && seconds < to {
		return time.UnixMicro(int64(seconds * 1e6)).UTC(), true
	}
	return time.Time{}, false
}

func readTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// emit sends the record's metrics on.
func (rec record) emit(at time.Time, add func(Sample)) {
	if !rec.time.IsZero() {
		at = rec.time
	}
	for _, m := range rec.metrics {
		add(Sample{Name: m.name, Value: m.number, Step: rec.step, Axis: rec.axis, Time: at})
	}
}
