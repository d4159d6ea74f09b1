package card

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
)

// AddResults returns the card with these numbers in model-index beside those
// that are there. A number for the same model, task, data set and metric takes
// the old one's place; what else stands in model-index stays, but for comments.
func (c Card) AddResults(results ...Result) (Card, error) {
	index, err := c.ordered("model-index")
	if err != nil {
		return c, fmt.Errorf("add results to the card: %w", err)
	}
	models, ok := index.([]any)
	if index != nil && !ok {
		return c, fmt.Errorf(`add results to the card: "model-index" must be a list`)
	}
	for _, r := range results {
		if err := r.check(); err != nil {
			return c, fmt.Errorf("add results to the card: %w", err)
		}
		models = addResult(models, r)
	}
	return c.Set("model-index", models)
}

// DropResults returns the card without the numbers in model-index of which drop
// says so. What else stands there stays; what cannot be read is not asked about.
func (c Card) DropResults(drop func(Result) bool) (Card, error) {
	index, err := c.ordered("model-index")
	if err != nil {
		return c, fmt.Errorf("drop results from the card: %w", err)
	}
	models, _ := index.([]any)
	dropped := false
	for i, m := range models {
		model, _ := m.(Pairs)
		var kept []any
		results, _ := model.get("results").([]any)
		for _, item := range results {
			rest, gone := dropFrom(model.text("name"), item, drop)
			dropped = dropped || gone
			if rest != nil {
				kept = append(kept, rest)
			}
		}
		switch {
		case len(kept) == len(results):
		case len(kept) == 0:
			models[i] = nil
		default:
			models[i] = model.with("results", kept)
		}
	}
	if !dropped {
		return c, nil
	}
	models = slices.DeleteFunc(models, func(m any) bool { return m == nil })
	if len(models) == 0 {
		return c.Delete("model-index")
	}
	return c.Set("model-index", models)
}

// dropFrom takes numbers out of one entry of results, which is nil if none is
// left.
func dropFrom(model string, item any, drop func(Result) bool) (rest any, gone bool) {
	entry, _ := item.(Pairs)
	metrics, _ := entry.get("metrics").([]any)
	task, _ := entry.get("task").(Pairs)
	data, _ := entry.get("dataset").(Pairs)
	r := Result{Model: model, Task: task.text("type"), Dataset: Reference{Type: data.text("type"), Name: data.text("name"), Split: data.text("split")}}
	kept := slices.DeleteFunc(slices.Clone(metrics), func(m any) bool {
		metric, readable := m.(Pairs)
		r.Metric = Metric{Type: metric.text("type"), Name: metric.text("name"), Value: metric.get("value")}
		return readable && drop(r)
	})
	switch {
	case len(kept) == len(metrics):
		return item, false
	case len(kept) == 0:
		return nil, true
	}
	return entry.with("metrics", kept), true
}

// ordered is what a key says, with maps in their order.
func (c Card) ordered(key string) (v any, err error) {
	if _, err := c.Data(); err != nil { // holds the limits
		return nil, err
	}
	defer recoverYAML(&err)
	var all yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(normal(c.meta), &all, yaml.UseOrderedMap()); err != nil {
		return nil, unreadableYAML(err)
	}
	for _, item := range all {
		if fmt.Sprint(item.Key) == key {
			return inOrder(item.Value), nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is said
}

// inOrder makes Pairs of the parser's maps.
func inOrder(v any) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		out := Pairs{}
		for _, item := range v {
			out = append(out, Pair{fmt.Sprint(item.Key), inOrder(item.Value)})
		}
		return out
	case []any:
		for i := range v {
			v[i] = inOrder(v[i])
		}
	}
	return plain(v)
}

// get is a key's value, nil if it is not there.
func (p Pairs) get(key string) any {
	for _, pair := range p {
		if pair.Key == key {
			return pair.Value
		}
	}
	return nil
}

// with sets a key.
func (p Pairs) with(key string, value any) Pairs {
	for i := range p {
		if p[i].Key == key {
			p[i].Value = value
			return p
		}
	}
	return append(p, Pair{key, value})
}

func (p Pairs) text(key string) string {
	s, _ := p.get(key).(string)
	return s
}

func addResult(models []any, r Result) []any {
	for i, m := range models {
		model, _ := m.(Pairs)
		if model.text("name") != r.Model {
			continue
		}
		list, _ := model.get("results").([]any)
		models[i] = model.with("results", addTo(list, r))
		return models
	}
	return append(models, Pairs{{"name", r.Model}, {"results", addTo(nil, r)}})
}

// addTo adds a number to a list of results, where it was measured the same way
// as others with these.
func addTo(list []any, r Result) []any {
	for i, item := range list {
		have, _ := item.(Pairs)
		if !sameWay(have, r) {
			continue
		}
		metrics, _ := have.get("metrics").([]any)
		list[i] = have.with("metrics", addMetric(metrics, r.Metric))
		return list
	}
	return append(list, resultPairs([]Result{r}))
}

func sameWay(have Pairs, r Result) bool {
	task, _ := have.get("task").(Pairs)
	data, _ := have.get("dataset").(Pairs)
	return task.text("type") == r.Task && data.text("type") == r.Dataset.Type && data.text("config") == r.Dataset.Config &&
		data.text("split") == r.Dataset.Split && data.text("revision") == r.Dataset.Revision && data.get("args") == nil
}

func addMetric(metrics []any, m Metric) []any {
	for i, item := range metrics {
		have, _ := item.(Pairs)
		if have.text("type") == m.Type && (m.Name == "" || have.text("name") == "" || have.text("name") == m.Name) {
			have = have.with("value", m.Value)
			if m.Name != "" {
				have = have.with("name", m.Name)
			}
			metrics[i] = have
			return metrics
		}
	}
	return append(metrics, metricPairs(m))
}
