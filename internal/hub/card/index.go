package card

import (
	"errors"
	"fmt"
)

// A Result is one number that a model reached on a data set.
type Result struct {
	Model   string // the name in the index
	Task    string // type of the task: text-classification
	Dataset Reference
	Metric  Metric
	Source  Source
}

// A Reference is the data that a model was measured on.
type Reference struct {
	Type     string // id on the Hub, or any word
	Name     string // for people
	Config   string
	Split    string
	Revision string
}

// A Metric is what was measured.
type Metric struct {
	Type  string // accuracy, f1 …
	Name  string // for people; Type if ""
	Value any    // a number, or what else was measured
}

// A Source is where a result comes from.
type Source struct {
	Name string
	URL  string
}

// Results reads the numbers in model-index.
func (c Card) Results() ([]Result, error) {
	data, err := c.Data()
	if err != nil {
		return nil, err
	}
	return readIndex(data["model-index"])
}

// readIndex reads what can be read, and says of the rest what is wrong.
func readIndex(v any) ([]Result, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New(`"model-index" must be a list`)
	}
	var out []Result
	var errs []error
	for i, item := range list {
		at := fmt.Sprintf("model-index[%d]", i)
		m, _ := item.(map[string]any)
		name, ok := m["name"].(string)
		if !ok {
			errs = append(errs, fmt.Errorf(`"%s.name" is required`, at))
		}
		results, ok := m["results"].([]any)
		if !ok {
			errs = append(errs, fmt.Errorf(`"%s.results" must be a list`, at))
		}
		for j, r := range results {
			found, err := readResult(fmt.Sprintf("%s.results[%d]", at, j), name, r)
			out, errs = append(out, found...), append(errs, err...)
		}
	}
	return out, errors.Join(errs...)
}

func readResult(at, model string, v any) ([]Result, []error) {
	var errs []error
	m, _ := v.(map[string]any)
	part := func(key string) map[string]any {
		sub, ok := m[key].(map[string]any)
		if !ok && key != "source" {
			errs = append(errs, fmt.Errorf(`"%s.%s" is required`, at, key))
		}
		return sub
	}
	need := func(m map[string]any, key, path string) string {
		text, ok := m[key].(string)
		if m != nil && (!ok || text == "") {
			errs = append(errs, fmt.Errorf(`"%s.%s" is required`, at, path))
		}
		return text
	}
	task, data, source := part("task"), part("dataset"), part("source")
	base := Result{Model: model, Task: need(task, "type", "task.type"), Dataset: Reference{
		Type: need(data, "type", "dataset.type"), Name: need(data, "name", "dataset.name"),
		Config: text(data, "config"), Split: text(data, "split"), Revision: text(data, "revision"),
	}, Source: Source{text(source, "name"), text(source, "url")}}
	metrics, ok := m["metrics"].([]any)
	if !ok || len(metrics) == 0 {
		errs = append(errs, fmt.Errorf(`"%s.metrics" must be a list that is not empty`, at))
	}
	var out []Result
	for i, item := range metrics {
		metric, _ := item.(map[string]any)
		r := base
		r.Metric = Metric{text(metric, "type"), text(metric, "name"), metric["value"]}
		if r.Metric.Type == "" {
			errs = append(errs, fmt.Errorf(`"%s.metrics[%d].type" is required`, at, i))
		}
		if r.Metric.Value == nil {
			errs = append(errs, fmt.Errorf(`"%s.metrics[%d].value" is required`, at, i))
		}
		out = append(out, r)
	}
	return out, errs
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

// SetResults returns the card with these numbers in model-index, those of one
// model, task and data set together. What else was in model-index is gone.
func (c Card) SetResults(results []Result) (Card, error) {
	var models Pairs // name -> results, in order
	groups := map[string][][]Result{}
	for _, r := range results {
		if err := r.check(); err != nil {
			return c, fmt.Errorf("set the results in the card: %w", err)
		}
		if groups[r.Model] == nil {
			models = append(models, Pair{Key: r.Model})
		}
		groups[r.Model] = join(groups[r.Model], r)
	}
	index := []any{}
	for _, m := range models {
		list := []any{}
		for _, group := range groups[m.Key] {
			list = append(list, resultPairs(group))
		}
		index = append(index, Pairs{{"name", m.Key}, {"results", list}})
	}
	if len(index) == 0 {
		return c.Delete("model-index")
	}
	return c.Set("model-index", index)
}

// check says what a result lacks.
func (r Result) check() error {
	if r.Model == "" || r.Task == "" || r.Dataset.Type == "" || r.Metric.Type == "" || r.Metric.Value == nil {
		return fmt.Errorf("a result needs a model, a task, a data set, a metric and its value: %+v", r)
	}
	return nil
}

// join puts a result with those that were measured the same way.
func join(groups [][]Result, r Result) [][]Result {
	for i, g := range groups {
		if g[0].Task == r.Task && g[0].Dataset == r.Dataset && g[0].Source == r.Source {
			groups[i] = append(g, r)
			return groups
		}
	}
	return append(groups, []Result{r})
}

func resultPairs(group []Result) Pairs {
	d := group[0].Dataset
	if d.Name == "" {
		d.Name = d.Type
	}
	data := Pairs{{"name", d.Name}, {"type", d.Type}}
	for _, p := range (Pairs{{"config", d.Config}, {"split", d.Split}, {"revision", d.Revision}}) {
		if p.Value != "" {
			data = append(data, p)
		}
	}
	metrics := []any{}
	for _, r := range group {
		metrics = append(metrics, metricPairs(r.Metric))
	}
	out := Pairs{{"task", Pairs{{"type", group[0].Task}}}, {"dataset", data}, {"metrics", metrics}}
	if s := group[0].Source; s.URL != "" {
		source := Pairs{{"url", s.URL}}
		if s.Name != "" {
			source = append(Pairs{{"name", s.Name}}, source...)
		}
		out = append(out, Pair{"source", source})
	}
	return out
}

func metricPairs(m Metric) Pairs {
	out := Pairs{{"type", m.Type}, {"value", m.Value}}
	if m.Name != "" {
		out = append(out, Pair{"name", m.Name})
	}
	return out
}
