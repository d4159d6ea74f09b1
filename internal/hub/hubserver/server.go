// Package hubserver is a server that speaks the API of the Hugging Face Hub
// and keeps its repositories in a folder.
//
// Its one rule: official clients cannot tell it from the Hub by what it does,
// only by what it lacks, and it says clearly what it lacks. Handlers here turn
// HTTP into calls of gitstore, which owns everything on disk; a Server itself
// holds no state but memory of what does not change, so several may serve one
// folder.
package hubserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/grant"
	"ml-intern/internal/hub/hubserver/rows"
	"ml-intern/internal/hub/hubserver/users"
	"ml-intern/internal/hub/hubserver/web"
	"ml-intern/internal/hub/hubserver/webhook"
)

// Options say what to serve, and to whom.
type Options struct {
	Dir      string
	User     string             // who everyone is without Auth; "me" if ""
	Auth     bool               // writing, and reading what is private, takes a token
	Tokens   map[string]Account // with Auth, whose token it is; so says the folder's users.yaml, too
	PartSize int64              // larger files come in parts if the client can; 64 MiB if 0
	Log      *slog.Logger       // failures of the server itself; nil for none

	PaidHardware bool     // Spaces may ask for hardware that costs on the Hub; otherwise that is 402
	Jobs         Jobs     // the jobs of User, and those that were started here; nil for none
	RunJobs      bool     // who may write to a namespace may run programs on this machine, as the one who serves
	Spaces       Spaces   // runs the programs of Spaces on this machine, as the one who serves; nil for nobody
	JobKey       string   // without Auth: a bearer token that starting a job takes, if not ""
	Router       *url.URL // of a model's endpoint, with its /v1; nil for none
	RouterKey    string   // what that endpoint wants to be shown, if anything
}

// An Account is who acts.
type Account struct {
	Name     string
	Orgs     []string // other namespaces that are the account's to write to
	All      bool     // every namespace is
	ReadOnly bool
}

// A Server answers the Hub's API. Without Auth it serves only requests that
// were addressed to this machine by a loopback name, and no web page of
// another origin.
type Server struct {
	opts   Options
	store  *gitstore.Store
	secret []byte
	users  *users.File
	pages  *web.Maker
	origin *http.CrossOriginProtection
	log    *slog.Logger
	grants *grant.Store
	router http.Handler
	sender *webhook.Sender
	ending chan struct{} // closed when streams have to end
	end    func()

	// Only memory: what is in it could be computed again.
	tables  *rows.Cache
	layouts remembered[[]rows.Config] // by commit
	facts   remembered[map[string]any]
}

// Open opens the folder of a server.
func Open(opts Options) (*Server, error) {
	if opts.User == "" {
		opts.User = "me"
	}
	if opts.PartSize <= 0 {
		opts.PartSize = 64 << 20
	}
	names := []string{opts.User}
	for token, a := range opts.Tokens {
		if token == "" {
			return nil, errors.New("open hub: a token is empty")
		}
		names = append(append(names, a.Name), a.Orgs...)
	}
	for _, name := range names {
		if err := (hub.RepoID{Type: hub.Model, Namespace: name, Name: "x"}).Check(); err != nil {
			return nil, fmt.Errorf("open hub: account: %w", err)
		}
	}
	store, err := gitstore.Open(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	secret, err := store.Secret()
	if err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	grants, err := grant.Open(filepath.Join(opts.Dir, "oauth"))
	if err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	pages, err := web.NewMaker()
	if err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		opts: opts, store: store, secret: secret, users: users.Open(opts.Dir), pages: pages, grants: grants,
		origin: http.NewCrossOriginProtection(), log: log, ending: make(chan struct{}),
		tables: rows.NewCache(), layouts: remembered[[]rows.Config]{most: 256}, facts: remembered[map[string]any]{most: 1024},
	}
	s.end = sync.OnceFunc(func() { close(s.ending) })
	s.router = s.newRouter()
	s.sender = webhook.NewSender(opts.Auth, func(h webhook.Hook, err error) {
		log.Warn("hub server could not deliver to a webhook", "webhook", h.ID, "error", withoutURL(err))
	})
	return s, nil
}

// EndStreams ends the answers that would go on by themselves. Call it when the
// HTTP server shuts down.
func (s *Server) EndStreams() { s.end() }

// Close ends the use of the folder. Requests must have ended before.
func (s *Server) Close() error {
	s.end()
	s.sender.Wait()
	return nil
}

// collectEvery is how often Tend looks for what nobody needs.
const collectEvery = time.Hour

// Tend does what is due by the clock until ctx ends: it starts scheduled jobs,
// and removes uploads that were never finished and large files that no commit
// names after a day.
func (s *Server) Tend(ctx context.Context) {
	var clock sync.WaitGroup
	defer clock.Wait()
	clock.Go(func() { s.keepTime(ctx) })
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		gone, err := s.store.Collect(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("hub server could not clean its folder", "error", err)
		case gone.Files > 0:
			s.log.Info("hub server removed large files that no commit names", "files", gone.Files, "bytes", gone.Bytes)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// An exchange is one request and its answer.
type exchange struct {
	http.ResponseWriter
	*http.Request
	who   *Account // nil for a stranger
	wrote bool
}

func (x *exchange) WriteHeader(status int) {
	x.wrote = true
	if status >= 400 && x.ResponseWriter.Header().Get("X-Error-Code") == "" { // of http.ServeContent
		x.Header().Set("X-Error-Code", strings.ReplaceAll(http.StatusText(status), " ", ""))
		x.Header().Set("X-Error-Message", http.StatusText(status))
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	x.wrote = true
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(stall)) // a connection that cannot has none
	return x.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Header is the answer's; the request's is x.Request.Header.
func (x *exchange) Header() http.Header { return x.ResponseWriter.Header() }

// base is the address that the client knows this server by. A proxy in front
// may have the encryption; who claims it falsely gets addresses of no use.
func (x *exchange) base() string {
	if x.TLS != nil || strings.EqualFold(x.Request.Header.Get("X-Forwarded-Proto"), "https") {
		return "https://" + x.Host
	}
	return "http://" + x.Host
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, Request: r}
	x.Header().Set("X-Request-Id", requestID(r))
	x.Header().Set("X-Content-Type-Options", "nosniff")
	x.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	defer func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the next answer has its own
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // a panic's value, not an error that was wrapped
				panic(v)
			}
			s.log.Error("hub server panicked", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			s.fail(x, refuse(http.StatusInternalServerError, "InternalError", "the server made a mistake"))
		}
	}()
	conn := http.NewResponseController(w)
	if r.ContentLength != 0 {
		_ = conn.SetReadDeadline(time.Now().Add(stall)) // for what net/http reads if nobody here does
	}
	x.Body = &patientBody{ReadCloser: x.Body, conn: conn}
	if err := s.serve(x); err != nil {
		s.fail(x, err)
	}
}

func (s *Server) serve(x *exchange) error {
	if err := s.admit(x); err != nil {
		return err
	}
	if _, err := url.ParseQuery(x.URL.RawQuery); err != nil { // half a query is another question
		return refuse(http.StatusBadRequest, "BadRequest", "the query is not escaped correctly")
	}
	var seg []string
	for part := range strings.SplitSeq(strings.Trim(x.URL.EscapedPath(), "/"), "/") {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return refuse(http.StatusBadRequest, "BadRequest", "the path is not escaped correctly")
		}
		seg = append(seg, plain)
	}
	if what, ok := isViewer(x, seg); ok {
		return s.viewer(x, what)
	}
	switch seg[0] {
	case "api":
		return s.api(x, seg[1:])
	case "v1":
		return s.modelAPI(x, seg[1:])
	case "oauth":
		return s.oauth(x, seg[1:])
	case visitPrefix:
		return s.visit(x, seg[1:])
	}
	return s.site(x, seg)
}

// admit finds out who asks, and turns away who must not.
func (s *Server) admit(x *exchange) error {
	if !s.opts.Auth {
		if !loopback(x.Host) { // a name that a stranger lets point here
			return refuse(http.StatusForbidden, "Forbidden", "this server answers to localhost only")
		}
		if err := s.origin.Check(x.Request); err != nil {
			return refuse(http.StatusForbidden, "Forbidden", "a page of another origin may not write here")
		}
		x.who = &Account{Name: s.opts.User}
		return nil
	}
	if x.Request.Header.Get("Authorization") == "" {
		return nil
	}
	if _, _, basic := x.BasicAuth(); basic { // a browser sends it without being asked
		if err := s.origin.Check(x.Request); err != nil {
			return refuse(http.StatusForbidden, "Forbidden", "a page of another origin may not write here")
		}
	}
	a, known, err := s.account(x.token())
	if err != nil {
		return err
	}
	if !known {
		return refuse(http.StatusUnauthorized, "InvalidToken", badToken)
	}
	x.who = &a
	return nil
}

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func requestID(r *http.Request) string {
	id := make([]byte, 8)
	rand.Read(id)
	out := "Root=" + hex.EncodeToString(id)
	if trace := r.Header.Get("X-Amzn-Trace-Id"); trace != "" && len(trace) < 100 {
		out += ";" + trace
	}
	return out
}

// patientBody ends a request whose body stops coming, however long a body that
// keeps coming may take.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

// stall is how long a client may send nothing of its request, or take nothing
// of its answer.
const stall = 2 * time.Minute

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(stall)) // a connection that cannot has none
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // as Read returns it; after another error net/http reads on, and must not wait
		_ = b.conn.SetReadDeadline(time.Time{}) // what waits for the client to hang up must not be hurried
	}
	return n, err
}

// detached is the context of a change that has begun: it goes on when the
// client hangs up, so that what was sent whole is not half forgotten.
func (x *exchange) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(x.Context()), time.Minute)
}
