package remote

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/sandbox"
)

// shortestSecret is what a secret must have at least, in bytes.
const shortestSecret = 20

// Options say what a server opens, and to whom.
type Options struct {
	Sandbox sandbox.Sandbox
	Secret  string // what clients show
	Version string // of this program
}

// A Server opens a sandbox to who knows its secret. Close it.
type Server struct {
	box      sandbox.Sandbox
	secret   [sha256.Size]byte
	version  string
	instance string
	commands commands
	mux      *http.ServeMux

	mu   sync.Mutex
	used time.Time
}

// NewServer refuses to open a sandbox without a secret.
func NewServer(opts Options) (*Server, error) {
	if len(opts.Secret) < shortestSecret {
		return nil, fmt.Errorf("the sandbox needs a secret of at least %d bytes in the variable %s: without one everybody could run commands here", shortestSecret, SecretVariable)
	}
	s := &Server{
		box: opts.Sandbox, secret: sha256.Sum256([]byte(opts.Secret)), version: opts.Version, instance: rand.Text(),
		commands: commands{box: opts.Sandbox}, mux: http.NewServeMux(), used: time.Now(),
	}
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ml-intern sandbox\n") })
	for pattern, h := range map[string]handler{
		"PUT /v1/commands/{id}":        s.startCommand,
		"GET /v1/commands/{id}/output": s.follow,
		"DELETE /v1/commands/{id}":     s.cancelCommand,
		"GET /v1/files":                s.readFile,
		"PUT /v1/files":                s.writeFile,
		"GET /v1/list":                 s.list,
	} {
		s.mux.Handle(pattern, s.guarded(h, true))
	}
	s.mux.Handle("GET /v1/about", s.guarded(s.about, false))
	return s, nil
}

// Close ends what runs. Requests must have ended before, or fail.
func (s *Server) Close() { s.commands.close() }

// Idle is how long nobody has used the sandbox.
func (s *Server) Idle() time.Duration {
	if s.commands.running() > 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.used)
}

func (s *Server) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

type handler func(w http.ResponseWriter, r *http.Request) error

// patience is how long a request's body may take.
const patience = 5 * time.Minute

// guarded lets in who knows the secret, and, if the client says which server it
// means, only if it means this one.
func (s *Server) guarded(h handler, use bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)) // a connection that cannot has none
		if err := s.admit(r); err != nil {
			s.fail(w, err)
			return
		}
		w.Header().Set(instanceHeader, s.instance)
		if meant := r.Header.Get(instanceHeader); meant != "" && meant != s.instance {
			s.fail(w, refuse(http.StatusConflict, codeRestarted, ErrRestarted.Error()))
			return
		}
		if use {
			s.touch()
			defer s.touch()
		}
		if err := h(w, r); err != nil {
			s.fail(w, err)
		}
	})
}

func (s *Server) admit(r *http.Request) error {
	scheme, secret, _ := strings.Cut(r.Header.Get(secretHeader), " ")
	sum := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(sum[:], s.secret[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return refuse(http.StatusUnauthorized, codeSecret, ErrRefused.Error())
	}
	return nil
}

// A refused request has its status, and a code for programs.
type refused struct {
	status int
	refusal
}

func (r *refused) Error() string { return r.refusal.Error }

func refuse(status int, code, text string) error { return &refused{status, refusal{code, text}} }

func (s *Server) fail(w http.ResponseWriter, err error) {
	r := &refused{http.StatusUnprocessableEntity, refusal{"failed", err.Error()}}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		r = &refused{http.StatusRequestEntityTooLarge, refusal{"too_large", fmt.Sprintf("a request has at most %d bytes", large.Limit)}}
	}
	if errors.Is(err, fs.ErrNotExist) {
		r.status, r.Code = http.StatusNotFound, codeNotFound
	}
	if known, ok := errors.AsType[*refused](err); ok {
		r = known
	}
	r.refusal.Error = r.refusal.Error[:min(len(r.refusal.Error), maxWords)]
	answer(w, r.status, r.refusal)
}

// answer sends JSON. A client that is gone cannot be told.
func answer(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"code":"internal","error":"the answer could not be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}

func (s *Server) about(w http.ResponseWriter, _ *http.Request) error {
	dir, _ := s.box.Resolve(".")
	answer(w, http.StatusOK, About{Protocol, s.version, s.instance, dir, s.commands.running(), s.Idle().Seconds()})
	return nil
}

// readOrder reads what is to be run.
func readOrder(body io.Reader) (o order, err error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, refuse(http.StatusBadRequest, "bad_request", "the command is not JSON: "+err.Error())
	}
	switch {
	case strings.TrimSpace(o.Line) == "":
		return o, refuse(http.StatusBadRequest, "bad_request", "the command is empty")
	case strings.ContainsRune(o.Line, 0):
		return o, refuse(http.StatusBadRequest, "bad_request", "the command holds a NUL")
	case o.TimeoutMS < 0 || o.TimeoutMS > LongestCommand.Milliseconds():
		return o, refuse(http.StatusBadRequest, "bad_request", fmt.Sprintf("a command may run for %s at most", LongestCommand))
	}
	return o, nil
}

func (s *Server) startCommand(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !idPattern.MatchString(id) {
		return refuse(http.StatusBadRequest, "bad_request", "an id has letters, digits, - and _, 128 at most")
	}
	o, err := readOrder(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return err
	}
	if _, err := s.commands.start(r.Context(), id, o); err != nil {
		return err
	}
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) cancelCommand(w http.ResponseWriter, r *http.Request) error {
	c, _, err := s.commands.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	c.cancel(errCanceled)
	answer(w, http.StatusOK, struct{}{})
	return nil
}

// follow sends a command's output from a byte on, and how it ended.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) error {
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if err != nil || from < 0 {
		return refuse(http.StatusBadRequest, "bad_request", "from is a number of bytes")
	}
	c, t, err := s.commands.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if t == nil {
		return refuse(http.StatusGone, "gone", "the output of this command was dropped: it ended long ago")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the request has ended; the answer takes its time
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no")
	return follow(r.Context(), w, c, t, from)
}

// slowest is how long a client may take nothing of a stream.
const slowest = time.Minute

func follow(ctx context.Context, w http.ResponseWriter, c *command, t *tape, from int64) error {
	conn := http.NewResponseController(w)
	beat := time.NewTicker(pulse)
	defer beat.Stop()
	out := json.NewEncoder(w)
	send := func(ev event) bool {
		_ = conn.SetWriteDeadline(time.Now().Add(slowest))
		return out.Encode(ev) == nil && conn.Flush() == nil
	}
	if !send(event{From: from}) {
		return nil
	}
	for {
		piece, at, over, changed := t.read(from)
		switch {
		case len(piece) > 0:
			if !send(event{From: at, Data: piece}) {
				return nil
			}
			from = at + int64(len(piece))
			continue
		case over:
			<-c.done
			send(event{From: from, Exit: &c.exit})
			return nil
		}
		select {
		case <-changed:
		case <-beat.C:
			if !send(event{From: from}) {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) readFile(w http.ResponseWriter, r *http.Request) error {
	most, err := strconv.ParseInt(r.URL.Query().Get("max"), 10, 64)
	if err != nil || most < 0 {
		return refuse(http.StatusBadRequest, "bad_request", "max is a number of bytes")
	}
	data, err := s.box.ReadFile(r.Context(), r.URL.Query().Get("path"), min(most, maxFile))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	_, _ = w.Write(data) // a client that is gone asks again
	return nil
}

func (s *Server) writeFile(w http.ResponseWriter, r *http.Request) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFile))
	if err != nil {
		return err
	}
	kept, err := s.box.WriteFile(r.Context(), r.URL.Query().Get("path"), data)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, kept)
	return nil
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	path, _ := s.box.Resolve(r.URL.Query().Get("path"))
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("list %s: %w", path, err)
	}
	out := listing{Entries: []Entry{}, More: max(0, len(entries)-maxEntries)}
	for _, e := range entries[:min(len(entries), maxEntries)] {
		if info, err := e.Info(); err == nil { // else it is gone
			out.Entries = append(out.Entries, Entry{e.Name(), e.IsDir(), info.Size()})
		}
	}
	answer(w, http.StatusOK, out)
	return nil
}
