// Package openai speaks chat completions, the wire of OpenAI, the Hugging Face
// router, OpenRouter, Ollama, vLLM, LM Studio, llama.cpp and many others.
//
// Its one rule: be strict in what is taken for an answer and tolerant in all
// else. Servers deviate from each other in every field; a reply that was cut
// is never whole, and a request's bytes up to its last message never change.
package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/llm"
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
	HTTP          *http.Client  // http.DefaultClient if nil; its redirect policy is not used
	FirstByte     time.Duration // how long the answer may keep one waiting; 120 s if 0
	Idle          time.Duration // how long it may pause in the middle; 60 s if 0

	mu    sync.Mutex
	cache encoded
}

// Info implements llm.Model.
func (c *Client) Info() llm.Info {
	return llm.Info{ID: c.ID, ContextWindow: c.ContextWindow, MaxOutput: c.MaxOutput, Price: c.Price}
}

// Stream implements llm.Model. Errors are an *llm.StatusError or an
// *llm.TransportError, or ctx's.
func (c *Client) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		body, err := c.body(req)
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		dog := newWatchdog(orDefault(c.FirstByte, 120*time.Second), cancel)
		defer dog.stop()
		res, err := c.post(ctx, body)
		if err != nil {
			yield(llm.Chunk{}, failure(ctx, err))
			return
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			yield(llm.Chunk{}, failure(ctx, refusal(res)))
			return
		}
		dog.limit = orDefault(c.Idle, 60*time.Second)
		r := reader{body: watched{res.Body, dog}, promptBytes: len(body), yield: yield}
		if err := r.read(isJSON(res)); err != nil && !errors.Is(err, errStopped) {
			yield(llm.Chunk{}, failure(ctx, err))
		}
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (c *Client) post(ctx context.Context, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream, application/json")
	if c.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.APIKey)
	}
	client := http.Client{CheckRedirect: sameHost}
	if c.HTTP != nil {
		client.Transport = c.HTTP.Transport
	}
	res, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = fmt.Errorf("ask %s: %w", e.URL, e.Err)
		}
		return nil, &llm.TransportError{Err: err}
	}
	return res, nil
}

// endpoint is the address of chat completions, whether BaseURL ends in /v1 or
// not.
func (c *Client) endpoint() string {
	base := strings.TrimRight(c.BaseURL, "/")
	base = strings.TrimSuffix(base, "/chat/completions")
	if u, err := url.Parse(base); err == nil && (u.Path == "" || u.Path == "/") {
		base += "/v1"
	}
	return base + "/chat/completions"
}

// sameHost follows redirects on the host that the key belongs to, and no
// others: the transcript is no other host's business either.
func sameHost(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return fmt.Errorf("the server sends the request on to %s; set that as the address if it is meant", req.URL.Host)
	}
	if len(via) >= 5 {
		return errors.New("the server sends the request in circles")
	}
	return nil
}

func isJSON(res *http.Response) bool {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// errStall is why a silent answer is given up.
var errStall = errors.New("the server fell silent")

// failure turns an error into one that callers can judge: the caller's own
// cancellation, a refusal, or trouble on the way.
func failure(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errStall) {
		return &llm.TransportError{Err: cause}
	}
	if cause != nil {
		return cause
	}
	if _, ok := errors.AsType[*llm.StatusError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*llm.TransportError](err); ok {
		return err
	}
	return &llm.TransportError{Err: err}
}

// A watchdog cancels a request that has been silent for longer than limit.
type watchdog struct {
	limit time.Duration
	timer *time.Timer
}

func newWatchdog(limit time.Duration, cancel context.CancelCauseFunc) *watchdog {
	d := &watchdog{limit: limit}
	d.timer = time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s", errStall, limit)) })
	return d
}

func (d *watchdog) stop() { d.timer.Stop() }

// watched is a body whose every byte calms the watchdog.
type watched struct {
	io.Reader
	dog *watchdog
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.dog.timer.Reset(w.dog.limit)
	}
	return n, err
}
