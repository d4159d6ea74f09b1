package web

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// policy is what a page of ours may do: load what is served here, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// A door answers one kind of request.
type door func(w http.ResponseWriter, r *http.Request) error

// A route is a path of the API with what it takes, by method.
type route struct {
	path    string
	methods map[string]door
	free    bool // without a key
}

// handler is all that is served, behind what every request must pass.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, at := range s.routes() {
		mux.HandleFunc(at.path, func(w http.ResponseWriter, r *http.Request) { s.enterAPI(w, r, at) })
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { s.enterAPI(w, r, route{}) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("/", files())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.caught(w)
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // streams set their own
		if r.ContentLength != 0 {                                                     // also of what nobody reads: the library waits for it before the answer goes
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		}
		if !s.ours(r.Host) { // a name of somebody else's that leads here
			h.Set("Cache-Control", "no-store")
			s.answer(w, fail(http.StatusMisdirectedRequest, "wrong_host", "this answers to 127.0.0.1, localhost and [::1] with port %s, not to %.100q", s.port, r.Host))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// caught answers a request in which the program failed. The others go on.
func (s *server) caught(w http.ResponseWriter) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // it is compared as the library does
		panic(p)
	}
	s.Log(fmt.Sprintf("a request failed: %v\n%.2000s", p, debug.Stack()))
	s.answer(w, fail(http.StatusInternalServerError, "error", "the program failed in this; its log has more"))
}

// ours reports whether a host is this server under a name of this machine.
func (s *server) ours(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "80"
	}
	return port == s.port && slices.Contains([]string{"127.0.0.1", "localhost", "::1"}, name)
}

// enterAPI lets a request in that is the person's own doing.
func (s *server) enterAPI(w http.ResponseWriter, r *http.Request, at route) {
	w.Header().Set("Cache-Control", "no-store")
	if err := s.pass(w, r, at); err != nil {
		s.answer(w, err)
	}
}

func (s *server) pass(w http.ResponseWriter, r *http.Request, at route) error {
	if err := s.elsewhere(r); err != nil {
		return err
	}
	if !at.free && !s.known(r) {
		return errUnknown
	}
	if at.path == "" {
		return fail(http.StatusNotFound, "not_found", "there is nothing at %.200q", r.URL.Path)
	}
	open, ok := at.methods[r.Method]
	if !ok {
		var all []string
		for m := range at.methods {
			all = append(all, m)
		}
		slices.Sort(all)
		w.Header().Set("Allow", strings.Join(all, ", "))
		return fail(http.StatusMethodNotAllowed, "wrong_method", "%s takes %s", r.URL.Path, strings.Join(all, ", "))
	}
	bare := r.Method == http.MethodDelete && r.ContentLength == 0 // which no form and no picture can send
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method != http.MethodGet && !bare && kind != "application/json" {
		return fail(http.StatusUnsupportedMediaType, "wrong_type", "send it with the header Content-Type: application/json")
	}
	return open(w, r)
}

// elsewhere refuses what a page of somebody else sends.
func (s *server) elsewhere(r *http.Request) error {
	foreign := fail(http.StatusForbidden, "foreign", "this comes from another page than the one that is served here")
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return foreign
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host { // another user may listen on the other addresses of this machine, with our port
			return foreign
		}
	}
	return nil
}
