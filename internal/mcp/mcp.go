// Package mcp is both sides of the Model Context Protocol: a client that gives
// a session the tools of servers that the person named, and a server that gives
// our tools to other agents.
//
// Its one rule: nothing that a server says or does ends a turn, fills the
// memory or decides what is allowed. A Set owns the connections and the
// programs of its servers. Close it.
package mcp

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/tool"
)

// A Server is one that a session may use. Either Command or URL is set.
type Server struct {
	Name string

	Command string   // a program that speaks on its standard input and output
	Args    []string // of it
	Dir     string   // where it runs
	Env     []string // the whole environment of it, as NAME=VALUE

	URL     string            // of a server that speaks streamable HTTP
	Headers map[string]string // for that server alone
	Client  Credentials       // with which it is logged in to, if it has been registered by hand

	Tools        []string      // patterns of the names that are offered; none for all
	StartTimeout time.Duration // 0 for DefaultStartTimeout
	Timeout      time.Duration // of a call; 0 for DefaultTimeout

	// Check fails if the server may no longer be started. It may be nil.
	Check func() error
}

// Credentials name this program to an authorization server that does not
// register programs by itself.
type Credentials struct {
	ID     string
	Secret string
	Port   int // of the address that the browser is sent back to; 0 for any
}

// How long a server may take.
const (
	DefaultStartTimeout = 30 * time.Second
	DefaultTimeout      = 2 * time.Minute
)

// Options are what all servers of a Set have in common.
type Options struct {
	Version string // of this program
	MaxText int    // bytes that descriptions and schemas of all tools may have

	// Mark puts a text of the source into a form that a model takes for data.
	Mark func(source, text string) string

	// Own carries requests to a server's own address, Other those to addresses
	// that a server names, such as that of its authorization server: own is the
	// server's host, which may be private.
	Own   http.RoundTripper
	Other func(own string) http.RoundTripper

	// Logins keeps the tokens of servers that a person has logged in to.
	Logins Logins
}

// A Set is the servers of one session.
type Set struct {
	links   []*link
	options Options
}

// NewSet returns the servers, none of which is started before Tools.
func NewSet(servers []Server, options Options) *Set {
	s := &Set{options: options}
	for _, server := range servers {
		s.links = append(s.links, newLink(server, options))
	}
	slices.SortFunc(s.links, func(a, b *link) int { return strings.Compare(a.server.Name, b.server.Name) })
	return s
}

// A Notice is what a person should know of a server.
type Notice struct {
	Server string
	Text   string
}

// Tools returns the tools of all servers, in the same order every time. It
// starts servers that do not run and asks those whose list has changed. A
// server that does not answer keeps the tools that it had.
func (s *Set) Tools(ctx context.Context) ([]tool.Tool, []Notice) {
	states := s.refresh(ctx)
	var tools []tool.Tool
	var notices []Notice
	taken, left := make(map[string]bool), s.options.MaxText
	for i, l := range s.links {
		st := states[i]
		for _, text := range st.notices {
			notices = append(notices, Notice{l.server.Name, text})
		}
		var dropped []string
		for _, f := range st.tools {
			size := len(f.spec.Name) + len(f.spec.Description) + len(f.spec.Schema)
			switch {
			case taken[f.spec.Name]:
				notices = append(notices, Notice{l.server.Name, fmt.Sprintf("two of its tools would be named %s: the second is left out", f.spec.Name)})
				continue
			case size > left:
				dropped = append(dropped, f.remote)
				continue
			}
			left -= size
			taken[f.spec.Name] = true
			tools = append(tools, &remoteTool{link: l, found: f})
		}
		if len(dropped) > 0 {
			notices = append(notices, Notice{l.server.Name, fmt.Sprintf("%d of its %d tools are left out, %s first: the tools of all servers may have %d KB in every request; name those you need under tools of the server, or set mcp_tools_kb",
				len(dropped), len(st.tools), dropped[0], s.options.MaxText>>10)})
		}
	}
	return tools, notices
}

// A state is what a server has just now.
type state struct {
	tools   []found
	notices []string
	err     error
}

// refresh asks all servers side by side.
func (s *Set) refresh(ctx context.Context) []state {
	states := make([]state, len(s.links))
	var wg sync.WaitGroup
	for i, l := range s.links {
		wg.Go(func() { states[i] = l.refresh(ctx) })
	}
	wg.Wait()
	return states
}

// A Report says how a server is.
type Report struct {
	Server string `json:"server"`
	Kind   string `json:"kind"`  // stdio or http
	Where  string `json:"where"` // program or address
	Title  string `json:"title,omitempty"`
	Tools  int    `json:"tools"`
	Error  string `json:"error,omitempty"`

	Names   []string `json:"names,omitempty"` // of its tools, as the model calls them
	Notices []string `json:"notices,omitempty"`
}

// place is the server's address without its query, which may hold a key.
func (s Server) place() string {
	at, _, found := strings.Cut(s.URL, "?")
	if found {
		at += "?…"
	}
	return at
}

// Reports starts all servers and says how each is.
func (s *Set) Reports(ctx context.Context) []Report {
	states := s.refresh(ctx)
	reports := make([]Report, len(s.links))
	for i, l := range s.links {
		r := Report{Server: l.server.Name, Kind: "http", Where: l.server.place(), Title: l.title(), Tools: len(states[i].tools), Notices: states[i].notices}
		if l.server.Command != "" {
			r.Kind, r.Where = "stdio", l.server.Command
		}
		for _, f := range states[i].tools {
			r.Names = append(r.Names, f.spec.Name)
		}
		if states[i].err != nil {
			r.Error, r.Notices = strings.TrimPrefix(states[i].err.Error(), errDown.Error()+": "), nil
		}
		reports[i] = r
	}
	return reports
}

// Close ends all connections and programs.
func (s *Set) Close() {
	var wg sync.WaitGroup
	for _, l := range s.links {
		wg.Go(l.close)
	}
	wg.Wait()
}
