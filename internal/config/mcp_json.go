package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// projectServer is a server as .mcp.json has it, which other programs read too:
// keys that are not known here are theirs.
type projectServer struct {
	Type    string            `json:"type"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	Dir     string            `json:"cwd"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// maxProjectServers bounds how many servers a folder starts.
const maxProjectServers = 50

// readServersFile adds the servers of the folder's .mcp.json, if the folder is
// trusted. What is wrong with the file is noted and keeps nobody from working:
// it may have been written for another program.
func (c *Config) readServersFile() {
	file := ServersFile(c.Dir)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		c.ownFirst()
		return
	}
	var list struct {
		Servers map[string]projectServer `json:"mcpServers"`
	}
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	switch {
	case c.Trust != Trusted:
		if n := len(list.Servers); n > 0 || err != nil {
			c.ignored = append(c.ignored, fmt.Sprintf("%s: its MCP servers", file))
		}
		return
	case err != nil:
		c.servers = append(c.servers, fmt.Sprintf("ignored: %s: %v", file, err))
		return
	case len(list.Servers) > maxProjectServers:
		c.servers = append(c.servers, fmt.Sprintf("ignored: %s: it has more than %d servers", file, maxProjectServers))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(list.Servers)) {
		s, err := c.fromProject(name, list.Servers[name])
		if _, twice := c.ProjectMCP[name]; err == nil && twice {
			err = fmt.Errorf("%s has one of that name", ProjectFile(c.Dir))
		}
		if err != nil {
			c.servers = append(c.servers, fmt.Sprintf("ignored: %s: server %.60q: %v", file, name, err))
			continue
		}
		if c.ProjectMCP == nil {
			c.ProjectMCP = make(map[string]MCPServer)
		}
		c.ProjectMCP[name] = s
	}
	c.ownFirst()
}

// ownFirst leaves out the servers of the folder that have the name of one of the
// person's, for which their rules were made.
func (c *Config) ownFirst() {
	for _, name := range slices.Sorted(maps.Keys(c.ProjectMCP)) {
		if _, own := c.MCP[name]; own {
			delete(c.ProjectMCP, name)
			c.servers = append(c.servers, fmt.Sprintf("ignored: this folder's MCP server %s: yours of that name is used", name))
		}
	}
}

func (c *Config) fromProject(name string, p projectServer) (MCPServer, error) {
	if !slices.Contains([]string{"", "stdio", "http", "streamable-http", "streamableHttp"}, p.Type) {
		return MCPServer{}, fmt.Errorf("the type %.30q is not spoken here", p.Type)
	}
	s := MCPServer{Command: p.Command, Args: p.Args, Env: p.Env, Dir: p.Dir, URL: p.URL, Headers: p.Headers}
	var err error
	fill := func(text string, getenv func(string) string) string {
		filled, wrong := c.expandFrom(text, getenv)
		err = errors.Join(err, wrong)
		return filled
	}
	s.Command, s.Dir, s.URL = fill(s.Command, c.ProcessGetenv), fill(s.Dir, c.ProcessGetenv), fill(s.URL, c.ProcessGetenv)
	for i := range s.Args {
		s.Args[i] = fill(s.Args[i], c.ProcessGetenv)
	}
	for _, values := range []map[string]string{s.Env, s.Headers} {
		for key, value := range values {
			values[key] = fill(value, c.Getenv)
		}
	}
	return s, errors.Join(err, s.check(name))
}
