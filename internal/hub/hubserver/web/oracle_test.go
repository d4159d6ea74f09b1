package web_test

import (
	"bytes"
	"html/template"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver/web"
)

// Our pages are, byte for byte, what html/template makes of them. What is
// trusted is left out: the types differ.
func TestPagesAsTheStandardLibraryMakesThem(t *testing.T) {
	t.Parallel()
	m, err := web.NewMaker()
	if err != nil {
		t.Fatal(err)
	}
	theirs := template.Must(template.New("pages").Funcs(template.FuncMap{
		"size": web.Size, "when": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }, "day": func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"short": func(s string) string { return s[:min(8, len(s))] },
		"plural": func(n int, word string) string {
			if n == 1 {
				return "1 " + word
			}
			return strconv.Itoa(n) + " " + word + "s"
		},
	}).ParseGlob("*.html"))
	for name, views := range nastyViews() {
		for i, view := range views {
			repo := &web.Repo{Owner: nasty, Name: nasty, Type: nasty, Path: "/me/" + nasty, Private: true, Label: nasty, Switch: []web.Switch{{Name: nasty, URL: nasty, Tag: true}}, Tabs: []web.Tab{{Name: nasty, URL: nasty, Count: "1"}}}
			if i%2 == 1 {
				repo = nil
			}
			frame := web.Frame{Title: nasty, Repo: repo, Tab: nasty, View: view, Person: web.Person{Login: nasty}}
			if name != "commits.html" && name != "files.html" && name != "blob.html" { // which have a repository
				frame.Name = nasty
			} else if repo == nil {
				continue
			}
			var want bytes.Buffer
			if err := theirs.ExecuteTemplate(&want, name, frame); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := m.Write(w, httptest.NewRequest("GET", "/", nil), 200, frame); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(w.Body.Bytes(), want.Bytes()) {
				t.Errorf("%s: it is\n%s\nand html/template says\n%s", name, w.Body, &want)
			}
		}
	}
}

const nasty = `"><script>alert('1')</script>&+ java:x ä?#%41` + "\x00"

// nastyViews are views of every kind, by their template: full ones and empty ones.
func nastyViews() map[string][]web.View {
	now := time.Date(2026, 11, 27, 9, 8, 7, 0, time.UTC)
	link := web.Link{Text: nasty, URL: nasty}
	commit := web.Commit{ID: nasty, URL: nasty, Title: nasty, Body: nasty, Author: nasty, Time: now, Parents: []web.Link{link, link}}
	files := []web.File{{Name: nasty, URL: nasty, Download: nasty, Large: true, Size: 4321}, {Name: "d", URL: "javascript:x", Dir: true}}
	diff := web.Diffs{Added: 1, Removed: 2, Files: []web.Changed{
		{Path: nasty, URL: nasty, How: "added", Added: 1, Hunks: []web.Hunk{{Lines: []web.Line{{Sign: "+", New: 1, Text: nasty}, {Sign: "-", Old: 1, Text: nasty}, {Sign: " ", Old: 2, New: 2}}}, {}}},
		{Path: nasty, How: "deleted", Note: nasty, Removed: 3},
	}}
	thread := web.Thread{
		Number: 3, URL: nasty, Title: nasty, Author: nasty, Status: "open", Pull: true, Time: now, Comments: 2, More: 1, From: link, Into: link, Merged: link,
		Problem: nasty, Conflicts: make([]string, 30), Diff: diff,
		Events: []web.Event{{Author: nasty, Comment: true, Edited: true, Note: nasty}, {Author: nasty, What: nasty, Link: link, Time: now}},
	}
	plain := thread
	plain.Pull, plain.Conflicts = false, nil
	gate := web.Gate{Heading: nasty, Description: nasty, Button: nasty, URL: nasty, Questions: []web.Question{{nasty, "text", nil}, {nasty, "checkbox", nil}, {nasty, "select", []string{nasty}}}}
	table := &web.Table{Name: nasty, Columns: []web.Column{{nasty, nasty}}, Rows: [][]string{{nasty}, {}}, Note: nasty, HiddenColumns: 1}
	return map[string][]web.View{
		"index.html": {web.Index{}, web.Index{Owner: nasty, Groups: []web.Group{{Name: nasty, URL: nasty, Count: 2, More: nasty, Repos: []web.Listed{{nasty, nasty, true, now}}}, {Name: nasty}}}},
		"card.html": {
			web.Card{},
			web.Card{},
			web.Card{Gate: &gate, Problem: nasty},
			web.Card{Gate: &web.Gate{Login: nasty, Auto: true}},
			web.Card{Gate: &web.Gate{Pending: true}},
			web.Card{Gate: &web.Gate{Rejected: true}},
			web.Card{Cut: true, Table: table, Facts: []web.Fact{{nasty, []web.Link{link, {Text: nasty}}}}, Metrics: []web.Metric{{nasty, nasty, nasty, nasty}, {}}, Files: files, MoreURL: nasty, Clone: nasty, Commit: commit, Siblings: 9},
		},
		"files.html":   {web.Files{}, web.Files{}, web.Files{Crumbs: []web.Link{link, {Text: nasty}}, Up: nasty, Files: files, More: true, Commit: commit}},
		"blob.html":    {web.Blob{Lines: []string{nasty, ""}, Cut: true}, web.Blob{}, web.Blob{Raw: nasty, Link: nasty, PermanentURL: nasty, Large: nasty, Why: nasty, Crumbs: []web.Link{link}}, web.Blob{}, web.Blob{Image: true, Link: nasty}},
		"commits.html": {web.Commits{}, web.Commits{}, web.Commits{Commits: []web.Commit{commit}, Newer: nasty, Older: nasty}},
		"change.html":  {web.Change{}, web.Change{Commit: commit, Diff: diff, Browse: nasty}, web.Change{Diff: web.Diffs{More: 3}}},
		"threads.html": {web.Threads{}, web.Threads{Over: true, URL: nasty, Newer: nasty, Older: nasty}, web.Threads{URL: "/x", Threads: []web.Thread{thread, plain}}},
		"thread.html":  {web.Thread{}, thread, plain},
		"sorry.html":   {web.Sorry{}, web.Sorry{Status: 404, Message: nasty, Login: nasty}},
	}
}
