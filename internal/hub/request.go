package hub

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	attempts    = 5
	firstWait   = 250 * time.Millisecond
	longestWait = 8 * time.Second  // between attempts, if the Hub names no time
	patience    = 90 * time.Second // the longest wait that the Hub may ask for
	stallLimit  = time.Minute      // without a byte in either direction
	slowLimit   = 10 * time.Minute // the same where the Hub has work to do first
	apiLimit    = 15 * time.Minute // one API call, attempts and waits included
	maxJSON     = 64 << 20
	maxHops     = 10
)

var errStalled = errors.New("nothing was heard from the other side for too long")

// A call is one request, which may be sent several times.
type call struct {
	method string
	path   string // on the Hub, escaped, beginning with / ; or a whole URL
	header http.Header
	body   func() (io.ReadCloser, int64, error) // a fresh one each time, with its size
	once   bool                                 // must not be sent again if it may have arrived
	limit  time.Duration                        // of silence; stallLimit if 0
	signed bool                                 // the URL itself gives the right: send no token
	stay   bool                                 // an answer that leads to another host is the answer
}

// A reply is the last answer of a chain of redirects. Seen has what earlier
// answers of the chain said about the file behind it.
type reply struct {
	*http.Response
	seen http.Header
}

// do sends a call until it is answered with success, or fails for good.
func (c *Client) do(ctx context.Context, in call) (*reply, error) {
	for attempt := 1; ; attempt++ {
		resp, err := c.send(ctx, in)
		wait := backoff(attempt)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%s: %w", in.method, context.Cause(ctx))
			}
			if in.once || attempt == attempts || !worthAnother(err) {
				return nil, err
			}
		case resp.StatusCode < 400:
			return resp, nil
		default:
			refused := c.responseError(resp.Response)
			if attempt == attempts || !in.mayRepeat(refused.Status) || refused.Wait > patience {
				return nil, refused
			}
			wait = max(wait, refused.Wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// mayRepeat: a request that was turned away for its rate did nothing, so even
// one that must not arrive twice can be sent again.
func (in call) mayRepeat(status int) bool {
	switch status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return !in.once
	}
	return false
}

// errFinal marks an error that another attempt cannot mend.
type errFinal struct{ error }

func (e errFinal) Unwrap() error { return e.error }

func worthAnother(err error) bool {
	_, final := errors.AsType[errFinal](err)
	return !final
}

func backoff(attempt int) time.Duration {
	d := min(firstWait<<(attempt-1), longestWait)
	return d/2 + rand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// send sends a call once and follows redirects. The limit on silence holds
// until the body of the reply is closed.
func (c *Client) send(ctx context.Context, in call) (*reply, error) {
	target := in.path
	if strings.HasPrefix(target, "/") {
		target = c.base() + target
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return nil, errFinal{errors.New("the address of the Hub is not a URL")}
	}
	limit := cmp.Or(in.limit, stallLimit)
	ctx, cancel := context.WithCancelCause(ctx)
	watch := &watchdog{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errStalled) }), cancel: cancel}
	seen := http.Header{}
	for range maxHops {
		resp, err := c.hop(ctx, in, u, watch)
		if err != nil {
			watch.stop()
			return nil, err
		}
		next, err := in.redirect(u, resp)
		if err != nil || next == nil {
			if err != nil {
				resp.Body.Close()
				watch.stop()
				return nil, errFinal{err}
			}
			resp.Body = &watched{ReadCloser: resp.Body, watch: watch, last: true}
			return &reply{Response: resp, seen: seen}, nil
		}
		for _, name := range []string{"X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size"} {
			if v := resp.Header.Get(name); v != "" && seen.Get(name) == "" {
				seen.Set(name, v)
			}
		}
		resp.Body.Close()
		u = next
	}
	watch.stop()
	return nil, errFinal{fmt.Errorf("%s: more than %d redirects", plainURL(u), maxHops)}
}

func (c *Client) hop(ctx context.Context, in call, u *url.URL, watch *watchdog) (*http.Response, error) {
	var body io.ReadCloser
	var size int64
	if in.body != nil {
		var err error
		if body, size, err = in.body(); err != nil {
			return nil, errFinal{err}
		}
		if size == 0 {
			body.Close()
			body = http.NoBody
		} else {
			body = &watched{ReadCloser: body, watch: watch}
		}
	}
	req, err := http.NewRequestWithContext(ctx, in.method, u.String(), body)
	if err != nil {
		if body != nil {
			body.Close()
		}
		return nil, errFinal{plainError(u, err)}
	}
	req.ContentLength = size
	for name, values := range in.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "ml-intern")
	if c.Token != "" && !in.signed && c.owns(u) {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.http().Do(req)
	if err != nil {
		switch {
		case errors.Is(context.Cause(ctx), errStalled):
			err = errStalled
		case strings.Contains(err.Error(), "parse Location header"): // net/http quotes it, with its signature
			return nil, errFinal{fmt.Errorf("%s: redirect to nowhere", plainURL(u))}
		}
		return nil, unreachable{plainError(u, err)}
	}
	return resp, nil
}

// http is the caller's client with redirects left to us: we must see each
// answer of the chain, and choose who gets the token.
func (c *Client) http() *http.Client {
	h := http.Client{Transport: transport}
	if c.HTTP != nil {
		h = *c.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// transport keeps as many connections open as transfers use at a time: the one
// of net/http keeps two, and many small files would open one each.
var transport = func() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody has replaced it, and knows why
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 32
	t.WriteBufferSize, t.ReadBufferSize = 64<<10, 64<<10
	return t
}()

// owns reports whether the address is on the Hub that the token belongs to, or
// its dataset viewer's.
func (c *Client) owns(u *url.URL) bool {
	on := func(address string) bool {
		base, err := url.Parse(address)
		return err == nil && u.Scheme == base.Scheme && strings.EqualFold(u.Host, base.Host)
	}
	return on(c.base()) || on(c.viewer())
}

// redirect is where an answer sends a call, nil if nowhere. What is written
// stays on the host that it was meant for.
func (in call) redirect(from *url.URL, resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	next, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, fmt.Errorf("%s: redirect to nowhere", plainURL(from))
	}
	if next.Scheme != "http" && next.Scheme != "https" {
		return nil, fmt.Errorf("%s: redirect to the scheme %s", plainURL(from), next.Scheme)
	}
	if in.stay && next.Host != from.Host {
		return nil, nil
	}
	if from.Scheme == "https" && next.Scheme != "https" {
		return nil, fmt.Errorf("%s: redirect to %s, which is not encrypted", plainURL(from), next.Host)
	}
	if in.method == http.MethodGet || in.method == http.MethodHead {
		return next, nil
	}
	if next.Host != from.Host || next.Scheme != from.Scheme {
		return nil, fmt.Errorf("%s: a %s is not sent on to %s", plainURL(from), in.method, next.Host)
	}
	if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
		return nil, fmt.Errorf("%s: a %s was answered %d", plainURL(from), in.method, resp.StatusCode)
	}
	return next, nil
}

// A watchdog ends a request in which nothing moves.
type watchdog struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// watched tells the watchdog of every read.
type watched struct {
	io.ReadCloser
	watch *watchdog
	last  bool // closing it ends the request
}

func (r *watched) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.watch.timer.Reset(r.watch.limit)
	}
	return n, err
}

func (r *watched) Close() error {
	err := r.ReadCloser.Close()
	if r.last {
		r.watch.stop()
	}
	return err
}

// api makes a call of the JSON API: in, unless nil, is sent as JSON, the
// answer is read into out, unless nil.
func (c *Client) api(ctx context.Context, cl call, in, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		cl.body = bytesBody(data)
		if cl.header == nil {
			cl.header = http.Header{}
		}
		if cl.header.Get("Content-Type") == "" {
			cl.header.Set("Content-Type", "application/json")
		}
	}
	resp, err := c.do(ctx, cl)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxJSON+1))
	switch {
	case err != nil:
		return nil, plainError(resp.Request.URL, err)
	case len(data) > maxJSON:
		return nil, fmt.Errorf("%s: the answer is longer than %d bytes", plainURL(resp.Request.URL), maxJSON)
	case out == nil:
		return resp.Header, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("%s: decode answer: %w", plainURL(resp.Request.URL), err)
	}
	return resp.Header, nil
}

func bytesBody(data []byte) func() (io.ReadCloser, int64, error) {
	return func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
	}
}
