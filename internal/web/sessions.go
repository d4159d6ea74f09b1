package web

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/session"
)

// Limits of lists.
const (
	listed    = 50
	maxListed = 500
)

var sessionID = lazyregexp.New(`^[A-Za-z0-9_-]{1,100}$`)

// summary reads how a session stands from the store.
func (s *server) summary(r *http.Request, id string) (sum session.Summary, err error) {
	if !sessionID.MatchString(id) {
		return sum, noSession(id)
	}
	sum, err = s.library.Summary(r.Context(), id)
	if errors.Is(err, session.ErrNotFound) {
		err = noSession(id)
	}
	return sum, err
}

// ownSummary is the summary of a request's session, which is no sub-agent's.
func (s *server) ownSummary(r *http.Request) (session.Summary, error) {
	sum, err := s.summary(r, r.PathValue("id"))
	if err == nil && sum.Parent != "" {
		err = refused("session %s is a sub-agent's: it belongs to session %s", sum.ID, sum.Parent)
	}
	return sum, err
}

// exists fails if there is no session of the id.
func (s *server) exists(r *http.Request, id string) error {
	if !sessionID.MatchString(id) {
		return noSession(id)
	}
	events, err := s.readSome(r.Context(), id, 0, 1)
	if err == nil && len(events) == 0 {
		err = noSession(id)
	}
	return err
}

func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, from := listed, 0
	for name, to := range map[string]*int{"limit": &limit, "cursor": &from} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || name == "limit" && n == 0 {
			return bad("%s is no such number: %.60q", name, text)
		}
		*to = n
	}
	limit = min(limit, maxListed)
	found, err := s.library.Sessions(r.Context(), session.Query{Text: q.Get("q"), Limit: from + limit + 1})
	if err != nil {
		return err
	}
	out := struct {
		Sessions []summary `json:"sessions"`
		Next     *string   `json:"next"` // cursor of the next page, null for none
	}{Sessions: []summary{}}
	for i, sum := range found.Sessions[min(from, len(found.Sessions)):] {
		if i == limit {
			next := strconv.Itoa(from + limit)
			out.Next = &next
			break
		}
		out.Sessions = append(out.Sessions, s.summaryOf(sum))
	}
	write(w, http.StatusOK, out)
	return nil
}

func (s *server) summaryOf(sum session.Summary) summary {
	return summary{
		ID: sum.ID, Title: sum.Title, Dir: sum.Dir, Model: sum.Model, State: sum.State, Steps: sum.Steps, Updated: sum.Updated,
		SpentUSD: s.spent.of(s, sum), Live: s.liveOf(sum.ID),
	}
}

func (s *server) show(w http.ResponseWriter, r *http.Request) error {
	sum, err := s.summary(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	write(w, http.StatusOK, s.entryOf(sum))
	return nil
}

func (s *server) newSession(w http.ResponseWriter, r *http.Request) error {
	in, err := read[struct {
		Prompt string `json:"prompt"`
		Dir    string `json:"dir"`
		Model  string `json:"model"`
		Effort string `json:"effort"`
		Mode   string `json:"mode"`
	}](w, r)
	if err != nil {
		return err
	}
	if err := checkPrompt(in.Prompt); err != nil {
		return err
	}
	dir, err := s.workspace(in.Dir)
	if err != nil {
		return err
	}
	id := app.NewID()
	err = s.begin(id, dir, in.Prompt, func(c *chat.Chat) error {
		return set(c, settings{Model: in.Model, Effort: in.Effort, Mode: in.Mode})
	})
	if err != nil {
		return err
	}
	write(w, http.StatusCreated, map[string]string{"id": id})
	return nil
}

// workspace is the folder that a session is to work in.
func (s *server) workspace(dir string) (string, error) {
	if dir == "" {
		return s.home.Dir, nil
	}
	if !filepath.IsAbs(dir) || strings.ContainsRune(dir, 0) {
		return "", bad("dir must be an absolute path, not %.200q", dir)
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return "", refused("the folder %.200q is not there, or cannot be opened", dir)
	}
	return filepath.Clean(dir), nil
}

// costs remembers what sessions cost, which takes their whole logs to know.
type costs struct {
	mu    sync.Mutex
	known map[string]cost
}

type cost struct {
	events int64
	usd    float64
}

// maxCosts bounds what is remembered.
const maxCosts = 5000

func (c *costs) of(s *server, sum session.Summary) float64 {
	if r := s.look(sum.ID); r != nil {
		r.mu.Lock()
		now := r.state
		r.mu.Unlock()
		if now != nil && now.Session == sum.ID { // its log grows
			return now.Spent.USD
		}
	}
	c.mu.Lock()
	known, ok := c.known[sum.ID]
	c.mu.Unlock()
	if ok && known.events == sum.Events {
		return known.usd
	}
	log, err := s.library.Log(s.ctx, sum.ID)
	if err != nil {
		return known.usd // of before; the list is worth more than the sum
	}
	usd := log.Bill().Cost.USD
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxCosts {
		c.known = make(map[string]cost)
	}
	c.known[sum.ID] = cost{sum.Events, usd}
	return usd
}
