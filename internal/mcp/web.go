package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"

	"ml-intern/internal/strongbox"
)

// A web is the way to a server that speaks HTTP.
type web struct {
	link *link
	url  *url.URL
	away http.RoundTripper  // to other hosts
	own  oauth2.TokenSource // of the person's login; nil if there is none

	place strongbox.Place // where a login was kept

	ctx  context.Context // of all requests; ends with stop
	stop func()

	mu     sync.Mutex
	failed error // the last reason why a connection was refused or cut
}

// web returns the way to the server. It holds for longer than ctx.
func (l *link) web(ctx context.Context) (*web, error) {
	w, err := newWeb(ctx, l)
	if err != nil {
		return nil, err
	}
	w.own, err = l.options.Logins.source(w.ctx, l.server.URL, w.client())
	return w, err
}

func newWeb(ctx context.Context, l *link) (*web, error) {
	u, err := url.Parse(l.server.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s is no address of a server", plain(l.server.URL, 200))
	}
	w := &web{link: l, url: u, away: http.DefaultTransport}
	if l.options.Other != nil {
		w.away = l.options.Other(u.Hostname())
	}
	w.ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	return w, nil
}

// transport speaks with the server.
func (w *web) transport() sdk.Transport {
	return &sdk.StreamableClientTransport{Endpoint: w.link.server.URL, HTTPClient: w.client(), MaxRetries: 2, MaxEventSize: maxMessage, OAuthHandler: w}
}

// client makes requests, each hop of which is looked at by RoundTrip.
func (w *web) client() *http.Client {
	return &http.Client{Transport: w, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 5 || !sameOrigin(req.URL, via[0].URL) {
			return fmt.Errorf("it sends on to %s, which is not followed: put the right address into the configuration", plain(req.URL.Host, 100))
		}
		return nil
	}}
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// RoundTrip implements http.RoundTripper. The headers of the configuration go to
// the server alone, and what comes back is bounded.
func (w *web) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	release := context.AfterFunc(w.ctx, cancel)
	done := func() { release(); cancel() }
	req = req.Clone(ctx)
	road := w.away
	if sameOrigin(req.URL, w.url) {
		road = cmp.Or(w.link.options.Own, http.DefaultTransport)
		for name, value := range w.link.server.Headers {
			req.Header.Set(name, value)
		}
	}
	resp, err := road.RoundTrip(req)
	if err != nil {
		done()
		w.fail(err)
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // "" for one that is none
	resp.Body = &body{ReadCloser: closing{resp.Body, done}, stream: kind == "text/event-stream", limit: w.link.limit, failed: w.fail}
	return resp, nil
}

// closing frees what belongs to a request when its answer is closed.
type closing struct {
	rc interface {
		Read([]byte) (int, error)
		Close() error
	}
	done func()
}

func (c closing) Read(p []byte) (int, error) { return c.rc.Read(p) }
func (c closing) Close() error               { defer c.done(); return c.rc.Close() }

func (w *web) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
}

// cause says why the server was not or is no longer reached, nil if the answer
// itself says it.
func (w *web) cause(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.failed, context.Canceled) {
		return nil
	}
	return w.failed
}

// cut says why the last answer was cut off, once.
func (w *web) cut() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.failed
	if !errors.Is(err, errTooLong) && !errors.Is(err, errFlood) {
		return nil
	}
	w.failed = nil
	return err
}

// TokenSource implements auth.OAuthHandler.
func (w *web) TokenSource(context.Context) (oauth2.TokenSource, error) { return w.own, nil }

// Authorize implements auth.OAuthHandler: in a session nobody is sent to a
// browser.
func (w *web) Authorize(_ context.Context, _ *http.Request, resp *http.Response) error {
	_ = resp.Body.Close()
	err := fmt.Errorf("it says %d %s: log in with ml-intern mcp login %s", resp.StatusCode, http.StatusText(resp.StatusCode), w.link.server.Name)
	if w.link.server.Headers["Authorization"] != "" {
		err = fmt.Errorf("it says %d %s to the Authorization header of the configuration", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	w.fail(err)
	return err
}
