// Package hubtest serves a Hub for tests, on loopback and from an empty
// folder, and lets it misbehave on demand.
package hubtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// A Hub is a server that runs until its test ends.
type Hub struct {
	Client *hub.Client
	URL    string

	server http.Handler
	mu     sync.Mutex
	faults []*fault
	seen   []Request
}

// A Request is what a client asked for.
type Request struct {
	Method string
	Path   string // escaped, without the query
	Token  bool   // an Authorization came along
	Range  string
}

// Start serves an empty Hub to which everyone may write.
func Start(t testing.TB) *Hub {
	t.Helper()
	return StartWith(t, hubserver.Options{})
}

// StartWith serves a Hub with options. Dir may be left empty.
func StartWith(t testing.TB, opts hubserver.Options) *Hub {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := hubserver.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	h := &Hub{server: s}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.URL = server.URL
	h.Client = &hub.Client{BaseURL: server.URL}
	return h
}

// A Fault is something that goes wrong with requests. The zero values of
// Method and Path are for all of them.
type Fault struct {
	Method string
	Path   string // a part of the path
	After  int    // so many such requests go well first
	Times  int    // then so many do not; 1 if 0, all if below 0

	// What goes wrong, one of:
	Status   int               // the answer
	Header   map[string]string // with Status
	Redirect string            // the request is sent to this address, with 302 or Status
	CutAfter int64             // so many bytes of the answer come, then the connection breaks
	Lose     bool              // the request is done, but the connection breaks before the answer
	Garble   bool              // the answer comes with its first byte changed
}

type fault struct {
	Fault
	count int
}

// Break adds a fault.
func (h *Hub) Break(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, &fault{Fault: f})
}

// Mend takes all faults away.
func (h *Hub) Mend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = nil
}

// Requests lists what was asked for so far, and forgets it.
func (h *Hub) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := h.seen
	h.seen = nil
	return seen
}

// next records a request and finds what goes wrong with it, if anything.
func (h *Hub) next(r *http.Request) *Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	path := r.URL.EscapedPath()
	h.seen = append(h.seen, Request{r.Method, path, r.Header.Get("Authorization") != "", r.Header.Get("Range")})
	for _, f := range h.faults {
		if f.Method != "" && f.Method != r.Method || !strings.Contains(path, f.Path) {
			continue
		}
		f.count++
		if f.count > f.After && (f.Times < 0 || f.count <= f.After+f.Times) {
			return &f.Fault
		}
	}
	return nil
}

// ServeHTTP answers as the Hub would, or worse.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.next(r)
	switch {
	case f == nil:
		h.server.ServeHTTP(w, r)
	case f.Redirect != "":
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(max(f.Status, http.StatusFound))
	case f.Status != 0:
		for name, v := range f.Header {
			w.Header().Set(name, v)
		}
		w.WriteHeader(f.Status)
	case f.Lose:
		h.server.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		h.server.ServeHTTP(&spoiled{ResponseWriter: w, fault: f, left: f.CutAfter}, r)
	}
}

// spoiled passes an answer on, but not as it is.
type spoiled struct {
	http.ResponseWriter
	fault *Fault
	left  int64
	begun bool
}

func (s *spoiled) Write(p []byte) (int, error) {
	if s.fault.Garble {
		if !s.begun && len(p) > 0 {
			s.begun = true
			p = append([]byte{p[0] ^ 0x55}, p[1:]...)
		}
		return s.ResponseWriter.Write(p)
	}
	n, err := s.ResponseWriter.Write(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if s.left == 0 {
		http.NewResponseController(s.ResponseWriter).Flush() // what was sent must arrive
		panic(http.ErrAbortHandler)
	}
	return n, err
}
