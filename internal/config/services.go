package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"ml-intern/internal/lazyregexp"
)

// Services says where what the model reads of the world is asked for, and how.
// A project's file may only take away from it.
type Services struct {
	At      map[string]Service // by name; what is not there is where it always is
	Engines []string           // of the web search, in order; nil for those that are set up
	Private []string           // names, addresses and networks that web_fetch may reach though they are private
	Rate    map[string]float64 // requests a second by host, "*" for the others
	Slower  map[string]float64 // the same, of the project: it counts where it is slower
	CacheMB int                // size of the cache on disk; 0 for none
	Fresh   time.Duration      // how old an answer may be that is used without asking; 0 for what the service bears
	Timeout time.Duration      // of one try of a request; 0 for the usual
}

// A Service is an address and the name of the variable that holds the key.
type Service struct {
	URL string `json:"url,omitempty"`
	Key string `json:"key,omitempty"`
}

// DefaultCacheMB is the size of the cache of the web.
const DefaultCacheMB = 500

// A known service: the variable that is over its address, and those with its key.
type known struct {
	name, address string
	keys          []string
}

func services() []known {
	return []known{
		{"papers", "ML_INTERN_PAPERS_URL", nil},
		{"docs", "ML_INTERN_DOCS_URL", nil},
		{"datasets_server", "ML_INTERN_DATASETS_SERVER_URL", nil},
		{"arxiv", "ML_INTERN_ARXIV_URL", nil},
		{"semantic_scholar", "ML_INTERN_SEMANTIC_SCHOLAR_URL", []string{"S2_API_KEY"}},
		{"github", "GITHUB_API_URL", []string{"GITHUB_TOKEN", "GH_TOKEN"}},
		{"search", "ML_INTERN_SEARCH_URL", nil},
		{"brave", "ML_INTERN_BRAVE_URL", []string{"BRAVE_API_KEY"}},
		{"tavily", "ML_INTERN_TAVILY_URL", []string{"TAVILY_API_KEY"}},
		{"duckduckgo", "ML_INTERN_DUCKDUCKGO_URL", nil},
		{"slack", "ML_INTERN_SLACK_URL", nil},
	}
}

// engines are the search engines by the service that they are.
var engines = map[string]string{"searxng": "search", "brave": "brave", "tavily": "tavily", "duckduckgo": "duckduckgo"}

// ServiceNames lists the services that can have an address.
func ServiceNames() (names []string) {
	for _, s := range services() {
		names = append(names, s.name)
	}
	return names
}

// Service returns the address of a service and its key, "" for what is not
// set. A variable is over the file.
func (c *Config) Service(name string) (address, key string) {
	for _, s := range services() {
		if s.name != name {
			continue
		}
		address = c.env[s.address]
		if address == "" {
			address = c.Services.At[name].URL
		}
		for _, variable := range c.keyNames(s) {
			if key == "" {
				key = strings.TrimSpace(c.env[variable])
			}
		}
	}
	return address, key
}

// keyNames are the variables that may hold the key: the one that the file
// names, and then no other, so that no key goes to an address that is not its own.
func (c *Config) keyNames(s known) []string {
	if own := c.Services.At[s.name].Key; own != "" {
		return []string{own}
	}
	return s.keys
}

// EngineOrder lists the search engines to ask: those of the file, else those
// that have an address or a key, else DuckDuckGo, which needs neither.
func (c *Config) EngineOrder() []string {
	if c.Services.Engines != nil {
		return c.Services.Engines
	}
	return c.readyEngines()
}

func (c *Config) readyEngines() []string {
	var ready []string
	for _, name := range []string{"searxng", "brave", "tavily"} {
		if address, key := c.Service(engines[name]); key != "" || name == "searxng" && address != "" {
			ready = append(ready, name)
		}
	}
	if ready == nil {
		return []string{"duckduckgo"}
	}
	return ready
}

// EngineService is the service that a search engine is.
func EngineService(engine string) string { return engines[engine] }

// KeyNames are the variables that may hold the key of a service.
func (c *Config) KeyNames(name string) []string {
	for _, s := range services() {
		if s.name == name {
			return c.keyNames(s)
		}
	}
	return nil
}

// MarshalJSON writes the services as the file has them.
func (s Services) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for name, at := range s.At {
		out[name] = at
	}
	put := func(key string, value any, is bool) {
		if is {
			out[key] = value
		}
	}
	put("engines", s.Engines, s.Engines != nil)
	put("private_hosts", s.Private, s.Private != nil)
	put("requests_per_second", s.rates(), len(s.Rate)+len(s.Slower) > 0)
	cache := map[string]any{}
	if s.CacheMB != DefaultCacheMB {
		cache["max_mb"] = s.CacheMB
	}
	if s.Fresh > 0 {
		cache["max_age"] = s.Fresh.String()
	}
	put("cache", cache, len(cache) > 0)
	put("timeout", s.Timeout.String(), s.Timeout > 0)
	if len(out) == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(out)
}

func (s Services) rates() map[string]float64 {
	all := maps.Clone(s.Rate)
	if all == nil {
		all = make(map[string]float64)
	}
	for host, rate := range s.Slower {
		if own, ok := all[host]; !ok || rate < own {
			all[host] = rate
		}
	}
	return all
}

// services reads the key services. Of a project's file it takes only what is
// narrower than what is there.
func (c *Config) services(to *Services, node ast.Node) error {
	project := c.literal
	out := *to
	if !project {
		out = Services{CacheMB: DefaultCacheMB}
	}
	out.At = maps.Clone(out.At)
	err := eachKey(node, func(key string, value ast.Node, line int) error {
		if err := c.service(&out, key, value, project); err != nil {
			if inner, ok := errors.AsType[*lineError](err); ok {
				line = inner.line
			}
			return &lineError{line, err}
		}
		return nil
	})
	*to = out
	return err
}

func (c *Config) service(s *Services, key string, value ast.Node, project bool) error {
	isPlace := slices.Contains(ServiceNames(), key)
	if project && (isPlace || key == "private_hosts") {
		return fmt.Errorf("%s may not be set by a project's file: put it into %s", key, c.File())
	}
	var err error
	switch {
	case isPlace:
		var at Service
		if at, err = c.place(key, value); err == nil {
			if s.At == nil {
				s.At = make(map[string]Service)
			}
			s.At[key] = at
		}
	case key == "engines":
		err = c.engineList(s, value, project)
	case key == "private_hosts":
		if err = c.list(&s.Private, value); err == nil {
			err = checkHosts(s.Private)
		}
	case key == "requests_per_second":
		err = c.rates(s, value, project)
	case key == "cache":
		err = c.cacheLimits(s, value, project)
	case key == "timeout":
		err = c.timeout(s, value, project)
	default:
		names := append(ServiceNames(), "engines", "private_hosts", "requests_per_second", "cache", "timeout")
		return fmt.Errorf("has no key %q%s", key, nearestName(key, names))
	}
	if err != nil {
		return fmt.Errorf("%s %w", key, err)
	}
	return nil
}

// nearestName names the one that was probably meant, else all.
func nearestName(name string, all []string) string {
	for _, n := range all {
		if EditDistance(name, n) <= max(1, min(3, len(n)/3)) {
			return fmt.Sprintf("; did you mean %s?", n)
		}
	}
	return "; the keys are " + strings.Join(all, ", ")
}

// place reads the address of a service, or its address and key.
func (c *Config) place(name string, node ast.Node) (Service, error) {
	var at Service
	if node.Type() == ast.MappingType || node.Type() == ast.MappingValueType {
		err := eachKey(node, func(key string, value ast.Node, line int) error {
			return c.fact(key, value, line, map[string]any{"url": &at.URL, "key": &at.Key})
		})
		if err != nil {
			return at, err
		}
	} else if err := c.decode(&at.URL, node); err != nil {
		return at, err
	}
	if at.URL != "" {
		u, err := url.Parse(at.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return at, errors.New("needs an address such as https://example.org, without a password in it")
		}
	}
	i := slices.IndexFunc(services(), func(s known) bool { return s.name == name })
	switch {
	case at.Key != "" && services()[i].keys == nil:
		return at, errors.New("takes no key")
	case at.Key != "" && !variableName.MatchString(at.Key): // which may be the key itself
		return at, errors.New("key names the variable that holds the key, such as MY_API_KEY, and is not the key itself")
	}
	return at, nil
}

var variableName = lazyregexp.New(`^[A-Z][A-Z0-9_]*$`)

func (c *Config) engineList(s *Services, node ast.Node, project bool) error {
	before := c.EngineOrder()
	var list []string
	if err := c.list(&list, node); err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("must name at least one of searxng, brave, tavily and duckduckgo")
	}
	for i, name := range list {
		switch {
		case engines[name] == "":
			return fmt.Errorf("has no %q; there are searxng, brave, tavily and duckduckgo", name)
		case slices.Contains(list[:i], name):
			return fmt.Errorf("names %s twice", name)
		case project && !slices.Contains(before, name):
			return fmt.Errorf("of a project's file may only be some of %s: put %s into %s", strings.Join(before, ", "), name, c.File())
		}
	}
	s.Engines = list
	return nil
}

// checkHosts refuses what is neither a name, nor an address, nor a network.
func checkHosts(hosts []string) error {
	for _, h := range hosts {
		if _, err := netip.ParsePrefix(h); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
			continue
		}
		if !hostName.MatchString(h) {
			return fmt.Errorf("needs names, addresses or networks such as wiki.example, 10.1.2.3 or 10.0.0.0/8, not %q", h)
		}
	}
	return nil
}

// hostName is a name that is not a number in disguise.
var hostName = lazyregexp.New(`(?i)^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z_]([a-z0-9_-]*[a-z0-9_])?\.?$`)

// Requests a second: rarer ones would have turns further away than anybody waits.
const (
	minRate = 0.01
	maxRate = 1000
)

func (c *Config) rates(s *Services, node ast.Node, project bool) error {
	rates := make(map[string]float64)
	err := eachKey(node, func(host string, value ast.Node, line int) error {
		var rate float64
		host = strings.ToLower(strings.Trim(host, `"'`))
		err := c.decode(&rate, value)
		own, limited := s.Rate[host]
		switch {
		case err != nil:
		case host != "*" && (host == "" || strings.ContainsAny(host, "/@ \t")):
			err = errors.New("is not the name of a host, nor * for all others")
		case !(rate >= minRate && rate <= maxRate):
			err = fmt.Errorf("must be from %g to %d", minRate, maxRate)
		case project && limited && rate > own:
			err = fmt.Errorf("of a project's file may be %g at most: put it into %s", own, c.File())
		default:
			rates[host] = rate
			return nil
		}
		return &lineError{line, fmt.Errorf("of %s %w", host, err)}
	})
	if project {
		s.Slower = rates
	} else {
		s.Rate = rates
	}
	return err
}

func (c *Config) cacheLimits(s *Services, node ast.Node, project bool) error {
	mb, fresh := s.CacheMB, s.Fresh
	err := eachKey(node, func(key string, value ast.Node, line int) error {
		err := c.fact(key, value, line, map[string]any{"max_mb": &s.CacheMB, "max_age": &s.Fresh})
		switch {
		case err != nil:
			return err
		case s.CacheMB < 0 || s.Fresh < 0 || s.CacheMB > 1<<20:
			err = errors.New("cannot be negative, nor more than a million")
		case key == "max_age" && s.Fresh < time.Second:
			err = errors.New("must be at least 1s; for no cache at all, max_mb is 0")
		case project && s.CacheMB > mb:
			err = fmt.Errorf("of a project's file may be %d at most: put it into %s", mb, c.File())
		case project && fresh > 0 && s.Fresh > fresh:
			err = fmt.Errorf("of a project's file may be %s at most: put it into %s", fresh, c.File())
		default:
			return nil
		}
		return &lineError{line, fmt.Errorf("%s %w", key, err)}
	})
	return err
}

const maxTimeout = 10 * time.Minute

func (c *Config) timeout(s *Services, node ast.Node, project bool) error {
	before := s.Timeout
	err := c.decode(&s.Timeout, node)
	switch {
	case err != nil:
		return err
	case s.Timeout < time.Second || s.Timeout > maxTimeout:
		return fmt.Errorf("must be from 1s to %s", maxTimeout)
	case project && s.Timeout > cmp.Or(before, usualTimeout):
		return fmt.Errorf("of a project's file may be %s at most: put it into %s", cmp.Or(before, usualTimeout), c.File())
	}
	return nil
}

// usualTimeout is how long a service may take for an answer if nothing is said.
const usualTimeout = 30 * time.Second

func servicesSchema() map[string]any {
	text := map[string]any{"type": "string"}
	texts := map[string]any{"type": "array", "items": text}
	properties := map[string]any{
		"engines":             map[string]any{"type": "array", "items": map[string]any{"enum": slices.Sorted(maps.Keys(engines))}},
		"private_hosts":       texts,
		"timeout":             map[string]any{"type": "string", "pattern": durationPattern},
		"requests_per_second": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "number", "minimum": minRate, "maximum": maxRate}},
		"cache": map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
			"max_mb": map[string]any{"type": "integer", "minimum": 0}, "max_age": map[string]any{"type": "string", "pattern": durationPattern},
		}},
	}
	for _, s := range services() {
		full := map[string]any{"url": text}
		if s.keys != nil {
			full["key"] = map[string]any{"type": "string", "pattern": variableName.String()}
		}
		properties[s.name] = map[string]any{"oneOf": []any{text, map[string]any{"type": "object", "additionalProperties": false, "properties": full}}}
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}
