package hub

import (
	"cmp"
	"context"
	"iter"
	"net/url"
	"strconv"
)

// SearchOptions say which repositories to list. All that is set must hold.
type SearchOptions struct {
	Type   RepoType // models if ""
	Search string   // in the name
	Author string
	Filter []string // tags that all must be there
	Gated  *bool

	License  string   // mit, apache-2.0
	Language []string // en, fr
	Library  string   // of models: transformers, peft
	Task     string   // text-generation; of data sets the category
	Base     string   // of models: what they were made from, "owner/name"
	Uses     []string // data sets a model was trained with, or a Space shows: "owner/name"
	Models   []string // a Space shows
	Linked   bool     // Spaces that name a model or a data set

	Served     bool     // models that a provider serves now
	Providers  []string // that serve the model
	Apps       []string // local programs that run the model
	Parameters string   // "min:6B,max:128B"

	Sort      string   // lastModified, createdAt, downloads, likes or trendingScore
	Ascending bool     // the smallest first, where the Hub can
	Limit     int      // 0 for all
	Expand    []string // only these fields, by the Hub's names; all that lists have if empty
}

// Search lists repositories, page by page.
func (c *Client) Search(ctx context.Context, opts SearchOptions) iter.Seq2[Info, error] {
	path := "/api/" + string(cmp.Or(opts.Type, Model)) + "s?" + opts.query().Encode()
	return paged[Info](ctx, c, "search the Hub", path, opts.Limit)
}

func (o SearchOptions) query() url.Values {
	q := url.Values{"filter": o.tags()}
	set := func(key, v string) {
		if v != "" {
			q.Set(key, v)
		}
	}
	set("search", o.Search)
	set("author", o.Author)
	set("sort", o.Sort)
	if o.Ascending { // the other way is the Hub's own
		q.Set("direction", "1")
	}
	if o.Gated != nil {
		q.Set("gated", strconv.FormatBool(*o.Gated))
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	switch o.Type {
	case Dataset:
	case Space:
		q["datasets"], q["models"] = o.Uses, o.Models
		if o.Linked {
			q.Set("linked", "true")
		}
	default:
		set("pipeline_tag", o.Task)
		set("num_parameters", o.Parameters)
		q["inference_provider"], q["apps"] = o.Providers, o.Apps
		if o.Served {
			q.Set("inference", "warm")
		}
	}
	if len(o.Expand) > 0 {
		q["expand"] = o.Expand
	} else {
		q.Set("full", "true")
	}
	return q
}

// tags writes the options as the tags that the Hub gives to repositories.
func (o SearchOptions) tags() []string {
	tags := append([]string{}, o.Filter...)
	add := func(prefix string, list ...string) {
		for _, v := range list {
			if v != "" {
				tags = append(tags, prefix+v)
			}
		}
	}
	add("license:", o.License)
	switch o.Type {
	case Dataset:
		add("language:", o.Language...)
		add("task_categories:", o.Task)
	case Space:
	default:
		add("", o.Language...)
		add("", o.Library)
		add("base_model:", o.Base)
		add("dataset:", o.Uses...)
	}
	return tags
}
