package egress

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzTarget holds what passes to what every program reads the same.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"pypi.org:443", "[::1]:80", "1.2.3.4:443", "0x7f.1:443", "a.b:0443", "a@b:1", "::1:443", "[::ffff:1.2.3.4]:443", "x:443:443", "a_b.c-d:65535", "1.2.3:4"} {
		f.Add(s, "*.b.c", "b.c")
	}
	plainHost := regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)
	f.Fuzz(func(t *testing.T, authority, allow, deny string) {
		got, err := parseTarget(authority, 0)
		if err != nil {
			return
		}
		if again, err := parseTarget(got.String(), 0); err != nil || again != got {
			t.Errorf("%q: %+v, then %+v, %v", authority, got, again, err)
		}
		if u, err := url.Parse("https://" + authority); err != nil || !strings.EqualFold(u.Hostname(), got.host) && !got.ip.Is6() || u.User != nil {
			t.Errorf("%q: %+v, by package url %+v, %v", authority, got, u, err)
		}
		if !got.ip.IsValid() {
			last := got.host[strings.LastIndexByte(got.host, '.')+1:]
			if !plainHost.MatchString(got.host) || strings.Trim(last, "0123456789") == "" {
				t.Errorf("%q passes", authority)
			}
		} else if ip, err := netip.ParseAddr(got.host); err != nil || ip != got.ip {
			t.Errorf("%q: %+v", authority, got)
		}
		r, err := newRules([]string{allow}, []string{deny})
		if err != nil || !r.allows(got) {
			return
		}
		suffix := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(allow), "*"))
		suffix, _, _ = strings.Cut(suffix, ":")
		if !got.ip.IsValid() && !strings.HasSuffix(got.host, suffix) || got.host == strings.ToLower(deny) {
			t.Errorf("%q is allowed by %q without %q", authority, allow, deny)
		}
	})
}

// clientHello is what a client sends first.
func clientHello(name string) []byte {
	near, far := net.Pipe()
	go func() {
		_ = tls.Client(far, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake() // it is cut
		far.Close()
	}()
	buf := make([]byte, 8<<10)
	n, _ := near.Read(buf)
	near.Close()
	return buf[:n]
}

// FuzzHello reads no byte that it does not give back.
func FuzzHello(f *testing.F) {
	f.Add(clientHello("example.com"), false)
	f.Add(clientHello(""), true)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), false)
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, data []byte, slow bool) {
		var r io.Reader = bytes.NewReader(data)
		if slow {
			r = iotest.OneByteReader(r)
		}
		name, read, err := peekHello(r)
		if !bytes.HasPrefix(data, read) || len(read) > helloBytes {
			t.Errorf("read %d bytes that are not the first", len(read))
		}
		if err == nil && (!bytes.Contains(read, []byte(name)) || len(read) < 40) {
			t.Errorf("%q is not in %q", name, read)
		}
		if rest, _ := io.ReadAll(r); !bytes.Equal(append(read, rest...), data) {
			t.Error("bytes are lost")
		}
	})
}

func TestHello(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"example.com", "a.b.c.example.org"} {
		hello := clientHello(name)
		got, read, err := peekHello(bytes.NewReader(hello))
		if got != name || err != nil || !bytes.Equal(read, hello) {
			t.Errorf("%q, %v", got, err)
		}
		var split []byte // the same in two records
		body := hello[5:]
		for _, part := range [][]byte{body[:20], body[20:]} {
			split = append(split, 22, 3, 1, byte(len(part)>>8), byte(len(part)))
			split = append(split, part...)
		}
		if got, _, err := peekHello(iotest.HalfReader(bytes.NewReader(split))); got != name || err != nil {
			t.Errorf("in two records: %q, %v", got, err)
		}
	}
}

// FuzzClassify holds that nothing but reading calls gets the token, however
// its path is written.
func FuzzClassify(f *testing.F) {
	for _, s := range []string{"/api/models/a/b", "/api/models/a/b/commit/main", "/a/b/resolve/main/x", "/api/models/a/b/paths-info/..%2fcommit", "/a/b.git/git-upload-pack", "/api/models/a/b/tree/refs%2Fpr%2F1", "/api//models", "/x/%252e%252e/y"} {
		for _, method := range []string{"GET", "POST", "PUT", "OPTIONS"} {
			f.Add(method, s, "service=git-upload-pack")
		}
	}
	posts := regexp.MustCompile(`^/(api/(models|datasets|spaces)/[^/]+/[^/]+/paths-info/.+|((models|datasets|spaces)/)?[^/]+/[^/]+/(git-upload-pack|info/lfs/objects/batch))$`)
	secrets := regexp.MustCompile(`^/api/(models|datasets|spaces)/[^/]+/[^/]+/(jwt|xet-write-token)(/|$)|^/(api/)?(settings|oauth)(/|$)`)
	f.Fuzz(func(t *testing.T, method, path, query string) {
		q, _ := url.ParseQuery(query)
		k, err := classify(method, path, q)
		if err != nil || k == change || k == plain || k == secret {
			return
		}
		plainPath, err := url.PathUnescape(path)
		if err != nil || strings.Contains(plainPath+"/", "/../") || strings.Contains(plainPath, "//") {
			t.Errorf("%q gets the token", path)
		}
		if method != http.MethodGet && method != http.MethodHead && (method != http.MethodPost || !posts.MatchString(plainPath)) {
			t.Errorf("%s %q gets the token", method, path)
		}
		if secrets.MatchString(plainPath) || strings.HasSuffix(plainPath, "/info/refs") && strings.Count(plainPath, "/") == 4 && strings.Contains(query, "receive") && q.Get("service") != "git-upload-pack" {
			t.Errorf("%q gets the token", path)
		}
	})
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]kind{
		"GET /api/whoami-v2": whoami, "GET /api/models": read, "GET /api/models/gpt2": read, "GET /api/datasets/a/b/tree/main/x/y": read, "HEAD /a/b/resolve/main/x": read,
		"GET /datasets/a/b/resolve/refs%2Fpr%2F1/x": read, "GET /gpt2/resolve/main/config.json": read, "GET /api/models/gpt2/revision/main": read, "GET /api/resolve-cache/models/a/b/c/d": read,
		"GET /a/b.git/info/refs?service=git-upload-pack": read, "POST /datasets/a/b/git-upload-pack": read, "POST /api/models/a/b/paths-info/main": read,
		"POST /a/b.git/info/lfs/objects/batch": batch, "GET /api/models/a/b/xet-read-token/main": read, "GET /api/spaces/a/b/logs/run": read,
		"GET /api/daily_papers": plain, "GET /": plain, "GET /a/b": plain, "GET /docs/x/y": plain, "POST /api/quicksearch": plain,
		"GET /a/b.git/info/refs?service=git-receive-pack": change, "GET /a/b.git/info/refs?service=git-upload-pack&service=git-receive-pack": change, "GET /a/b/info/refs": change,
		"POST /a/b.git/git-receive-pack": change, "POST /api/repos/create": change, "DELETE /api/models/a/b": change, "POST /api/models/a/b/commit/main": change, "PUT /api/models/a/b/settings": change,
		"POST /api/models/a/b/commit%2Fpaths-info/x": change, "POST /api/models/a/b%2Fcommit/paths-info/x": change, "POST /api/models/a/b/like": change, "PATCH /": change, "TRACE /api/models": change,
		"GET /api/models/a/b/xet-write-token/main": secret, "GET /api/models/a/b/jwt": secret, "GET /api/settings/x": secret, "GET /oauth/authorize": secret, "GET /api/models/gpt2/jwt": secret, "GET /login": secret, "GET /api/spaces/a/b/secrets": secret,
	} {
		method, address, _ := strings.Cut(request, " ")
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := classify(method, u.EscapedPath(), u.Query()); got != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", request, got, err, want)
		}
	}
	for _, path := range []string{"/a/../b", "/a/%2e%2e/b", "/a/..%2fb", "/a//b", "/a/b/", "/a%5cb", "/%252e%252e/x", "/a%00", "/a%0ab", "a", "", "/%zz"} {
		if _, err := classify("GET", path, nil); err == nil {
			t.Errorf("%q passes", path)
		}
	}
}

// FuzzMask holds the mask of a stream to that of a whole text.
func FuzzMask(f *testing.F) {
	f.Add([]byte("a hf_xyz b hf_hf_xyz hf_xy"), []byte("hf_xyz"), 3)
	f.Add([]byte("aaaaaab"), []byte("aab"), 1)
	f.Fuzz(func(t *testing.T, data, secret []byte, size int) {
		if len(secret) == 0 || bytes.Contains(secret, []byte("*")) {
			return
		}
		m := &mask{r: iotest.OneByteReader(bytes.NewReader(data)), secret: secret}
		if size%2 == 0 {
			m.r = iotest.HalfReader(bytes.NewReader(data))
		}
		got, err := io.ReadAll(m)
		want := bytes.ReplaceAll(data, secret, bytes.Repeat([]byte("*"), len(secret)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}
