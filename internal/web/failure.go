package web

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/session"
)

// A failure is what a request is answered with that could not be done.
type failure struct {
	status        int
	code, message string
	hint          string
}

func (f *failure) Error() string { return f.message }

func fail(status int, code, format string, args ...any) *failure {
	return &failure{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "bad_request", format, args...)
}

func conflict(format string, args ...any) *failure {
	return fail(http.StatusConflict, "conflict", format, args...)
}

func refused(format string, args ...any) *failure {
	return fail(http.StatusUnprocessableEntity, "refused", format, args...)
}

func noSession(id string) *failure {
	return fail(http.StatusNotFound, "not_found", "there is no session %.100q", id)
}

var errUnknown = &failure{
	http.StatusUnauthorized, "unauthorized", "the key is missing or wrong",
	"open the address that ml-intern serve printed; programs send the header Authorization: Bearer KEY",
}

// answer tells who asked what went wrong.
func (s *server) answer(w http.ResponseWriter, err error) {
	f := failureOf(err)
	if f.status == http.StatusInternalServerError {
		s.Log("a request failed: " + f.message)
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	}
	write(w, f.status, map[string]body{"error": {f.code, f.message, f.hint}})
}

// failureOf says what an error is to who asked.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fail(http.StatusRequestEntityTooLarge, "too_large", "the request has more than %d bytes: put long text into a file of the folder", e.Limit)
	}
	exit := app.Classify(err)
	f := &failure{http.StatusInternalServerError, exit.Reason, strings.TrimPrefix(err.Error(), app.ErrUsage.Error()+": "), exit.Hint}
	switch {
	case errors.Is(err, session.ErrBusy), errors.Is(err, chat.ErrAtWork):
		f.status = http.StatusConflict
	case errors.Is(err, session.ErrNotFound):
		f.status, f.code = http.StatusNotFound, "not_found"
	case exit.Reason != "error":
		f.status = http.StatusUnprocessableEntity
	}
	switch exit.Reason {
	case "usage":
		f.code, f.hint = "refused", ""
	case "cost_cap":
		f.hint = "start ml-intern serve with a higher --max-cost, or set max_cost in the configuration"
	case "busy":
		f.hint = "close it in the terminal or editor where it is open, or work on a copy: fork it"
	}
	return f
}

// unready is the failure of what a command of a chat could not do now.
func unready(err error) error {
	if f := failureOf(err); f.status == http.StatusInternalServerError {
		return refused("%s", f.message)
	}
	return err
}

// quietLog passes on what the library has to say of connections.
func quietLog(to func(string)) *log.Logger { return log.New(lines(to), "", 0) }

type lines func(string)

func (l lines) Write(p []byte) (int, error) {
	if text := strings.TrimSpace(string(p)); !strings.Contains(text, "TLS handshake error") {
		l("http: " + text)
	}
	return len(p), nil
}
