package fetch

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{"1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.1.1", "223.255.255.1", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"} {
		if !Public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is public", ip)
		}
	}
	for _, ip := range []string{"0.1.2.3", "10.255.255.255", "127.255.255.255", "239.1.1.1", "255.255.255.255", "198.19.255.255", "192.0.0.192", "fe80::1%eth0", "fdff::1", "ff0e::1", "::", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:a00:1::", "2001:0:1::1", "100::1", "::ffff:0:7f00:1", "168.63.129.16", "::ffff:169.254.169.254", "fd00:ec2::254"} {
		if Public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is private", ip)
		}
	}
}

func TestDialJudgesWhatANameResolvesTo(t *testing.T) {
	t.Parallel()
	for private, ok := range map[string]bool{"": false, "10.0.0.0/8": false, "127.0.0.0/8": true, "localhost": true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		conn, err := newGuard([]string{private, "::1"}).dial(t.Context(), "tcp", "localhost:"+port)
		if (err == nil) != ok || !ok && !errors.Is(err, ErrPrivate) {
			t.Errorf("with %q: %v", private, err)
		}
		if err == nil {
			conn.Close()
		}
		l.Close()
	}
}

// FuzzAddress holds the look of an address to what a resolver of any kind
// would make of it: no host that passes is a number, or a loopback name.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1", "http://2130706433", "HTTP://[::1]:80/x?y#z", "http://a@b", "//x", "http://0x7f.1", "http://localhost.", "http://1.1.1.1%00.example.com", "http://[fe80::1%25lo]", "http://example.com:99999"} {
		f.Add(s)
	}
	c := &Client{}
	g := newGuard(nil)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := c.address(raw)
		if err != nil {
			if len(err.Error()) > 500 {
				t.Errorf("a long error: %q", err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Errorf("%q passes", raw)
		}
		if g.look(u) != nil {
			return
		}
		host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		if ip, err := netip.ParseAddr(host); err == nil && !Public(ip) {
			t.Errorf("%q passes", raw)
		}
		if strings.Trim(host, "0123456789.") == "" && strings.Trim(host, ".") != "" && !strings.HasSuffix(host, ".") {
			if _, err := netip.ParseAddr(host); err != nil {
				t.Errorf("%q passes", raw)
			}
		}
		if host == "localhost" {
			t.Errorf("%q passes", raw)
		}
	})
}
