package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// A Value is one setting as `config show` prints it.
type Value struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "default", "flag", or a file
}

// Values lists the settings in effect.
func (c *Config) Values() []Value {
	var all []Value
	for _, s := range settings() {
		origin := c.origin[s.key]
		if origin == "" {
			origin = "default"
		}
		text := show(s.field(c))
		for _, secret := range c.Secrets() {
			if len(secret) >= 8 {
				text = strings.ReplaceAll(text, secret, "(secret)")
			}
		}
		all = append(all, Value{s.key, text, origin})
	}
	return all
}

// FromFlag marks a setting as given on the command line.
func (c *Config) FromFlag(key string) {
	if c.origin == nil {
		c.origin = make(map[string]string)
	}
	c.origin[key] = "flag"
}

// IsFlag reports whether a setting was given on the command line.
func (c *Config) IsFlag(key string) bool { return c.origin[key] == "flag" }

// IsSet reports whether a setting is not left at its default.
func (c *Config) IsSet(key string) bool { return c.origin[key] != "" }

// show is a value in one line.
func show(field any) string {
	switch v := field.(type) {
	case *string:
		return *v
	case *int:
		return fmt.Sprint(*v)
	case *bool:
		return fmt.Sprint(*v)
	case *float64:
		return fmt.Sprint(*v)
	case *time.Duration:
		return v.String()
	}
	text, err := json.Marshal(field)
	if err != nil || string(text) == "null" || string(text) == "{}" {
		return ""
	}
	return string(text)
}

const durationPattern = `^([0-9.]+(ns|us|ms|s|m|h))+$`

// Schema is the JSON Schema of the configuration file.
func Schema() ([]byte, error) {
	properties := make(map[string]any)
	for _, s := range settings() {
		p := map[string]any{"description": s.doc}
		switch s.field(&Config{}).(type) {
		case *string:
			p["type"] = "string"
		case *int:
			p["type"], p["minimum"] = "integer", 0
		case *bool:
			p["type"] = "boolean"
		case *float64:
			p["type"], p["minimum"] = "number", 0
		case *time.Duration:
			p["type"], p["pattern"] = "string", durationPattern
		case *[]string:
			p["type"], p["items"] = "array", map[string]any{"type": "string"}
		case *map[string]ModelFacts:
			p["type"], p["additionalProperties"] = "object", factsSchema()
		case *map[string]Compute:
			maps.Copy(p, computesSchema())
		case *[]Rule:
			maps.Copy(p, rulesSchema())
		case *[]Hook:
			maps.Copy(p, hooksSchema())
		case *Services:
			maps.Copy(p, servicesSchema())
		case *Network:
			maps.Copy(p, networkSchema())
		case *Notify:
			maps.Copy(p, notifySchema())
		case *Share:
			maps.Copy(p, shareSchema())
		case *Secrets:
			maps.Copy(p, secretsSchema())
		case *map[string]MCPServer:
			maps.Copy(p, mcpSchema())
		}
		properties[s.key] = p
	}
	return json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ml-intern configuration",
		"type": "object", "additionalProperties": false, "properties": properties,
	}, "", "  ")
}

func factsSchema() map[string]any {
	number := map[string]any{"type": "number", "minimum": 0}
	count := map[string]any{"type": "integer", "minimum": 0}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
		"context_window": count, "max_output": count, "images": map[string]any{"type": "boolean"},
		"efforts": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		"price": map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
			"input": number, "output": number, "cache_read": number, "cache_write": number,
		}},
	}}
}
