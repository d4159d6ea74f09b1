package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/durable"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/goccy/go-yaml/ast"
)

// A Rule says what becomes of calls that meet all its conditions. See package
// approval, which judges by it.
type Rule struct {
	Verdict   string   `json:"verdict"`
	Tool      string   `json:"tool,omitempty"`
	Effect    string   `json:"effect,omitempty"`
	Path      string   `json:"path,omitempty"`
	Host      string   `json:"host,omitempty"`
	Repo      string   `json:"repo,omitempty"`
	Device    string   `json:"device,omitempty"`
	Command   []string `json:"command,omitempty"`
	Exact     bool     `json:"exact,omitempty"`
	CostOver  *float64 `json:"cost_over,omitempty"`
	CostUnder *float64 `json:"cost_under,omitempty"`
	Reason    string   `json:"reason,omitempty"`
}

func verdicts() []string { return []string{"allow", "ask", "deny"} }

func effects() []string {
	return []string{"reads", "writes", "executes", "spends", "publishes", "deletes", "public", "recurring"}
}

func ruleKeys() []string {
	return []string{"verdict", "tool", "effect", "path", "host", "repo", "device", "command", "exact", "cost_over", "cost_under", "reason"}
}

// rules reads the key rules. Its texts are taken as they stand: a ${VAR} in
// them is the shell's.
func (c *Config) rules(to *[]Rule, node ast.Node) error {
	*to = nil
	return c.items(node, func(item ast.Node, line int) error {
		var u Rule
		err := eachKey(item, func(key string, value ast.Node, line int) error {
			if !slices.Contains(ruleKeys(), key) {
				return &lineError{line, fmt.Errorf("have no key %q%s", key, nearestName(key, ruleKeys()))}
			}
			if err := c.ruleKey(&u, key, value); err != nil {
				return &lineError{line, fmt.Errorf("%s %w", key, err)}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := u.check(); err != nil {
			return &lineError{line, err}
		}
		if c.refuses(u) {
			return nil
		}
		*to = append(*to, u)
		return nil
	})
}

// items visits the members of a list.
func (c *Config) items(node ast.Node, visit func(item ast.Node, line int) error) error {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("must be a list, not %s", node)
	}
	for _, item := range seq.Values {
		line := item.GetToken().Position.Line
		if pairs, ok := item.(*ast.MappingNode); ok && len(pairs.Values) > 0 {
			line = pairs.Values[0].Key.GetToken().Position.Line
		}
		if err := visit(item, line); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) ruleKey(u *Rule, key string, value ast.Node) error {
	texts := map[string]*string{"verdict": &u.Verdict, "tool": &u.Tool, "effect": &u.Effect, "path": &u.Path, "host": &u.Host, "repo": &u.Repo, "device": &u.Device, "reason": &u.Reason}
	if to, ok := texts[key]; ok {
		text, err := written(value)
		if err == nil && strings.TrimSpace(text) == "" {
			err = errors.New("must not be empty")
		}
		*to = text
		return err
	}
	switch key {
	case "exact":
		return c.decode(&u.Exact, value)
	case "command":
		return command(&u.Command, value)
	}
	to := &u.CostOver
	if key == "cost_under" {
		to = &u.CostUnder
	}
	*to = new(float64)
	if err := c.decode(*to, value); err != nil {
		return err
	}
	if !(**to >= 0) || math.IsInf(**to, 0) {
		return errors.New("must be a number of US dollars")
	}
	return nil
}

// command reads words: a text is split at blanks, a list has each as it is.
func command(to *[]string, node ast.Node) error {
	if seq, ok := node.(*ast.SequenceNode); ok {
		for _, item := range seq.Values {
			word, err := written(item)
			if err != nil {
				return err
			}
			*to = append(*to, word)
		}
	} else {
		text, err := written(node)
		if err != nil {
			return err
		}
		*to = strings.Fields(text)
	}
	if len(*to) == 0 || (*to)[0] == "" {
		return errors.New("must name a program, such as git or git status")
	}
	return nil
}

// check finds rules that say nothing, or two things.
func (u Rule) check() error {
	about := 0
	for _, s := range []string{u.Path, u.Host, u.Repo, u.Device, strings.Join(u.Command, " ")} {
		if s != "" {
			about++
		}
	}
	_, toolErr := path.Match(u.Tool, "")
	_, repoErr := path.Match(u.Repo, "")
	switch {
	case !slices.Contains(verdicts(), u.Verdict):
		return fmt.Errorf("need a verdict, which is allow, ask or deny, not %q", u.Verdict)
	case u.Effect != "" && !slices.Contains(effects(), u.Effect):
		return fmt.Errorf("have no effect %q; the effects are %s", u.Effect, strings.Join(effects(), ", "))
	case about > 1:
		return errors.New("are about one thing each: a path, a host, a repo, a device or a command")
	case u.Device != "" && u.Device != "gpu":
		return fmt.Errorf("have no device %q; the device is gpu", u.Device)
	case u.Exact && len(u.Command) == 0:
		return errors.New("have exact only with a command")
	case u.Path != "" && !doublestar.ValidatePattern(filepath.ToSlash(u.Path)):
		return fmt.Errorf("have no such pattern for a path: %q", u.Path)
	case toolErr != nil || repoErr != nil:
		return errors.New("have no such pattern: a * stands for anything, and a [ needs its ]")
	case u.Verdict == "allow" && about == 0 && u.Tool == "" && u.Effect == "":
		return errors.New("that allow must say what: a tool, an effect, a path, a host, a repo, a device or a command")
	}
	return nil
}

// refuses reports whether a rule is left out because the folder it comes from
// is not trusted: it would allow something.
func (c *Config) refuses(u Rule) bool {
	if !c.literal || u.Verdict != "allow" {
		return false
	}
	c.wide = append(c.wide, "rules that allow something")
	return true
}

// RulesFile is where answers for always are kept.
func (c *Config) RulesFile() string { return filepath.Join(c.Paths.Config, "rules.yaml") }

const rulesHead = `# Rules from your answers "always allow this". Take out what you no longer want;
# rules that you write yourself go into config.yaml.
rules:
`

// AddRules writes rules into RulesFile, behind those that are there, and
// returns its path.
func (c *Config) AddRules(rules []Rule) (string, error) {
	file := c.RulesFile()
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && len(bytes.TrimSpace(text)) == 0:
		text = []byte(rulesHead)
	case err != nil:
		return file, fmt.Errorf("read rules: %w", err)
	}
	b := bytes.NewBuffer(bytes.TrimRight(text, "\n"))
	b.WriteByte('\n')
	for _, u := range rules {
		var line bytes.Buffer
		enc := json.NewEncoder(&line) // which is YAML on one line
		enc.SetEscapeHTML(false)
		if err := enc.Encode(u); err != nil {
			return file, fmt.Errorf("encode rule: %w", err)
		}
		fmt.Fprintf(b, "  - %s", &line)
	}
	read := &Config{Approve: "ask", Output: "text", MaxSteps: 1, CheckpointsGB: DefaultCheckpointsGB}
	if err := read.parse(b.Bytes(), file, rulesFile); err != nil {
		return file, fmt.Errorf("the file would no longer be readable; write the rule yourself: %w", err)
	}
	if n := len(read.Rules); n < len(rules) || show(ptr(read.Rules[n-len(rules):])) != show(&rules) {
		return file, fmt.Errorf("%s has something behind its rules; write the rule yourself", file)
	}
	return file, replace(file, b.Bytes())
}

func ptr[T any](v T) *T { return &v }

// replace writes a file of the person's, all of it or nothing.
func replace(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := durable.Replace(file, data); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func rulesSchema() map[string]any {
	text := map[string]any{"type": "string", "minLength": 1}
	usd := map[string]any{"type": "number", "minimum": 0}
	return map[string]any{"type": "array", "items": map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"verdict"},
		"properties": map[string]any{
			"verdict": map[string]any{"enum": verdicts()}, "tool": text, "effect": map[string]any{"enum": effects()},
			"path": text, "host": text, "repo": text, "device": map[string]any{"enum": []string{"gpu"}}, "exact": map[string]any{"type": "boolean"},
			"command":   map[string]any{"oneOf": []any{text, map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "minItems": 1}}},
			"cost_over": usd, "cost_under": usd, "reason": text,
		},
	}}
}
