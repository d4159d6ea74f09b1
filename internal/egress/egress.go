// Package egress is the only way out for confined commands: a proxy with a list
// of hosts, which is also the broker of the Hub's token.
//
// Its one rule: what a command sends is judged here, outside, and the very
// address that was judged is the one connected to; and the token is added to
// requests for the Hub's own host that read, and to no others. A Proxy owns its
// connections, and remembers what it has refused. It knows nothing of the
// sandbox: it serves the listener that it is given.
package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of a connection. A transfer may be as long as it likes while
// something moves.
const (
	headerTime  = 15 * time.Second // to send a request's head, or the hello of TLS
	dialTime    = 20 * time.Second
	idleTime    = 5 * time.Minute
	headerBytes = 64 << 10
	connections = 256
)

// A Proxy lets confined commands reach the hosts that are allowed. The zero
// Proxy allows none. It is safe for concurrent use and must not be copied; its
// fields must not change once it serves.
type Proxy struct {
	Allow   []string // hosts: NAME or *.SUFFIX, for ports 443 and 80, or with a :PORT of their own
	Deny    []string // hosts that Allow does not allow
	Private []string // hosts, addresses or CIDRs that are private and may be reached nevertheless, if Allow allows them

	// Hub is the address that requests to the proxy itself are for; "" for
	// none. It is the person's setting, so it may be private.
	Hub   string
	Token func(ctx context.Context) (string, error) // of the Hub; nil for none

	// Writes says of a request that changes the Hub whether it may; nil for no.
	// Reads says of one that reads whether it gets the token, or goes without;
	// nil for yes. Path is as it was sent, without its query.
	Writes, Reads func(method, path string) bool

	// Upstream names the proxy that this machine needs for an address, nil for
	// none: see UpstreamProxy. Names are then resolved there, and what they
	// resolve to is not seen here.
	Upstream func(*url.URL) (*url.URL, error)

	// Dial connects to a host in place of the guarded way, for tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Advice string        // ends the sentence of a refused host; "" for the usual
	Log    func(Event)   // is told of each request when it has ended; may be nil
	Told   func(Refusal) // is told of each refusal; may be nil

	once    sync.Once
	rules   *rules
	hub     *broker
	forward http.Handler
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	memory  memory
	failed  error
}

// An Event is one request that has ended: all that is ever logged of it.
type Event struct {
	Method   string
	Host     string
	Sent     int64 // bytes of the command
	Received int64 // bytes for the command
	Verdict  string
}

// Verdicts of an Event.
const (
	Allowed = "allowed"
	Refused = "refused"
	Failed  = "failed" // allowed, and the host did not answer
)

// ready makes the parts of the proxy, once.
func (p *Proxy) ready() error {
	p.once.Do(func() {
		p.rules, p.failed = newRules(p.Allow, p.Deny)
		if p.failed != nil {
			return
		}
		p.dial = p.dialer()
		p.forward = p.newForward()
		if p.Hub != "" {
			p.hub, p.failed = newBroker(p)
		}
	})
	return p.failed
}

// Serve serves the listener until ctx ends, and returns when every connection
// is closed.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	if err := p.ready(); err != nil {
		return errors.Join(fmt.Errorf("serve egress: %w", err), l.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var handlers sync.WaitGroup
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			p.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it would name what clients sent
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // Serve says it
	defer stop()
	err := srv.Serve(netutil.LimitListener(&patient{l}, connections))
	cancel()
	_ = srv.Close() // handlers end: their connections are gone
	handlers.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve egress: %w", err)
}

// ServeHTTP answers one request: a tunnel, a request for another host, or one
// for the Hub by way of the broker.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := p.ready(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	case r.URL.IsAbs() && !p.isSelf(r):
		p.forwardHTTP(w, r)
	case p.hub != nil && len(r.RequestURI) > 0 && (r.RequestURI[0] == '/' || r.URL.IsAbs()):
		p.hub.ServeHTTP(w, r)
	default:
		p.refuse(w, r, "", http.StatusBadRequest, "this is a proxy: it takes CONNECT and requests with a whole address")
	}
}

// isSelf reports whether a request with a whole address is for this proxy, from
// a client that sends everything through its proxy.
func (p *Proxy) isSelf(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || r.URL.Scheme != "http" {
		return false
	}
	_, port, err := net.SplitHostPort(local.String())
	if err != nil || port != r.URL.Port() {
		return false
	}
	host := r.URL.Hostname()
	return host == "localhost" || net.ParseIP(host).IsLoopback() || net.JoinHostPort(host, port) == local.String()
}

func (p *Proxy) log(e Event) {
	if p.Log != nil {
		p.Log(e)
	}
}

// A patient listener's connections break when a write does not move for long,
// so that a client that reads nothing holds nothing for ever.
type patient struct{ net.Listener }

func (l *patient) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{c}, nil
}

type patientConn struct{ net.Conn }

func (c *patientConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(idleTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// CloseWrite ends one direction, where the connection can.
func (c *patientConn) CloseWrite() error { return closeWrite(c.Conn) }
