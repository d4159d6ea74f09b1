package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/config"
	"ml-intern/internal/fetch"
	"ml-intern/internal/mcp"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/session"
	"ml-intern/internal/tools"
)

// mcpServers are the servers of the configuration that are not switched off.
func mcpServers(cfg *config.Config) []mcp.Server {
	var all []mcp.Server
	add := func(from map[string]config.MCPServer, trusted func() error) {
		for _, name := range slices.Sorted(maps.Keys(from)) {
			if s := from[name]; !s.Disabled {
				all = append(all, mcpServer(cfg, name, s, trusted))
			}
		}
	}
	add(cfg.MCP, nil)
	add(cfg.ProjectMCP, func() error { return cfg.StillTrusted(cfg.Dir) })
	return all
}

func mcpServer(cfg *config.Config, name string, s config.MCPServer, trusted func() error) mcp.Server {
	out := mcp.Server{
		Name: name, Command: s.Command, Args: s.Args, Dir: cfg.Dir, URL: s.URL, Headers: s.Headers,
		Client: mcp.Credentials{ID: s.ClientID, Secret: s.ClientSecret, Port: s.CallbackPort},
		Tools:  s.Tools, Timeout: s.Timeout, StartTimeout: s.StartTimeout, Check: trusted,
	}
	if s.Command == "" {
		return out
	}
	if s.Dir != "" {
		out.Dir = s.Dir
		if !filepath.IsAbs(out.Dir) {
			out.Dir = filepath.Join(cfg.Dir, out.Dir)
		}
	}
	if strings.ContainsRune(out.Command, filepath.Separator) && !filepath.IsAbs(out.Command) {
		out.Command = filepath.Join(out.Dir, out.Command)
	}
	out.Env = sandbox.Environ(cfg.ProcessEnviron())
	for _, key := range slices.Sorted(maps.Keys(s.Env)) {
		out.Env = append(out.Env, key+"="+s.Env[key])
	}
	out.Check = func() error {
		if trusted != nil {
			if err := trusted(); err != nil {
				return err
			}
		}
		return fromOthers(cfg, out)
	}
	return out
}

// fromOthers refuses a server whose program a confined command could have
// written: it would run outside.
func fromOthers(cfg *config.Config, s mcp.Server) error {
	if cfg.Unconfined {
		return nil
	}
	names := []string{s.Command}
	if path, err := exec.LookPath(s.Command); err == nil {
		names[0] = path
	}
	for _, arg := range s.Args {
		names = append(names, arg)
		if _, value, ok := strings.Cut(arg, "="); ok { // --config=FILE
			names = append(names, value)
		}
	}
	for _, name := range names {
		if name != "" && !filepath.IsAbs(name) {
			name = filepath.Join(s.Dir, name)
		}
		real, err := filepath.EvalSymlinks(name)
		if err != nil {
			continue // no file
		}
		info, err := os.Stat(real)
		if err == nil && info.Mode().IsRegular() && (below(writtenByCommands(cfg), real) || below(writtenByCommands(cfg), name)) {
			return fmt.Errorf("%s can be written by commands of the session, and a server runs outside their walls: keep it in another folder", name)
		}
	}
	return nil
}

// mcpOptions are what all servers have in common.
func (a *App) mcpOptions() mcp.Options {
	cfg := a.cfg
	own := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 256 << 10}
	return mcp.Options{
		Version: Version(), MaxText: cfg.MCPToolsKB << 10, Mark: tools.FromOutside, Own: own, Logins: a.logins.Logins,
		Other: func(host string) http.RoundTripper {
			return &http.Transport{DialContext: fetch.PublicDialer(append(slices.Clone(cfg.Services.Private), host)...), IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 256 << 10}
		},
	}
}

// withServers gives the agent the tools of the MCP servers, which are looked at
// again when a turn begins. The servers end with the conversation.
func (a *App) withServers(ctx context.Context, ag *agent.Agent) {
	servers := mcpServers(a.cfg)
	if len(servers) == 0 {
		return
	}
	_ = a.logins.Settle(ctx) // where they are they are as good
	set := mcp.NewSet(servers, a.mcpOptions())
	a.servers.add(ag, set)
	look := func(ctx context.Context) []session.Notice {
		found, notices := set.Tools(ctx)
		ag.Tools.Extend(found)
		all := make([]session.Notice, len(notices))
		for i, n := range notices {
			text := fmt.Sprintf("MCP server %s: %s", n.Server, n.Text)
			all[i] = session.Notice{Kind: "mcp: " + text, Text: text}
		}
		return all
	}
	fresh := look(ctx)
	ag.Refresh = func(ctx context.Context, begins bool) []session.Notice {
		notices := fresh
		if fresh = nil; begins {
			notices = append(notices, look(ctx)...)
		}
		return notices
	}
}

// servers are those that run, by the agent that has their tools.
type servers struct {
	mu  sync.Mutex
	all map[*agent.Agent]*mcp.Set
}

func (s *servers) add(ag *agent.Agent, set *mcp.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*agent.Agent]*mcp.Set)
	}
	s.all[ag] = set
}

// close ends those of one agent, if it has any.
func (s *servers) close(ag *agent.Agent) {
	s.mu.Lock()
	set := s.all[ag]
	delete(s.all, ag)
	s.mu.Unlock()
	if set != nil {
		set.Close()
	}
}

func (s *servers) closeAll() {
	s.mu.Lock()
	agents := slices.Collect(maps.Keys(s.all))
	s.mu.Unlock()
	for _, ag := range agents {
		s.close(ag)
	}
}

// MCPServers starts all servers of the configuration and says how each is.
func (a *App) MCPServers(ctx context.Context) ([]mcp.Report, error) {
	_ = a.logins.Settle(ctx) // where they are they are as good
	set := mcp.NewSet(mcpServers(a.cfg), a.mcpOptions())
	defer set.Close()
	return set.Reports(ctx), context.Cause(ctx)
}

// LoginMCP logs the person in to a server of the configuration and returns how
// many tools it has, and where the login is kept; show is given the address for
// their browser.
func (a *App) LoginMCP(ctx context.Context, name string, show func(address string)) (tools int, kept string, err error) {
	server, err := mcpNamed(a.cfg, name)
	if err != nil {
		return 0, "", err
	}
	in, err := mcp.Login(ctx, server, a.mcpOptions(), show)
	return in.Tools, place(in.Place, a.logins.File), err
}

// LogoutMCP forgets the login at a server, and reports whether there was one.
func (a *App) LogoutMCP(ctx context.Context, name string) (bool, error) {
	server, err := mcpNamed(a.cfg, name)
	if err != nil {
		return false, err
	}
	return a.logins.Remove(ctx, server.URL)
}

func mcpNamed(cfg *config.Config, name string) (mcp.Server, error) {
	servers := mcpServers(cfg)
	var names []string
	for _, s := range servers {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		return mcp.Server{}, fmt.Errorf("%w: there is no MCP server in the configuration: put it under mcp in %s", ErrUsage, cfg.File())
	}
	return mcp.Server{}, fmt.Errorf("%w: there is no MCP server %q; there are %s", ErrUsage, name, strings.Join(names, ", "))
}

// mcpCheck says which MCP servers there are. It starts none.
func mcpCheck(cfg *config.Config) Check {
	servers := mcpServers(cfg)
	if len(servers) == 0 {
		return Check{Name: "mcp", State: stateOK, Detail: "no servers"}
	}
	var parts []string
	c := Check{Name: "mcp", State: stateOK}
	for _, s := range servers {
		parts = append(parts, s.Name)
		if s.Command == "" {
			continue
		}
		if _, err := exec.LookPath(s.Command); err != nil {
			c.State, c.Mend = stateMissing, fmt.Sprintf("%s of the server %s is not on the PATH", s.Command, s.Name)
		} else if err := s.Check(); err != nil {
			c.State, c.Mend = stateNote, fmt.Sprintf("%s: %v", s.Name, err)
		}
	}
	c.Detail = strings.Join(parts, ", ") + "; ml-intern mcp ls asks them"
	return c
}
