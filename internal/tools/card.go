package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"ml-intern/internal/experiment"
)

// A CardText is what the model says about its model. The numbers of a card
// are not its to give: they come from the job's metrics and the evaluation.
type CardText struct {
	Title   string   `json:"title" jsonschema:"a title for people"`
	Summary string   `json:"summary" jsonschema:"what the model does and how it was made, in a few sentences, without numbers"`
	Dataset string   `json:"dataset" jsonschema:"the name of the data set"`
	License string   `json:"license,omitempty" jsonschema:"a licence id of the Hub, such as mit"`
	Task    string   `json:"task" jsonschema:"a task of the Hub, such as tabular-classification"`
	Library string   `json:"library,omitempty" jsonschema:"a library id of the Hub, such as sklearn"`
	Tags    []string `json:"tags,omitempty"`
	Limits  string   `json:"limits,omitempty" jsonschema:"Markdown: what the model is not good for, what is odd in the data"`
}

// Provenance says which session and program made something.
type Provenance struct {
	Session string
	Version string // of ml-intern
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
	metrics experiment.Metrics
	eval    *evaluation // nil if there is none
	files   []string
}

// markdown renders the card: metadata by the Hub's model-index, then prose.
func (c card) markdown() (string, error) {
	front, err := yaml.Marshal(c.front())
	if err != nil {
		return "", fmt.Errorf("encode card: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\n%s---\n\n# %s\n\n%s\n", front, oneLine(c.text.Title), c.text.Summary)
	c.results(&b)
	c.training(&b)
	if c.text.Limits != "" {
		fmt.Fprintf(&b, "\n## Limits\n\n%s\n", c.text.Limits)
	}
	fmt.Fprintf(&b, "\n## Files\n\n")
	for _, name := range c.files {
		fmt.Fprintf(&b, "- `%s`\n", name)
	}
	fmt.Fprintf(&b, "\nMade by ml-intern %s in session %s. Every number above was written from the record of the run.\n", c.made.Version, c.made.Session)
	return b.String(), nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// front is the card's metadata in the order in which people read it.
func (c card) front() yaml.MapSlice {
	m := yaml.MapSlice{}
	add := func(key string, value any) {
		if value != "" {
			m = append(m, yaml.MapItem{Key: key, Value: value})
		}
	}
	add("library_name", c.text.Library)
	add("pipeline_tag", c.text.Task)
	add("license", c.text.License)
	add("tags", append([]string{"ml-intern"}, c.text.Tags...))
	if c.eval == nil {
		return m
	}
	var metrics []yaml.MapSlice
	for _, name := range c.evalNames() {
		metrics = append(metrics, yaml.MapSlice{
			{Key: "type", Value: name}, {Key: "name", Value: name + " (" + c.eval.Split + ")"}, {Key: "value", Value: c.eval.Metrics[name]},
		})
	}
	return append(m, yaml.MapItem{Key: "model-index", Value: []yaml.MapSlice{{
		{Key: "name", Value: c.repo},
		{Key: "results", Value: []yaml.MapSlice{{
			{Key: "task", Value: yaml.MapSlice{{Key: "type", Value: c.text.Task}}},
			{Key: "dataset", Value: yaml.MapSlice{
				{Key: "name", Value: oneLine(c.text.Dataset)}, {Key: "type", Value: slug(c.text.Dataset)}, {Key: "split", Value: c.eval.Split},
			}},
			{Key: "metrics", Value: metrics},
		}}},
	}}})
}

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
		fmt.Fprintf(b, "| %s | %s |", name, c.interval(name))
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
