package app

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/egress"
	"ml-intern/internal/tool"
)

// endpoint is the variable in which commands find the Hub: at their proxy, which
// has the token.
const endpoint = "HF_ENDPOINT"

// A gate is the way out for the commands of a session. It costs nothing before
// one of them goes out.
type gate struct {
	ctx   context.Context
	proxy *egress.Proxy
}

// newGate puts together what commands may reach. Scripts load from the public
// Hub where the chosen one is embedded: nobody's token is needed there.
func (a *App) newGate(ctx context.Context) *gate {
	get := processEnv(a.cfg)
	allow, private := reachable(a.cfg)
	p := &egress.Proxy{
		Allow: allow, Deny: a.cfg.Network.Deny, Private: private,
		Upstream: egress.UpstreamProxy(get("HTTP_PROXY"), get("HTTPS_PROXY"), get("NO_PROXY")),
		Advice:   "ask the person for this one host with the tool grant",
	}
	if choice := a.hubChoice(); choice != LocalHub && !offline(a.cfg) {
		p.Hub, p.Token = choice, a.keyring(choice).Token
	}
	return &gate{ctx, p}
}

// reachable are the hosts that commands may reach, and which of those may be
// private.
func reachable(cfg *config.Config) (allow, private []string) {
	allow, private = append(egress.DefaultHosts(), cfg.Network.Allow...), slices.Clone(cfg.Network.Private)
	for _, index := range indexes(processEnv(cfg)) {
		allow, private = append(allow, index), append(private, hostOf(index))
	}
	return allow, private
}

// serve is the proxy of one cell.
func (g *gate) serve(l net.Listener) {
	first, err := l.Accept()
	if err != nil {
		return // the cell has ended, and nobody went out
	}
	_ = g.proxy.Serve(g.ctx, &begun{Listener: l, first: first}) // a proxy that does not serve lets nobody out
}

// refused says what commands were refused since a time.
func (g *gate) refused(since time.Time) []string {
	var all []string
	for _, r := range g.proxy.Refusals(since) {
		all = append(all, r.Text)
	}
	return all
}

// A begun listener has accepted one connection already.
type begun struct {
	net.Listener
	once  sync.Once
	first net.Conn
}

func (b *begun) Accept() (net.Conn, error) {
	var c net.Conn
	b.once.Do(func() { c = b.first })
	if c != nil {
		return c, nil
	}
	return b.Listener.Accept()
}

// processEnv looks variables up that the process was given: a folder's .env,
// which somebody else may have written, opens nothing.
func processEnv(cfg *config.Config) func(name string) string {
	set := make(map[string]string)
	for _, pair := range cfg.ProcessEnviron() {
		if name, value, ok := strings.Cut(pair, "="); ok {
			set[strings.ToUpper(name)] = value
		}
	}
	return func(name string) string { return set[name] }
}

// indexes are the hosts of the package indexes that the person's programs use,
// with their ports.
func indexes(get func(string) string) []string {
	var hosts []string
	for _, name := range []string{"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "NPM_CONFIG_REGISTRY"} {
		for _, word := range strings.Fields(get(name)) {
			if _, after, named := strings.Cut(word, "="); named && !strings.Contains(word, "?") {
				word = after // NAME=URL
			}
			u, err := url.Parse(word)
			if err == nil && u.Hostname() != "" && egress.CheckHost(u.Host) == nil {
				hosts = append(hosts, u.Host)
			}
		}
	}
	return hosts
}

func hostOf(authority string) string {
	if u, err := url.Parse("//" + authority); err == nil {
		return u.Hostname()
	}
	return authority
}

// grant opens what a person gave, or a rule of theirs, for the rest of the session.
func (a *App) grant(g tool.Grants) error {
	if a.cells == nil {
		return nil // nothing is closed
	}
	for _, host := range g.Hosts {
		if err := a.gate.proxy.Grant(host); err != nil {
			return err
		}
		a.granted.add(host) // for the jobs of this session
	}
	for _, path := range g.Paths {
		if real, err := filepath.EvalSymlinks(path); err == nil && real == path && a.sandbox().MayOpen(path) == nil { // nobody said yes to what stands there now
			a.cells.Open(path)
		}
	}
	if g.GPU {
		a.cells.OpenGPUs()
	}
	return nil
}
