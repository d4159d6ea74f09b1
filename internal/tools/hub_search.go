package tools

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/tool"
)

type hubSearchInput struct {
	Type       string   `json:"repo_type,omitempty" jsonschema:"model, dataset or space"`
	Query      string   `json:"query,omitempty" jsonschema:"words in the name"`
	Author     string   `json:"author,omitempty"`
	Task       string   `json:"task,omitempty"`
	Library    string   `json:"library,omitempty"`
	License    string   `json:"license,omitempty"`
	Language   []string `json:"language,omitempty"`
	Base       string   `json:"base_model,omitempty" jsonschema:"made from OWNER/NAME"`
	Datasets   []string `json:"datasets,omitempty" jsonschema:"trained with OWNER/NAME"`
	Tags       []string `json:"tags,omitempty" jsonschema:"all must be there"`
	Parameters string   `json:"num_parameters,omitempty" jsonschema:"such as min:1B,max:9B"`
	Sort       string   `json:"sort,omitempty" jsonschema:"downloads, likes, trendingScore, lastModified or createdAt"`
	Limit      int      `json:"limit,omitempty"`
}

// HubSearch finds models, data sets and Spaces.
func HubSearch(connect dialer) tool.Tool {
	return tool.New(spec("hub_search", tool.Reads), func(ctx context.Context, in hubSearchInput, _ tool.Call) (tool.Output, error) {
		opts, err := in.options()
		if err != nil {
			return badArgs("%v", err), nil
		}
		c, err := connect(ctx)
		if err != nil {
			return tool.Output{}, err
		}
		var b strings.Builder
		n := 0
		for info, err := range c.Search(ctx, opts) {
			if err != nil {
				return tool.Output{}, err
			}
			n++
			b.WriteString(hit(opts.Type, info) + "\n")
		}
		if n == 0 {
			b.WriteString("[nothing has all of that; try fewer words or filters]\n")
		}
		return told(b.String(), "%d %ss, by %s", n, opts.Type, opts.Sort), nil
	})
}

const (
	usualHits = 10
	mostHits  = 50
)

func (in hubSearchInput) options() (hub.SearchOptions, error) {
	typ := hub.RepoType(strings.TrimSuffix(cmp.Or(strings.ToLower(in.Type), "model"), "s"))
	switch typ {
	case hub.Model, hub.Dataset, hub.Space:
	default:
		return hub.SearchOptions{}, fmt.Errorf("repo_type must be model, dataset or space, not %q", in.Type)
	}
	limit := usualHits
	if in.Limit > 0 {
		limit = min(in.Limit, mostHits)
	}
	return hub.SearchOptions{
		Type: typ, Search: in.Query, Author: in.Author, Task: in.Task, Library: in.Library, License: in.License, Language: in.Language,
		Base: in.Base, Uses: in.Datasets, Filter: in.Tags, Parameters: in.Parameters, Sort: cmp.Or(in.Sort, "downloads"), Limit: limit,
	}, nil
}

// hit is a repository in one line.
func hit(typ hub.RepoType, info hub.Info) string {
	facts := []string{info.ID}
	add := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	for _, fact := range []string{info.PipelineTag, info.Library, info.SDK} {
		if fact != "" {
			add("%s", fact)
		}
	}
	if p := info.Parameters; p != nil && p.Total > 0 {
		add("%s parameters", count(p.Total))
	}
	if license := tagged(info.Tags, "license:"); license != "" {
		add("%s", license)
	}
	if typ == hub.Dataset {
		if size := tagged(info.Tags, "size_categories:"); size != "" {
			add("%s rows", size)
		}
	}
	if typ != hub.Space {
		add("%d downloads", info.Downloads)
	}
	add("%d likes", info.Likes)
	if !info.LastModified.IsZero() {
		add("changed %s", info.LastModified.UTC().Format("2006-01-02"))
	}
	if info.Gated != "" {
		add("gated (%s)", info.Gated)
	}
	if info.Private {
		add("private")
	}
	return strings.Join(facts, " · ")
}

// tagged lists what tags with the prefix say.
func tagged(tags []string, prefix string) string {
	var values []string
	for _, t := range tags {
		if v, ok := strings.CutPrefix(t, prefix); ok {
			values = append(values, v)
		}
	}
	return strings.Join(values, ", ")
}

// count is a number of parameters as people write it.
func count(n int64) string {
	v := float64(n)
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if v >= unit.size {
			return fmt.Sprintf("%.3g%s", v/unit.size, unit.name)
		}
	}
	return fmt.Sprint(n)
}
