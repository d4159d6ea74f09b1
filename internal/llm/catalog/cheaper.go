package catalog

import (
	"strings"

	"ml-intern/internal/llm"
)

// readerWindow is the least window in which papers can be read well, in tokens.
const readerWindow = 128_000

// Cheaper is the id of a model that reads for less than the named one, at the
// same address with the same key: one that the catalogue marks as good enough
// at calling tools. It is "" if there is none, and wherever a price or the
// address is not a known one: nobody knows there what is cheaper, or served.
func Cheaper(id string, opts Options) string {
	own, err := Resolve(id, opts)
	if err != nil || own.Price == nil || !own.public() {
		return ""
	}
	for _, e := range entries() {
		if !e.Reader {
			continue
		}
		other, err := Resolve(e.ID(), opts)
		if err == nil && other.Provider == own.Provider && other.BaseURL == own.BaseURL && other.APIKey == own.APIKey &&
			cheaper(other.Price, own.Price) && other.ContextWindow >= readerWindow {
			return e.ID()
		}
	}
	return ""
}

// public reports whether the endpoint is the maker's or the router's own, and
// the person has not chosen who serves it.
func (e Endpoint) public() bool {
	switch base := strings.TrimSuffix(strings.TrimRight(e.BaseURL, "/"), "/v1"); e.Provider {
	case Anthropic:
		return base == anthropicURL
	case OpenAI:
		return base+"/v1" == openaiURL
	case Router:
		return base+"/v1" == routerURL && !strings.Contains(e.Model, ":")
	}
	return false
}

// cheaper reports whether a costs less than b, and no kind of token of it,
// however long the request, costs more.
func cheaper(a, b *llm.Price) bool {
	if a == nil {
		return false
	}
	dear, cheap := dearest(*a), whole(*b) // a long request is never cheaper than a short one
	return dear.Input < cheap.Input && dear.Output < cheap.Output && dear.CacheRead <= cheap.CacheRead && dear.CacheWrite <= cheap.CacheWrite
}

// whole fills in what tokens of a cache cost that have no price of their own.
func whole(p llm.Price) llm.Price {
	if p.CacheRead == 0 {
		p.CacheRead = p.Input
	}
	if p.CacheWrite == 0 {
		p.CacheWrite = p.Input
	}
	return p
}

func dearest(p llm.Price) llm.Price {
	all := whole(p)
	if p.Long != nil {
		long := whole(*p.Long)
		all.Input, all.Output = max(all.Input, long.Input), max(all.Output, long.Output)
		all.CacheRead, all.CacheWrite = max(all.CacheRead, long.CacheRead), max(all.CacheWrite, long.CacheWrite)
	}
	return all
}
