package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
)

//go:embed models.json
var modelsJSON []byte

// Facts are what the program must know of a model to use it well. The zero
// Facts are of a model of which nothing is known.
type Facts struct {
	ContextWindow int        `json:"context_window"` // tokens
	MaxOutput     int        `json:"max_output"`     // tokens; 0 when unknown
	Price         *llm.Price `json:"price"`          // nil when unknown
	Efforts       []string   `json:"efforts"`        // nil when unknown, empty when it takes none
	Adaptive      bool       `json:"adaptive"`       // decides itself how long to think
	Images        bool       `json:"images"`         // takes pictures
}

// Windows that are assumed of models of which nothing is known, tokens.
const (
	unknownWindow      = 128_000
	unknownLocalWindow = 32_768
)

// An Entry is a line of the catalogue.
type Entry struct {
	Name      string     `json:"name"`
	Maker     string     `json:"maker"` // organization on the Hub
	Window    int        `json:"window"`
	Output    int        `json:"output"`
	Price     [4]float64 `json:"price"` // input, output, cache read, cache write
	LongFrom  int        `json:"long_from"`
	LongPrice [4]float64 `json:"long_price"`
	Efforts   []string   `json:"efforts"`
	Adaptive  bool       `json:"adaptive"`
	Images    bool       `json:"images"`
	Exact     bool       `json:"exact"`  // stands for itself and its dated versions only
	Pick      bool       `json:"pick"`   // what to take of this maker when no model is named
	Reader    bool       `json:"reader"` // calls tools well enough to read for a dearer model
	Route     string     `json:"route"`  // name on the Hugging Face router
}

// Entries reads the catalogue.
func Entries() []Entry { return entries() }

// entries is read when it is first needed: most commands need no model.
var entries = sync.OnceValue(func() []Entry {
	var file struct {
		Models []Entry `json:"models"`
	}
	if err := json.Unmarshal(modelsJSON, &file); err != nil {
		panic(fmt.Sprintf("the catalogue of models is no JSON: %v", err)) // a mistake in the program
	}
	return file.Models
})

// plain is a name as the catalogue compares it: lower case, dashes for dots,
// no provider after a colon.
func plain(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return strings.ReplaceAll(strings.ToLower(name), ".", "-")
}

// find returns the entry with the longest name that begins the model's.
func find(model string) (best Entry, found bool) {
	model = plain(model[strings.LastIndex(model, "/")+1:])
	for _, e := range entries() {
		rest, ok := strings.CutPrefix(model, plain(e.Name))
		switch {
		case !ok || rest != "" && rest[0] != '-':
		case e.Exact && rest != "" && !strings.HasPrefix(rest, "-20"):
		case len(e.Name) > len(best.Name):
			best, found = e, true
		}
	}
	return best, found
}

// makersPrice is the price that the maker asks; nil when it is unknown.
func (e Entry) makersPrice() *llm.Price {
	if e.Price == [4]float64{} {
		return nil
	}
	price := toPrice(e.Price)
	if e.LongFrom > 0 {
		price.Long, price.LongFrom = toPrice(e.LongPrice), e.LongFrom
	}
	return price
}

func toPrice(p [4]float64) *llm.Price {
	return &llm.Price{Input: p[0], Output: p[1], CacheRead: p[2], CacheWrite: p[3]}
}

// facts puts together what is known of the model behind an endpoint: the
// catalogue, then what the router says, then what the person says.
func facts(e Endpoint, opts Options) Facts {
	f := Facts{ContextWindow: unknownWindow}
	if e.Provider == Local {
		f.ContextWindow, f.Price = unknownLocalWindow, &llm.Price{}
	}
	if entry, ok := find(e.Model); ok && e.Provider != Local {
		f = Facts{ContextWindow: entry.Window, MaxOutput: entry.Output, Efforts: entry.Efforts, Adaptive: entry.Adaptive, Images: entry.Images}
		if e.Provider == Anthropic || e.Provider == OpenAI {
			f.Price = entry.makersPrice()
		}
	}
	if e.Provider == Router && opts.Routes != nil {
		opts.Routes().improve(&f, e.Model)
	}
	own, ok := opts.Own[e.ID]
	if !ok {
		own = opts.Own[e.Model]
	}
	improve(&f, own)
	return f
}

// improve puts what the person says over the facts.
func improve(f *Facts, own config.ModelFacts) {
	if own.ContextWindow > 0 {
		f.ContextWindow = own.ContextWindow
	}
	if own.MaxOutput > 0 {
		f.MaxOutput = own.MaxOutput
	}
	if p := own.Price; p != nil {
		f.Price = &llm.Price{Input: p.Input, Output: p.Output, CacheRead: p.CacheRead, CacheWrite: p.CacheWrite}
	}
	if own.Efforts != nil {
		f.Efforts = own.Efforts
	}
	if own.Images != nil {
		f.Images = *own.Images
	}
}

// Routes are the models of the Hugging Face router, as its /v1/models lists
// them. Every field may be missing.
type Routes struct {
	Data []Route `json:"data"`
}

// A Route is one model of the router.
type Route struct {
	ID           string `json:"id"`
	Architecture struct {
		Input []string `json:"input_modalities"`
	} `json:"architecture"`
	Providers []struct {
		Provider string  `json:"provider"`
		Status   string  `json:"status"`
		Window   float64 `json:"context_length"`
		Free     bool    `json:"is_free"`
		Pricing  struct {
			Input  *float64 `json:"input"`
			Output *float64 `json:"output"`
		} `json:"pricing"`
	} `json:"providers"`
}

// ParseRoutes reads the router's list.
func ParseRoutes(data []byte) (Routes, error) {
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return Routes{}, fmt.Errorf("read the router's models: %w", err)
	}
	var r Routes
	for _, raw := range list.Data {
		var m Route
		if json.Unmarshal(raw, &m) == nil && m.ID != "" { // one odd line must not cost the others
			r.Data = append(r.Data, m)
		}
	}
	if len(r.Data) == 0 {
		return r, fmt.Errorf("read the router's models: the list is empty")
	}
	return r, nil
}

// improve takes over what the router says of the model. Without a provider in
// the id any of them may answer, so the smallest window and the dearest price
// count, and none if one of them is unknown.
func (r Routes) improve(f *Facts, model string) {
	id, pinned, isPinned := strings.Cut(model, ":")
	if isPinned && (pinned == "fastest" || pinned == "cheapest" || pinned == "preferred") {
		isPinned = false
	}
	i := slices.IndexFunc(r.Data, func(m Route) bool { return strings.EqualFold(m.ID, id) })
	if i < 0 {
		return
	}
	route := r.Data[i]
	f.Images = f.Images || slices.Contains(route.Architecture.Input, "image")
	window := 0
	var price *llm.Price
	known := true
	for _, p := range route.Providers {
		if isPinned && p.Provider != pinned || !isPinned && p.Status != "" && p.Status != "live" {
			continue
		}
		if n := int(p.Window); n > 0 && (window == 0 || n < window) {
			window = n
		}
		in, out := p.Pricing.Input, p.Pricing.Output
		switch {
		case in != nil && out != nil && *in >= 0 && *out >= 0:
			if price == nil {
				price = &llm.Price{}
			}
			price = &llm.Price{Input: max(price.Input, *in), Output: max(price.Output, *out)}
		case !p.Free:
			known = false
		}
	}
	if window > 0 {
		f.ContextWindow = window
	}
	if price != nil && known {
		f.Price = price
	}
}
