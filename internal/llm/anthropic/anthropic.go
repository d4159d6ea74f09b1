// Package anthropic speaks the Messages API.
//
// Its one rule: be strict in what is taken for an answer. A reply without its
// end is never whole, thinking goes back as it came, and a request's bytes up
// to its last message never change, so that the provider's cache holds.
package anthropic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// A Client is an llm.Model behind one endpoint. It is safe for concurrent use,
// and fastest when the requests of one session follow each other.
type Client struct {
	ID            string        // of the model, as the person writes it
	Model         string        // of the model, on the wire
	BaseURL       string        // with or without /v1; https://api.anthropic.com if empty
	APIKey        string        // sent to BaseURL's host only
	ContextWindow int           // tokens; 0 if there is no limit worth watching
	MaxOutput     int           // tokens; 0 if unknown
	Price         *llm.Price    // nil if unknown
	Images        bool          // the model takes pictures
	Efforts       []string      // levels of effort that the model has; nil if it takes none
	Adaptive      bool          // the model decides itself how long to think, within its effort
	HTTP          *http.Client  // http.DefaultClient if nil; its redirect policy is not used
	FirstByte     time.Duration // how long the answer may keep one waiting; 120 s if 0
	Idle          time.Duration // how long it may pause in the middle; 60 s if 0

	mu    sync.Mutex
	cache encoded
	known learned
}

// Info implements llm.Model.
func (c *Client) Info() llm.Info {
	return llm.Info{ID: c.ID, ContextWindow: c.ContextWindow, MaxOutput: c.MaxOutput, Price: c.Price, Images: c.Images}
}

// Stream implements llm.Model. Errors are an *llm.StatusError or an
// *llm.TransportError, or ctx's. A request that is refused for its effort or
// for old thinking is mended and made again at once: nothing was charged.
func (c *Client) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		wire.Mend(
			func(yield func(llm.Chunk, error) bool) error { return c.attempt(ctx, req, yield) },
			func(err error) string { return c.mend(req, err) },
			yield,
		)
	}
}

// attempt makes one request. It returns nil when the reply was whole or the
// caller stopped.
func (c *Client) attempt(ctx context.Context, req llm.Request, yield func(llm.Chunk, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := c.body(req)
	if err != nil {
		return err
	}
	watch := wire.NewWatch(cancel, wire.Or(c.FirstByte, 120*time.Second), wire.Or(c.Idle, 60*time.Second))
	defer watch.Stop()
	res, err := c.post(ctx, body, watch)
	if err != nil {
		return wire.Failure(ctx, err, c.key())
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return wire.Failure(ctx, c.refusal(res), c.key())
	}
	r := reader{promptBytes: len(body), alive: watch.Alive, yield: yield}
	if err := r.read(res); err != nil && !errors.Is(err, errStopped) {
		return wire.Failure(ctx, err, c.key())
	}
	return nil
}

func (c *Client) post(ctx context.Context, body []byte, watch *wire.Watch) (*http.Response, error) {
	base, err := c.base()
	if err != nil {
		return nil, &wire.RefusedError{Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"v1/messages", bytes.NewReader(body))
	if err != nil {
		return nil, &wire.RefusedError{Err: fmt.Errorf("make request: %w", err)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Anthropic-Version", "2023-06-01")
	if key := c.key(); key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	client := &http.Client{CheckRedirect: wire.SameHost, Transport: watch}
	watch.Base = http.DefaultTransport
	if c.HTTP != nil && c.HTTP.Transport != nil {
		watch.Base = c.HTTP.Transport
	}
	res, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = fmt.Errorf("ask %s: %w", req.URL.Host, e.Err)
		}
		return nil, err
	}
	return res, nil
}

// key is the key without the blanks that files and shells leave around it.
func (c *Client) key() string { return strings.TrimSpace(c.APIKey) }

// base is the address before /v1.
func (c *Client) base() (string, error) {
	address := strings.TrimSpace(c.BaseURL)
	if address == "" {
		address = "https://api.anthropic.com"
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("the model's address is not a URL: it must begin with http:// or https://")
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/messages"), "/v1") + "/"
	u.RawPath = ""
	return u.String(), nil
}
