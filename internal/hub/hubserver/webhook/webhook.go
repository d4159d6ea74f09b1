// Package webhook tells other programs what happens to repositories.
//
// Its one rule: what happened is told at most once and never holds up what
// happens. A Hook is an account's and is kept by the caller; a Sender owns the
// deliveries under way, and Wait waits for them.
package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What went wrong, for errors.Is.
var (
	ErrMissing = errors.New("webhook not found")
	ErrInvalid = errors.New("not valid")
)

const (
	maxHooks   = 50
	maxWatched = 100
	maxSecret  = 500
	atOnce     = 8                // deliveries; what comes on top is dropped
	patience   = 10 * time.Second // for one delivery
)

// A Watched is whose repositories, or which one, a hook wants to know of.
type Watched struct {
	Type string `json:"type"` // user, org, model, dataset or space
	Name string `json:"name"`
}

// A Hook is an address that wants to be told.
type Hook struct {
	ID       string    `json:"id"`
	URL      string    `json:"url"`
	Watched  []Watched `json:"watched"`
	Domains  []string  `json:"domains"` // repo, discussion
	Secret   string    `json:"secret,omitempty"`
	Disabled bool      `json:"disabled"`
}

// A Request is what a client wants of a hook; what is missing stays.
type Request struct {
	URL     *string   `json:"url"`
	JobID   *string   `json:"jobSourceId"`
	Watched []Watched `json:"watched"`
	Domains []string  `json:"domains"`
	Secret  *string   `json:"secret"`
}

// A List has the hooks of one account.
type List struct {
	Hooks []*Hook `json:"hooks"`
}

// Create adds a hook.
func (l *List) Create(in Request) (*Hook, error) {
	if len(l.Hooks) >= maxHooks {
		return nil, fmt.Errorf("%w: an account has at most %d webhooks", ErrInvalid, maxHooks)
	}
	id := make([]byte, 12)
	rand.Read(id)
	h := &Hook{ID: hex.EncodeToString(id), Domains: []string{"repo", "discussion"}}
	if err := h.Change(in); err != nil {
		return nil, err
	}
	l.Hooks = append(l.Hooks, h)
	return h, nil
}

// Find returns the hook of an id.
func (l *List) Find(id string) (*Hook, error) {
	for _, h := range l.Hooks {
		if h.ID == id {
			return h, nil
		}
	}
	return nil, ErrMissing
}

// Delete removes a hook.
func (l *List) Delete(id string) error {
	h, err := l.Find(id)
	if err != nil {
		return err
	}
	l.Hooks = slices.DeleteFunc(l.Hooks, func(o *Hook) bool { return o == h })
	return nil
}

// Change takes what the client wants. After an error the hook must not be
// saved.
func (h *Hook) Change(in Request) error {
	if in.JobID != nil {
		return fmt.Errorf("%w: this server starts no jobs; give a url", ErrInvalid)
	}
	if in.URL != nil {
		h.URL = *in.URL
	}
	if len(in.Watched) > 0 {
		h.Watched = in.Watched
	}
	if in.Domains != nil {
		h.Domains = nil
		for _, d := range in.Domains {
			h.Domains = append(h.Domains, strings.TrimSuffix(d, "s")) // the documents write discussions
		}
	}
	if in.Secret != nil {
		h.Secret = *in.Secret
	}
	return h.check()
}

func (h *Hook) check() error {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(h.URL) > 2000 {
		return fmt.Errorf("%w: the url must begin with http:// or https://", ErrInvalid)
	}
	if len(h.Watched) == 0 || len(h.Watched) > maxWatched {
		return fmt.Errorf("%w: a webhook watches 1 to %d things", ErrInvalid, maxWatched)
	}
	for _, w := range h.Watched {
		if !slices.Contains([]string{"user", "org", "model", "dataset", "space"}, w.Type) || w.Name == "" || len(w.Name) > 100 {
			return fmt.Errorf("%w: what is watched is a user, org, model, dataset or space with its name", ErrInvalid)
		}
	}
	for _, d := range h.Domains {
		if d != "repo" && d != "discussion" {
			return fmt.Errorf("%w: the domains are repo and discussion", ErrInvalid)
		}
	}
	if len(h.Secret) > maxSecret || strings.ContainsAny(h.Secret, "\r\n\x00") {
		return fmt.Errorf("%w: a secret has at most %d characters in one line", ErrInvalid, maxSecret)
	}
	return nil
}

// Wants reports whether the hook is to be told of a repository.
func (h *Hook) Wants(domain, typ, owner, id string) bool {
	return !h.Disabled && slices.Contains(h.Domains, domain) && slices.ContainsFunc(h.Watched, func(w Watched) bool {
		if w.Type == "user" || w.Type == "org" {
			return w.Name == owner
		}
		return w.Type == typ && w.Name == id
	})
}

// A Sender delivers events.
type Sender struct {
	client *http.Client
	slots  chan struct{}
	wg     sync.WaitGroup
	failed func(h Hook, err error)
}

// NewSender returns a Sender that tells failed of what could not be delivered.
// With public, it delivers to public addresses only: an account of a server
// that others use must not reach into its network.
func NewSender(public bool, failed func(h Hook, err error)) *Sender {
	dialer := &net.Dialer{Timeout: patience}
	if public {
		dialer.Control = publicOnly
	}
	return &Sender{
		client: &http.Client{
			Timeout:       patience,
			Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, atOnce), failed: failed,
	}
}

func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || shared(ip) {
		return errors.New("not a public address")
	}
	return nil
}

// shared reports whether an address is of a network that is not public although
// it is not called private, or stands for an address of one.
func shared(ip netip.Addr) bool {
	for _, net := range []string{"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "64:ff9b::/32", "2002::/16"} {
		if netip.MustParsePrefix(net).Contains(ip) {
			return true
		}
	}
	return false
}

// Send delivers a payload in the background.
func (s *Sender) Send(ctx context.Context, h Hook, payload map[string]any) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.failed(h, errors.New("too many deliveries are under way"))
		return
	}
	ctx = context.WithoutCancel(ctx)
	s.wg.Go(func() {
		defer func() { <-s.slots }()
		if err := s.deliver(ctx, h, payload); err != nil {
			s.failed(h, err)
		}
	})
}

// Wait returns when no delivery is under way.
func (s *Sender) Wait() { s.wg.Wait() }

func (s *Sender) deliver(ctx context.Context, h Hook, payload map[string]any) error {
	body := map[string]any{"webhook": map[string]any{"id": h.ID, "version": 3}}
	for key, v := range payload {
		body[key] = v
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ml-intern")
	if h.Secret != "" {
		req.Header.Set("X-Webhook-Secret", h.Secret)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}
