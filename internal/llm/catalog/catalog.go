// Package catalog knows which model id stands for which endpoint.
//
// Its one rule: it decides from the id and the environment alone and asks
// nobody, so that starting up needs no network.
package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoKey says that the model's provider needs a key and none is set.
var ErrNoKey = errors.New("no key for this model")

// An Endpoint is where a model answers.
type Endpoint struct {
	ID      string // as the person wrote it
	Model   string // the model's name on the wire
	BaseURL string // of the chat completions API, with or without /v1
	APIKey  string // "" for a server without keys; never logged
}

// Builtin is the id of the rule-based model that needs no endpoint.
const Builtin = "builtin/baseline"

const (
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
func Resolve(id string, getenv func(string) string) (Endpoint, error) {
	prefix, name, ok := strings.Cut(id, "/")
	if !ok || name == "" {
		return Endpoint{}, fmt.Errorf("%q is not a model id; write PROVIDER/NAME, such as openai/NAME, ollama/NAME or %s", id, Builtin)
	}
	switch prefix {
	case "openai":
		if key := getenv("OPENAI_API_KEY"); key != "" || getenv("OPENAI_BASE_URL") != "" {
			return Endpoint{ID: id, Model: name, BaseURL: or(getenv("OPENAI_BASE_URL"), openaiURL), APIKey: key}, nil
		}
		return router(id, id, getenv, "OPENAI_API_KEY")
	case "openrouter":
		if key := getenv("OPENROUTER_API_KEY"); key != "" {
			return Endpoint{ID: id, Model: name, BaseURL: or(getenv("OPENROUTER_BASE_URL"), openrouterURL), APIKey: key}, nil
		}
		return Endpoint{}, missingKey(id, "OPENROUTER_API_KEY")
	case "hf":
		return router(id, name, getenv, "")
	}
	for _, s := range localServers() {
		if prefix == s.prefix {
			return local(id, name, s, getenv), nil
		}
	}
	return router(id, id, getenv, "")
}

// router is the Hugging Face inference router, which takes ORG/NAME[:PROVIDER].
func router(id, model string, getenv func(string) string, alternative string) (Endpoint, error) {
	key := getenv("HF_TOKEN")
	base := getenv("HF_ROUTER_BASE_URL")
	if key == "" && base == "" {
		if alternative != "" {
			return Endpoint{}, missingKey(id, alternative+", or HF_TOKEN for the Hugging Face router")
		}
		return Endpoint{}, missingKey(id, "HF_TOKEN")
	}
	return Endpoint{ID: id, Model: model, BaseURL: or(base, routerURL), APIKey: key}, nil
}

func missingKey(id, variables string) error {
	return fmt.Errorf("model %s: %w: set %s", id, ErrNoKey, variables)
}

func local(id, name string, s localServer, getenv func(string) string) Endpoint {
	url := getenv(s.variable + "_BASE_URL")
	if host := getenv("OLLAMA_HOST"); url == "" && s.prefix == "ollama" && host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		url = host
	}
	return Endpoint{
		ID: id, Model: name,
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
