package egress

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// forwardHTTP sends a request with a whole address on, in plain HTTP.
func (p *Proxy) forwardHTTP(w http.ResponseWriter, r *http.Request) {
	t, err := parseTarget(r.URL.Host, 80)
	switch {
	case r.URL.Scheme != "http":
		p.refuse(w, r, "", http.StatusBadRequest, "for https this proxy takes CONNECT; only http addresses can be sent as they are")
	case err != nil || r.URL.User != nil || r.URL.Opaque != "":
		p.refuse(w, r, "", http.StatusBadRequest, "the address of the request is not HOST or HOST:PORT without a user")
	case !p.rules.allows(t):
		p.refuse(w, r, t.String(), http.StatusForbidden, p.unreachable(t))
	default:
		p.pass(p.forward, w, r, t.String())
	}
}

// newForward makes the handler of requests that were judged. They are written
// anew, so that the host reads them as they were read here.
func (p *Proxy) newForward() http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(r *httputil.ProxyRequest) {
			t, _ := parseTarget(r.In.URL.Host, 80) // forwardHTTP has looked
			r.Out.URL.Host, r.Out.Host = t.String(), r.In.URL.Host
			r.Out.Header.Del("Upgrade") // no tunnel but by CONNECT
			r.Out.Header.Del("Connection")
		},
		Transport: p.newRoad(p.dial, true),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			settled(w)
			t, _ := parseTarget(r.URL.Host, 80)
			p.unreached(w, r, t, err)
		},
	}
}

// A road sends requests: by the machine's own proxy where that is set up, else
// directly. The two share no connections.
type road struct {
	p               *Proxy
	direct, proxied *http.Transport
	guarded         bool
}

func (p *Proxy) newRoad(dial func(ctx context.Context, network, address string) (net.Conn, error), guarded bool) *road {
	direct := &http.Transport{
		DialContext: dial, TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: idleTime, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: headerBytes, DisableCompression: true, ForceAttemptHTTP2: true,
	}
	proxied := direct.Clone()
	proxied.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext // to the proxy, which is the person's own
	proxied.Proxy = func(r *http.Request) (*url.URL, error) { return p.upstream(r.URL) }
	return &road{p, direct, proxied, guarded}
}

// RoundTrip sends one request. It follows no redirect.
func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	up, err := r.p.upstream(req.URL)
	if err != nil {
		return nil, err
	}
	if up == nil {
		return r.direct.RoundTrip(req)
	}
	if r.guarded {
		t, err := parseTarget(req.URL.Host, 80)
		if err == nil {
			err = r.p.lookup(t)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.proxied.RoundTrip(req)
}

// pass lets a handler answer, counts what moves, and logs it at the end. A body
// may come as slowly as it likes while it comes.
func (p *Proxy) pass(h http.Handler, w http.ResponseWriter, r *http.Request, host string) {
	m := &meter{ResponseWriter: w}
	body := &meteredBody{ReadCloser: r.Body, rc: http.NewResponseController(w), m: m}
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = body
	}
	defer func() {
		body.retire()
		if !m.settled {
			p.log(Event{methodOf(r), host, m.sent, m.received, Allowed})
		}
	}()
	h.ServeHTTP(m, r)
}

// A meter counts an answer.
type meter struct {
	http.ResponseWriter
	sent, received int64
	settled        bool // refused or failed, and logged as that
}

// settled marks an answer that is not the host's.
func settled(w http.ResponseWriter) {
	if m, ok := w.(*meter); ok {
		m.settled = true
	}
}

// Unwrap lets http.ResponseController reach what is below.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.ResponseWriter.Write(b)
	m.received += int64(n)
	return n, err
}
