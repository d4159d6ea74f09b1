package egress

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/net/http/httpproxy"

	"ml-intern/internal/fetch"
)

// UpstreamProxy returns what Proxy.Upstream wants from the values of the
// variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY. With none it returns nil.
func UpstreamProxy(httpProxy, httpsProxy, noProxy string) func(*url.URL) (*url.URL, error) {
	if httpProxy == "" && httpsProxy == "" {
		return nil
	}
	return (&httpproxy.Config{HTTPProxy: httpProxy, HTTPSProxy: httpsProxy, NoProxy: noProxy}).ProxyFunc()
}

// dialer is the way to a host that is allowed.
func (p *Proxy) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if p.Dial != nil {
		return p.Dial
	}
	return fetch.PublicDialer(slices.Concat(standIns, p.Private)...)
}

// standIns are the addresses of documentation (RFC 5737), to which an allowed
// name may lead: nobody has a network there, but machines that are cut off from
// the internet answer for package indexes with them.
var standIns = []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}

// reach connects to a target, by the upstream proxy if there is one.
func (p *Proxy) reach(ctx context.Context, t target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	up, err := p.upstream(&url.URL{Scheme: "https", Host: t.String()})
	if err != nil {
		return nil, err
	}
	if up == nil {
		return p.dial(ctx, "tcp", t.String())
	}
	if err := p.lookup(t); err != nil {
		return nil, err
	}
	return dialUpstream(ctx, up, t)
}

func (p *Proxy) upstream(u *url.URL) (*url.URL, error) {
	if p.Upstream == nil {
		return nil, nil //nolint:nilnil // no proxy is no failure, as in http.Transport
	}
	return p.Upstream(u)
}

// lookup refuses an address that the upstream proxy would be asked for by
// number, and localhost. What a name resolves to there is not seen.
func (p *Proxy) lookup(t target) error {
	if t.ip.IsValid() && !fetch.Public(t.ip) || t.host == "localhost" {
		return fetch.ErrPrivate
	}
	return nil
}

// dialUpstream asks an HTTP proxy for a tunnel.
func dialUpstream(ctx context.Context, up *url.URL, t target) (net.Conn, error) {
	conn, err := dialProxy(ctx, up)
	if err != nil {
		return nil, fmt.Errorf("connect to this machine's own proxy: %w", err)
	}
	deadline, _ := ctx.Deadline()
	err = conn.SetDeadline(deadline)
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: t.String()}, Host: t.String(), Header: http.Header{"User-Agent": {""}}}
	if up.User != nil {
		password, _ := up.User.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(up.User.Username()+":"+password)))
	}
	in := bufio.NewReader(conn)
	if err == nil {
		err = req.Write(conn)
	}
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(in, req) //nolint:bodyclose // the connection is closed, or has become the tunnel
	}
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answered %d", resp.StatusCode)
	}
	if err == nil && in.Buffered() > 0 { // TLS: the client speaks first
		err = errors.New("it sent more than its answer")
	}
	if err != nil {
		drop(conn)
		return nil, fmt.Errorf("ask this machine's own proxy for %s: %w", t, err)
	}
	return conn, conn.SetDeadline(time.Time{})
}

// dialProxy connects to an HTTP proxy: the person's setting, so it may be
// private.
func dialProxy(ctx context.Context, up *url.URL) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTime}
	switch up.Scheme {
	case "http":
		return d.DialContext(ctx, "tcp", net.JoinHostPort(up.Hostname(), cmp.Or(up.Port(), "80")))
	case "https":
		return (&tls.Dialer{NetDialer: d, Config: &tls.Config{NextProtos: []string{"http/1.1"}}}).
			DialContext(ctx, "tcp", net.JoinHostPort(up.Hostname(), cmp.Or(up.Port(), "443")))
	}
	return nil, fmt.Errorf("a proxy of the kind %s is not spoken here: use http or https", up.Scheme)
}
