package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"ml-intern/internal/lazyregexp"
)

// An MCPServer is one whose tools a session has: a program or an address.
type MCPServer struct {
	Command      string            `json:"command,omitempty"`
	Args         []string          `json:"args,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	Dir          string            `json:"cwd,omitempty"`
	URL          string            `json:"url,omitempty"`
	Headers      map[string]string `json:"headers,omitempty"`
	Tools        []string          `json:"tools,omitempty"` // patterns; nil for all
	Timeout      time.Duration     `json:"-"`
	StartTimeout time.Duration     `json:"-"`
	Disabled     bool              `json:"disabled,omitempty"`
	ClientID     string            `json:"client_id,omitempty"` // at its authorization server
	ClientSecret string            `json:"client_secret,omitempty"`
	CallbackPort int               `json:"callback_port,omitempty"`
}

// DefaultMCPToolsKB is what the tools of all servers may take of every request.
const DefaultMCPToolsKB = 64

const maxMCPToolsKB = 1024

// maxServersFile bounds a .mcp.json.
const maxServersFile = 1 << 20

// mcpName is short, so that there is room for the name of the tool.
var mcpName = lazyregexp.New(`^[A-Za-z0-9]([A-Za-z0-9-]|_[A-Za-z0-9-]){0,29}$`)

// ServersFile is where other programs look for the servers of a project too.
func ServersFile(dir string) string { return filepath.Join(dir, ".mcp.json") }

// A firm text is filled in from the environment of the process alone: the .env
// of a folder must not say which program runs, nor where a key goes.
type (
	firm     string
	firmList []string
)

// decodeMCP is decode for what only servers have.
func (c *Config) decodeMCP(to any, node ast.Node) error {
	switch to := to.(type) {
	case *map[string]MCPServer:
		return c.mcpServers(to, node)
	case *firm:
		text, err := written(node)
		if err == nil {
			text, err = c.expandFrom(text, c.ProcessGetenv)
		}
		*to = firm(text)
		return err
	case *firmList:
		return c.firmList(to, node)
	case *map[string]string:
		return c.texts(to, node)
	}
	return fmt.Errorf("has a type that is not known: %T", to)
}

// ProcessGetenv returns a variable of the process: the folder's .env has no say in
// it.
func (c *Config) ProcessGetenv(name string) string {
	for _, kv := range slices.Backward(c.process) {
		if key, value, ok := strings.Cut(kv, "="); ok && key == name {
			return value
		}
	}
	return ""
}

func (c *Config) firmList(to *firmList, node ast.Node) error {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("must be a list, not %s", node)
	}
	*to = nil
	for _, item := range seq.Values {
		var text firm
		if n, isNumber := item.(*ast.IntegerNode); isNumber {
			text = firm(n.GetToken().Value)
		} else if err := c.decode(&text, item); err != nil {
			return err
		}
		*to = append(*to, string(text))
	}
	return nil
}

// texts reads a mapping of names to texts.
func (c *Config) texts(to *map[string]string, node ast.Node) error {
	*to = make(map[string]string)
	return eachKey(node, func(name string, value ast.Node, line int) error {
		text, err := c.text(value)
		if err != nil {
			return &lineError{line, fmt.Errorf("%s %w", name, err)}
		}
		(*to)[name] = text
		return nil
	})
}

// mcpServers reads the key mcp.
func (c *Config) mcpServers(to *map[string]MCPServer, node ast.Node) error {
	*to = make(map[string]MCPServer)
	return eachKey(node, func(name string, value ast.Node, line int) error {
		s, err := c.mcpServer(name, value)
		if err != nil {
			if inner, ok := errors.AsType[*lineError](err); ok {
				line = inner.line
			}
			return &lineError{line, fmt.Errorf("of %s: %w", name, err)}
		}
		(*to)[name] = s
		return nil
	})
}

func (c *Config) mcpServer(name string, node ast.Node) (MCPServer, error) {
	var s MCPServer
	err := eachKey(node, func(key string, value ast.Node, line int) error {
		return c.fact(key, value, line, map[string]any{
			"command": (*firm)(&s.Command), "args": (*firmList)(&s.Args), "env": &s.Env, "cwd": (*firm)(&s.Dir), "url": (*firm)(&s.URL), "headers": &s.Headers,
			"tools": &s.Tools, "timeout": &s.Timeout, "start_timeout": &s.StartTimeout, "disabled": &s.Disabled,
			"client_id": &s.ClientID, "client_secret": &s.ClientSecret, "callback_port": &s.CallbackPort,
		})
	})
	if err != nil {
		return s, err
	}
	return s, s.check(name)
}

// AddMCP adds a server that the person named elsewhere, in an editor. One of that
// name in the configuration stays, and so does what is known of it.
func (c *Config) AddMCP(name string, s MCPServer) error {
	if err := s.check(name); err != nil {
		return err
	}
	if _, ok := c.MCP[name]; ok {
		return nil
	}
	all := map[string]MCPServer{name: s}
	maps.Copy(all, c.MCP)
	c.MCP = all
	c.ownFirst()
	return nil
}

const maxServerTime = time.Hour

// check finds what cannot be meant.
func (s MCPServer) check(name string) error {
	address, urlErr := url.Parse(s.URL)
	switch {
	case !mcpName.MatchString(name):
		return errors.New("is no name for a server: it needs letters, digits, '-' and single '_', 30 at most")
	case (s.Command == "") == (s.URL == ""):
		return errors.New("a server has either a command or a url")
	case s.Command == "" && (len(s.Args) > 0 || len(s.Env) > 0 || s.Dir != ""):
		return errors.New("args, env and cwd belong to a command")
	case s.URL == "" && (len(s.Headers) > 0 || s.ClientID != "" || s.ClientSecret != "" || s.CallbackPort != 0):
		return errors.New("headers, client_id, client_secret and callback_port belong to a url")
	case s.URL != "" && (urlErr != nil || address.Scheme != "https" && address.Scheme != "http" || address.Host == "" || address.User != nil):
		return errors.New("the url must begin with https:// or http://, name a host and hold no password")
	case s.URL != "" && address.Scheme == "http" && !local(address.Hostname()) && s.secret():
		return errors.New("the url must begin with https://: a key would go out unencrypted")
	case s.Timeout < 0 || s.StartTimeout < 0 || s.Timeout > maxServerTime || s.StartTimeout > maxServerTime:
		return fmt.Errorf("a timeout is %v at most", maxServerTime)
	case s.CallbackPort < 0 || s.CallbackPort > 65535:
		return errors.New("callback_port is no port")
	case s.ClientSecret != "" && s.ClientID == "":
		return errors.New("client_secret goes with client_id")
	}
	for _, pattern := range s.Tools {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("tools has no such pattern: %q", pattern)
		}
	}
	for name := range s.Env {
		if !isName(name) {
			return fmt.Errorf("env has no such name: %q", name)
		}
	}
	for name, value := range s.Headers {
		if !headerName.MatchString(name) || strings.ContainsAny(value, "\r\n\x00") {
			return fmt.Errorf("headers cannot have %q with that value", name)
		}
	}
	return nil
}

var headerName = lazyregexp.New("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// secret reports whether the server is sent something that nobody else may see.
func (s MCPServer) secret() bool { return len(s.Headers) > 0 || s.ClientSecret != "" }

func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// MarshalJSON writes the server as the file has it, without what may be secret.
func (s MCPServer) MarshalJSON() ([]byte, error) {
	type plain MCPServer
	hide := func(from map[string]string) map[string]string {
		hidden := make(map[string]string, len(from))
		for name := range from {
			hidden[name] = "(set)"
		}
		return hidden
	}
	s.Env, s.Headers = hide(s.Env), hide(s.Headers)
	if at, _, found := strings.Cut(s.URL, "?"); found {
		s.URL = at + "?…"
	}
	if s.ClientSecret != "" {
		s.ClientSecret = "(set)"
	}
	out := struct {
		plain
		Timeout      string `json:"timeout,omitempty"`
		StartTimeout string `json:"start_timeout,omitempty"`
	}{plain: plain(s)}
	if s.Timeout > 0 {
		out.Timeout = s.Timeout.String()
	}
	if s.StartTimeout > 0 {
		out.StartTimeout = s.StartTimeout.String()
	}
	return json.Marshal(out)
}

// mcpSecrets are the values that servers are given and nobody else may see:
// those of headers, and of variables that are named like secrets.
func (c *Config) mcpSecrets() []string {
	var secrets []string
	for _, s := range slices.Concat(slices.Collect(maps.Values(c.MCP)), slices.Collect(maps.Values(c.ProjectMCP))) {
		path, query := addressSecrets(s.URL)
		secrets = append(append(secrets, s.ClientSecret), query...)
		for _, part := range path { // a long word is none
			if strings.ContainsAny(part, "0123456789") {
				secrets = append(secrets, part)
			}
		}
		for _, value := range s.Headers {
			secrets = append(secrets, value)
			if _, token, ok := strings.Cut(value, " "); ok { // Bearer TOKEN
				secrets = append(secrets, token)
			}
		}
		for name, value := range s.Env {
			if secretName.MatchString(name) {
				secrets = append(secrets, value)
			}
		}
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return len(strings.TrimSpace(s)) < 8 })
}

var secretName = lazyregexp.New(`(?i)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|_PAT|AUTH|COOKIE)`)

func mcpSchema() map[string]any {
	text := map[string]any{"type": "string", "minLength": 1}
	texts := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	values := map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	duration := map[string]any{"type": "string", "pattern": durationPattern}
	return map[string]any{
		"type": "object", "propertyNames": map[string]any{"pattern": mcpName.String()},
		"additionalProperties": map[string]any{
			"type": "object", "additionalProperties": false,
			"oneOf": []any{map[string]any{"required": []string{"command"}}, map[string]any{"required": []string{"url"}}},
			"properties": map[string]any{
				"command": text, "args": texts, "env": values, "cwd": text, "url": text, "headers": values, "tools": texts,
				"timeout": duration, "start_timeout": duration, "disabled": map[string]any{"type": "boolean"},
				"client_id": text, "client_secret": text, "callback_port": map[string]any{"type": "integer", "minimum": 1, "maximum": 65535},
			},
		},
	}
}
