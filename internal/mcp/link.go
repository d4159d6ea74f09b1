package mcp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// A link is a server with its connection, if there is one. It is safe for
// concurrent use.
type link struct {
	server  Server
	options Options
	limit   *bucket
	changed atomic.Bool // the server says that its list is another one

	dialing chan struct{} // held while the connection is made or the list read

	mu       sync.Mutex
	conn     *conn
	tools    []found
	notices  []string // about the tools
	failures int      // in a row
	retryAt  time.Time
	err      error // of the last try
	closed   bool
	tokens   map[string]func(string) // who is told of the progress of which call
}

func newLink(server Server, options Options) *link {
	if server.StartTimeout <= 0 {
		server.StartTimeout = DefaultStartTimeout
	}
	if server.Timeout <= 0 {
		server.Timeout = DefaultTimeout
	}
	return &link{server: server, options: options, limit: newBucket(), dialing: make(chan struct{}, 1), tokens: make(map[string]func(string))}
}

// A conn is one connection.
type conn struct {
	session *sdk.ClientSession
	stop    func()                      // ends it at once
	cause   func(context.Context) error // says why it ended, once it has
	cut     func() error                // says why an answer was cut off, nil if none was
	since   time.Time
	dead    chan struct{} // closed when it has ended
}

func (c *conn) alive() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

// errDown means that the server was not asked at all.
var errDown = errors.New("the server does not run")

// A restError says that a server is left alone for a while, and why.
type restError struct {
	why  error
	wait time.Duration
}

func (e restError) Error() string {
	return fmt.Sprintf("%v; it is tried again in %v", e.why, e.wait.Round(time.Second))
}

// connect returns the connection, and makes it if there is none. After a
// failure it waits before it tries again, longer every time.
func (l *link) connect(ctx context.Context) (*conn, error) {
	select {
	case l.dialing <- struct{}{}:
		defer func() { <-l.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return l.connectHeld(ctx)
}

// connectHeld is connect for who holds dialing.
func (l *link) connectHeld(ctx context.Context) (*conn, error) {
	if c := l.current(); c != nil && c.alive() {
		return c, nil
	} else if c != nil {
		l.lost(ctx, c)
	}
	if wait, err := l.resting(); err != nil {
		return nil, fmt.Errorf("%w: %w", errDown, restError{err, wait})
	}
	if l.server.Check != nil {
		if err := l.server.Check(); err != nil {
			return nil, fmt.Errorf("%w: %w", errDown, err)
		}
	}
	inTime, cancel := context.WithTimeoutCause(ctx, l.server.StartTimeout, fmt.Errorf("it did not answer in %v", l.server.StartTimeout))
	defer cancel()
	c, err := l.dial(inTime)
	if ctx.Err() != nil { // nobody wants it any more
		if err == nil {
			c.stop()
		}
		return nil, context.Cause(ctx)
	}
	if err == nil && !l.keep(c) {
		c.stop()
		err = errors.New("the session is over")
	}
	if err != nil {
		l.failed(err)
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	return c, nil
}

func (l *link) current() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// keep makes c the connection, unless the link was closed meanwhile.
func (l *link) keep(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conn, l.err = c, nil
	l.changed.Store(true) // its list is not known
	return true
}

// steady is how long a connection lasts whose end is no reason to wait before
// the next.
const steady = time.Minute

// lost takes note that the connection has ended.
func (l *link) lost(ctx context.Context, c *conn) {
	c.stop()
	c.end()
	err := c.cause(ctx)
	l.mu.Lock()
	if l.conn != c {
		l.mu.Unlock()
		return
	}
	l.conn = nil
	if time.Since(c.since) > steady {
		l.failures = 0
	}
	first := l.failures == 0
	l.mu.Unlock()
	if l.failed(err); first { // the first end is mended at once
		l.mu.Lock()
		l.retryAt = time.Time{}
		l.mu.Unlock()
	}
}

const (
	firstRest   = time.Second
	longestRest = time.Minute
)

// failed makes the next try wait.
func (l *link) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := min(firstRest<<min(l.failures, 10), longestRest)
	l.failures++
	l.err, l.retryAt = err, time.Now().Add(rest)
}

// resting returns why and how long no try is made, nil if one may be made.
func (l *link) resting() (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, errors.New("the session is over")
	}
	if wait := time.Until(l.retryAt); wait > 0 {
		return max(wait, time.Second), l.err
	}
	return 0, nil
}

// dial makes a connection. A server that does not know how it is greeted is
// greeted anew.
func (l *link) dial(ctx context.Context) (*conn, error) {
	c, err := l.dialAs(ctx, usual)
	if _, ok := answer(err); ok {
		c, err = l.dialAs(ctx, newest)
	}
	if words, ok := answer(err); ok {
		err = errors.New("it says: " + words)
	}
	return c, err
}

func (l *link) dialAs(ctx context.Context, version string) (*conn, error) {
	c := &conn{since: time.Now(), dead: make(chan struct{})}
	var transport sdk.Transport
	if l.server.Command != "" {
		p, err := start(l.server, l.limit)
		if err != nil {
			return nil, err
		}
		transport, c.stop, c.cause, c.cut = p.transport(), p.stop, p.cause, p.cut
	} else {
		w, err := l.web(ctx)
		if err != nil {
			return nil, err
		}
		transport, c.stop, c.cause, c.cut = w.transport(), w.stop, w.cause, w.cut
	}
	session, err := await(ctx, c.stop, func() (*sdk.ClientSession, error) { return l.greet(ctx, transport, version) })
	if err != nil {
		timeout := context.Cause(ctx)
		c.stop()
		_, answered := answer(err)
		if timeout != nil {
			return nil, timeout
		}
		if why := c.cause(ctx); why != nil && !answered {
			err = why
		}
		return nil, err
	}
	c.session = session
	go func() {
		_ = session.Wait() // cause says more
		close(c.dead)
	}()
	return c, nil
}

// Versions of the protocol that are asked for. Nearly every server knows the
// usual one, and one that does not says so at once, while an older one may never
// answer to what newer versions begin with.
const (
	usual  = "2025-11-25"
	newest = "" // that the library knows
)

// greet opens a session. It offers the server nothing: no model, no questions to
// the person, no folders.
func (l *link) greet(ctx context.Context, transport sdk.Transport, version string) (*sdk.ClientSession, error) {
	client := sdk.NewClient(&sdk.Implementation{Name: "ml-intern", Version: l.options.Version}, &sdk.ClientOptions{
		Capabilities:           &sdk.ClientCapabilities{},
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { l.changed.Store(true) },
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			l.progress(r.Params)
		},
	})
	return client.Connect(ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: version})
}

// await runs what should end with ctx. If it does not, because a server that
// does not read holds it up, the connection is ended.
func await[T any](ctx context.Context, stop func(), do func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := do()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o.value, o.err
	case <-time.After(grace / 4):
		go stop() // which takes as long as the program does; nobody waits for that
	}
	var none T
	return none, context.Cause(ctx)
}

// title is how the server calls itself.
func (l *link) title() string {
	c := l.current()
	if c == nil || c.session.InitializeResult() == nil || c.session.InitializeResult().ServerInfo == nil {
		return ""
	}
	info := c.session.InitializeResult().ServerInfo
	return plain(info.Name+" "+info.Version, 100)
}

// close ends the connection for good.
func (l *link) close() {
	l.mu.Lock()
	c := l.conn
	l.conn, l.closed = nil, true
	l.mu.Unlock()
	if c == nil {
		return
	}
	c.end()
}

// end says goodbye if that is heard, and ends the connection.
func (c *conn) end() {
	ended := make(chan struct{})
	go func() {
		_ = c.session.Close() // it may have ended
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(2 * grace):
	}
	c.stop()
}
