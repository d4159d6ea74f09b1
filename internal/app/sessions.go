package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/session"
	"ml-intern/internal/session/export"
)

// Sessions lists the sessions that a query asks for, latest first. A folder in
// it may be relative to the workspace.
func (a *App) Sessions(ctx context.Context, q session.Query) (session.Found, error) {
	if q.Dir != "" && !filepath.IsAbs(q.Dir) {
		q.Dir = filepath.Join(a.cfg.Dir, q.Dir)
	}
	return a.store.Find(ctx, q)
}

// DemoDir is the folder below the workspace in which demos work, each in one of
// its own.
const DemoDir = "ml-intern-demo"

// Latest is the id of the newest session of the workspace, by whatever name its
// folder has, or of a demo that was begun in it. One of another folder below is
// another project's: it is only named. The calls of another agent, which may be
// working beside the person, are none to go on with.
func (a *App) Latest(ctx context.Context) (string, error) {
	found, err := a.store.Find(ctx, session.Query{})
	if err != nil {
		return "", err
	}
	here, hint := make(map[string]bool), ""
	for _, s := range found.Sessions {
		if s.Caller != "" {
			continue
		}
		same, known := here[s.Dir]
		if !known {
			same = sameFolder(a.cfg.Dir, s.Dir) || sameFolder(filepath.Join(a.cfg.Dir, DemoDir), filepath.Dir(s.Dir))
			here[s.Dir] = same
		}
		if same {
			return s.ID, nil
		}
		if rel, err := filepath.Rel(a.cfg.Dir, s.Dir); hint == "" && err == nil && filepath.IsLocal(rel) {
			hint = fmt.Sprintf("; the latest below it is of %s: --resume %s", s.Dir, s.ID)
		}
	}
	return "", fmt.Errorf("%w: no session was started in %s%s; ml-intern sessions ls shows all", session.ErrNotFound, a.cfg.Dir, hint)
}

func sameFolder(a, b string) bool {
	if a == b {
		return true
	}
	in, errA := os.Stat(a)
	other, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(in, other)
}

// find completes a beginning of a session id.
func (a *App) find(ctx context.Context, prefix string) (string, error) {
	ids, whole, err := a.store.IDs(ctx, prefix)
	switch {
	case err != nil:
		return "", err
	case whole || len(ids) == 1 && prefix != "":
		return ids[0], nil
	case len(ids) == 0 || prefix == "":
		return "", a.unknownSession(ctx, prefix)
	}
	names := strings.Join(ids[:min(len(ids), maxNames)], ", ")
	if more := len(ids) - maxNames; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return "", fmt.Errorf("%w: %d sessions begin with %q: %s", ErrUsage, len(ids), prefix, names)
}

// unknownSession says that there is no such session, and which may be meant.
func (a *App) unknownSession(ctx context.Context, id string) error {
	hint := ""
	if ids, _, err := a.store.IDs(ctx, ""); err == nil { // else the list would fail too
		hint = config.DidYouMean(config.Nearest(id, ids))
	}
	return fmt.Errorf("%w: session %q: %w%s; ml-intern sessions ls shows all", ErrUsage, id, session.ErrNotFound, hint)
}

// Log loads a session to look at, without taking its lease.
func (a *App) Log(ctx context.Context, id string) (*session.Session, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return session.Open(ctx, a.store, id)
}

// Events reads some events of a session after the one of that number, as they are
// now: somebody may work in it. There are none of one that does not exist.
func (a *App) Events(ctx context.Context, id string, after int64, most int) ([]session.Event, error) {
	var events []session.Event
	for ev, err := range a.store.Load(ctx, id, after) {
		if err != nil {
			return nil, err
		}
		if events = append(events, ev); len(events) == most {
			break
		}
	}
	return events, nil
}

// Rename gives a session that nobody works in a title, and returns its id and
// the title as it is kept.
func (a *App) Rename(ctx context.Context, id, title string) (string, string, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return "", "", err
	}
	release, err := a.store.Lease(ctx, id)
	if err != nil {
		return id, "", err
	}
	defer func() { _ = release() }() // the title is saved
	s, err := session.Open(ctx, a.store, id)
	if err != nil {
		return id, "", err
	}
	title, err = rename(ctx, s, a.Redact()(title))
	return id, title, err
}

// Rename gives the session a title, between turns.
func (c *Conversation) Rename(ctx context.Context, title string) (string, error) {
	return rename(ctx, c.Session, c.Agent.Redact(title))
}

func rename(ctx context.Context, s *session.Session, title string) (string, error) {
	title, err := session.CheckTitle(title)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if _, err := s.Record(ctx, session.Event{Renamed: &session.Renamed{Title: title}}); err != nil {
		return "", fmt.Errorf("rename session %s: %w", s.ID, err)
	}
	return title, nil
}

// Formats of exports besides those of package export.
const (
	TraceFormat = "trace" // as it would be shared
	RowFormat   = "sft"   // rows to train on; see ExportRows
)

// Extension is how the name of a file in the format ends.
func Extension(format string) string {
	if format == TraceFormat || format == RowFormat {
		return format + ".jsonl"
	}
	return format
}

// CheckFormat says if there is no such format to export a session in.
func CheckFormat(format string) error {
	all := append(export.Formats(), TraceFormat, RowFormat)
	if slices.Contains(all, format) {
		return nil
	}
	return fmt.Errorf("%w: there is no format %q%s; the formats are %s", ErrUsage, format,
		config.DidYouMean(config.Nearest(format, all)), strings.Join(all, ", "))
}

// Export writes a session with its sub-agents', without secrets.
func (a *App) Export(ctx context.Context, w io.Writer, id, format string) error {
	if err := CheckFormat(format); err != nil {
		return err
	}
	switch format {
	case TraceFormat:
		return a.ExportTrace(ctx, w, id)
	case RowFormat:
		_, err := a.ExportRows(ctx, w, RowQuery{IDs: []string{id}, Outcome: OutcomeAny})
		return err
	}
	s, err := a.Log(ctx, id)
	if err != nil {
		return err
	}
	src := export.Source{Session: s, Redact: a.Redact()}
	var sum session.Summary
	for _, ev := range s.Events() {
		sum.Add(ev)
	}
	src.Title = sum.Title
	family, err := a.family(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, member := range slices.Backward(family) { // in the order of their beginning
		if member.ID == s.ID || format == export.JSONL {
			continue
		}
		child, err := session.Open(ctx, a.store, member.ID)
		if err != nil {
			return err
		}
		src.Children = append(src.Children, child)
	}
	if err := export.Write(w, format, src); err != nil {
		return fmt.Errorf("export session %s: %w", s.ID, err)
	}
	return nil
}

// family is a session and those that work for it, latest first.
func (a *App) family(ctx context.Context, id string) ([]session.Summary, error) {
	list, err := a.store.List(ctx)
	return slices.DeleteFunc(list, func(s session.Summary) bool { return s.ID != id && s.Parent != id }), err
}

// OldSessions lists the sessions that nothing happened in for so long.
func (a *App) OldSessions(ctx context.Context, age time.Duration) ([]session.Summary, error) {
	found, err := a.store.Find(ctx, session.Query{})
	return slices.DeleteFunc(found.Sessions, func(s session.Summary) bool { return time.Since(s.Updated) < age }), err
}

// SessionsOf are the sessions of these ids, or beginnings of ids, each once.
func (a *App) SessionsOf(ctx context.Context, ids []string) ([]session.Summary, error) {
	found, err := a.store.Find(ctx, session.Query{})
	if err != nil {
		return nil, err
	}
	var all []session.Summary
	var errs []error
	for _, id := range ids {
		id, err := a.find(ctx, id)
		at := slices.IndexFunc(found.Sessions, func(s session.Summary) bool { return s.ID == id })
		switch {
		case err != nil:
			errs = append(errs, err)
		case at < 0:
			errs = append(errs, fmt.Errorf("%w: session %s is a sub-agent's: it belongs to the session that it worked for", ErrUsage, id))
		case !slices.ContainsFunc(all, func(s session.Summary) bool { return s.ID == id }):
			all = append(all, found.Sessions[at])
		}
	}
	return all, errors.Join(errs...)
}
