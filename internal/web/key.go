package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"runtime"
	"strings"

	"ml-intern/internal/app"
)

// A key lets whoever has it do what the person can do. A browser has two words in
// its place. Cookies know no ports: it sends the one in the cookie to whatever listens
// on another port of this machine, which may be another user's. So that one counts
// only with the other, which a page keeps where pages of other ports cannot read.
type key struct {
	text string
	raw  []byte
}

const keyBytes = 32

// openKey reads the key that was made before, so that open pages go on working, or
// makes one.
func openKey(path string, another bool) (key, error) {
	data, err := os.ReadFile(path)
	switch {
	case another, errors.Is(err, fs.ErrNotExist):
		return newKey(path)
	case err != nil:
		return key{}, fmt.Errorf("read the key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return key{}, fmt.Errorf("others of this machine may have read the key in %s: --new-key makes another", path)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(raw) != keyBytes {
		return key{}, fmt.Errorf("there is no key in %s any more: --new-key makes another", path)
	}
	return keyOf(raw), nil
}

func newKey(path string) (key, error) {
	raw := make([]byte, keyBytes)
	_, _ = rand.Read(raw) // which never fails
	k := keyOf(raw)
	if err := app.Keep(path, []byte(k.text+"\n")); err != nil {
		return key{}, fmt.Errorf("keep the key: %w", err)
	}
	return k, nil
}

func keyOf(raw []byte) key { return key{base64.RawURLEncoding.EncodeToString(raw), raw} }

// word is one that a browser has in the key's place, for a server on that port.
func (k key) word(what, port string) string {
	mac := hmac.New(sha256.New, k.raw)
	mac.Write([]byte("ml-intern serve: " + what + " " + port))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// The words that a browser has, and the header for the second.
const (
	cookieWord = "cookie"
	pageWord   = "page"
	pageHeader = "X-Ml-Intern-Page"
)

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// cookieName has the port in it: cookies know none, and two servers have two keys.
func (s *server) cookieName() string { return "ml_intern_" + s.port }

// known reports whether the request brings the key, or both words that stand for it.
func (s *server) known(r *http.Request) bool {
	if given := r.Header.Get("Authorization"); given != "" {
		scheme, text, _ := strings.Cut(given, " ")
		return strings.EqualFold(scheme, "Bearer") && same(strings.TrimSpace(text), s.key.text)
	}
	if !same(r.Header.Get(pageHeader), s.key.word(pageWord, s.port)) {
		return false
	}
	for _, c := range r.CookiesNamed(s.cookieName()) {
		if same(c.Value, s.key.word(cookieWord, s.port)) {
			return true
		}
	}
	return false
}

func (s *server) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: s.cookieName(), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: age}
}

// cookieAge is how long a browser keeps it, in seconds: as long as they take.
const cookieAge = 400 * 24 * 3600

func (s *server) login(w http.ResponseWriter, r *http.Request) error {
	in, err := read[struct {
		Key string `json:"key"`
	}](w, r)
	if err != nil {
		return err
	}
	if !same(in.Key, s.key.text) {
		return errUnknown
	}
	http.SetCookie(w, s.cookie(s.key.word(cookieWord, s.port), cookieAge))
	write(w, http.StatusOK, map[string]string{"page": s.key.word(pageWord, s.port)})
	return nil
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) error {
	if _, err := read[struct{}](w, r); err != nil {
		return err
	}
	http.SetCookie(w, s.cookie("", -1))
	w.WriteHeader(http.StatusNoContent)
	return nil
}
