// Package openai speaks chat completions, the wire of OpenAI, the Hugging Face
// router, OpenRouter, Ollama, vLLM, LM Studio, llama.cpp and many others.
//
// Its one rule: be strict in what is taken for an answer and tolerant in all
// else. Servers deviate from each other in every field; a reply that was cut
// is never whole, and a request's bytes up to its last message never change.
package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	BaseURL       string        // with or without /v1
	APIKey        string        // sent to BaseURL's host only; "" for none
	Header        http.Header   // besides the key
	ContextWindow int           // tokens; 0 if there is no limit worth watching
	MaxOutput     int           // tokens; 0 if unknown
	Price         *llm.Price    // nil if unknown
	Images        bool          // the model takes pictures
	Efforts       []string      // levels of effort that the model has; nil if unknown
	HTTP          *http.Client  // http.DefaultClient if nil; its redirect policy is not used
	FirstByte     time.Duration // how long the answer may keep one waiting; 120 s if 0
	Idle          time.Duration // how long it may pause in the middle; 60 s if 0
	Dialect       Dialect

	mu    sync.Mutex
	cache encoded
	known learned
}

// A Dialect is how one server differs from the others in what it is sent. The
// zero Dialect is what most understand.
type Dialect struct {
	EffortInObject bool   // effort as reasoning.effort, not reasoning_effort (OpenRouter)
	NewLimitName   bool   // max_completion_tokens, not max_tokens (OpenAI)
	SessionHeader  string // carries the session's name; "" for none (the Hugging Face router)
	CacheKey       bool   // prompt_cache_key carries the session's name (OpenAI)
	CacheControl   bool   // cache_control marks what to cache (Anthropic's models behind others)
}

// Info implements llm.Model.
func (c *Client) Info() llm.Info {
	return llm.Info{ID: c.ID, ContextWindow: c.ContextWindow, MaxOutput: c.MaxOutput, Price: c.Price, Images: c.Images}
}

// Stream implements llm.Model. Errors are an *llm.StatusError or an
// *llm.TransportError, or ctx's. A request that is refused for something that
// the server need not know is made again at once without it: nothing was
// charged.
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
	res, err := c.post(ctx, body, req.Session) //nolint:bodyclose // closed below, and by hangUp before
	if err != nil {
		return wire.Failure(ctx, err, c.key())
	}
	defer res.Body.Close()
	answer := watch.Body(res.Body)
	if res.StatusCode != http.StatusOK {
		return wire.Failure(ctx, refusal(res, answer, c.key()), c.key())
	}
	r := reader{promptBytes: body.size, tools: req.Tools, alive: watch.Alive, hangUp: func() { _ = res.Body.Close() }, yield: yield}
	if err := r.read(answer); err != nil && !errors.Is(err, errStopped) {
		return wire.Failure(ctx, err, c.key())
	}
	return nil
}

func (c *Client) post(ctx context.Context, body body, session string) (*http.Response, error) {
	address, err := c.endpoint()
	if err != nil {
		return nil, &wire.RefusedError{Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body.reader())
	if err != nil {
		return nil, &wire.RefusedError{Err: fmt.Errorf("make request: %w", err)}
	}
	req.ContentLength = int64(body.size)
	req.GetBody = func() (io.ReadCloser, error) { return body.reader(), nil }
	for name, values := range c.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream, application/json")
	if name := c.Dialect.SessionHeader; name != "" && session != "" {
		req.Header.Set(name, session[:min(len(session), 256)])
	}
	if key := c.key(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{CheckRedirect: wire.SameHost}
	if c.HTTP != nil {
		client.Transport = c.HTTP.Transport
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

// endpoint is the address of chat completions, whether BaseURL ends in /v1 or
// not.
func (c *Client) endpoint() (string, error) {
	u, err := url.Parse(strings.TrimSpace(c.BaseURL))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("the model's address is not a URL: it must begin with http:// or https://")
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/chat/completions")
	if u.Path == "" {
		u.Path = "/v1"
	}
	u.RawPath = ""
	return u.JoinPath("chat/completions").String(), nil
}
