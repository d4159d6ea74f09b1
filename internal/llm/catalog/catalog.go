// Package catalog knows which model id stands for which endpoint, and the facts
// of models: windows, limits, prices, levels of effort.
//
// Its one rule: it decides from the id, the environment and its data alone and
// asks nobody, so that starting up needs no network. The data is models.json,
// under it what the router said when it was last asked, over both what the
// person says.
package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/config"
)

// ErrNoKey says that the model's provider needs a key and none is set.
var ErrNoKey = errors.New("no key for this model")

// A Provider is who answers.
type Provider string

// The providers.
const (
	Anthropic  Provider = "anthropic"
	OpenAI     Provider = "openai"
	Router     Provider = "router" // of Hugging Face
	OpenRouter Provider = "openrouter"
	Local      Provider = "local"
)

// An Endpoint is where a model answers, and what is known of it.
type Endpoint struct {
	ID       string // as the person wrote it
	Model    string // the model's name on the wire
	Provider Provider
	BaseURL  string // with or without /v1
	APIKey   string // "" for a server without keys; never logged
	Facts
}

// Options are what Resolve knows besides the id.
type Options struct {
	Getenv func(string) string
	Own    map[string]config.ModelFacts // the person's own facts, by id
	Routes func() Routes                // the router's models; nil for none
}

// Builtin is the id of the rule-based model that needs no endpoint.
const Builtin = "builtin/baseline"

const (
	anthropicURL  = "https://api.anthropic.com"
	routerURL     = "https://router.huggingface.co/v1"
	openaiURL     = "https://api.openai.com/v1"
	openrouterURL = "https://openrouter.ai/api/v1"
)

// A local server's prefix, the variable with its address, and where it
// listens by default.
type localServer struct{ prefix, variable, url string }

func localServers() []localServer {
	return []localServer{
		{"ollama", "OLLAMA", "http://127.0.0.1:11434/v1"},
		{"vllm", "VLLM", "http://127.0.0.1:8000/v1"},
		{"lm_studio", "LM_STUDIO", "http://127.0.0.1:1234/v1"},
		{"llamacpp", "LLAMACPP", "http://127.0.0.1:8080/v1"},
	}
}

// Resolve returns the endpoint of a model id, by the rules of docs/models.md.
// It fails with ErrNoKey, wrapped in a sentence that names the variable to set.
func Resolve(id string, opts Options) (Endpoint, error) {
	e, err := endpoint(id, opts.Getenv)
	if err != nil {
		return Endpoint{}, err
	}
	e.ID = id
	e.Facts = facts(e, opts)
	return e, nil
}

func endpoint(id string, getenv func(string) string) (Endpoint, error) {
	prefix, name, ok := strings.Cut(id, "/")
	if !ok || prefix == "" || name == "" || strings.ContainsAny(id, " \t\r\n") {
		return Endpoint{}, fmt.Errorf("%q is not a model id; write PROVIDER/NAME, such as anthropic/NAME, openai/NAME, ollama/NAME or %s%s", id, Builtin, suggestion(id))
	}
	switch prefix {
	case "builtin":
		return Endpoint{}, fmt.Errorf("there is no built-in model %q; did you mean %s?", name, Builtin)
	case "anthropic":
		if key := getenv("ANTHROPIC_API_KEY"); key != "" {
			return Endpoint{Model: name, Provider: Anthropic, BaseURL: or(getenv("ANTHROPIC_BASE_URL"), anthropicURL), APIKey: key}, nil
		}
		return router(id, id, getenv, "ANTHROPIC_API_KEY")
	case "openai":
		if key := getenv("OPENAI_API_KEY"); key != "" || getenv("OPENAI_BASE_URL") != "" {
			return Endpoint{Model: name, Provider: OpenAI, BaseURL: or(getenv("OPENAI_BASE_URL"), openaiURL), APIKey: key}, nil
		}
		return router(id, id, getenv, "OPENAI_API_KEY")
	case "openrouter":
		if key := getenv("OPENROUTER_API_KEY"); key != "" {
			return Endpoint{Model: name, Provider: OpenRouter, BaseURL: or(getenv("OPENROUTER_BASE_URL"), openrouterURL), APIKey: key}, nil
		}
		return Endpoint{}, missingKey(id, "OPENROUTER_API_KEY")
	case "hf":
		return router(id, name, getenv, "")
	}
	for _, s := range localServers() {
		if prefix == s.prefix {
			return local(name, s, getenv), nil
		}
	}
	return router(id, id, getenv, "")
}

// suggestion names the ids of the catalogue that the person may have meant.
func suggestion(id string) string {
	near := Near(id)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// nearPrefix names the provider that the id's beginning may have meant: a slip
// in it makes the id one of the router.
func nearPrefix(id string) string {
	prefix, name, _ := strings.Cut(id, "/")
	for _, p := range []string{"anthropic", "openai", "openrouter", "ollama", "vllm", "lm_studio", "llamacpp"} {
		if config.EditDistance(strings.ToLower(prefix), p) <= 2 {
			return "; did you mean " + p + "/" + name + "?"
		}
	}
	return ""
}

// Near lists ids of the catalogue that are close to one, three at most.
func Near(id string) []string {
	name := plain(id[strings.LastIndex(id, "/")+1:])
	type match struct {
		id       string
		distance int
	}
	var found []match
	for _, e := range entries() {
		if d := config.EditDistance(name, plain(e.Name)); d <= max(len(name)/4, 2) {
			found = append(found, match{e.ID(), d})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.distance - b.distance })
	var ids []string
	for _, m := range found[:min(len(found), 3)] {
		ids = append(ids, m.id)
	}
	return ids
}

// ID is how a person names the entry's model.
func (e Entry) ID() string {
	if e.Route != "" {
		return e.Route
	}
	return e.Maker + "/" + e.Name
}

// Default is the model to take when none is named: of the first provider that
// something is set for. It is "" if nothing is.
func Default(getenv func(string) string) string {
	pick := func(maker string) string {
		for _, e := range entries() {
			if e.Pick && e.Maker == maker {
				return e.ID()
			}
		}
		return ""
	}
	switch {
	case getenv("ANTHROPIC_API_KEY") != "":
		return pick("anthropic")
	case getenv("OPENAI_API_KEY") != "":
		return pick("openai")
	case getenv("HF_TOKEN") != "":
		return pick("moonshotai")
	case getenv("OPENROUTER_API_KEY") != "":
		return "openrouter/anthropic/claude-sonnet-5.5" // its own spelling
	}
	return ""
}

// router is the Hugging Face inference router, which takes ORG/NAME[:PROVIDER].
func router(id, model string, getenv func(string) string, alternative string) (Endpoint, error) {
	key := getenv("HF_TOKEN")
	base := getenv("HF_ROUTER_BASE_URL")
	if key == "" && base == "" {
		if alternative != "" {
			return Endpoint{}, missingKey(id, alternative+", or HF_TOKEN for the Hugging Face router")
		}
		return Endpoint{}, missingKey(id, "HF_TOKEN"+nearPrefix(id))
	}
	return Endpoint{Model: model, Provider: Router, BaseURL: RouterURL(getenv), APIKey: key}, nil
}

// RouterURL is the address of the Hugging Face router, with /v1.
func RouterURL(getenv func(string) string) string { return or(getenv("HF_ROUTER_BASE_URL"), routerURL) }

// A Server is a local server as the person has it.
type Server struct {
	Prefix, BaseURL, APIKey string
	Variable                string // that would set the address
	Set                     bool   // the address is set, not the default
}

// Servers lists the local servers.
func Servers(getenv func(string) string) []Server {
	var all []Server
	for _, s := range localServers() {
		e := local("", s, getenv)
		all = append(all, Server{s.prefix, e.BaseURL, e.APIKey, s.variable + "_BASE_URL", e.BaseURL != s.url})
	}
	return all
}

func missingKey(id, variables string) error {
	return fmt.Errorf("model %s: %w: set %s", id, ErrNoKey, variables)
}

func local(name string, s localServer, getenv func(string) string) Endpoint {
	url := getenv(s.variable + "_BASE_URL")
	if host := getenv("OLLAMA_HOST"); url == "" && s.prefix == "ollama" && host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		url = host
	}
	return Endpoint{
		Model: name, Provider: Local,
		BaseURL: or(url, getenv("LOCAL_LLM_BASE_URL"), s.url),
		APIKey:  or(getenv(s.variable+"_API_KEY"), getenv("LOCAL_LLM_API_KEY")),
	}
}

// or returns the first of the strings that is not empty.
func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
