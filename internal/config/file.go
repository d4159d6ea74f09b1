package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ProjectFile is the file of a project folder.
func ProjectFile(dir string) string { return filepath.Join(dir, ".ml-intern", "config.yaml") }

// File is the person's own file.
func (c *Config) File() string { return filepath.Join(c.Paths.Config, "config.yaml") }

// A source is whose file it is.
type source int

const (
	ownFile   source = iota
	rulesFile        // the person's too, with rules alone
	projectFile
)

// readFile puts the settings of a file over those that are there. A file that
// does not exist sets nothing.
func (c *Config) readFile(path string, from source) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	return c.parse(data, path, from)
}

func (c *Config) parse(data []byte, path string, from source) error {
	parsed, err := parser.ParseBytes(data, 0)
	if err != nil {
		if e, ok := errors.AsType[*yaml.SyntaxError](err); ok && e.Token != nil {
			return fmt.Errorf("%s:%d: %s", path, e.Token.Position.Line, e.Message)
		}
		return fmt.Errorf("%s: %s", path, firstLine(err.Error()))
	}
	for _, doc := range parsed.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		err := eachKey(doc.Body, func(key string, value ast.Node, line int) error {
			if from == rulesFile && key != "rules" {
				return &lineError{line, fmt.Errorf("only rules can stand here, not %s: put it into %s", key, c.File())}
			}
			return c.set(key, value, path, line, from == projectFile)
		})
		if err != nil {
			if e, ok := errors.AsType[*lineError](err); ok {
				path = fmt.Sprintf("%s:%d: ", path, e.line)
			}
			return fmt.Errorf("%s%w", path, err)
		}
	}
	return nil
}

// A lineError is a mistake in a line of the file.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// eachKey visits the pairs of a mapping.
func eachKey(node ast.Node, visit func(key string, value ast.Node, line int) error) error {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return &lineError{node.GetToken().Position.Line, fmt.Errorf("expected keys with values, such as model: openai/NAME, not %s", node)}
	}
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		if err := visit(key, p.Value, p.Key.GetToken().Position.Line); err != nil {
			return err
		}
	}
	return nil
}

// set puts one setting in its place. What would widen something is left out
// and noted if it comes from a folder that is not trusted; mistakes are errors
// wherever they stand.
func (c *Config) set(key string, value ast.Node, path string, line int, project bool) error {
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		return &lineError{line, fmt.Errorf("there is no key %q%s", key, nearest(key, all))}
	}
	s := all[i]
	field := s.field
	if project && s.project != nil {
		field = s.project
	}
	before := *c
	c.literal, c.wide = project && c.Trust != Trusted, nil
	err := c.decode(field(c), value)
	if err != nil {
		err = keyed(key, err)
	} else {
		err = c.check()
	}
	if project && s.rule == personal && err == nil {
		*c = before
		c.foreign = append(c.foreign, fmt.Sprintf("ignored: %s:%d: only your own file may set %s: put it into %s", path, line, key, c.File()))
		return nil
	}
	if c.literal {
		if why := c.widens(s, &before, value, err); why != nil {
			at := line
			if inner, ok := errors.AsType[*lineError](why); ok {
				at = inner.line
			}
			*c = before
			c.ignored = append(c.ignored, fmt.Sprintf("%s:%d: %v", path, at, why))
			return nil
		}
	}
	if err != nil {
		if inner, ok := errors.AsType[*lineError](err); ok {
			line = inner.line
		}
		return &lineError{line, err}
	}
	for _, what := range c.wide {
		c.ignored = append(c.ignored, fmt.Sprintf("%s:%d: %s", path, line, what))
	}
	if c.literal && key == "approve" && c.Approve == before.Approve {
		return nil // it has set nothing by that: where a person looks on, the default is a stricter one
	}
	if c.origin == nil {
		c.origin = make(map[string]string)
	}
	c.origin[key] = path
	return nil
}

// keyed names the key in front of an error of its value.
func keyed(key string, err error) error {
	if inner, ok := errors.AsType[*lineError](err); ok {
		return &lineError{inner.line, fmt.Errorf("%s %w", key, err)}
	}
	return fmt.Errorf("%s %w", key, err)
}

// widens says why a setting of a project's file would widen something, nil if
// it does not. A value that only the person's own file could have had is known
// by being right there.
func (c *Config) widens(s setting, before *Config, value ast.Node, err error) error {
	if err != nil {
		mine := *before
		mine.literal = false
		if mine.decode(s.field(&mine), value) == nil && mine.check() == nil {
			return err
		}
		return nil // a mistake, not a wish
	}
	switch {
	case s.rule == never, s.rule == personal:
		return fmt.Errorf("a project's file may not set %s: put it into %s", s.key, c.File())
	case s.rule == tighten && wider(s.field(before), s.field(c)):
		return fmt.Errorf("a project's file may only make %s stricter than %s: put it into %s", s.key, show(s.field(before)), c.File())
	case (s.key == "model" || s.key == "fallback") && strings.Contains(show(s.field(c)), "replay/"): // it makes calls without any model
		return fmt.Errorf("a project's file may not set %s to a recording: give it with --model", s.key)
	}
	return nil
}

// wider reports whether the new value allows more than the old one.
func wider(from, to any) bool {
	switch to := to.(type) {
	case *int:
		old := *from.(*int)
		return old > 0 && (*to == 0 || *to > old)
	case *float64:
		old := *from.(*float64)
		return old > 0 && (*to == 0 || *to > old)
	case *time.Duration:
		old := *from.(*time.Duration)
		return old > 0 && (*to == 0 || *to > old)
	case *string: // an approval mode
		modes := []string{"plan", "strict", "ask", "auto"}
		return slices.Index(modes, *to) > slices.Index(modes, *from.(*string))
	}
	return true
}

// check finds values that are of the right type and yet wrong.
func (c *Config) check() error {
	switch {
	case c.MaxSteps < 1:
		return errors.New("max_steps must be at least 1")
	case c.MCPToolsKB < 0 || c.MCPToolsKB > maxMCPToolsKB:
		return fmt.Errorf("mcp_tools_kb is a number from 0 to %d", maxMCPToolsKB)
	case c.MaxCost < 0 || c.MaxTokens < 0 || c.TimeBudget < 0 || c.FirstByte < 0 || c.Idle < 0:
		return errors.New("limits cannot be negative")
	}
	if err := cmp.Or(c.checkKept(), c.CheckWords()); err != nil {
		return err
	}
	for id, facts := range c.Models {
		if p := facts.Price; p != nil && (p.Input < 0 || p.Output < 0 || p.CacheRead < 0 || p.CacheWrite < 0) || facts.ContextWindow < 0 || facts.MaxOutput < 0 {
			return fmt.Errorf("the facts of model %s cannot be negative", id)
		}
	}
	return nil
}

// decode puts the node's value where the pointer points.
func (c *Config) decode(to any, node ast.Node) error {
	switch to := to.(type) {
	case *string:
		text, err := c.text(node)
		*to = text
		return err
	case *verbatim:
		text, err := written(node)
		*to = verbatim(text)
		return err
	case *[]string:
		return c.list(to, node)
	case *int:
		n, ok := node.(*ast.IntegerNode)
		if !ok {
			return fmt.Errorf("must be a whole number, not %s", node)
		}
		v, err := strconv.Atoi(strings.ReplaceAll(n.GetToken().Value, "_", ""))
		if err != nil {
			return fmt.Errorf("must be a whole number in digits, not %s", node)
		}
		*to = v
		return nil
	case *float64:
		v, err := strconv.ParseFloat(node.GetToken().Value, 64)
		if err != nil || node.Type() != ast.IntegerType && node.Type() != ast.FloatType {
			return fmt.Errorf("must be a number, not %s", node)
		}
		*to = v
		return nil
	case *time.Duration:
		text, err := c.text(node)
		if err != nil {
			return err
		}
		v, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a duration such as 90s or 2h, not %q", text)
		}
		*to = v
		return nil
	case *bool:
		v, ok := node.(*ast.BoolNode)
		if !ok {
			return fmt.Errorf("must be true or false, not %s", node)
		}
		*to = v.Value
		return nil
	case **bool:
		v, ok := node.(*ast.BoolNode)
		if !ok {
			return fmt.Errorf("must be true or false, not %s", node)
		}
		*to = &v.Value
		return nil
	case *map[string]ModelFacts:
		return c.facts(to, node)
	case *map[string]Compute:
		return c.computes(to, node)
	case *map[string]float64:
		return c.numbers(to, node)
	case *Services:
		return c.services(to, node)
	case *[]Rule:
		return c.rules(to, node)
	case *[]Hook:
		return c.hooks(to, node)
	case *Network:
		return c.network(to, node)
	case *Notify:
		return c.notify(to, node)
	case *Share:
		return c.share(to, node)
	case *Secrets:
		return c.keptSecrets(to, node)
	}
	return c.decodeMCP(to, node)
}

func (c *Config) list(to *[]string, node ast.Node) error {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("must be a list, not %s", node)
	}
	*to = nil
	for _, item := range seq.Values {
		text, err := c.text(item)
		if err != nil {
			return err
		}
		*to = append(*to, text)
	}
	return nil
}

// facts reads the facts of models.
func (c *Config) facts(to *map[string]ModelFacts, node ast.Node) error {
	*to = make(map[string]ModelFacts)
	return eachKey(node, func(id string, value ast.Node, _ int) error {
		var f ModelFacts
		priced := true
		err := eachKey(value, func(key string, value ast.Node, line int) error {
			if key != "price" {
				return c.fact(key, value, line, map[string]any{
					"context_window": &f.ContextWindow, "max_output": &f.MaxOutput, "efforts": &f.Efforts, "images": &f.Images,
					"price": nil, // read below
				})
			}
			f.Price = &ModelPrice{}
			given := make(map[string]bool)
			defer func() { priced = given["input"] && given["output"] }()
			return eachKey(value, func(key string, value ast.Node, line int) error {
				given[key] = true
				return c.fact(key, value, line, map[string]any{
					"input": &f.Price.Input, "output": &f.Price.Output, "cache_read": &f.Price.CacheRead, "cache_write": &f.Price.CacheWrite,
				})
			})
		})
		if err == nil && !priced {
			err = errors.New("a price needs both input and output")
		}
		if err != nil {
			return fmt.Errorf("of %s: %w", id, err)
		}
		(*to)[id] = f
		return nil
	})
}

func (c *Config) fact(key string, value ast.Node, line int, fields map[string]any) error {
	field, ok := fields[key]
	if !ok {
		names := make([]string, 0, len(fields))
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		return &lineError{line, fmt.Errorf("there is no key %q%s; the keys are %s", key, DidYouMean(Nearest(key, names)), strings.Join(names, ", "))}
	}
	if err := c.decode(field, value); err != nil {
		return &lineError{line, fmt.Errorf("%s %w", key, err)}
	}
	return nil
}

// text is a string with ${VAR} and ${VAR:-default} filled in.
func (c *Config) text(node ast.Node) (string, error) {
	s, err := written(node)
	if err != nil {
		return "", err
	}
	return c.expand(s)
}

// A verbatim is text in which ${VAR} is left for a shell elsewhere.
type verbatim string

// written is a string as it stands in the file.
func written(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	}
	if node.Type() == ast.NullType {
		return "", errors.New("must be text, and there is none")
	}
	return "", fmt.Errorf("must be text, not %s", node)
}

// expand fills variables in. A project's file gets none: it could send a key to
// whom it likes.
func (c *Config) expand(s string) (string, error) {
	return c.expandFrom(s, func(name string) string { return c.env[name] })
}

func (c *Config) expandFrom(s string, getenv func(string) string) (string, error) {
	if c.literal && strings.Contains(s, "${") {
		return "", errors.New("holds ${…}, which a project's file may not: put it into your own file")
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		inner, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", errors.New("has a ${ without its }")
		}
		name, fallback, hasFallback := strings.Cut(inner, ":-")
		value := getenv(name)
		if value == "" {
			if !hasFallback {
				return "", fmt.Errorf("needs the variable %s, which is not set; write ${%[1]s:-default} for a value without it", name)
			}
			value = fallback
		}
		b.WriteString(value)
		s = after
	}
}

// nearest names the key that was probably meant.
func nearest(key string, all []setting) string {
	keys := make([]string, len(all))
	for i, s := range all {
		keys[i] = s.key
	}
	best := Nearest(key, keys)
	if best == "" {
		return "; ml-intern config schema lists them"
	}
	return DidYouMean(best)
}
