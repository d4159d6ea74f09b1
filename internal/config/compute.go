package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"ml-intern/internal/lazyregexp"
)

// A Compute is a place where jobs run besides this machine.
type Compute struct {
	Type       string             `json:"type"`                    // slurm, ssh, ray or hf
	Host       string             `json:"host,omitempty"`          // as ssh names it
	URL        string             `json:"url,omitempty"`           // of Ray's dashboard
	Token      string             `json:"token,omitempty"`         // the variable that holds Ray's token
	Namespace  string             `json:"namespace,omitempty"`     // the organization that pays on the Hub
	Image      string             `json:"image,omitempty"`         // of jobs that name none
	Dir        string             `json:"dir,omitempty"`           // folder for jobs there
	Shared     bool               `json:"shared,omitempty"`        // the workspace is there too, under the same path
	Account    string             `json:"account,omitempty"`       // of Slurm
	QOS        string             `json:"qos,omitempty"`           // of Slurm
	Partitions []string           `json:"partitions,omitempty"`    // of Slurm, that may be used; nil for all
	Options    []string           `json:"options,omitempty"`       // of sbatch, or of ssh
	Setup      string             `json:"setup,omitempty"`         // shell lines that every job runs first
	TimeLimit  time.Duration      `json:"-"`                       // of jobs that name none
	USDPerHour map[string]float64 `json:"usd_per_hour,omitempty"`  // by flavor, AnyFlavor for the others; free if nil
	GPUMemory  map[string]float64 `json:"gpu_memory_mb,omitempty"` // by type of GPU, where nobody can be asked
}

// AnyFlavor is the price of what has none of its own.
const AnyFlavor = "*"

// LocalCompute is the name of this machine among the computes.
const LocalCompute = "local"

var computeName = lazyregexp.New(`^[a-z][a-z0-9-]{0,30}$`)

// takes lists the keys of each type besides type itself.
func takes() map[string][]string {
	return map[string][]string{
		"slurm": {"host", "dir", "account", "qos", "partitions", "options", "setup", "time_limit", "usd_per_hour", "gpu_memory_mb"},
		"ssh":   {"host", "dir", "options", "usd_per_hour"},
		"ray":   {"url", "token", "shared", "time_limit", "usd_per_hour", "gpu_memory_mb"},
		"hf":    {"namespace", "image"},
	}
}

// MarshalJSON writes the compute as the file has it.
func (p Compute) MarshalJSON() ([]byte, error) {
	type plain Compute
	limit := ""
	if p.TimeLimit > 0 {
		limit = p.TimeLimit.String()
	}
	return json.Marshal(struct {
		plain
		TimeLimit string `json:"time_limit,omitempty"`
	}{plain(p), limit})
}

// computes reads the key computes.
func (c *Config) computes(to *map[string]Compute, node ast.Node) error {
	*to = make(map[string]Compute)
	return eachKey(node, func(name string, value ast.Node, line int) error {
		p, err := c.compute(name, value)
		if err != nil {
			if inner, ok := errors.AsType[*lineError](err); ok {
				line = inner.line
			}
			return &lineError{line, fmt.Errorf("of %s: %w", name, err)}
		}
		(*to)[name] = p
		return nil
	})
}

func (c *Config) compute(name string, node ast.Node) (Compute, error) {
	var p Compute
	if name == LocalCompute || !computeName.MatchString(name) {
		return p, fmt.Errorf("is no name for a compute backend; it needs lower-case letters, digits and '-', and %s is this machine", LocalCompute)
	}
	var given []string
	err := eachKey(node, func(key string, value ast.Node, line int) error {
		given = append(given, key)
		return c.fact(key, value, line, map[string]any{
			"type": &p.Type, "host": &p.Host, "url": &p.URL, "token": &p.Token, "namespace": &p.Namespace, "image": &p.Image, "dir": &p.Dir, "shared": &p.Shared,
			"account": &p.Account, "qos": &p.QOS, "partitions": &p.Partitions, "options": &p.Options, "setup": (*verbatim)(&p.Setup),
			"time_limit": &p.TimeLimit, "usd_per_hour": &p.USDPerHour, "gpu_memory_mb": &p.GPUMemory,
		})
	})
	if err != nil {
		return p, err
	}
	known, ok := takes()[p.Type]
	if !ok {
		return p, fmt.Errorf("the type is one of %s, not %q", strings.Join(slices.Sorted(maps.Keys(takes())), ", "), p.Type)
	}
	for _, key := range given {
		if key != "type" && !slices.Contains(known, key) {
			return p, fmt.Errorf("a backend of type %s has no key %q; its keys are %s", p.Type, key, strings.Join(known, ", "))
		}
	}
	if p.Host != "" {
		p.Dir = strings.TrimPrefix(p.Dir, "~/") // it is from the home folder there anyway
	}
	return p, p.check()
}

func (p Compute) check() error {
	switch {
	case p.Type == "ssh" && p.Host == "":
		return errors.New("ssh needs a host")
	case strings.HasPrefix(p.Host, "-"):
		return fmt.Errorf("%q is no host: ssh would take it for an option", p.Host)
	case p.Token != "" && !variableName.MatchString(p.Token): // which may be the token itself
		return errors.New("token names the variable that holds the token, such as RAY_TOKEN, and is not the token itself")
	case p.TimeLimit < 0:
		return errors.New("time_limit cannot be negative")
	case strings.HasPrefix(p.Dir, "~") || strings.ContainsFunc(p.Dir, func(r rune) bool { return r == '\'' || r < ' ' }):
		return fmt.Errorf("dir is a path as it is, without ~ and ': %q", p.Dir)
	case p.Type == "slurm" && p.Host == "" && p.Dir != "" && !filepath.IsAbs(p.Dir):
		return fmt.Errorf("dir is a whole path, such as /shared/me/ml-intern, not %q", p.Dir)
	}
	if p.URL != "" {
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return errors.New("url needs an address such as http://ray.example:8265, without a password in it")
		}
	}
	for flavor, n := range p.USDPerHour {
		if p.Type == "ssh" && flavor != AnyFlavor {
			return fmt.Errorf("usd_per_hour of an ssh backend takes %q alone, for it is one machine; it has no %q", AnyFlavor, flavor)
		}
		if !(n >= 0 && n <= maxUSDPerHour) {
			return fmt.Errorf("usd_per_hour of %s must be from 0 to %d", flavor, maxUSDPerHour)
		}
	}
	for gpu, n := range p.GPUMemory {
		if !(n > 0) {
			return fmt.Errorf("gpu_memory_mb of %s must be more than 0", gpu)
		}
	}
	return nil
}

const maxUSDPerHour = 100_000

// numbers reads names with a number each.
func (c *Config) numbers(to *map[string]float64, node ast.Node) error {
	*to = make(map[string]float64)
	return eachKey(node, func(key string, value ast.Node, line int) error {
		var n float64
		if err := c.decode(&n, value); err != nil {
			return &lineError{line, fmt.Errorf("of %s %w", key, err)}
		}
		(*to)[strings.Trim(key, `"'`)] = n
		return nil
	})
}

func computesSchema() map[string]any {
	text := map[string]any{"type": "string"}
	texts := map[string]any{"type": "array", "items": text}
	numbers := map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "number", "minimum": 0}}
	all := map[string]any{
		"host": text, "url": text, "token": map[string]any{"type": "string", "pattern": variableName.String()}, "namespace": text, "image": text, "dir": text,
		"shared": map[string]any{"type": "boolean"}, "account": text, "qos": text, "partitions": texts, "options": texts, "setup": text,
		"time_limit": map[string]any{"type": "string", "pattern": durationPattern}, "usd_per_hour": numbers, "gpu_memory_mb": numbers,
	}
	var types []any
	for _, name := range slices.Sorted(maps.Keys(takes())) {
		properties := map[string]any{"type": map[string]any{"const": name}}
		for _, key := range takes()[name] {
			properties[key] = all[key]
		}
		types = append(types, map[string]any{"type": "object", "additionalProperties": false, "required": []string{"type"}, "properties": properties})
	}
	return map[string]any{
		"type": "object", "propertyNames": map[string]any{"pattern": computeName.String()},
		"additionalProperties": map[string]any{"oneOf": types},
	}
}
