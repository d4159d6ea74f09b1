package hubserver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/web"
)

const maxMetrics = 100

// card shows a repository's first page.
func (v *repoView) card() error {
	view := web.Card{
		Commit: v.describe(v.commit), Clone: v.exchange.base() + v.base, MoreURL: v.at("tree", v.rev, ""),
	}
	var err error
	if view.Gate, err = v.gate(); err != nil {
		return err
	}
	if view.Files, view.Siblings, err = v.list("", pageBeside); err != nil {
		return err
	}
	if view.Gate == nil {
		text, err := v.s.readFile(v.commit, "README.md")
		if err != nil {
			return err
		}
		c := parseCard(text)
		view.Problem = c.problem
		body := firstText(c.text)
		view.Cut = len(body) < len(c.text)
		if len(strings.TrimSpace(string(body))) > 0 {
			view.Text = v.markdown("").HTML(body)
		}
		view.Facts, view.Metrics = v.facts(c.data), metrics(c.data)
		more, err := v.ofFiles()
		if err != nil {
			return err
		}
		view.Facts = append(more, view.Facts...)
		if v.repo.Type == hub.Dataset {
			if view.Table, err = v.preview(); err != nil {
				return err
			}
		}
	}
	return v.show("Card", "", view)
}

// facts are the fields of a card that people look for.
func (v *repoView) facts(data map[string]any) []web.Fact {
	var out []web.Fact
	for _, f := range []struct {
		name, key string
		typ       hub.RepoType // what the values are the names of
	}{
		{"Licence", "license", ""},
		{"Licence", "license_name", ""},
		{"Task", "pipeline_tag", ""},
		{"Tasks", "task_categories", ""},
		{"Library", "library_name", ""},
		{"Base model", "base_model", hub.Model},
		{"Data sets", "datasets", hub.Dataset},
		{"Languages", "language", ""},
		{"Size", "size_categories", ""},
		{"SDK", "sdk", ""},
		{"Tags", "tags", ""},
	} {
		list, _ := words(data[f.key])
		if len(list) == 0 {
			continue
		}
		fact := web.Fact{Name: f.name}
		for _, w := range list[:min(len(list), 50)] {
			fact.Values = append(fact.Values, web.Link{Text: w, URL: v.repoURL(f.typ, w)})
		}
		out = append(out, fact)
	}
	return out
}

// repoURL is the page of a repository that a card names, if it is here.
func (v *repoView) repoURL(typ hub.RepoType, name string) string {
	if typ == "" {
		return ""
	}
	id, err := hub.ParseRepo(typ, name)
	if err != nil || id.Namespace == "" {
		return ""
	}
	if _, err := v.s.open(v.exchange, id); err != nil {
		return ""
	}
	return "/" + id.Path()
}

// metrics reads the results in a card's model-index. What is not as it should
// be is left out.
func metrics(data map[string]any) []web.Metric {
	var out []web.Metric
	for model := range each(data["model-index"]) {
		for result := range each(model["results"]) {
			for m := range each(result["metrics"]) {
				name := cmp.Or(text(m["name"]), text(m["type"]))
				value := text(m["value"])
				if name == "" || value == "" || len(out) == maxMetrics {
					continue
				}
				out = append(out, web.Metric{
					Task: named(result["task"]), Dataset: named(result["dataset"]), Name: name, Value: value,
				})
			}
		}
	}
	return out
}

// each yields the mappings of a list.
func each(v any) func(func(map[string]any) bool) {
	return func(yield func(map[string]any) bool) {
		list, _ := v.([]any)
		for _, item := range list {
			if m, ok := item.(map[string]any); ok && !yield(m) {
				return
			}
		}
	}
}

func named(v any) string {
	m, _ := v.(map[string]any)
	return cmp.Or(text(m["name"]), text(m["type"]))
}

// text is a plain value for people.
func text(v any) string {
	switch v := v.(type) {
	case nil, map[string]any:
		return ""
	case []any:
		var parts []string
		for _, item := range v[:min(len(v), 10)] {
			parts = append(parts, text(item))
		}
		return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
	case float64:
		return fmt.Sprintf("%.6g", v)
	}
	return fmt.Sprint(v)
}
