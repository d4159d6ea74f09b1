// Package login is the account on this machine: it finds the token where the
// official client of the Hugging Face Hub looks for it, in the same order, and
// logs in and out in the same files, so that either program knows what the
// other did.
//
// Its one rule: a token leaves this package only to be sent to its Hub. It is
// in no error, no log line and no text; what is shown is its Name, or a mask.
// The files belong to both programs: what is in them that this package does
// not know stays as it is.
package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/hub"
)

// What a caller branches on.
var (
	ErrNoToken  = errors.New("not logged in to the Hub")
	ErrExpired  = errors.New("the login to the Hub has ended")
	ErrIdentity = errors.New("the Hub gives no token for the identity of this build")
)

// publicClient is the id under which the official command line logs in. The
// files are shared, and a token can be renewed only under the id that it was
// made for.
const publicClient = "26be6b09-91c5-47da-9861-d2d2bb7a7e36"

const publicHub = "https://huggingface.co"

// A Token is what shows the Hub whose account it is.
type Token struct {
	Value   string // secret
	Name    string // in the file of stored tokens; "" if it is not there
	Source  string // where it was found: a variable, a file, or OIDC
	Expires time.Time

	refresh string
}

// String masks the token.
func (t Token) String() string { return mask(t.Value) }

// GoString masks the token.
func (t Token) GoString() string { return mask(t.Value) }

// FromEnvironment reports whether a variable holds the token: logging out
// cannot take that away.
func (t Token) FromEnvironment() bool { return t.Source == envToken || t.Source == envOldToken }

func mask(token string) string {
	if len(token) < 16 {
		return "****"
	}
	return token[:3] + "****" + token[len(token)-4:]
}

const (
	envToken    = "HF_TOKEN"
	envOldToken = "HUGGING_FACE_HUB_TOKEN"
	sourceOIDC  = "OIDC"
)

// A Keyring finds and keeps the tokens for one Hub. It is safe for use by
// several goroutines, and its files for use by several processes.
type Keyring struct {
	Getenv  func(string) string
	BaseURL string       // of the Hub; https://huggingface.co if ""
	HTTP    *http.Client // http.DefaultClient if nil

	mu      sync.Mutex
	oidc    Token     // the last one that was exchanged
	retryAt time.Time // when it is worth to try again to renew a token
}

func (k *Keyring) base() string {
	return cmp.Or(strings.TrimRight(k.BaseURL, "/"), publicHub)
}

func (k *Keyring) client(token string) *hub.Client {
	return &hub.Client{BaseURL: k.base(), Token: token, HTTP: k.HTTP}
}

// ClientID is the OAuth id under which this program logs in.
func (k *Keyring) ClientID() string {
	return cmp.Or(k.Getenv("HF_DEVICE_CODE_OAUTH_CLIENT_ID"), publicClient)
}

// Token is what may be sent with every call, "" if there is nothing, or if
// HF_HUB_DISABLE_IMPLICIT_TOKEN forbids to send a token unasked. It fails only
// where going on as a stranger would hide a mistake.
func (k *Keyring) Token(ctx context.Context) (string, error) {
	if k.silent() {
		return "", nil
	}
	t, err := k.Active(ctx)
	if errors.Is(err, ErrNoToken) {
		return "", nil
	}
	return t.Value, err
}

// Local is Token without asking the network: one that has ended is not
// renewed, and none is exchanged. It is for what must not wait.
func (k *Keyring) Local() string {
	t, ok := k.Find()
	if !ok || k.silent() {
		return ""
	}
	return t.Value
}

func (k *Keyring) silent() bool { return isTrue(k.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) }

// Active finds the token in the order of the official client: one exchanged
// for the identity of a build system if HF_OIDC_RESOURCE asks for it, then
// HF_TOKEN, HUGGING_FACE_HUB_TOKEN, and the token file. One that ends within a
// day is renewed. Without any the error is ErrNoToken.
func (k *Keyring) Active(ctx context.Context) (Token, error) {
	if resource := k.Getenv("HF_OIDC_RESOURCE"); resource != "" {
		return k.exchanged(ctx, resource)
	}
	t, ok := k.Find()
	if !ok {
		return Token{}, ErrNoToken
	}
	return k.fresh(ctx, t)
}

// Find looks at the variables and the files only.
func (k *Keyring) Find() (Token, bool) {
	for _, name := range []string{envToken, envOldToken} {
		if raw := k.Getenv(name); raw != "" { // the first that is set counts, even if it is blank
			if value := clean(raw); value != "" {
				return Token{Value: value, Source: name}, true
			}
			break
		}
	}
	return k.findInFiles()
}

// findInFiles is the active token, with what the stored tokens tell about it.
// A token that is for another Hub is not taken: then it is the one stored for
// this Hub.
func (k *Keyring) findInFiles() (Token, bool) {
	path := hub.TokenFile(k.Getenv)
	active := k.activeText()
	for settled := false; active != ""; {
		stored, _, _ := readFile(storedPath(path)) // what cannot be read says nothing
		if s := stored.holding(active); s != nil {
			return k.choose(stored, s, path)
		}
		if settled {
			break
		}
		if len(stored.sections) > 0 {
			settle(storedPath(path))
		}
		active, settled = k.activeText(), true
	}
	return Token{Value: active, Source: path}, active != ""
}

func (k *Keyring) choose(stored *file, active *section, path string) (Token, bool) {
	if k.isFor(active) {
		return active.token(path), true
	}
	for _, s := range stored.sections {
		if s.get(keyHub) != "" && k.isFor(s) && clean(s.get(keyToken)) != "" {
			return s.token(storedPath(path)), true
		}
	}
	return Token{}, false
}

// isFor reports whether a stored token may go to this Hub. One that does not
// say for which it is, is the person's for all.
func (k *Keyring) isFor(s *section) bool {
	bound := s.get(keyHub)
	return bound == "" || bound == k.base()
}

// clean takes off what an editor or a shell may have added.
func clean(token string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(token))
}

// checkShape turns away what cannot be a token before it is sent anywhere.
func checkShape(token string) error {
	switch {
	case token == "":
		return errors.New("the token is empty")
	case len(token) > 4096:
		return errors.New("the token is too long to be one")
	case strings.HasPrefix(token, "api_org"):
		return errors.New("this is the token of an organization; take one of your own account")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the token has a blank or an odd character in it")
	}
	return nil
}

func isTrue(v string) bool {
	switch strings.ToUpper(v) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// ended says that the person must log in again.
func ended(t Token, why error) error {
	text := ""
	if !t.Expires.IsZero() {
		text = " on " + t.Expires.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	if why != nil {
		return fmt.Errorf("%w%s and could not be renewed: %w", ErrExpired, text, why)
	}
	return fmt.Errorf("%w%s", ErrExpired, text)
}
