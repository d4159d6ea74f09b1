package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/sandbox"
)

// A Client is a sandbox that a Server opens. Connect makes one. Nothing that
// the server answers can take more than bounded memory or time, or send the
// client elsewhere.
type Client struct {
	opts Dialing
	http *http.Client
	dir  string

	mu       sync.Mutex
	instance string // of the server that is meant; another one has other files
}

var _ sandbox.Sandbox = (*Client)(nil)

// Dialing says where a server is and what to show it.
type Dialing struct {
	URL      string
	Secret   string
	Token    string // for what stands before the server; "" for none
	Instance string // the server that is meant; the one that answers first if ""

	Patience time.Duration // for a server that is away; a minute if 0
	Stall    time.Duration // for a connection on which nothing comes; half a minute if 0
}

// Connect asks a server who it is.
func Connect(ctx context.Context, opts Dialing) (*Client, error) {
	opts.URL = strings.TrimRight(opts.URL, "/")
	opts.Patience, opts.Stall = cmp.Or(opts.Patience, time.Minute), cmp.Or(opts.Stall, 30*time.Second)
	c := &Client{opts: opts, http: newHTTP(), instance: opts.Instance}
	about, err := c.About(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to sandbox: %w", err)
	}
	if about.Protocol != Protocol || about.Instance == "" || !path.IsAbs(about.Dir) {
		return nil, fmt.Errorf("connect to sandbox: the server speaks version %d of the protocol, and this program %d", about.Protocol, Protocol)
	}
	c.dir, c.instance = path.Clean(about.Dir), about.Instance
	return c, nil
}

// newHTTP goes nowhere but where it is sent, and takes no compressed answers:
// what comes is as long as it looks.
func newHTTP() *http.Client {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: time.Minute,
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Close lets the connections go. What runs in the sandbox goes on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Instance names the server that answers.
func (c *Client) Instance() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.instance
}

// About asks how the sandbox is. It does not count as a use of it.
func (c *Client) About(ctx context.Context) (about About, err error) {
	return about, c.call(ctx, "GET", "/v1/about", nil, &about, maxAnswer)
}

// Confinement says what holds a command back: it is on another machine.
func (c *Client) Confinement() string { return "a machine of its own" }

// Resolve implements sandbox.Sandbox, by the path alone: whether a link leads
// out of the workspace is for the server to see.
func (c *Client) Resolve(p string) (abs string, inside bool) {
	abs = path.Clean(p)
	if !path.IsAbs(p) {
		abs = path.Join(c.dir, p)
	}
	return abs, abs == c.dir || strings.HasPrefix(abs, strings.TrimRight(c.dir, "/")+"/")
}

// ReadFile implements sandbox.Sandbox.
func (c *Client) ReadFile(ctx context.Context, p string, most int64) ([]byte, error) {
	most = min(most, maxFile)
	var data []byte
	return data, c.call(ctx, "GET", "/v1/files?"+url.Values{"path": {p}, "max": {strconv.FormatInt(most, 10)}}.Encode(), nil, &data, most)
}

// WriteFile implements sandbox.Sandbox. It may be asked for twice, which does
// no harm.
func (c *Client) WriteFile(ctx context.Context, p string, data []byte) (kept sandbox.Kept, err error) {
	if len(data) > maxFile {
		return kept, fmt.Errorf("write %s: %d bytes are more than the %d that a sandbox takes at once", p, len(data), maxFile)
	}
	return kept, c.call(ctx, "PUT", "/v1/files?"+url.Values{"path": {p}}.Encode(), data, &kept, maxAnswer)
}

// List shows a folder, and how many entries of it are left out.
func (c *Client) List(ctx context.Context, p string) ([]Entry, int, error) {
	var out listing
	err := c.call(ctx, "GET", "/v1/list?"+url.Values{"path": {p}}.Encode(), nil, &out, 8*maxAnswer)
	return out.Entries, out.More, err
}

// call makes a request until it is answered, or patience ends. All requests
// may be repeated: a command's ID sees to it that it runs once.
func (c *Client) call(ctx context.Context, method, target string, body []byte, out any, most int64) error {
	end := time.Now().Add(c.opts.Patience)
	for wait := 200 * time.Millisecond; ; wait = min(wait*2, 5*time.Second) {
		err := c.once(ctx, method, target, body, out, most)
		if err == nil || !errors.Is(err, ErrAway) || ctx.Err() != nil || time.Now().Add(wait).After(end) {
			if cause := context.Cause(ctx); err != nil && cause != nil {
				return cause
			}
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// once makes a request and reads its whole answer.
func (c *Client) once(ctx context.Context, method, target string, body []byte, out any, most int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, stop, err := c.send(ctx, method, target, body)
	if err != nil {
		return err
	}
	defer stop()
	data, err := io.ReadAll(io.LimitReader(reply, most+1))
	switch raw, isRaw := out.(*[]byte); {
	case err != nil:
		return away(err)
	case int64(len(data)) > most:
		return fmt.Errorf("the sandbox answers with more than the %d bytes that were asked for", most)
	case isRaw:
		*raw = data
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the sandbox answers with something else than JSON: %w", err)
	}
	return nil
}

func away(err error) error { return fmt.Errorf("%w: %w", ErrAway, withoutURL(err)) }

// withoutURL leaves the address out, which says nothing to a model.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// send makes a request. A connection on which nothing comes for a while is cut.
// What it returns is the body of a success; stop ends it.
func (c *Client) send(ctx context.Context, method, target string, body []byte) (reply io.Reader, stop func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stall := c.opts.Stall + time.Duration(len(body)/100_000)*time.Second // a large file on a slow line
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	quit := func() { watch.Stop(); cancel(nil) }
	req, err := http.NewRequestWithContext(ctx, method, c.opts.URL+target, bytes.NewReader(body))
	if err != nil {
		quit()
		return nil, nil, errors.New("the address of the sandbox is not a URL")
	}
	req.Header.Set("User-Agent", "ml-intern")
	req.Header.Set(secretHeader, "Bearer "+c.opts.Secret)
	if c.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	if instance := c.Instance(); instance != "" {
		req.Header.Set(instanceHeader, instance)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		quit()
		return nil, nil, away(err)
	}
	resp.Body = &watched{resp.Body, watch, c.opts.Stall}
	stop = func() { resp.Body.Close(); quit() }
	if resp.StatusCode != http.StatusOK {
		err := c.refusal(resp)
		stop()
		return nil, nil, err
	}
	return resp.Body, stop, nil
}

var errStalled = errors.New("nothing came for too long")

// watched puts off the end of a connection on which something comes.
type watched struct {
	io.ReadCloser
	watch *time.Timer
	stall time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 {
		w.watch.Reset(w.stall)
	}
	return n, err
}

// refusal reads an answer that is no success. What does not speak the protocol
// stands before the server, and may let requests through later.
func (c *Client) refusal(resp *http.Response) error {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxWords*4)) // half of it says what it can
	var r refusal
	ours := json.Unmarshal(data, &r) == nil && r.Code != ""
	text := sandbox.Printable([]byte(r.Error[:min(len(r.Error), maxWords)]))
	switch {
	case ours && r.Code == codeRestarted:
		c.mu.Lock()
		c.instance = resp.Header.Get(instanceHeader) // who goes on from here means this one
		c.mu.Unlock()
		return ErrRestarted
	case ours && r.Code == codeSecret:
		return ErrRefused
	case ours && r.Code == codeNotFound:
		return &missing{text}
	case ours && resp.StatusCode < 500:
		return errors.New(text)
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusNotFound:
		return away(fmt.Errorf("its host answers %d", resp.StatusCode))
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return errors.New("its host sends requests elsewhere, where they are not sent")
	}
	return fmt.Errorf("its host answers %d: %.200s", resp.StatusCode, sandbox.Printable(data))
}

// missing is what the server does not have.
type missing struct{ text string }

func (m *missing) Error() string { return m.text }

func (m *missing) Is(err error) bool { return err == fs.ErrNotExist } //nolint:errorlint // as errors.Is asks
