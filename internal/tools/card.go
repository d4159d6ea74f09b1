package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/experiment"
	"ml-intern/internal/hub"
	hubcard "ml-intern/internal/hub/card"
)

// A CardText is what the model says about its model. The numbers of a card
// are not its to give: they come from the job's metrics and the evaluation.
type CardText struct {
	Title   string   `json:"title"`
	Summary string   `json:"summary" jsonschema:"what it does and how it was made, without numbers"`
	Dataset string   `json:"dataset" jsonschema:"OWNER/NAME on the Hub, else its name"`
	Base    string   `json:"base_model,omitempty" jsonschema:"OWNER/NAME that training began with"`
	License string   `json:"license,omitempty"`
	Task    string   `json:"task" jsonschema:"such as tabular-classification"`
	Library string   `json:"library,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	Limits  string   `json:"limits,omitempty"`
}

// Provenance says which session and program made something.
type Provenance struct {
	Session string
	Version string // of ml-intern
	Memory  string // folder for what an upload must remember to be taken up again
}

// An evaluation is the eval.json of one model on one split.
type evaluation struct {
	Metric     string             `json:"metric"`
	Value      float64            `json:"value"`
	N          int                `json:"n"` // rows
	Split      string             `json:"split"`
	DataSHA256 string             `json:"data_sha256"`
	Metrics    map[string]float64 `json:"metrics"`
}

// A card is everything that a model card is written from.
type card struct {
	repo    string
	text    CardText
	made    Provenance
	job     string
	script  string // sha256
	machine string // that the job ran on
	metrics experiment.Metrics
	eval    *evaluation // nil if there is none
	files   []string
}

// The marks around the text of a card that is ours: what a person wrote before
// or after them stays when the model is published again.
const (
	textBegins = "<!-- ml-intern: written from the record -->"
	textEnds   = "<!-- /ml-intern -->"
)

// markdown puts the record into the card that is there, nil if there is none:
// metadata by the Hub's model-index, then our part of the text.
func (c card) markdown(before []byte) ([]byte, error) {
	out := hubcard.Parse(before)
	for _, f := range c.front(out) {
		var err error
		if out, err = out.Set(f.Key, f.Value); err != nil {
			return nil, fmt.Errorf("write %s into the card that is there: %w", f.Key, err)
		}
	}
	out, err := out.DropResults(func(r hubcard.Result) bool { // they were of the weights that are replaced
		return r.Model == c.repo && r.Metric.Name == measuredOn(r.Metric.Type, r.Dataset.Split)
	})
	if err != nil {
		return nil, fmt.Errorf("take the older results out of the card that is there: %w", err)
	}
	if results := c.index(); len(results) > 0 {
		if out, err = out.AddResults(results...); err != nil {
			return nil, fmt.Errorf("write the results into the card that is there: %w", err)
		}
	}
	return out.WithBody([]byte(joined(string(out.Body()), c.prose()))).Bytes(), nil
}

// joined puts our text in the place of its older form.
func joined(body, ours string) string {
	ours = textBegins + "\n" + ours + textEnds + "\n"
	before, rest, found := strings.Cut(body, textBegins)
	_, after, closed := strings.Cut(rest, textEnds)
	switch {
	case found && closed:
		return before + ours + strings.TrimPrefix(after, "\n")
	case strings.TrimSpace(body) == "":
		return "\n" + ours
	}
	return strings.TrimRight(body, "\n") + "\n\n" + ours
}

func (c card) prose() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n# %s\n\n%s\n", oneLine(c.text.Title), c.text.Summary)
	c.results(&b)
	c.training(&b)
	if c.text.Limits != "" {
		fmt.Fprintf(&b, "\n## Limits\n\n%s\n", c.text.Limits)
	}
	fmt.Fprintf(&b, "\n## Files\n\n")
	for _, name := range c.files {
		fmt.Fprintf(&b, "- `%s`\n", name)
	}
	fmt.Fprintf(&b, "\nMade by ml-intern %s in session %s. Every number above was written from the record of the run.\n\n", c.made.Version, c.made.Session)
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// front is what the metadata say, in the order in which people read it. Tags
// that are there stay.
func (c card) front(before hubcard.Card) hubcard.Pairs {
	var out hubcard.Pairs
	add := func(key string, value any) {
		if value != "" {
			out = append(out, hubcard.Pair{Key: key, Value: value})
		}
	}
	add("library_name", c.text.Library)
	add("pipeline_tag", c.text.Task)
	add("license", c.text.License)
	add("base_model", c.text.Base)
	if _, err := hub.ParseRepo(hub.Dataset, c.text.Dataset); err == nil && strings.Contains(c.text.Dataset, "/") {
		add("datasets", []any{c.text.Dataset})
	}
	data, _ := before.Data() // a card that cannot be read is refused when it is written to
	tags, _ := hubcard.Words(data, "tags")
	var all []any
	for _, tag := range append(append(tags, "ml-intern"), c.text.Tags...) {
		if !slices.Contains(all, any(tag)) {
			all = append(all, tag)
		}
	}
	add("tags", all)
	return out
}

// index is the evaluation in the terms of the Hub's model-index.
func (c card) index() []hubcard.Result {
	if c.eval == nil {
		return nil
	}
	var out []hubcard.Result
	for _, name := range c.evalNames() {
		out = append(out, hubcard.Result{
			Model: c.repo, Task: c.text.Task,
			Dataset: hubcard.Reference{Type: slug(c.text.Dataset), Name: oneLine(c.text.Dataset), Split: c.eval.Split},
			Metric:  hubcard.Metric{Type: name, Name: measuredOn(name, c.eval.Split), Value: c.eval.Metrics[name]},
		})
	}
	return out
}

// measuredOn names a number in our way, by which it is known again.
func measuredOn(metric, split string) string { return metric + " (" + split + ")" }

// slug is a data set's name as an id.
func slug(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_', r == '.', r == '/':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name), "-")
}

// evalNames lists the evaluated metrics, the chosen one first.
func (c card) evalNames() []string {
	names := slices.Sorted(maps.Keys(c.eval.Metrics))
	return append([]string{c.eval.Metric}, slices.DeleteFunc(names, func(n string) bool { return n == c.eval.Metric })...)
}

func (c card) results(b *strings.Builder) {
	names := slices.Sorted(maps.Keys(c.metrics.Values))
	if len(names) == 0 && c.eval == nil {
		return
	}
	fmt.Fprintf(b, "\n## Results\n\n| metric | in training: mean [95 %% interval] | values |%s\n|---|---|---|%s\n", c.evalHead(), strings.Repeat("---|", c.evalColumns()))
	for _, name := range names {
		fmt.Fprintf(b, "| %s | %s |", strings.ReplaceAll(oneLine(name), "|", `\|`), c.interval(name))
		if c.eval != nil {
			if v, ok := c.eval.Metrics[name]; ok {
				fmt.Fprintf(b, " %s |", number(v))
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteByte('\n')
	}
	if c.eval != nil {
		fmt.Fprintf(b, "\nThe %s split has %d rows that training never saw (sha256 `%s`).\n", c.eval.Split, c.eval.N, c.eval.DataSHA256)
	}
	if s := c.metrics.Splits; s != nil && s.Folds > 0 {
		times := ""
		if s.Repeats > 1 {
			times = fmt.Sprintf(", drawn %d times", s.Repeats)
		}
		fmt.Fprintf(b, "The intervals are 95 %% over %d folds%s; that their training sets overlap is corrected for.\n", s.Folds, times)
	}
}

// interval is a metric's mean over the folds with its interval, and how many
// values it is over.
func (c card) interval(name string) string {
	comparison, err := experiment.Compare([]experiment.Run{{Name: "run", Metrics: c.metrics}}, name)
	if err != nil || len(comparison.Runs) == 0 {
		return "unknown | 0"
	}
	r := comparison.Runs[0]
	text := number(r.Mean)
	if r.Interval != nil {
		text += fmt.Sprintf(" [%s, %s]", number(r.Interval[0]), number(r.Interval[1]))
	}
	return fmt.Sprintf("%s | %d", text, r.N)
}

func (c card) evalColumns() int {
	if c.eval == nil {
		return 0
	}
	return 1
}

func (c card) evalHead() string {
	if c.eval == nil {
		return ""
	}
	return " " + c.eval.Split + " |"
}

// number prints a metric so that it reads back as the same value.
func number(v float64) string {
	short := strconv.FormatFloat(v, 'g', 4, 64)
	if back, err := strconv.ParseFloat(short, 64); err == nil && back == v {
		return short
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

func (c card) training(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Training\n\nData: %s. Job `%s`, script sha256 `%s`.\n", oneLine(c.text.Dataset), c.job, c.script)
	if c.text.Base != "" {
		fmt.Fprintf(b, "Base model: %s.\n", oneLine(c.text.Base))
	}
	if c.machine != "" {
		fmt.Fprintf(b, "Hardware: %s.\n", oneLine(c.machine))
	}
	list := func(title string, values map[string]string) {
		if len(values) == 0 {
			return
		}
		fmt.Fprintf(b, "\n%s:\n\n", title)
		for _, key := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(b, "- %s: `%s`\n", key, oneLine(values[key]))
		}
	}
	list("Hyper-parameters", words(c.metrics.Params))
	list("Versions", words(c.metrics.Versions))
}

// words turns JSON values into text.
func words[V any](values map[string]V) map[string]string {
	out := make(map[string]string, len(values))
	for key, v := range values {
		switch text, err := json.Marshal(v); {
		case err != nil:
			out[key] = fmt.Sprint(v)
		case len(text) > 1 && text[0] == '"':
			out[key] = fmt.Sprint(v) // a text without its quotes
		default:
			out[key] = string(text)
		}
	}
	return out
}
