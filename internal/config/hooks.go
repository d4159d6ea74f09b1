package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// A Hook is a program of the person's that looks on. See package hook.
type Hook struct {
	Event   string        `json:"event"`
	Matcher string        `json:"matcher,omitempty"`
	Command string        `json:"command"`
	Timeout time.Duration `json:"-"`
}

func hookEvents() []string { return []string{"PreToolUse", "PostToolUse", "UserPromptSubmit", "Stop"} }

const maxHookTime = 10 * time.Minute

// hooks reads the key hooks. In a command a ${VAR} is left to the shell.
func (c *Config) hooks(to *[]Hook, node ast.Node) error {
	*to = nil
	if c.literal {
		c.wide = append(c.wide, "hooks")
	}
	return c.items(node, func(item ast.Node, line int) error {
		var h Hook
		keys := []string{"event", "matcher", "command", "timeout"}
		err := eachKey(item, func(key string, value ast.Node, line int) error {
			if !slices.Contains(keys, key) {
				return &lineError{line, fmt.Errorf("have no key %q%s", key, nearestName(key, keys))}
			}
			return c.fact(key, value, line, map[string]any{
				"event": (*verbatim)(&h.Event), "matcher": (*verbatim)(&h.Matcher), "command": (*verbatim)(&h.Command), "timeout": &h.Timeout,
			})
		})
		if err != nil {
			return err
		}
		if err := h.check(); err != nil {
			return &lineError{line, err}
		}
		if !c.literal {
			*to = append(*to, h)
		}
		return nil
	})
}

func (h Hook) check() error {
	switch {
	case !slices.Contains(hookEvents(), h.Event):
		return fmt.Errorf("have no event %q%s", h.Event, nearestName(h.Event, hookEvents()))
	case strings.TrimSpace(h.Command) == "":
		return fmt.Errorf("need a command")
	case h.Timeout < 0 || h.Timeout > maxHookTime:
		return fmt.Errorf("may take %v at most", maxHookTime)
	}
	if _, err := regexp.Compile(h.Matcher); err != nil && h.Matcher != "*" {
		return fmt.Errorf("have a matcher that is no pattern: %w", err)
	}
	return nil
}

func hooksSchema() map[string]any {
	text := map[string]any{"type": "string", "minLength": 1}
	return map[string]any{"type": "array", "items": map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"event", "command"},
		"properties": map[string]any{
			"event": map[string]any{"enum": hookEvents()}, "matcher": map[string]any{"type": "string"}, "command": text,
			"timeout": map[string]any{"type": "string", "pattern": durationPattern},
		},
	}}
}
