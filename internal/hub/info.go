package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// Info is what the Hub says about a repository at one revision. What was not
// asked for, or what the Hub does not know, is zero.
type Info struct {
	ID           string         `json:"id"`
	SHA          string         `json:"sha"` // the commit
	Author       string         `json:"author"`
	Private      bool           `json:"private"`
	Gated        Gate           `json:"gated"`
	Disabled     bool           `json:"disabled"`
	Tags         []string       `json:"tags"`
	Downloads    int64          `json:"downloads"` // of the last month
	AllDownloads int64          `json:"downloadsAllTime"`
	Likes        int64          `json:"likes"`
	Trending     float64        `json:"trendingScore"`
	Created      time.Time      `json:"createdAt"`
	LastModified time.Time      `json:"lastModified"`
	UsedStorage  int64          `json:"usedStorage"`
	Card         map[string]any `json:"cardData"`
	Siblings     []Sibling      `json:"siblings"`

	// Of models.
	PipelineTag  string            `json:"pipeline_tag"`
	Library      string            `json:"library_name"`
	Parameters   *Parameters       `json:"safetensors"`
	GGUF         *GGUF             `json:"gguf"`
	Config       map[string]any    `json:"config"`
	Transformers *TransformersInfo `json:"transformersInfo"`
	Spaces       []string          `json:"spaces"`    // that use it
	Inference    string            `json:"inference"` // "warm" if someone serves it
	Providers    Providers         `json:"inferenceProviderMapping"`

	// Of data sets.
	Description string `json:"description"`
	Citation    string `json:"citation"`
	MainSize    int64  `json:"mainSize"`

	// Of Spaces.
	SDK       string     `json:"sdk"`
	Subdomain string     `json:"subdomain"`
	Host      string     `json:"host"`
	Models    []string   `json:"models"`   // that it uses
	Datasets  []string   `json:"datasets"` // that it uses
	Run       SpaceState `json:"runtime"`
}

// UnmarshalJSON reads what it can.
func (i *Info) UnmarshalJSON(data []byte) error {
	if err := decodeLoosely(data, i); err != nil {
		return err
	}
	if i.ID == "" { // older answers name models so
		var old struct {
			ID string `json:"modelId"`
		}
		_ = json.Unmarshal(data, &old) // there may be none
		i.ID = old.ID
	}
	return nil
}

// checkSHA is for those who go on with the commit: without one they would go on
// with whatever the branch is by then.
func (i Info) checkSHA() error {
	if i.SHA == "" {
		return errors.New("the Hub does not say which commit it is")
	}
	return nil
}

// A Sibling is a file of a repository. Size, Blob and Large are there only if
// blobs were asked for.
type Sibling struct {
	Path  string `json:"rfilename"`
	Size  int64  `json:"size"`
	Blob  string `json:"blobId"` // git's id, for a large file that of its pointer
	Large *struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	} `json:"lfs"`
}

// Parameters counts the parameters of a model's safetensors files, by type.
type Parameters struct {
	ByType map[string]int64 `json:"parameters"`
	Total  int64            `json:"total"`
}

// GGUF describes a model in that format.
type GGUF struct {
	Total        int64  `json:"total"` // parameters
	Architecture string `json:"architecture"`
	Context      int64  `json:"context_length"`
	ChatTemplate string `json:"chat_template"`
}

// UnmarshalJSON reads what it can.
func (g *GGUF) UnmarshalJSON(data []byte) error { return decodeLoosely(data, g) }

// TransformersInfo is how the library transformers loads a model.
type TransformersInfo struct {
	AutoModel   string `json:"auto_model"`
	PipelineTag string `json:"pipeline_tag"`
	Processor   string `json:"processor"`
}

// SpaceState is how a Space runs.
type SpaceState struct {
	Stage    string `json:"stage"`
	Hardware struct {
		Current   string `json:"current"`
		Requested string `json:"requested"`
	} `json:"hardware"`
}

// A Provider serves a model.
type Provider struct {
	Name   string `json:"provider"`
	ID     string `json:"providerId"` // the model's name there
	Status string `json:"status"`     // live or staging
	Task   string `json:"task"`
}

// Providers serve a model. The Hub writes an object by their names, in lists an
// array.
type Providers []Provider

// UnmarshalJSON reads both.
func (p *Providers) UnmarshalJSON(data []byte) error {
	*p = nil
	var list []Provider
	if json.Unmarshal(data, &list) == nil {
		*p = list
	}
	var byName map[string]Provider
	_ = json.Unmarshal(data, &byName) // a third shape is no provider
	for name, one := range byName {
		one.Name = name
		*p = append(*p, one)
	}
	return nil
}

// Gate is how access is given: "" to everyone, "auto" or "manual" to those who
// ask. The Hub writes false for the first.
type Gate string

// UnmarshalJSON reads false, true or a word.
func (g *Gate) UnmarshalJSON(data []byte) error {
	var word string
	if json.Unmarshal(data, &word) == nil {
		*g = Gate(word)
		return nil
	}
	*g = ""
	if string(data) == "true" {
		*g = "auto"
	}
	return nil
}

// MarshalJSON writes false or a word.
func (g Gate) MarshalJSON() ([]byte, error) {
	if g == "" {
		return []byte("false"), nil
	}
	return json.Marshal(string(g))
}

// decodeLoosely reads an object field by field. A field that is not what v
// expects stays zero: the Hub adds and changes fields at will.
func decodeLoosely(data []byte, v any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	into := reflect.ValueOf(v).Elem()
	for i := range into.NumField() {
		name, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
		text, there := fields[name]
		if !there {
			continue
		}
		if field := into.Field(i); json.Unmarshal(text, field.Addr().Interface()) != nil {
			field.SetZero()
		}
	}
	return nil
}

// InfoOptions say what to tell about a repository.
type InfoOptions struct {
	Revision string   // main if ""
	Blobs    bool     // sizes and ids of the files
	Expand   []string // only these fields, by the Hub's names for them; not with Blobs
}

// RepoInfo describes a repository at a revision: a branch, a tag or a commit,
// main if "".
func (c *Client) RepoInfo(ctx context.Context, repo RepoID, rev string) (Info, error) {
	return c.RepoDetails(ctx, repo, InfoOptions{Revision: rev})
}

// RepoDetails describes a repository with what opts ask for.
func (c *Client) RepoDetails(ctx context.Context, repo RepoID, opts InfoOptions) (Info, error) {
	q := url.Values{"expand": opts.Expand}
	if opts.Blobs {
		q.Set("blobs", "true")
	}
	path := repo.api() + "/revision/" + revision(opts.Revision)
	if len(opts.Expand) > 0 || opts.Blobs {
		path += "?" + q.Encode()
	}
	var info Info
	if _, err := c.api(ctx, call{method: "GET", path: path}, nil, &info); err != nil {
		return Info{}, fmt.Errorf("get repository %s: %w", repo, err)
	}
	return info, nil
}
