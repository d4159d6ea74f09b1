package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What went wrong, for errors.Is on an error of a Client.
var (
	ErrNotFound        = errors.New("not found on the Hub")
	ErrNoRevision      = errors.New("no such revision on the Hub") // one of ErrNotFound
	ErrNoEntry         = errors.New("no such file on the Hub")     // one of ErrNotFound
	ErrUnauthorized    = errors.New("the Hub does not allow it for this account")
	ErrForbidden       = errors.New("the account may not do it on the Hub") // one of ErrUnauthorized: who asks is known
	ErrGated           = errors.New("access must be asked for on the Hub")
	ErrConflict        = errors.New("in conflict with what is on the Hub")
	ErrRateLimited     = errors.New("too many requests to the Hub")
	ErrPaymentRequired = errors.New("the account has no credit for it")
	ErrUnreachable     = errors.New("the Hub cannot be reached")
)

// An Error is an answer of the Hub that says no.
type Error struct {
	Status    int
	Code      string        // the Hub's own word, such as RepoNotFound; may be empty
	Message   string        // what the Hub says about it
	URL       string        // without its query
	RequestID string        // what the Hub's people ask for
	Wait      time.Duration // how long the Hub asks to wait, 0 if it does not
	AskURL    string        // of ErrGated: the page at which to ask for access
	Slug      string        // of the collection that is in the way, if one is
	Commit    string        // of the revision in which a file was looked for
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s answered %d", e.URL, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Wait > 0 {
		text += fmt.Sprintf(" (wait %s)", e.Wait)
	}
	if e.AskURL != "" && !strings.Contains(e.Message, e.AskURL) {
		text += " (ask at " + e.AskURL + ")"
	}
	return text
}

// Is reports whether the answer is of the class target, one of the Err
// variables. A missing repository may be both ErrNotFound and ErrUnauthorized:
// the Hub does not tell strangers whether it exists.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound || e.Status == http.StatusGone ||
			strings.HasSuffix(e.Code, "NotFound")
	case ErrNoRevision:
		return e.Code == "RevisionNotFound"
	case ErrNoEntry:
		return e.Code == "EntryNotFound"
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	case ErrGated:
		return e.Code == "GatedRepo"
	case ErrConflict:
		return e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrPaymentRequired:
		return e.Status == http.StatusPaymentRequired
	case ErrNotReady:
		return strings.HasPrefix(e.Code, "ResponseNotReady")
	case ErrNoViewer:
		return e.Status == http.StatusNotImplemented
	}
	return false
}

// responseError reads an answer's error. It closes the body.
func (c *Client) responseError(resp *http.Response) *Error {
	defer resp.Body.Close()
	e := &Error{
		Status:    resp.StatusCode,
		Code:      resp.Header.Get("X-Error-Code"),
		Message:   resp.Header.Get("X-Error-Message"),
		RequestID: resp.Header.Get("X-Request-Id"),
		Wait:      retryWait(resp.Header),
		Commit:    resp.Header.Get("X-Repo-Commit"),
	}
	if resp.Request != nil {
		e.URL = plainURL(resp.Request.URL)
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what can be read is enough
	e.Slug = bodySlug(body)
	if said := bodyMessage(body); said != "" { // the same as in the header, with every letter
		e.Message = said
	}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	if resp.Request != nil {
		c.explain(e, resp.Request.URL)
	}
	e.Code, e.Message, e.RequestID = c.said(e.Code), c.said(e.Message), c.said(e.RequestID)
	return e
}

// maxSaid bounds what an error quotes of the Hub's words, in bytes.
const maxSaid = 4 << 10

// said makes the Hub's words fit to be shown: without the token, without what
// a terminal would obey, and not endless.
func (c *Client) said(text string) string {
	if c.Token != "" {
		text = strings.ReplaceAll(text, c.Token, "[token]")
	}
	if len(text) > maxSaid {
		text = text[:maxSaid] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// explain adds what the address says about an error that is of a repository:
// where to ask for access, and that the Hub tells a stranger only that
// something was wrong with the password when the repository may be missing.
func (c *Client) explain(e *Error, u *url.URL) {
	repo, ok := repoOf(u.EscapedPath())
	switch {
	case !ok || !c.owns(u):
	case e.Code == "GatedRepo":
		e.AskURL = c.RepoURL(repo)
	case e.Status == http.StatusUnauthorized && e.Code == "" && c.Token == "":
		e.Code = "RepoNotFound"
	}
}

// repoOf finds the repository that an address of the Hub is about.
func repoOf(path string) (RepoID, bool) {
	seg := strings.Split(strings.Trim(path, "/"), "/")
	api := seg[0] == "api"
	if api {
		seg = seg[1:]
	}
	repo := RepoID{Type: Model}
	for _, typ := range []RepoType{Model, Dataset, Space} {
		if len(seg) > 1 && seg[0] == string(typ)+"s" {
			repo.Type, seg = typ, seg[1:]
			break
		}
	}
	if len(seg) < 2 || !api && (len(seg) < 3 || seg[2] != "resolve" && seg[2] != "raw") && !strings.HasSuffix(seg[1], ".git") {
		return RepoID{}, false
	}
	repo.Namespace, repo.Name = seg[0], strings.TrimSuffix(seg[1], ".git")
	return repo, repo.Check() == nil
}

// bodyMessage finds the text in the shapes that the Hub uses for errors.
func bodyMessage(body []byte) string {
	var v struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
		Message     string          `json:"message"`
		Cause       string          `json:"cause_message"`
		Errors      []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	said := append(errorTexts(v.Error), v.Description, v.Cause)
	for _, e := range v.Errors {
		said = append(said, e.Message)
	}
	text := strings.Join(nonEmpty(said), "; ")
	if text == "" {
		text = v.Message
	}
	return text
}

// bodySlug finds the name of the collection that exists already.
func bodySlug(body []byte) string {
	var v struct {
		Slug string `json:"slug"`
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return v.Slug
}

func errorTexts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	var object struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &object) == nil {
		return []string{object.Message}
	}
	return nil
}

func nonEmpty(in []string) []string {
	var out []string
	for _, s := range in {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// retryWait is how long the Hub asks to wait: until its window of requests
// starts anew if that is used up, else what Retry-After says.
func retryWait(h http.Header) time.Duration {
	wait := time.Duration(0)
	for limit := range strings.SplitSeq(h.Get("RateLimit"), ",") { // it may name several windows
		if remaining, reset := rateLimit(limit); remaining == 0 && reset >= 0 {
			wait = max(wait, seconds(reset+1))
		}
	}
	if wait > 0 {
		return wait
	}
	after := h.Get("Retry-After")
	if n, err := strconv.ParseInt(after, 10, 32); err == nil {
		return seconds(n)
	}
	at, err := http.ParseTime(after)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date")) // our clock may be another
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now).Round(time.Second))
}

// rateLimit reads a window: what remains of it, and after how many seconds it
// starts anew; -1 for what it does not say.
func rateLimit(limit string) (remaining, reset int64) {
	remaining, reset = -1, -1
	for part := range strings.SplitSeq(limit, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
		switch {
		case err != nil || n < 0:
		case key == "r":
			remaining = n
		case key == "t":
			reset = n
		}
	}
	return remaining, reset
}

func seconds(n int64) time.Duration { return time.Duration(max(n, 0)) * time.Second }

// plainURL leaves out what may be secret: the query, which can be a signature,
// and the user.
func plainURL(u *url.URL) string {
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return plain.String()
}

// plainError takes the address with its query out of a transport's error.
func plainError(u *url.URL, err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return fmt.Errorf("%s: %w", plainURL(u), err)
}

// unreachable marks a failure of the network as ErrUnreachable.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

func (e unreachable) Is(target error) bool { return target == ErrUnreachable }
