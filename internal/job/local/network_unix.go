//go:build unix

package local

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ml-intern/internal/confine"
	"ml-intern/internal/egress"
)

// hubVariable is where programs find the Hub: at the proxy, if that has a token.
const hubVariable = "HF_ENDPOINT"

// wayFD is the descriptor of a job's end of its way out, after one other.
const wayFD = 4

// maxTold is how many refusals a log is told of.
const maxTold = 50

// A network is what a shim lets its job reach.
type network struct {
	proxy *egress.Proxy

	mu   sync.Mutex
	told []string // what was refused, each once
}

// way opens the way out for a program that gets these rules.
func (s *shim) way(rules *confine.Rules) (*confine.Way, error) {
	w := s.record.Way
	if rules == nil || w == nil || rules.Network {
		return &confine.Way{}, nil
	}
	if w.Hub != "" {
		rules.Address = []string{hubVariable}
	}
	return rules.Way(wayFD, w.Bridges...)
}

// withWay are the open files of a program: one, and its end of the way out.
func withWay(first *os.File, way *confine.Way) []*os.File {
	if way.Inside == nil {
		return []*os.File{first}
	}
	return []*os.File{first, way.Inside} // at wayFD
}

// serve lets the way lead somewhere until it is closed.
func (s *shim) serve(ctx context.Context, way *confine.Way) {
	w := s.record.Way
	if w == nil {
		return
	}
	if s.network.proxy == nil {
		s.network.proxy = s.newProxy(*w)
	}
	way.Serve(w.Bridges, func(l net.Listener) {
		if err := s.network.proxy.Serve(ctx, l); err != nil && !errors.Is(err, net.ErrClosed) {
			s.tell("the job's way to the network is closed: " + err.Error())
		}
	}, func(l net.Listener, port int) {
		egress.Bridge(ctx, l, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	})
}

func (s *shim) newProxy(w Way) *egress.Proxy {
	get := func(name string) string {
		value, ok := variable(os.Environ(), name)
		if !ok {
			value, _ = variable(os.Environ(), strings.ToLower(name))
		}
		return value
	}
	p := &egress.Proxy{
		Allow: w.Allow, Deny: w.Deny, Private: w.Private, Hub: w.Hub, Advice: w.Advice,
		Upstream: egress.UpstreamProxy(get("HTTP_PROXY"), get("HTTPS_PROXY"), get("NO_PROXY")),
		Told:     func(r egress.Refusal) { s.tell(r.Text) },
	}
	if token := s.given.HubToken; token != "" && s.given.Hub == w.Hub { // whoever started this shim may have chosen another Hub
		p.Token = func(context.Context) (string, error) { return token, nil }
	}
	return p
}

// tell writes a refusal to the job's log, once.
func (s *shim) tell(text string) {
	s.network.mu.Lock()
	known := len(s.network.told) >= maxTold || slices.Contains(s.network.told, text)
	if !known {
		s.network.told = append(s.network.told, text)
	}
	s.network.mu.Unlock()
	if !known {
		s.output.note("[network: " + text + "]")
	}
}

// refused is what to add to why a job failed, "" if it was refused nothing.
func (n *network) refused() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.told) == 0 {
		return ""
	}
	return "; before that, of the network: " + clip(n.told[len(n.told)-1], 300)
}
