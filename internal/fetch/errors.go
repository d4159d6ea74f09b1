package fetch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ml-intern/internal/lazyregexp"
)

// What callers tell apart.
var (
	ErrNotFound    = errors.New("there is no such document")
	ErrForbidden   = errors.New("access is refused")
	ErrRateLimited = errors.New("too many requests")
	ErrTooLarge    = errors.New("the answer is too large")
	ErrPrivate     = errors.New("the address is private")
	ErrBusy        = errors.New("the turn of the request is far away")
	ErrUnreachable = errors.New("the host cannot be reached")
	ErrBadAddress  = errors.New("the address is of no use")
)

// A StatusError is an answer that is not a success.
type StatusError struct {
	URL     string
	Status  int
	Message string        // what the other side says about it, cut
	Wait    time.Duration // how long to wait before asking again, if it says

	limited bool
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("get %s: status %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Wait > 0 {
		text += fmt.Sprintf(" (ask again in %s)", e.Wait.Round(time.Second))
	}
	return text
}

func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound || e.Status == http.StatusGone
	case ErrRateLimited:
		return e.limited
	case ErrForbidden:
		return (e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized) && !e.limited
	}
	return false
}

// An addressError is an address that is not asked at all.
type addressError struct {
	url, reason string
	kind        error
}

func (e *addressError) Error() string { return fmt.Sprintf("get %s: %s", short(e.url), e.reason) }
func (e *addressError) Unwrap() error { return e.kind }

// A transferError is an answer that did not come, or not whole.
type transferError struct {
	url   string
	cause error
	kind  error
	again bool
}

func (e *transferError) Error() string {
	switch {
	case errors.Is(e.cause, e.kind):
		return fmt.Sprintf("get %s: %v", e.url, e.cause)
	default:
		return fmt.Sprintf("get %s: %v: %v", e.url, e.kind, e.cause)
	}
}

func (e *transferError) Unwrap() []error { return []error{e.kind, e.cause} }

// worthAnother reports whether another try may succeed, and after what wait.
func worthAnother(err error) (bool, time.Duration) {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.limited || e.Status >= 500 && e.Status != http.StatusNotImplemented, e.Wait
	}
	e, ok := errors.AsType[*transferError](err)
	return ok && e.again, 0
}

// newTransferError sorts a failure below HTTP.
func newTransferError(u *url.URL, err error) error {
	e := &transferError{url: plain(u), cause: err, kind: ErrUnreachable, again: true}
	switch dns, isDNS := errors.AsType[*net.DNSError](err); {
	case errors.Is(err, ErrPrivate):
		return &addressError{plain(u), refusal(err) + "; a person may list it in the configuration", ErrPrivate}
	case errors.Is(err, ErrTooLarge):
		e.kind, e.again = ErrTooLarge, false
	case errors.Is(err, errTimeout):
		e.cause, e.again = errTimeout, false
	case errors.Is(err, errEncoding):
		e.again = false
	case isDNS && dns.IsNotFound:
		e.cause, e.again = fmt.Errorf("no host is named %q", dns.Name), false
	}
	return e
}

var (
	errTimeout  = errors.New("it took too long to answer")
	errEncoding = errors.New("the answer has an encoding that was not asked for")
)

// refusal is the guard's own reason, without what the transport made of it.
func refusal(err error) string {
	if g, ok := errors.AsType[*guardError](err); ok {
		return g.Error()
	}
	return err.Error()
}

// secretQuery is the name of a parameter whose value must not be in an error.
var secretQuery = lazyregexp.New(`(?i)(key|token|secret|passw|signature|credential)`)

// plain is an address as it may be shown: short, and without secrets.
func plain(u *url.URL) string {
	shown := *u
	shown.User, shown.Fragment, shown.RawFragment = nil, "", ""
	if q := shown.Query(); shown.RawQuery != "" {
		for name := range q {
			if secretQuery.MatchString(name) {
				q.Set(name, "…")
				shown.RawQuery = q.Encode()
			}
		}
	}
	return short(shown.String())
}

func short(address string) string {
	const most = 300
	address = printable(address)
	if len(address) > most {
		address = strings.ToValidUTF8(address[:most], "") + "…"
	}
	return address
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// newStatusError reads what the other side says about its refusal.
func newStatusError(u *url.URL, resp *http.Response, body []byte) *StatusError {
	e := &StatusError{URL: plain(u), Status: resp.StatusCode, Message: message(body)}
	e.Wait = waitFor(resp.Header)
	e.limited = e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusForbidden && (resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-Ratelimit-Remaining") == "0")
	if e.Status < 500 && !e.limited {
		e.Wait = 0
	}
	return e
}

var (
	markup    = lazyregexp.New(`(?is)<(script|style|head)\b.*?</(script|style|head)>|<[^>]*>`)
	pageTitle = lazyregexp.New(`(?is)<title[^>]*>(.*?)</title>`)
)

// message finds the reason in the body of a refusal: the text of a JSON
// object, the title of a page, or the first words.
func message(body []byte) string {
	var object struct {
		Error, Message, Detail json.RawMessage
	}
	text := string(body)
	if json.Unmarshal(body, &object) == nil {
		for _, raw := range []json.RawMessage{object.Message, object.Error, object.Detail} {
			if s := jsonText(raw); s != "" {
				text = s
				break
			}
		}
	} else if title := pageTitle.FindStringSubmatch(text); title != nil {
		text = title[1]
	}
	const most = 200
	text = strings.Join(strings.Fields(printable(markup.ReplaceAllString(text, " "))), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func jsonText(raw json.RawMessage) string {
	var s string
	var inner struct{ Message string }
	switch {
	case json.Unmarshal(raw, &s) == nil:
		return s
	case json.Unmarshal(raw, &inner) == nil && inner.Message != "":
		return inner.Message
	}
	return string(raw)
}

// waitFor is the wait that the headers of a refusal ask for.
func waitFor(h http.Header) time.Duration {
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < 1e9 {
			return time.Duration(s * float64(time.Second))
		}
		if at, err := http.ParseTime(v); err == nil {
			return max(time.Until(at), 0)
		}
	}
	if h.Get("X-Ratelimit-Remaining") == "0" {
		if at, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil && at > 0 && at < 1e12 {
			return max(time.Until(time.Unix(at, 0)), 0)
		}
	}
	for _, field := range strings.FieldsFunc(h.Get("RateLimit"), func(r rune) bool { return r == ';' || r == ',' }) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(field), "t="); ok && strings.Contains(h.Get("RateLimit"), "r=0") {
			if s, err := strconv.Atoi(v); err == nil && s > 0 && s < 1e6 {
				return time.Duration(s) * time.Second
			}
		}
	}
	return 0
}
