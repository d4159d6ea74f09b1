package baseline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ml-intern/internal/lazyregexp"
)

const ability = `I am a set of rules, not a language model. I can do one job from start to end: train a baseline on a table and publish it. Say for example:

    train a model that predicts species from ./iris.csv, publish it as iris-baseline
    predict price from "house prices.csv"
    train a model on sklearn:wine

The table may be CSV, TSV, JSON, JSON lines or Parquet, gzipped or not.`

var (
	courtesy = lazyregexp.New(`(?i)^\W*(?:thanks?|thank you|thx|great|nice|cool|good|perfect|wonderful|well done|ok|okay|bye)\b`)
	goOn     = lazyregexp.New(`(?i)\b(?:go on|continue|proceed|resume|again|retry|try|yes|start|finish|publish)\b`)
)

// refusal is how requests end that the steps cannot serve, nil for others.
func (w *work) refusal() error {
	switch {
	case w.ask.hasData() && w.ask.Beyond != "" && (w.ask.Target == "" || w.ask.Soft || strings.HasPrefix(w.ask.Beyond, "fine")):
		return failed("This is beyond me: %s. %s", w.ask.Beyond, ability)
	case w.ask.hasData() && !w.ask.Trains && w.ask.Target == "" && len(w.past) == 0:
		return failed("What shall I predict from %s? %s", w.ask.source(), ability)
	case w.ask.hasData():
		return nil
	case w.ask.Beyond != "":
		return failed("This is beyond me: %s. %s", w.ask.Beyond, ability)
	case w.ask.Trains || w.ask.Target != "":
		return failed("Which table shall I train on? I found no file name in what you said. %s", ability)
	}
	return failed("This is beyond me. %s", ability)
}

// finish answers the person.
func (w *work) finish() error {
	if w.prompt == len(w.past) && !goOn.MatchString(w.last) && !parse(w.last).hasData() && !isRequest(w.last) {
		if courtesy.MatchString(w.last) {
			return &end{text: "You are welcome. " + w.soFar()}
		}
		return failed("That is beyond me; what I trained before is unchanged. %s", ability)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "I trained a model that predicts %s from %s: %s.\n\n%s\n", w.profile.Target.Name, w.data(), w.best.Name, strings.TrimRight(w.comparison.Table, "\n"))
	fmt.Fprintf(&b, "\n%s.\n", upper(strings.TrimRight(w.comparison.Verdict, ".")))
	fmt.Fprintf(&b, "On the holdout, %d rows that training never saw: %s.\n", w.eval.N, w.measured())
	if w.ask.Repo != "" {
		fmt.Fprintf(&b, "The copy downloaded from the Hub gives %s %s on the same rows: the card's number holds.\n", w.checked.Metric, number(w.checked.Value))
		kind := "private"
		if w.ask.Public {
			kind = "public"
		}
		fmt.Fprintf(&b, "\nPublished (%s): %s\n", kind, w.published.URL)
	} else {
		fmt.Fprintf(&b, "\nThe model is in %s, the scripts and the split are in %s.\n", w.best.OutputDir, folder)
		fmt.Fprintf(&b, "Nothing was published; for that say: publish it as NAME\n")
	}
	b.WriteString(w.oddities())
	return &end{text: strings.TrimRight(b.String(), "\n")}
}

// isRequest holds if the message adds anything to what is to be done.
func isRequest(text string) bool {
	r := parse(text)
	return r.Target != "" || r.Repo != "" || r.Public || r.Private
}

// measured lists the holdout's metrics, the judged one first.
func (w *work) measured() string {
	text := w.eval.Metric + " " + number(w.eval.Value)
	for _, name := range w.profile.Target.AlsoReport {
		if v, ok := w.eval.Metrics[name]; ok && name != w.eval.Metric {
			text += fmt.Sprintf(", %s %s", name, number(v))
		}
	}
	return text
}

// oddities lists what the person should know about the data and the run.
func (w *work) oddities() string {
	notes := slices.Clone(w.notes)
	if w.plain {
		notes = append(notes, w.why+", so only Python's standard library was used")
	}
	if w.swapped {
		notes = append(notes, fmt.Sprintf("%s was used instead of %s", w.file, w.ask.source()))
	}
	p := w.profile
	if cells, columns := p.missing(); cells > 0 {
		notes = append(notes, fmt.Sprintf("%d cells in %s have no value; they were filled in from the training rows", cells, plural(columns, "column", "columns")))
	}
	if p.Target.Imbalanced {
		notes = append(notes, p.Target.Reason)
	}
	if p.Target.Missing > 0 {
		notes = append(notes, fmt.Sprintf("%d rows have no %s and were left out", p.Target.Missing, p.Target.Name))
	}
	for i, d := range w.parts.Dropped {
		if i == 6 {
			notes = append(notes, fmt.Sprintf("%d more columns were left out", len(w.parts.Dropped)-i))
			break
		}
		notes = append(notes, fmt.Sprintf("the column %q was left out: %s", d.Name, d.Reason))
	}
	notes = append(notes, w.parts.Notes...)
	problems := slices.DeleteFunc(slices.Clone(p.Problems), w.settled)
	notes = append(notes, problems[:min(6, len(problems))]...)
	if more := len(problems) - 6; more > 0 {
		notes = append(notes, fmt.Sprintf("inspect_dataset lists %d more oddities", more))
	}
	notes = append(notes, w.comparison.Warnings...)
	if len(notes) == 0 {
		return ""
	}
	return "\nWorth knowing:\n" + bullets(notes)
}

// settled holds for a problem that split.py has dealt with and noted.
func (w *work) settled(problem string) bool {
	for _, d := range w.parts.Dropped {
		if strings.HasPrefix(problem, "column "+strconv.Quote(d.Name)) {
			return true
		}
	}
	for _, done := range []string{"copies of others", "repeat earlier ones", "repeats an earlier one", "clean them before", "to strip", "strip them", "convert them", "unify them"} {
		if strings.Contains(problem, done) {
			return true
		}
	}
	return false
}

// soFar says what is there when the work stops early.
func (w *work) soFar() string {
	switch {
	case w.published.URL != "":
		return "Published so far: " + w.published.URL
	case w.eval.Metric != "":
		return fmt.Sprintf("What is there so far: %s in %s, with %s on the holdout. Nothing was published.", w.best.Name, w.best.OutputDir, w.measured())
	case w.best.Job != "":
		return fmt.Sprintf("What is there so far: %s in %s. Nothing was published.", w.best.Name, w.best.OutputDir)
	case len(w.runs) > 0:
		return "The jobs' results are in the folder runs. Nothing was published."
	}
	return "Nothing was trained or published."
}

// data names the data set in use.
func (w *work) data() string {
	if w.ask.Builtin != "" && !w.swapped {
		return w.ask.source()
	}
	return request{Data: w.file}.source()
}

// summary is the model card's first paragraph.
func (w *work) summary() string {
	with := "scikit-learn"
	if w.plain {
		with = "nothing but Python's standard library"
	}
	return fmt.Sprintf("Predicts `%s` (%s) from the other columns of %s. A %s model, made with %s; it was chosen among %d candidates on the same folds of cross-validation. "+
		"`evaluate.py` measures it on any table with the same columns.", w.profile.Target.Name, w.profile.Target.Task, w.data(), w.best.Name, with, len(w.runs))
}

// limits is the model card's section of that name.
func (w *work) limits() string {
	text := "A baseline, trained with default settings and without any search. It is only as good as the rows it was trained on."
	if model := "model.joblib"; !w.plain {
		text += " `" + model + "` is a pickle: load it only if you trust where it comes from."
	}
	if odd := strings.TrimPrefix(w.oddities(), "\nWorth knowing:\n"); odd != "" {
		text += "\n\n" + odd
	}
	return text
}

func (w *work) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

func bullets(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "- %s\n", clip(strings.TrimSpace(line), 400))
	}
	return b.String()
}

// number shows four decimals, or four digits of what is large.
func number(v float64) string {
	if v > -1000 && v < 1000 {
		return strconv.FormatFloat(v, 'f', 4, 64)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// words makes a job's state readable.
func words(state string) string { return strings.ReplaceAll(state, "_", " ") }

func upper(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

func list(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	}
	return strings.Join(names, ", ")
}

func example(names []string) string {
	if len(names) == 0 {
		return "price"
	}
	return names[len(names)-1]
}
