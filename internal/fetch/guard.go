package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A guardError is a connection that was not made.
type guardError struct{ what string }

func (e *guardError) Error() string { return e.what + " is a private address, which is not reached" }
func (e *guardError) Unwrap() error { return ErrPrivate }

// notPublic are addresses that lead to no public host, beside those that
// package netip knows.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network
	netip.MustParsePrefix("100.64.0.0/10"),    // behind a provider's NAT
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's own service of each machine, with its secrets
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.88.99.0/24"),   // relays of 6to4
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
	netip.MustParsePrefix("::/96"),            // old form of IPv4 in IPv6
	netip.MustParsePrefix("::ffff:0:0:0/96"),  // translated IPv4
	netip.MustParsePrefix("64:ff9b:1::/48"),   // local translation
	netip.MustParsePrefix("100::/64"),         // discard
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),    // documentation
	netip.MustParsePrefix("3fff::/20"),        // documentation
	netip.MustParsePrefix("5f00::/16"),        // segment routing
	netip.MustParsePrefix("fec0::/10"),        // old site-local
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// Public reports whether an address leads to a host on the public Internet. An
// IPv4 address inside an IPv6 address counts as what it is.
func Public(ip netip.Addr) bool {
	ip = ip.WithZone("").Unmap()
	if ip.Is6() {
		b := ip.As16()
		switch {
		case nat64.Contains(ip):
			ip = netip.AddrFrom4([4]byte(b[12:16]))
		case sixToFour.Contains(ip):
			ip = netip.AddrFrom4([4]byte(b[2:6]))
		}
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// address parses the address of a request or a redirect, and refuses one that
// is private by its look. What a name resolves to is seen when it is dialled.
func (c *Client) address(raw string) (*url.URL, error) {
	refuse := func(reason string) (*url.URL, error) { return nil, &addressError{hideUser(raw), reason, ErrBadAddress} }
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return refuse("this is not a URL")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("only http and https addresses are read")
	case host == "" || u.Opaque != "":
		return refuse("it names no host")
	case u.User != nil:
		return refuse("an address must not hold a user or a password")
	case LooksNumeric(host):
		return refuse("its host is a number in an unusual form")
	}
	return u, nil
}

// hideUser leaves a password out of an address that is not understood.
func hideUser(raw string) string {
	if at := strings.LastIndexByte(raw, '@'); at >= 0 {
		return "…" + raw[at:]
	}
	return raw
}

// LooksNumeric reports whether some resolvers take the host for an IPv4
// address though it is not written as one: 2130706433, 0177.1, 0x7f000001.
func LooksNumeric(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	hex := strings.HasPrefix(last, "0x")
	return last != "" && strings.Trim(strings.TrimPrefix(last, "0x"), map[bool]string{true: "0123456789abcdef", false: "0123456789"}[hex]) == ""
}

// PublicDialer returns a function that connects to public addresses, and to
// the private hosts, addresses and CIDRs that are listed. What a name resolves
// to is judged at the very connection; what is refused wraps ErrPrivate.
func PublicDialer(private ...string) func(ctx context.Context, network, address string) (net.Conn, error) {
	g := newGuard(private)
	return g.dial
}

// A guard decides which hosts may be connected to.
type guard struct {
	names    []string
	prefixes []netip.Prefix
}

func newGuard(private []string) *guard {
	g := &guard{}
	for _, p := range private {
		p = strings.ToLower(strings.Trim(strings.TrimSpace(p), "[]"))
		if prefix, err := netip.ParsePrefix(p); err == nil {
			g.prefixes = append(g.prefixes, prefix.Masked())
		} else if ip, err := netip.ParseAddr(p); err == nil {
			ip = ip.Unmap()
			g.prefixes = append(g.prefixes, netip.PrefixFrom(ip, ip.BitLen()))
		} else if p != "" {
			g.names = append(g.names, strings.TrimSuffix(p, "."))
		}
	}
	return g
}

// named reports whether a host is listed as one that may be private.
func (g *guard) named(host string) bool {
	return slices.Contains(g.names, strings.ToLower(strings.TrimSuffix(host, ".")))
}

func (g *guard) allows(ip netip.Addr) bool {
	ip = ip.WithZone("").Unmap()
	return Public(ip) || slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// look refuses a host that is private by its look.
func (g *guard) look(u *url.URL) error {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if g.named(host) {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if !g.allows(ip) {
			return &guardError{host}
		}
		return nil
	}
	if (host == "localhost" || strings.HasSuffix(host, ".localhost")) && !g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		return &guardError{host}
	}
	return nil
}

// dial connects to a host if the address that its name has resolved to may be
// reached. The check is of the very address of the connection, so a name that
// changes between a check and its use gains nothing.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !g.named(host) {
		d.Control = func(network, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") {
				return &guardError{address}
			}
			if g.allows(at.Addr()) {
				return nil
			}
			if host == at.Addr().String() {
				return &guardError{host}
			}
			return &guardError{fmt.Sprintf("%s (%s)", host, at.Addr())}
		}
	}
	return d.DialContext(ctx, network, address)
}

// roads are the ways to send a request: plain for addresses of the
// configuration, guarded for all others. They share no connections.
type roads struct {
	guard          *guard
	plain, guarded http.RoundTripper
}

func (c *Client) newRoads() roads {
	r := roads{guard: newGuard(c.Private)}
	if own, ok := c.HTTP.(*http.Transport); ok {
		r.plain, r.guarded = own, r.fence(own.Clone())
		return r
	}
	if c.HTTP != nil {
		r.plain, r.guarded = c.HTTP, c.HTTP
		return r
	}
	standard := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 50, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 256 << 10, DisableCompression: true,
	}
	r.plain, r.guarded = standard, r.fence(standard.Clone())
	return r
}

// fence guards a transport. It goes through no proxy: what a name resolves to
// there is not seen here.
func (r *roads) fence(t *http.Transport) *http.Transport {
	t.Proxy, t.DialContext, t.DialTLSContext = nil, r.guard.dial, nil
	t.Dial, t.DialTLS = nil, nil //nolint:staticcheck // an old hook must not go around the guard
	return t
}

// road chooses the way for one hop of a request that began at first.
func (c *Client) road(req *http.Request, first *url.URL) (http.RoundTripper, error) {
	if c.Trust && strings.EqualFold(req.URL.Hostname(), first.Hostname()) {
		return c.roads.plain, nil
	}
	if err := c.roads.guard.look(req.URL); err != nil {
		return nil, err
	}
	if c.Trust && c.HTTP == nil {
		if proxy, err := http.ProxyFromEnvironment(req); err == nil && proxy != nil {
			return c.roads.plain, nil // the only way out; the proxy is the person's own
		}
	}
	return c.roads.guarded, nil
}
