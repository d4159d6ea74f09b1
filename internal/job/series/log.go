package series

import (
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
)

const (
	longestLine = 16 << 10 // the rest of a longer one is not looked at
	maxBars     = 16
	staleAfter  = 2000 // lines since a bar was drawn: it is no more than a memory
)

// A Log reads the output of a run, line by line: dicts of Trainer, objects of
// JSON, progress bars, and the kind "epoch 3/10 loss=0.5".
type Log struct {
	bars   []logBar
	lines  int
	epoch  float64 // last that a line of its own said
	epochs float64 // of how many
	first  float64 // the first epoch there was: they count from 0 or 1
}

type logBar struct {
	Bar
	line int
}

var (
	ansi = lazyregexp.New(`\x1b\[[0-9;?]*[A-Za-z]|\x08`)
	// step 100/500, Epoch [3/10], iter=7
	counter = lazyregexp.New(`(?i)\b(epoch|global_step|step|iteration|iter)s?\b\s*[:=#]?\s*[\[(]?\s*(\d+(?:\.\d+)?)(?:\s*/\s*(\d+))?`)
)

// Line reads one line of output, and reports whether it showed that the run
// gets on: a metric, or a bar that moved.
func (l *Log) Line(text string, at time.Time, add func(Sample)) bool {
	l.lines++
	if len(text) > longestLine {
		text = text[:longestLine]
	}
	if !strings.ContainsAny(text, "0123456789") && !strings.Contains(text, "nan") && !strings.Contains(text, "inf") {
		return false
	}
	if strings.ContainsAny(text, "\x1b\x08") {
		text = ansi.ReplaceAllString(text, "")
	}
	moved := false
	if strings.Contains(text, "[") && (strings.Contains(text, "%|") || strings.Contains(text, "/s") || strings.Contains(text, "s/")) {
		if bar, pairs, rest, ok := readBar(text); ok {
			moved = l.draw(bar)
			l.emitBar(bar, pairs, at, add)
			text = rest
		}
	}
	if read, ok := l.dict(text, at, add); ok {
		return read || moved
	}
	return l.words(text, at, add) || moved
}

// dict reads a dict or object anywhere in the line, if it is one of metrics.
func (l *Log) dict(text string, at time.Time, add func(Sample)) (read, ok bool) {
	i := max(strings.Index(text, "{'"), strings.Index(text, `{"`))
	if i < 0 {
		return false, false
	}
	pairs, ok := readDict(text[i:])
	if !ok {
		return false, false
	}
	rec := newRecord(pairs)
	for _, m := range rec.metrics {
		if known(m.name) {
			rec.emit(at, add)
			return true, true
		}
	}
	return false, true
}

// draw remembers a bar, and reports whether it has moved.
func (l *Log) draw(bar Bar) bool {
	oldest := 0
	for i := range l.bars {
		b := &l.bars[i]
		if b.Name == bar.Name && b.Total == bar.Total {
			moved := bar.N > b.N || bar.N < b.N && bar.N > 0
			*b = logBar{bar, l.lines}
			return moved
		}
		if b.line < l.bars[oldest].line {
			oldest = i
		}
	}
	if len(l.bars) == maxBars {
		l.bars[oldest] = logBar{bar, l.lines}
	} else {
		l.bars = append(l.bars, logBar{bar, l.lines})
	}
	return bar.N > 0
}

// emitBar sends on what stands at a bar's end. A bar of one epoch counts its
// steps from 0, so those before are added.
func (l *Log) emitBar(bar Bar, pairs []pair, at time.Time, add func(Sample)) {
	step := bar.N
	if m := counter.FindStringSubmatch(bar.Name); m != nil && strings.EqualFold(m[1], "epoch") {
		l.seeEpoch(m[2], m[3])
		step += (l.epoch - l.first) * bar.Total
	}
	for _, p := range pairs {
		add(Sample{Name: p.name, Value: p.number, Step: step, Axis: Step, Time: at})
	}
}

func (l *Log) seeEpoch(n, of string) {
	e, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return
	}
	if l.first == 0 && l.epoch == 0 && e >= 1 && e < 2 {
		l.first = 1
	}
	l.epoch = e
	if total, ok := number(of); ok && total > 0 {
		l.epochs = total
	}
}

// words reads lines such as "epoch 3/10 loss=0.5" and those of Keras.
func (l *Log) words(text string, at time.Time, add func(Sample)) bool {
	progress := false
	if m := readKeras(text); m != nil {
		bar := Bar{N: amount(m[1]), Total: amount(m[2])}
		progress = l.draw(bar)
		if bar.N < bar.Total {
			return progress // a mean that is not complete
		}
	}
	var rec record
	var counters [][]string
	if counts(text) {
		counters = counter.FindAllStringSubmatch(text, 4)
	}
	for _, m := range counters {
		n, ok := number(m[2])
		if !ok {
			continue
		}
		if strings.EqualFold(m[1], "epoch") {
			l.seeEpoch(m[2], m[3])
			if rec.axis == "" {
				rec.step, rec.axis = n, Epoch
			}
			continue
		}
		rec.step, rec.axis = n, Step
		if total, ok := number(m[3]); ok && total > 0 {
			progress = l.draw(Bar{Name: strings.ToLower(m[1]), N: n, Total: total}) || progress
		}
	}
	rec.metrics = namedNumbers(text, rec.axis != "")
	if rec.axis == "" && len(rec.metrics) > 0 && l.epoch > 0 {
		rec.step, rec.axis = l.epoch, Epoch
	}
	rec.emit(at, add)
	return progress || len(rec.metrics) > 0
}

// counts reports whether a line may have a counter: most have none, and the
// expression is slow.
func counts(text string) bool {
	for _, part := range [...]string{"poch", "tep", "iter", "Iter", "POCH", "TEP", "ITER"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// namedNumbers are the metrics of a line of words: loss: 0.5, train loss 2.5,
// val_acc=90.5%. Without a sign between name and number it must be a line that
// says where in the run it is.
func namedNumbers(text string, placed bool) (found []pair) {
	split, splitEnd := "", -1 // a word such as train, and where it ends
	for i := 0; i < len(text) && len(found) < maxPairs; {
		if !letter(text[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(text) && inName(text[end]) {
			end++
		}
		name := text[i:end]
		if i > 0 && inName(text[i-1]) {
			i = end // the end of something else
			continue
		}
		from, sign := end, false
		for from < len(text) && (text[from] == ' ' || !sign && (text[from] == ':' || text[from] == '=')) {
			sign = sign || text[from] != ' '
			from++
		}
		digits := numberAt(text[from:])
		if digits != "" && from > end && (sign || placed) && known(name) && !isStep(strings.ToLower(name)) {
			if splitEnd >= 0 && strings.TrimLeft(text[splitEnd:i], " ") == "" {
				name = split + "_" + name
			}
			if v, ok := number(strings.TrimSuffix(digits, ".")); ok {
				found = append(found, pair{name: name, number: v})
			}
			end = from + len(digits)
		}
		splitEnd = -1
		if isSplit(name) {
			split, splitEnd = name, end
		}
		i = end
	}
	return found
}

func isSplit(word string) bool {
	switch strings.ToLower(word) {
	case "train", "training", "val", "valid", "validation", "test", "eval":
		return true
	}
	return false
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func inName(c byte) bool {
	return letter(c) || c >= '0' && c <= '9' || c == '_' || c == '/' || c == '.' || c == '@' || c == '-'
}

// numberAt is the number at the beginning of a text, as it stands; empty if
// there is none, or only the beginning of something else.
func numberAt(text string) string {
	if text == "" || strings.IndexByte("0123456789+-.nNiI", text[0]) < 0 {
		return ""
	}
	end := 0
	for end < len(text) && (inName(text[end]) || text[end] == '+' || text[end] == '%') {
		end++
	}
	digits := text[:end]
	if end < len(text) && !boundary(text[end:]) {
		return ""
	}
	trimmed := strings.TrimSuffix(digits, ".")
	if _, ok := number(trimmed); !ok {
		return ""
	}
	return digits
}

// boundary reports whether a number may end before rest: not in 0.5s, 10:30, 3/4.
func boundary(rest string) bool {
	c := rest[0]
	return !(c == ':' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9') && c != '/' && c != '_' && c != '-' &&
		(c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < 0x80
}

// A Progress is how far a run is.
type Progress struct {
	Fraction float64       // from 0 to 1
	Left     time.Duration // by the run's own estimate; 0 if it has none
	N, Total float64       // steps, or epochs
	Name     string
}

// Progress is the run's progress as its bars tell: that of the longest which
// is not done. It reports false if nothing tells.
func (l *Log) Progress() (Progress, bool) {
	var best *logBar
	for i := range l.bars {
		b := &l.bars[i]
		if b.Total <= 0 || l.lines-b.line > staleAfter {
			continue
		}
		if best == nil || open(b.Bar) != open(best.Bar) && open(b.Bar) || open(b.Bar) == open(best.Bar) && longer(b.Bar, best.Bar) {
			best = b
		}
	}
	switch {
	case best == nil && l.epochs > 0:
		return Progress{Fraction: min((l.epoch-l.first)/l.epochs, 1), N: l.epoch, Total: l.epochs, Name: "epoch"}, true
	case best == nil:
		return Progress{}, false
	}
	p := Progress{Fraction: best.Fraction(), Left: best.Left, N: best.N, Total: best.Total, Name: best.Name}
	if m := counter.FindStringSubmatch(best.Name); m != nil && strings.EqualFold(m[1], "epoch") || best.Name == "" && best.PerS == 0 && l.epochs > 0 {
		if l.epochs == 0 {
			return Progress{}, false // one epoch of who knows how many
		}
		p.Fraction = min((l.epoch-l.first+p.Fraction)/l.epochs, 1)
		p.Left = 0
	}
	return p, true
}

func open(b Bar) bool { return b.N < b.Total }

func longer(a, b Bar) bool {
	if x, y := a.Elapsed+a.Left, b.Elapsed+b.Left; x != y {
		return x > y
	}
	return a.Total > b.Total
}
