package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/hub"
)

// dashboards checks that a dashboard shows nothing to everybody, and takes no
// Space that is another's, or that is something else.
func (c *check) dashboards(ctx context.Context) {
	c.boards = c.findBoards()
	for _, b := range c.boards {
		c.dashboard(ctx, b)
	}
}

func (c *check) dashboard(ctx context.Context, b board) {
	switch {
	case b.late:
		c.fail(Finding{Code: CodeBoard, Line: b.line, Text: "when the model or a checkpoint is pushed, Trackio is asked for a private copy of the metrics, refuses, and the script fails", Fix: b.fix})
		return
	case !b.space.given() && b.copy:
		c.shown(b, "the metrics are copied to a new Space", b.fix)
		return
	case !b.space.given():
		c.made(b, "of a new Space")
		return
	case b.space.text() == "":
		c.note(CodeUnchecked, "the dashboard of line %d was not checked: its Space is known when the script runs", b.line)
		return
	}
	repo, err := hub.ParseRepo(hub.Space, b.space.text())
	if err != nil {
		c.fail(Finding{Code: CodeBoard, Line: b.line, Text: fmt.Sprintf("%q is no name of a Space", b.space.text()), Fix: "write owner/name, of letters, digits, '.', '_' and '-'"})
		return
	}
	if repo.Namespace == "" && c.Account != nil {
		repo.Namespace = c.Account.Name
	}
	if c.ours(ctx, repo, b) {
		c.space(ctx, repo, b)
	}
}

// ours reports whether the Space may be written to, as far as is known.
func (c *check) ours(ctx context.Context, repo hub.RepoID, b board) bool {
	denied := c.Account != nil && !c.Account.CanWriteRepo(repo)
	if c.Account == nil && c.Hub != nil && repo.Namespace != "" {
		denied = errors.Is(c.Hub.CheckAccess(ctx, repo, true), hub.ErrForbidden)
	}
	if denied {
		c.fail(Finding{Code: CodeBoard, Line: b.line, Text: fmt.Sprintf("the dashboard goes to the Space %s, which this account may not write to", nameOf(repo)), Fix: "name a Space of your own, or use a token that may write"})
	}
	return !denied
}

// space looks at the Space as it is on the Hub.
func (c *check) space(ctx context.Context, repo hub.RepoID, b board) {
	name := nameOf(repo)
	if c.Hub == nil || repo.Namespace == "" {
		c.note(CodeUnchecked, "the Space %s was not looked at: there is no Hub here, or nobody knows whose it is", name)
		c.made(b, name)
		return
	}
	info, err := c.Hub.RepoInfo(ctx, repo, "")
	switch {
	case errors.Is(err, hub.ErrNotFound), errors.Is(err, hub.ErrUnauthorized):
		c.made(b, name)
	case err != nil:
		c.note(CodeUnchecked, "the Space %s was not looked at: %s", name, brief(err.Error()))
		c.made(b, name)
	case !c.isBoard(ctx, repo, info):
		c.fail(Finding{Code: CodeBoard, Line: b.line, Text: fmt.Sprintf("the Space %s is there and is no dashboard of Trackio: the job would change its settings and storage", name), Fix: "name another Space, or one that is not there yet"})
	case info.SDK == "static" && !b.copy:
		c.fail(Finding{Code: CodeBoard, Line: b.line, Text: fmt.Sprintf("the Space %s is a frozen dashboard, which takes no metrics any more", name), Fix: "name another Space, or one that is not there yet"})
	case info.SDK != "static" && b.copy:
		c.fail(Finding{Code: CodeBoard, Line: b.line, Text: fmt.Sprintf("the Space %s is a live dashboard, which no copy may replace", name), Fix: "name another Space for the copy, or none; " + b.fix + " to have no copy"})
	case b.copy:
		c.shown(b, "the metrics are copied to the Space "+name, b.fix)
	case !info.Private:
		c.shown(b, fmt.Sprintf("the script adds to the dashboard %s", name), "make that Space private in its settings, or name another")
	}
}

// isBoard reports whether a Space is one of Trackio: it says so, or its program
// does. What cannot be read is given the benefit of the doubt.
func (c *check) isBoard(ctx context.Context, repo hub.RepoID, info hub.Info) bool {
	tags, _ := info.Card["tags"].([]any)
	if slices.Contains(info.Tags, "trackio") || slices.Contains(tags, any("trackio")) {
		return true
	}
	var app bytes.Buffer
	_, err := c.Hub.Download(ctx, repo, "", "app.py", &app)
	return strings.Contains(app.String(), "trackio") || err != nil && !errors.Is(err, hub.ErrNotFound)
}

// made checks a Space that is not there, or may not be: Trackio makes it.
func (c *check) made(b board, name string) {
	switch {
	case b.copy:
		c.shown(b, "the metrics are copied to the Space "+name, b.fix)
	case b.private.isTrue():
	case b.private.given() && b.private.Kind != "const":
		c.note(CodeUnchecked, "whether the dashboard %s will be private is known when the script runs", name)
	default:
		c.shown(b, "the script makes the dashboard "+name, b.fix)
	}
}

// shown says that metrics become public. It is for a person to want that: the
// tool that submits asks one when this is waived.
func (c *check) shown(b board, text, fix string) {
	c.warn(Finding{Code: CodePublic, Line: b.line, Text: text + ", which everybody can read", Fix: fix})
}
