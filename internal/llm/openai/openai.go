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
		waiting := alarm(cancel, orDefault(c.FirstByte, 120*time.Second))
		defer waiting.Stop()
		res, err := c.post(ctx, body)
		if err != nil {
			yield(llm.Chunk{}, c.failure(ctx, err))
			return
		}
		defer res.Body.Close()
		answer := &watched{body: res.Body, cancel: cancel, waiting: waiting, limit: orDefault(c.Idle, 60*time.Second)}
		if res.StatusCode != http.StatusOK {
			yield(llm.Chunk{}, c.failure(ctx, refusal(res, answer)))
			return
		}
		r := reader{promptBytes: len(body), hangUp: func() { cancel(nil) }, yield: yield}
		if err := r.read(answer); err != nil && !errors.Is(err, errStopped) {
			yield(llm.Chunk{}, c.failure(ctx, err))
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
	address, err := c.endpoint()
	if err != nil {
		return nil, &refused{err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, &refused{fmt.Errorf("make request: %w", err)}
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream, application/json")
	if key := c.key(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{CheckRedirect: sameHost}
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

// A refused request was never sent: to repeat it is no use.
type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

// sameHost follows redirects on the host that the key belongs to, and no
// others: the transcript is no other host's business either.
func sameHost(req *http.Request, via []*http.Request) error {
	switch first := via[0].URL; {
	case req.URL.Host != first.Host || req.URL.Scheme != first.Scheme, req.Method != http.MethodPost:
		return &refused{fmt.Errorf("the server sends the request on to %s://%s%s; set that as the address if it is meant", req.URL.Scheme, req.URL.Host, req.URL.Path)}
	case len(via) >= 5:
		return &refused{errors.New("the server sends the request in circles")}
	}
	return nil
}

// errStall is why a silent answer is given up.
var errStall = errors.New("the server fell silent")

// failure turns an error into one that callers can judge: the caller's own
// cancellation, a refusal, or trouble on the way.
func (c *Client) failure(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errStall) {
		return &llm.TransportError{Err: cause}
	}
	if cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*llm.StatusError](err); ok {
		if key := c.key(); len(key) >= 8 { // what is shorter is no secret
			e.Message = strings.ReplaceAll(e.Message, key, "(the key)")
		}
		return e
	}
	if _, ok := errors.AsType[*refused](err); ok {
		return err
	}
	if _, ok := errors.AsType[*llm.TransportError](err); ok {
		return err
	}
	return &llm.TransportError{Err: err}
}

// alarm cancels a request that has been silent for too long.
func alarm(cancel context.CancelCauseFunc, limit time.Duration) *time.Timer {
	return time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s", errStall, limit)) })
}

// watched is a body of which every read must bring something in time: the
// first before the alarm that waits for it, every other within the limit. The
// time that the caller takes between reads is the caller's.
type watched struct {
	body    io.Reader
	cancel  context.CancelCauseFunc
	waiting *time.Timer // for the first byte
	limit   time.Duration
	idle    *time.Timer // nil before the first byte; runs during a read
}

func (w *watched) Read(p []byte) (int, error) {
	if w.idle != nil {
		w.idle.Reset(w.limit)
	}
	n, err := w.body.Read(p)
	if w.idle == nil && n > 0 {
		w.waiting.Stop()
		w.idle = alarm(w.cancel, w.limit)
	}
	if w.idle != nil {
		w.idle.Stop()
	}
	return n, err
}
