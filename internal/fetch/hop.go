package fetch

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxHops    = 10
	maxRefusal = 64 << 10 // bytes of an answer that is an error
)

// A journey is one try of a request through its redirects.
type journey struct {
	in    Request
	first *url.URL
	old   *Response // that the cache has, nil if none
	away  bool      // the request has been at another host: no secret any more

	deadline time.Time
	timer    *time.Timer
}

// try sends a request once and follows redirects.
func (c *Client) try(ctx context.Context, in Request, first *url.URL, old *Response) (*Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := cmp.Or(c.Timeout, usualTimeout)
	j := &journey{in: in, first: first, old: old, deadline: time.Now().Add(limit)}
	j.timer = time.AfterFunc(limit, func() { cancel(errTimeout) })
	defer j.timer.Stop()
	u := first
	for range maxHops + 1 {
		resp, err := c.hop(ctx, j, u)
		if err != nil {
			return nil, sorted(ctx, u, err)
		}
		next, err := j.redirect(c, u, resp)
		if next == nil && err == nil {
			return c.arrive(ctx, j, u, resp)
		}
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		u = next
	}
	return nil, &addressError{plain(first), fmt.Sprintf("it leads from one address to the next, more than %d times", maxHops), ErrBadAddress}
}

// sorted says what a failure is, the caller's own wish to stop first.
func sorted(ctx context.Context, u *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if !errors.Is(cause, errTimeout) {
			return cause
		}
		err = errTimeout
	}
	if errors.Is(err, ErrBusy) {
		return fmt.Errorf("get %s: %w", plain(u), err)
	}
	return newTransferError(u, err)
}

// hop sends a request to one host when its turn has come. The wait for it is
// not the host's fault.
func (c *Client) hop(ctx context.Context, j *journey, u *url.URL) (*http.Response, error) {
	j.away = j.away || !sameHost(j.first, u)
	req, err := http.NewRequestWithContext(ctx, j.in.Method, u.String(), bytes.NewReader(j.in.Body))
	if err != nil {
		return nil, err
	}
	j.headers(req)
	road, err := c.road(req, j.first)
	if err != nil {
		return nil, err
	}
	queue, pace := strings.ToLower(u.Host), c.gates.paceOf(u)
	if j.in.Queue != "" && !j.away {
		queue, pace = j.in.Queue, j.in.Pace
	}
	if err := j.pause(func() error { return c.gates.pass(ctx, queue, pace, cmp.Or(j.in.Patience, usualQueue)) }); err != nil {
		return nil, err
	}
	return road.RoundTrip(req)
}

// pause waits for something that is not the host's fault, and does not count
// for its timeout.
func (j *journey) pause(wait func() error) error {
	if !j.timer.Stop() {
		return errTimeout
	}
	began := time.Now()
	err := wait()
	j.deadline = j.deadline.Add(time.Since(began))
	j.timer.Reset(time.Until(j.deadline))
	return err
}

// sameHost reports whether what is meant for a may be told to b: the same
// host and port, and not by a less private way. From http to https is fine.
func sameHost(a, b *url.URL) bool {
	if !strings.EqualFold(a.Hostname(), b.Hostname()) {
		return false
	}
	upgrade := a.Scheme == "http" && b.Scheme == "https" && port(a) == "80" && port(b) == "443"
	return upgrade || a.Scheme == b.Scheme && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// harmless are the headers that another host may see.
var harmless = []string{"Accept", "Accept-Language", "User-Agent", "Content-Type"}

func (j *journey) headers(req *http.Request) {
	req.Header.Set("User-Agent", "ml-intern")
	for name, values := range j.in.Header {
		if name = http.CanonicalHeaderKey(name); !j.away || slices.Contains(harmless, name) {
			req.Header[name] = values
		}
	}
	req.Header.Set("Accept-Encoding", "gzip")
	if j.in.Token != "" && !j.away {
		req.Header.Set("Authorization", "Bearer "+j.in.Token)
	}
	if j.old == nil || j.old.URL != req.URL.String() {
		return
	}
	if tag := j.old.Header.Get("Etag"); tag != "" {
		req.Header.Set("If-None-Match", tag)
	} else if at := j.old.Header.Get("Last-Modified"); at != "" {
		req.Header.Set("If-Modified-Since", at)
	}
}

// redirect returns where an answer leads, nil if it leads nowhere.
func (j *journey) redirect(c *Client, u *url.URL, resp *http.Response) (*url.URL, error) {
	to := resp.Header.Get("Location")
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	if to == "" {
		return nil, nil
	}
	next, err := u.Parse(to)
	if err == nil {
		next, err = c.address(next.String())
	}
	if err != nil {
		return nil, &addressError{plain(u), "it leads to an address that is not read: " + short(to), ErrBadAddress}
	}
	if next.Fragment == "" {
		next.Fragment = u.Fragment
	}
	switch {
	case j.in.Method != http.MethodPost:
	case resp.StatusCode < http.StatusTemporaryRedirect:
		j.in.Method, j.in.Body = http.MethodGet, nil
	case j.away || !sameHost(j.first, next):
		return nil, &addressError{plain(u), "it leads to another host, which what is sent is not meant for", ErrBadAddress}
	}
	return next, nil
}

// arrive reads the last answer of a journey.
func (c *Client) arrive(ctx context.Context, j *journey, u *url.URL, resp *http.Response) (*Response, error) {
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && j.old != nil && j.old.URL == withoutFragment(u) {
		j.old.Time = time.Now()
		return j.old, nil
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := c.read(ctx, j, resp, maxRefusal) // the status says the most of it
		refused := newStatusError(u, resp, body)
		if refused.limited && refused.Wait <= patience {
			c.gates.hold(ctx, strings.ToLower(u.Host), refused.Wait)
		}
		return nil, refused
	}
	body, err := c.read(ctx, j, resp, cmp.Or(c.MaxBytes, usualBytes))
	if err != nil {
		return nil, sorted(ctx, u, err)
	}
	out := &Response{URL: withoutFragment(u), Status: resp.StatusCode, Header: resp.Header.Clone(), Body: body, Time: time.Now()}
	out.Header.Del("Set-Cookie")
	out.describe()
	return out, nil
}

func withoutFragment(u *url.URL) string {
	plain := *u
	plain.Fragment, plain.RawFragment = "", ""
	return plain.String()
}

// describe fills in the type and the charset.
func (r *Response) describe() {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "" || err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		kind, params, _ = mime.ParseMediaType(http.DetectContentType(r.Body))
	}
	r.Type, r.Charset = kind, strings.ToLower(params["charset"])
}

// read reads a body to its end, or refuses one of more than limit bytes: as it
// came or decoded, so that a small answer cannot become a large one.
func (c *Client) read(ctx context.Context, j *journey, resp *http.Response, limit int64) ([]byte, error) {
	if j.in.Method == http.MethodHead {
		return nil, nil
	}
	tooLarge := &sizeError{limit}
	if resp.ContentLength > limit {
		return nil, tooLarge
	}
	raw := &io.LimitedReader{R: resp.Body, N: limit + 1}
	var from io.Reader = raw
	switch coding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); coding {
	case "", "identity":
	case "gzip", "x-gzip":
		unzip, err := gzip.NewReader(raw)
		if errors.Is(err, io.EOF) && resp.ContentLength == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode gzip: %w", cutShort(err))
		}
		from = io.LimitReader(unzip, limit+1)
	default:
		return nil, fmt.Errorf("%w: %s", errEncoding, printable(coding))
	}
	body, err := io.ReadAll(io.LimitReader(from, smallBody))
	if err == nil && len(body) == smallBody {
		if err := j.pause(func() error { return c.holdLarge(ctx) }); err != nil {
			return nil, err
		}
		defer func() { <-c.large }()
		body, err = gather(body, from, limit)
	}
	switch {
	case raw.N == 0, int64(len(body)) > limit, errors.Is(err, ErrTooLarge):
		return nil, tooLarge
	case err != nil:
		return nil, cutShort(err)
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	return body, nil
}

// holdLarge waits until nobody else reads a large answer.
func (c *Client) holdLarge(ctx context.Context) error {
	select {
	case c.large <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// gather reads the rest of a body in pieces, which are put together only if
// there are not too many.
func gather(body []byte, from io.Reader, limit int64) ([]byte, error) {
	parts, size := [][]byte{body}, int64(len(body))
	part := make([]byte, 0, smallBody)
	for {
		n, err := from.Read(part[len(part):cap(part)])
		part = part[:len(part)+n]
		if size += int64(n); size > limit {
			return nil, ErrTooLarge
		}
		if len(part) == cap(part) {
			parts, part = append(parts, part), make([]byte, 0, smallBody)
		}
		if err == io.EOF { //nolint:errorlint // as readers return it
			return slices.Concat(append(parts, part)...), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// smallBody is how much of an answer is read side by side with others. The rest
// of larger ones is read one at a time: many at once take no more memory than one.
const smallBody = 2 << 20

// cutShort names the end that came too early.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the answer ends before its end")
	}
	return err
}

// A sizeError is an answer of more bytes than are read.
type sizeError struct{ limit int64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("%v: more than %.4g MB", ErrTooLarge, float64(e.limit)/(1<<20))
}
func (e *sizeError) Unwrap() error { return ErrTooLarge }
