package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
)

// A SessionQuery says which sessions a list has.
type SessionQuery = session.Query

// ListSessions prints the sessions that a query asks for, latest first.
func ListSessions(ctx context.Context, cfg *config.Config, q SessionQuery, std Streams) error {
	if q.Limit < 0 {
		return fmt.Errorf("%w: --limit cannot be negative; 0 lists all", app.ErrUsage)
	}
	return with(ctx, cfg, func(a *app.App) error {
		found, err := a.Sessions(ctx, q)
		if err != nil {
			return err
		}
		if cfg.Output == "json" {
			return printList(std.Out, found.Sessions)
		}
		if len(found.Sessions) == 0 {
			fmt.Fprintln(std.Err, noSessions(cfg.Dir, q))
			return nil
		}
		if err := showSessions(std.Out, found.Sessions); err != nil {
			return err
		}
		if n := len(found.Sessions); n < found.All {
			fmt.Fprintf(std.Err, "%d of %d sessions; --limit 0 lists all\n", n, found.All)
		}
		return nil
	})
}

// noSessions says why the list is empty. Sessions of a folder that is gone are
// listed, so that it must not be there is no error.
func noSessions(here string, q session.Query) string {
	q.Limit = 0
	if q == (session.Query{}) {
		return "no sessions yet"
	}
	if dir := q.Dir; dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(here, dir)
		}
		if _, err := os.Stat(dir); err != nil {
			return fmt.Sprintf("no session is like that, and there is no folder %s; ml-intern sessions ls shows all", printable(dir))
		}
	}
	return "no session is like that; ml-intern sessions ls shows all"
}

func showSessions(out io.Writer, list []session.Summary) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tWHEN\tSTEPS\tSTATE\tFOLDER\tTITLE")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", s.ID, s.Updated.Local().Format(time.DateTime), s.Steps, printable(s.State), printable(s.Dir), printable(shorten(s.Title, 60)))
	}
	return w.Flush()
}

// RenameSession gives a session a title.
func RenameSession(ctx context.Context, cfg *config.Config, id, title string, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		id, title, err := a.Rename(ctx, id, title)
		if err != nil {
			return err
		}
		fmt.Fprintf(std.Err, "session %s is now %q\n", id, title)
		return nil
	})
}

func formatOf(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".html", ".htm":
		return "html"
	case ".jsonl", ".ndjson":
		return "jsonl"
	}
	return "md"
}

// RemoveSessionsOptions say which sessions go, and whether anybody is asked.
type RemoveSessionsOptions struct {
	IDs []string // if there are none, what is older than Age
	Age string   // such as 30d or 12h
	Dry bool     // only list them
	Yes bool     // ask nobody
}

// RemoveSessions removes sessions and what only they kept. Those that are named
// go at once; old ones are shown first.
func RemoveSessions(ctx context.Context, cfg *config.Config, o RemoveSessionsOptions, std Streams) error {
	switch {
	case len(o.IDs) == 0 && o.Age == "":
		return fmt.Errorf("%w: name the sessions by ID, or say --older-than AGE", app.ErrUsage)
	case len(o.IDs) > 0 && o.Age != "":
		return fmt.Errorf("%w: either IDs or --older-than, not both", app.ErrUsage)
	}
	age, err := parseAge(o.Age)
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(a *app.App) error {
		list, err := sessionsToRemove(ctx, a, o.IDs, age)
		if err != nil {
			return err // nothing goes if one of them is a slip
		}
		if len(o.IDs) == 0 || o.Dry {
			if len(list) == 0 {
				fmt.Fprintln(std.Err, "no session is that old")
				return nil
			}
			if err := showSessions(std.Out, list); err != nil || o.Dry {
				return err
			}
			if err := agreed(ctx, std, o.Yes, fmt.Sprintf("remove these %d sessions", len(list))); err != nil {
				return err
			}
		}
		var errs []error
		for _, s := range list {
			if _, err := a.Delete(ctx, s.ID); err != nil {
				errs = append(errs, fmt.Errorf("session %s was not removed: %w", s.ID, err))
				continue
			}
			fmt.Fprintf(std.Err, "removed session %s\n", s.ID)
		}
		return errors.Join(errs...)
	})
}

func sessionsToRemove(ctx context.Context, a *app.App, ids []string, age time.Duration) ([]session.Summary, error) {
	if len(ids) > 0 {
		return a.SessionsOf(ctx, ids)
	}
	return a.OldSessions(ctx, age)
}
