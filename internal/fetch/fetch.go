// Package fetch gets documents from the web for reading.
//
// Its one rule: an address may come from a page or from a model, so nothing
// here reaches a private address, and no secret follows a redirect. What comes
// back is data; what it means is the caller's business. A Client owns its cache
// on disk, which several processes may share, and the pace of its requests.
package fetch

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	usualBytes   = 32 << 20
	usualTimeout = 30 * time.Second
	usualPace    = 200 * time.Millisecond
	attempts     = 3
	firstWait    = 500 * time.Millisecond
	patience     = 20 * time.Second // the waits between the tries of one request, together
)

// A Client gets documents from the web for reading. The zero Client works, and
// has no cache. It is safe for concurrent use and must not be copied.
type Client struct {
	Dir      string                   // the cache on disk, shared by processes; "" for none
	DirBytes int64                    // that the cache may have; 500 MiB if 0
	Fresh    time.Duration            // the most that any MaxAge of a request counts; 0 for no limit
	MaxBytes int64                    // of an answer, decoded; 32 MiB if 0
	Timeout  time.Duration            // of one try; 30 s if 0
	Pace     map[string]time.Duration // least time between requests to a host, "*" for those not named, else 200 ms
	PaceDir  string                   // folder of processes that keep the pace together; "" for this one alone
	Private  []string                 // hosts, addresses or CIDRs that are private and may be reached nevertheless

	// Trust says that addresses come from the configuration, not from a
	// model: they may be private. A redirect to another host is no part of
	// the configuration and is checked as ever.
	Trust bool

	// HTTP sends requests; nil for the standard way. Connections of an
	// *http.Transport are guarded too; another RoundTripper must look after
	// the addresses that names resolve to by itself.
	HTTP http.RoundTripper

	once  sync.Once
	roads roads
	gates gates
	large chan struct{} // held by the one that reads a large answer
	locks locks
	disk  cache
}

// A Request says what to get.
type Request struct {
	URL    string
	Method string // GET if "", HEAD or POST
	Header http.Header
	Body   []byte
	Token  string // sent as Bearer to the host of URL and to no other

	// MaxAge is how old an answer of the cache may be. Older ones are asked
	// about with their ETag. 0 is always to ask, less is to leave the cache alone.
	MaxAge time.Duration

	// Queue is the queue in which the request waits for its turn, with the least
	// time to the one after it; "" for the queue of its host with the pace of that.
	Queue    string
	Pace     time.Duration
	Patience time.Duration // how long to wait for a turn; a minute if 0
}

// A Response is a whole answer.
type Response struct {
	URL     string // where it came from in the end
	Status  int
	Header  http.Header
	Body    []byte    // decoded (gzip), whole
	Type    string    // media type without parameters
	Charset string    // as declared; Text finds out
	Cached  bool      // it came from the cache, perhaps after asking
	Time    time.Time // when it was fetched, or last confirmed
}

// Get gets a document. An answer that is not a success is a *StatusError.
func (c *Client) Get(ctx context.Context, in Request) (*Response, error) {
	c.once.Do(c.prepare)
	u, err := c.address(in.URL)
	if err != nil {
		return nil, err
	}
	in.Method = cmp.Or(strings.ToUpper(in.Method), http.MethodGet)
	switch in.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return nil, &addressError{in.URL, "the method " + in.Method + " is not for reading", ErrBadAddress}
	}
	if c.Dir == "" || in.MaxAge < 0 || in.Method == http.MethodHead {
		return c.insist(ctx, in, u, nil)
	}
	return c.throughCache(ctx, in, u)
}

// throughCache gets a document of which the cache may have a copy. Of several
// callers that want the same one, the first gets it and the others wait.
func (c *Client) throughCache(ctx context.Context, in Request, u *url.URL) (*Response, error) {
	key := cacheKey(in, u, c.Trust)
	unlock, err := c.locks.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old := c.disk.load(key)
	if old != nil {
		old.Cached = true
		if age := time.Since(old.Time); age >= 0 && age < c.fresh(in.MaxAge) {
			return old, nil
		}
	}
	resp, err := c.insist(ctx, in, u, old)
	switch {
	case err != nil:
		return nil, err
	case resp == old:
		c.disk.confirm(key, old.Time)
	case resp.Status == http.StatusOK && !strings.Contains(strings.ToLower(resp.Header.Get("Cache-Control")), "no-store"):
		c.disk.save(key, resp)
	}
	return resp, nil
}

// insist tries until there is an answer or no hope of one. It returns old if
// that is what the other side still has.
func (c *Client) insist(ctx context.Context, in Request, u *url.URL, old *Response) (*Response, error) {
	left := patience
	for attempt := 1; ; attempt++ {
		resp, err := c.try(ctx, in, u, old)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		again, wait := worthAnother(err)
		wait = max(wait, backoff(attempt))
		if !again || attempt == attempts || wait > left {
			return nil, err
		}
		left -= wait
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// backoff grows, and differs between callers that failed together.
func backoff(attempt int) time.Duration {
	d := firstWait << (attempt - 1)
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

// fresh is how old an answer of the cache may be that is used without asking.
func (c *Client) fresh(age time.Duration) time.Duration {
	if c.Fresh > 0 {
		return min(age, c.Fresh)
	}
	return age
}

// Leave lets nothing in the queue be asked for a while, by no process that
// shares the pace: a service has said that it wants that.
func (c *Client) Leave(ctx context.Context, queue string, wait time.Duration) {
	c.once.Do(c.prepare)
	c.gates.hold(ctx, queue, wait)
}

func (c *Client) prepare() {
	c.roads = c.newRoads()
	c.large = make(chan struct{}, 1)
	c.gates.pace, c.gates.dir = c.Pace, c.PaceDir
	c.disk = cache{dir: c.Dir, limit: cmp.Or(c.DirBytes, cacheLimit)}
}
