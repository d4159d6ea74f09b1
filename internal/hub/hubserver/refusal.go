package hubserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
)

const (
	badToken     = "Invalid credentials in Authorization header"
	noPassword   = "Invalid username or password."
	disabledText = "Access to this resource is disabled."
	movedOnText  = "A commit has happened since. Please refresh and try again."
	noXetText    = "this server has no Xet storage: set HF_HUB_DISABLE_XET=1"
	noLargeText  = "LFS pointer pointed to a file that does not exist"
)

// A refusal is an answer that says no.
type refusal struct {
	status  int
	code    string
	message string
	more    map[string]any // further fields of the body
}

func (e *refusal) Error() string { return e.message }

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, code: code, message: message}
}

// badRequest is for what the client can mend.
func badRequest(message string) *refusal {
	return refuse(http.StatusBadRequest, "BadRequest", message)
}

// fail answers with an error. Its code and text are in the header too: an
// answer to HEAD has nothing else.
func (s *Server) fail(x *exchange, err error) {
	if x.wrote {
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	r := s.refusal(x, err)
	x.Header().Set("X-Error-Code", r.code)
	x.Header().Set("X-Error-Message", headerText(r.message))
	x.Header().Del("ETag")
	x.Header().Del("Content-Length")
	if x.forPeople() && s.sorry(x, r) == nil {
		return
	}
	body := map[string]any{"error": r.message}
	for key, v := range r.more {
		body[key] = v
	}
	_ = s.json(x, r.status, body)
}

// refusal finds the answer that an error stands for.
func (s *Server) refusal(x *exchange, err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return refuse(http.StatusRequestEntityTooLarge, "TooLarge", "the request is too large")
	}
	said := err.Error()
	_, moved := errors.AsType[*gitstore.MovedError](err)
	switch {
	case moved: // while the call was at work
		return refuse(http.StatusConflict, "Conflict", said+"; try again")
	case errors.Is(err, gitstore.ErrNoRepo):
		return noRepo(x)
	case errors.Is(err, gitstore.ErrNoRevision):
		return refuse(http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+said)
	case errors.Is(err, gitstore.ErrNoEntry):
		return refuse(http.StatusNotFound, "EntryNotFound", said)
	case errors.Is(err, gitstore.ErrExists), errors.Is(err, gitstore.ErrConflict), errors.Is(err, community.ErrState):
		return refuse(http.StatusConflict, "Conflict", said)
	case errors.Is(err, community.ErrMissing):
		return refuse(http.StatusNotFound, "NotFound", said)
	case errors.Is(err, community.ErrFull):
		return refuse(http.StatusRequestEntityTooLarge, "TooLarge", said)
	case errors.Is(err, community.ErrInvalid):
		return badRequest(said)
	case errors.Is(err, gitstore.ErrParent):
		return refuse(http.StatusPreconditionFailed, "PreconditionFailed", movedOnText)
	case errors.Is(err, gitstore.ErrNoLarge):
		return refuse(http.StatusBadRequest, "BadRequest", noLargeText+" ("+said+")")
	case errors.Is(err, gitstore.ErrInvalid):
		return badRequest(said)
	case errors.Is(err, gitstore.ErrFull):
		s.log.Error("hub server has no space left", "error", err)
		return refuse(http.StatusInsufficientStorage, "NoSpace", "the server has no space left on its disk")
	case errors.Is(err, context.DeadlineExceeded): // another change of the repository takes long
		x.Header().Set("Retry-After", "5")
		return refuse(http.StatusServiceUnavailable, "Busy", "the repository is busy; try again")
	case x.Context().Err() != nil: // the client is gone
		return refuse(http.StatusRequestTimeout, "RequestTimeout", "the request ended early")
	}
	s.log.Error("hub server failed", "path", x.URL.Path, "error", err)
	return refuse(http.StatusInternalServerError, "InternalError", "the server failed: "+said)
}

// noRepo does not tell a stranger whether there is a repository. The code is
// there even where the real Hub sends none: its client takes a bare 401 for a
// missing repository only from an https address.
func noRepo(x *exchange) *refusal {
	if x.who == nil {
		return refuse(http.StatusUnauthorized, "RepoNotFound", noPassword)
	}
	return refuse(http.StatusNotFound, "RepoNotFound", "Repository not found")
}

// headerText makes a message fit for a header.
func headerText(message string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, message)
	return clean[:min(len(clean), 1000)]
}

// json answers with a value.
func (s *Server) json(x *exchange, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	x.Header().Set("Content-Type", "application/json; charset=utf-8")
	x.WriteHeader(status)
	if x.Method != http.MethodHead {
		x.Write(append(data, '\n')) // a client that is gone cannot be told
	}
	return nil
}

func (s *Server) ok(x *exchange, v any) error { return s.json(x, http.StatusOK, v) }

const maxBody = 16 << 20

// decode reads a JSON body.
func decode(x *exchange, v any) error {
	err := json.NewDecoder(http.MaxBytesReader(x, x.Body, maxBody)).Decode(v)
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return err
	}
	if err != nil {
		return badRequest("the body is not the JSON that is expected: " + err.Error())
	}
	return nil
}
