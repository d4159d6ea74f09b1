package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/config"
)

// read reads what a request says. It takes nothing that it does not know.
func read[T any](w http.ResponseWriter, r *http.Request) (in T, err error) {
	data, err := body(w, r)
	if err != nil {
		return in, err
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return in, nil
	}
	if !utf8.Valid(data) {
		return in, bad("the request is not UTF-8 text")
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	err = dec.Decode(&in)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the value")
		}
	}
	if name, ok := unknownField(err); ok {
		return in, bad("there is no field %.60q here%s", name, config.DidYouMean(config.Nearest(name, fields(reflect.TypeFor[T]()))))
	}
	if err != nil {
		return in, bad("the request is no such JSON: %v", err)
	}
	return in, nil
}

// body reads the body of a request, within its bounds.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTime)) // it is a connection's
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); err != nil && !large {
		return nil, bad("the request broke off: %v", err)
	}
	_ = c.SetReadDeadline(time.Time{})
	return data, err
}

// unknownField is the field that the library does not know, by its words: it has
// no type for that.
func unknownField(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	name, ok := strings.CutPrefix(err.Error(), `json: unknown field "`)
	return strings.TrimSuffix(name, `"`), ok
}

// fields are the names in JSON of what a type has, however deep.
func fields(t reflect.Type) (all []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fields(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			all = append(append(all, name), fields(f.Type)...)
		}
	}
	return all
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, fmt.Appendf(nil, `{"error":{"code":"error","message":%q}}`, "the answer cannot be written: "+err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who is gone asks again
}
