package egress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
)

// maxPost is the most that a request may send; of an answer that is rewritten,
// the most that is read.
const (
	maxPost    = 64 << 20
	maxRewrite = 8 << 20
)

// passed are the headers of a request that the Hub gets to see. The command's
// own Authorization and cookies are none of them.
var passed = []string{
	"Accept", "Accept-Language", "Cache-Control", "Content-Encoding", "Content-Type", "Git-Protocol", "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Range", "If-Unmodified-Since", "Range", "User-Agent", "X-Request-Id", "X-Amzn-Trace-Id", "Last-Event-Id",
}

// A broker sends requests to the Hub, with its token where policy allows.
type broker struct {
	p    *Proxy
	base *url.URL
	road http.RoundTripper
}

func newBroker(p *Proxy) (*broker, error) {
	base, err := url.Parse(strings.TrimRight(p.Hub, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return nil, errors.New("the Hub's address is no http or https address")
	}
	return &broker{p, base, p.newRoad((&net.Dialer{Timeout: dialTime}).DialContext, false)}, nil
}

// A call is one request on its way to the Hub.
type call struct {
	*broker
	kind  kind
	token string
	self  string // how the client names the broker
}

// ServeHTTP judges a request and passes it on.
func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	k, err := classify(r.Method, path, r.URL.Query())
	if err != nil {
		b.p.refuse(w, r, b.base.Host, http.StatusBadRequest, err.Error())
		return
	}
	if k == batch {
		if k, err = readBatch(r); err != nil {
			b.p.refuse(w, r, b.base.Host, http.StatusBadRequest, err.Error())
			return
		}
	}
	if k != change {
		r.Body = http.MaxBytesReader(w, r.Body, maxPost)
		if (k == read || k == whoami) && b.p.Reads != nil && !b.p.Reads(r.Method, path) {
			k = plain
		}
	} else if b.p.Writes != nil && b.p.Writes(r.Method, path) {
		k = read
	}
	switch k {
	case change:
		b.p.refuse(w, r, b.base.Host, http.StatusForbidden, fmt.Sprintf(
			"the sandbox may not change the Hub (%s %s): use the tool %s, which asks where it must", methodOf(r), shown(path), toolFor(path)))
		return
	case secret:
		b.p.refuse(w, r, b.base.Host, http.StatusForbidden, fmt.Sprintf(
			"the sandbox may not have secrets of the account (%s %s); it needs none: requests for the Hub get the token on their way", methodOf(r), shown(path)))
		return
	}
	b.send(w, r, k)
}

// shown is a path for a sentence.
func shown(path string) string {
	if len(path) > 120 {
		path = path[:120] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, path)
}

// send passes a request on.
func (b *broker) send(w http.ResponseWriter, r *http.Request, k kind) {
	c := &call{broker: b, kind: k, self: "http://" + r.Host}
	if k != plain && b.p.Token != nil {
		token, err := b.p.Token(r.Context())
		if err != nil {
			b.p.log(Event{Method: methodOf(r), Host: b.base.Host, Verdict: Failed})
			answer(w, r, http.StatusBadGateway, "the token of the Hub could not be had; ml-intern login")
			return
		}
		c.token = strings.TrimSpace(token)
	}
	b.p.pass(&httputil.ReverseProxy{
		FlushInterval:  -1,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Transport:      b.road,
		Rewrite:        c.rewrite,
		ModifyResponse: c.answer,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			settled(w)
			b.p.log(Event{Method: methodOf(r), Host: b.base.Host, Verdict: Failed})
			answer(w, r, http.StatusBadGateway, "the Hub did not answer: "+cause(err))
		},
	}, w, r, b.base.Host)
}

// rewrite makes the request that the Hub gets: of the client's headers, those
// that are known.
func (c *call) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	path := c.base.EscapedPath() + r.In.URL.EscapedPath()
	out.URL = &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, RawQuery: r.In.URL.RawQuery}
	out.URL.Path, _ = url.PathUnescape(path) // classify has unescaped it
	out.URL.RawPath = path
	out.Host = ""
	out.Header = http.Header{"Accept-Encoding": {"identity"}} // so that the answer can be looked through
	for _, name := range passed {
		if v := r.In.Header.Values(name); len(v) > 0 {
			out.Header[name] = v
		}
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "ml-intern")
	}
	if c.token != "" {
		out.Header.Set("Authorization", "Bearer "+c.token)
	}
}

var errCoded = errors.New("its answer is compressed, though that was not asked for")

// answer makes the answer that the client gets.
func (c *call) answer(resp *http.Response) error {
	h := resp.Header
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("the Hub wants another protocol")
	}
	for _, name := range []string{"Set-Cookie", "Alt-Svc", "Strict-Transport-Security", "Proxy-Authenticate"} {
		h.Del(name)
	}
	if loc := h.Get("Location"); loc != "" {
		h.Set("Location", c.local(loc))
	}
	for i, link := range h["Link"] {
		h["Link"][i] = c.localLinks(link)
	}
	if c.token == "" {
		return nil
	}
	for name, values := range h {
		if strings.Contains(strings.Join(values, "\n"), c.token) {
			h.Del(name)
		}
	}
	if coding := h.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return errCoded
	}
	switch {
	case c.kind == whoami && resp.StatusCode == http.StatusOK && resp.Request.Method != http.MethodHead:
		return c.replace(resp, shortWhoami)
	case strings.Contains(h.Get("Content-Type"), "application/vnd.git-lfs+json"):
		return c.replace(resp, c.localBatch)
	}
	resp.Body = &maskedBody{mask{r: resp.Body, secret: []byte(c.token)}, resp.Body}
	return nil
}

// replace puts what edit makes of a short answer in its place.
func (c *call) replace(resp *http.Response, edit func([]byte) ([]byte, error)) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxRewrite+1))
	if err == nil && len(data) > maxRewrite {
		err = errors.New("the answer is too long")
	}
	if err == nil && len(bytes.TrimSpace(data)) > 0 {
		data, err = edit(data)
	}
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("read the Hub's answer: %w", err)
	}
	data = bytes.ReplaceAll(data, []byte(c.token), bytes.Repeat([]byte("*"), len(c.token)))
	resp.Body = io.NopCloser(bytes.NewReader(data))
	resp.ContentLength = int64(len(data))
	resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return nil
}
