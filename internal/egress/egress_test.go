package egress_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/egress"
)

// serve serves a proxy on loopback until the test ends.
func serve(t testing.TB, p *egress.Proxy) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the proxy does not end")
		}
	})
	return l.Addr().String()
}

// to is a Dial that leads every host to one server.
func to(server *httptest.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
}

// client sends everything through the proxy.
func client(proxy string, server *httptest.Server) *http.Client {
	pool := x509.NewCertPool()
	if server.TLS != nil {
		pool.AddCert(server.Certificate())
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: proxy}),
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
}

func hello(t testing.TB, secure bool) *httptest.Server {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Host, r.URL.Path) })
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	server := hello(t, true)
	var mu sync.Mutex
	var events []egress.Event
	proxy := serve(t, &egress.Proxy{Allow: []string{"example.com", "*.example.com"}, Deny: []string{"bad.example.com"}, Dial: to(server), Log: func(e egress.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}})
	c := client(proxy, server)
	resp, err := c.Get("https://example.com/x") // the test server's certificate is for it
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "example.com /x" || resp.ProtoMajor != 2 {
		t.Errorf("%s %s", resp.Proto, body)
	}
	resp.Body.Close()
	c.CloseIdleConnections()
	for _, host := range []string{"example.org", "bad.example.com", "example.com:8443", "notexample.com"} {
		_, err = c.Get("https://" + host)
		if err == nil || !strings.Contains(err.Error(), "the sandbox may not reach "+host) {
			t.Errorf("%s: %v", host, err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		mu.Lock()
		n := len(events)
		mu.Unlock()
		if n == 5 || time.Now().After(deadline) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	allowed := 0
	for _, e := range events {
		if e.Verdict == egress.Allowed {
			allowed++
			if e.Method != "CONNECT" || e.Host != "example.com:443" || e.Sent < 200 || e.Received < 200 {
				t.Errorf("%+v", e)
			}
		}
	}
	if len(events) != 5 || allowed != 1 {
		t.Errorf("%+v", events)
	}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got, body = r, string(data)
		http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
	}))
	defer server.Close()
	p := &egress.Proxy{Allow: []string{"deb.debian.org"}, Dial: to(server)}
	proxy := serve(t, p)
	answer := raw(t, proxy, "POST http://deb.debian.org/a?b=c HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Drop\r\nX-Drop: 1\r\n"+
		"Proxy-Authorization: Basic eA==\r\nContent-Length: 2\r\n\r\nhi")
	if !strings.HasPrefix(answer, "HTTP/1.1 302") || got.Host != "deb.debian.org" || got.URL.String() != "/a?b=c" || body != "hi" {
		t.Errorf("%s\n%+v %q", answer, got, body)
	}
	for _, name := range []string{"Upgrade", "Connection", "X-Drop", "Proxy-Authorization", "X-Forwarded-For", "Via"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	before := time.Now()
	_, err := client(proxy, server).Get("http://deb.debian.org/")
	if err != nil {
		t.Error(err) // Go's client follows the redirect, and gets the refusal as an answer
	}
	refused := p.Refusals(before)
	if len(refused) != 1 || refused[0].Host != "169.254.169.254:80" || !strings.Contains(refused[0].Text, "network.allow") {
		t.Errorf("%+v", refused)
	}
	if again := p.Refusals(time.Now()); len(again) != 0 {
		t.Errorf("%+v", again)
	}
}

// raw sends bytes and returns the first answer as it came.
func raw(t testing.TB, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(conn, text) // ends with conn: the proxy need not read all of it
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	all, err := httputil.DumpResponse(resp, true)
	if err != nil { // the connection was closed on what it had not read
		return "HTTP/1.1 " + resp.Status
	}
	return string(all)
}

// Whatever a client makes of a host, nothing that is private, or that different
// programs read differently, is connected to.
func TestHostileTargets(t *testing.T) {
	t.Parallel()
	dialled := make(chan string, 100)
	p := &egress.Proxy{
		Allow: []string{"ok.example", "*.example.net", "127.0.0.1", "::1", "10.0.0.1:443"},
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled <- address
			return nil, io.ErrUnexpectedEOF
		},
	}
	proxy := serve(t, p)
	long := strings.Repeat("a.", 130) + "example.net"
	for _, host := range []string{
		"ok.example:0443", "ok.example:+443", "ok.example:443 ", "ok.example:", "ok.example", "ok.example:99999", "ok.example:0", "ok.example:22",
		"[::ffff:127.0.0.1]:443", "[::ffff:7f00:1]:443", "[64:ff9b::7f00:1]:443", "[::1%25lo]:443", "[::1]443", "[::1", "::1:443",
		"0x7f.1:443", "0x7f000001:443", "2130706433:443", "127.1:443", "0177.0.0.1:443", "127.0.0.1.:443",
		"ok.example.:443", "ok.example..:443", ".ok.example:443", "user@ok.example:443", "user:pw@ok.example:443", "ok.example@evil.example:443",
		"ok.example%00.evil.example:443", "ok.example\x00:443", "ok.example\t:443", "ok.example/:443", "ok.example:443/x", "ok.example?:443", "ok.example#:443",
		"ok.example\\.evil.example:443", "ok。example:443", "οk.example:443", "example.net:443", "evilexample.net:443", "-.example.net:443",
		"169.254.169.254:80", "[fd00:ec2::254]:80", long + ":443", strings.Repeat("x", 70000) + ":443", "*.example.net:443", "*:443", "/ok.example:443", "http://ok.example:443",
	} {
		answer := raw(t, proxy, "CONNECT "+host+" HTTP/1.1\r\nHost: ok.example\r\n\r\n")
		status, _, _ := strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " ")
		if status != "400" && status != "403" && status != "431" {
			t.Errorf("CONNECT %.60q: %.100q", host, answer)
		}
		answer = raw(t, proxy, "GET http://"+host+"/ HTTP/1.1\r\nHost: ok.example\r\n\r\n")
		if host == "ok.example" || host == "ok.example:443" || strings.HasPrefix(host, "ok.example?") || strings.HasPrefix(host, "ok.example/") || host == "ok.example:443/x" || strings.HasPrefix(host, "ok.example#") {
			continue // such an address is one of ok.example
		}
		status, _, _ = strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " ")
		if status != "400" && status != "403" && status != "431" {
			t.Errorf("GET %.60q: %.100q", host, answer)
		}
	}
	close(dialled)
	for address := range dialled {
		if address != "ok.example:80" && address != "ok.example:443" {
			t.Errorf("dialled %s", address)
		}
	}
}

// An allowed name that leads to a private address is refused when it is dialled.
func TestPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	server := hello(t, false)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, host := range []string{"localhost", "127.0.0.1"} {
		p := &egress.Proxy{Allow: []string{host + ":" + port}}
		proxy := serve(t, p)
		for _, ask := range []string{"CONNECT " + host + ":" + port, "GET http://" + host + ":" + port + "/"} {
			if answer := raw(t, proxy, ask+" HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 403") || !strings.Contains(answer, "private address") {
				t.Errorf("%s: %q", ask, answer)
			}
		}
		if len(p.Refusals(time.Time{})) == 0 {
			t.Error("not remembered")
		}
		private := serve(t, &egress.Proxy{Allow: []string{host + ":" + port}, Private: []string{"127.0.0.1"}})
		if answer := raw(t, private, "GET http://"+host+":"+port+"/y HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(answer, " /y") {
			t.Errorf("%q", answer)
		}
	}
}

// What goes through a tunnel is TLS for the host that was asked for.
func TestTunnelTakesOnlyItsHost(t *testing.T) {
	t.Parallel()
	server := hello(t, true)
	p := &egress.Proxy{Allow: []string{"example.com"}, Dial: to(server)}
	proxy := serve(t, p)
	tunnel := func() net.Conn {
		conn, err := net.Dial("tcp", proxy)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "CONNECT example.com:443 HTTP/1.1\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReaderSize(io.LimitReader(conn, 39), 39), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		return conn
	}
	for name, text := range map[string]string{
		"http": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "ssh": "SSH-2.0-x\r\n", "http2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "nothing": "",
		"a long hello": "\x16\x03\x01\x40\x00\x01\xff\xff\xff" + strings.Repeat("x", 100_000),
	} {
		conn := tunnel()
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
		if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), "HTTP") {
			t.Errorf("%s: %q", name, answer)
		}
	}
	for _, name := range []string{"", "other.example", "example.com.evil.example"} {
		if err := tls.Client(tunnel(), &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake(); err == nil {
			t.Errorf("TLS for %q went through", name)
		}
	}
	if err := tls.Client(tunnel(), &tls.Config{ServerName: "EXAMPLE.com", InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Error(err)
	}
	if n := len(p.Refusals(time.Time{})); n != 3 { // sentences
		t.Errorf("%d: %+v", n, p.Refusals(time.Time{}))
	}
}

// Requests that two programs would end in different places go nowhere, or as
// one.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.Path)
	}))
	defer server.Close()
	proxy := serve(t, &egress.Proxy{Allow: []string{"a.example"}, Dial: to(server), Hub: server.URL})
	const create = "POST /api/repos/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
	for _, start := range []string{"http://a.example/one", "/api/models/a/b/paths-info/one"} {
		for _, head := range []string{
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + create,
			"Content-Length: 4\r\nContent-Length: 100\r\n\r\nxxxx" + create,
			"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + create,
			"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + create,
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + create,
			"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n" + create,
			"X: a\r\n b\r\n\r\n" + create,
			"X: a\n\n" + create,
		} {
			raw(t, proxy, "POST "+start+" HTTP/1.1\r\nHost: x\r\n"+head)
		}
	}
	time.Sleep(100 * time.Millisecond) // for what should not come
	mu.Lock()
	defer mu.Unlock()
	for _, path := range paths {
		if path != "/one" && path != "/api/models/a/b/paths-info/one" {
			t.Errorf("%q arrived", path)
		}
	}
	if len(paths) < 4 {
		t.Errorf("only these arrived: %q", paths)
	}
}

func TestOddRequests(t *testing.T) {
	t.Parallel()
	proxy := serve(t, &egress.Proxy{Allow: []string{"a.example"}})
	for _, text := range []string{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "GET https://a.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET ftp://a.example/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET http:a.example HTTP/1.1\r\nHost: x\r\n\r\n", "GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n", "\x16\x03\x01\x00\x05hello\r\n\r\n",
		"GET http://a.example/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 100_000) + "\r\n\r\n",
	} {
		answer := raw(t, proxy, text)
		if !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 505") {
			t.Errorf("%.40q: %.80q", text, answer)
		}
	}
}

// A proxy of the machine is used, and not for what is private.
func TestUpstreamProxy(t *testing.T) {
	t.Parallel()
	server := hello(t, true)
	first := &egress.Proxy{Allow: []string{"example.com", "up.example"}, Dial: to(server)}
	up := serve(t, first)
	p := &egress.Proxy{
		Allow:    []string{"example.com", "10.0.0.1", "localhost", "refused.example"},
		Upstream: egress.UpstreamProxy("http://user:pw@"+up, "http://user:pw@"+up, ""),
	}
	proxy := serve(t, p)
	resp, err := client(proxy, server).Get("https://example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, ask := range []string{"CONNECT 10.0.0.1:443", "CONNECT localhost:443", "GET http://10.0.0.1/", "GET http://localhost/"} {
		answer := raw(t, proxy, ask+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 403") {
			t.Errorf("%s: %q", ask, answer)
		}
	}
	if answer := raw(t, proxy, "CONNECT refused.example:443 HTTP/1.1\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 502") {
		t.Errorf("%q", answer)
	}
	if egress.UpstreamProxy("", "", "x") != nil {
		t.Error("there is no proxy")
	}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	server := hello(t, false)
	p := &egress.Proxy{Deny: []string{"denied.example"}, Dial: to(server)}
	proxy := serve(t, p)
	get := func(host string) string { return raw(t, proxy, "GET http://"+host+"/z HTTP/1.1\r\nHost: x\r\n\r\n") }
	if !strings.HasPrefix(get("new.example"), "HTTP/1.1 403") {
		t.Error("allowed too early")
	}
	for _, entry := range []string{"new.example", "denied.example"} {
		if err := p.Grant(entry); err != nil {
			t.Error(err)
		}
	}
	if !strings.HasSuffix(get("new.example"), "/z") || !strings.HasPrefix(get("denied.example"), "HTTP/1.1 403") {
		t.Error(get("new.example"), get("denied.example"))
	}
	for _, entry := range []string{"*", "*.com", "", "a b", "*.1.2.3.4", "http://x.example", "x.example:0", "x.example/y", "*.*.example.com"} {
		if p.Grant(entry) == nil || egress.CheckHost(entry) == nil {
			t.Errorf("%q was granted", entry)
		}
	}
	for _, entry := range egress.DefaultHosts() {
		if err := egress.CheckHost(entry); err != nil {
			t.Error(err)
		}
	}
	bad := &egress.Proxy{Allow: []string{"*"}}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	if err := bad.Serve(t.Context(), l); err == nil {
		t.Error("served a list that allows everything")
	}
}

// Curl shows a person why.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is missing")
	}
	server := hello(t, false)
	secure := hello(t, true)
	proxy := serve(t, &egress.Proxy{Allow: []string{"a.example:80", "example.com:443"}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "a.example:80" {
			return to(server)(ctx, network, address)
		}
		return to(secure)(ctx, network, address)
	}})
	run := func(args ...string) string {
		args = append([]string{"-sv", "-k", "--max-time", "20", "--noproxy", "", "-x", "http://" + proxy}, args...)
		out, _ := exec.CommandContext(t.Context(), curl, args...).CombinedOutput() // what it says is judged
		return string(out)
	}
	for address, want := range map[string]string{
		"http://a.example/x": "a.example /x", "https://example.com/y": "example.com /y",
		"http://b.example/": "may not reach b.example:80", "https://b.example/": "may not reach b.example:443",
	} {
		if got := run(address); !strings.Contains(got, want) {
			t.Errorf("%s: %s", address, got)
		}
	}
}
