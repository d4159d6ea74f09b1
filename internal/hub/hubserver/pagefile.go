package hubserver

import (
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/web"
)

// gated is why files are not shown, "" if they are.
func (v *repoView) gated() string {
	if err := v.s.mayRead(v.exchange, v.repo); err != nil { // of any kind: who may read is known, or nobody
		return v.s.refusal(v.exchange, err).message
	}
	return ""
}

// blob shows one file.
func (v *repoView) blob() error {
	e, err := v.s.store.Entry(v.commit, v.path)
	if err == nil && e.Dir {
		err = gitstore.ErrNoEntry
	}
	if errors.Is(err, gitstore.ErrNoEntry) {
		return refuse(http.StatusNotFound, "EntryNotFound", "there is no file "+v.path+" in this revision")
	}
	if err != nil {
		return err
	}
	f, err := v.s.store.File(e.OID)
	if err != nil {
		return err
	}
	view := web.Blob{
		Crumbs: v.crumbs(), Size: f.Size, Link: v.at("resolve", v.rev, v.path), Raw: v.at("raw", v.rev, v.path), Why: v.gated(),
	}
	if v.rev != v.commit.ID {
		view.PermanentURL = v.at("blob", v.commit.ID, v.path)
	}
	if f.Large != nil {
		view.Large = f.Large.OID
	}
	if view.Why == "" {
		err = v.fillBlob(&view, f)
	}
	if err != nil {
		return err
	}
	return v.show("Files", "blob", view)
}

func (v *repoView) fillBlob(view *web.Blob, f gitstore.File) error {
	switch {
	case strings.HasPrefix(contentType(v.path, false), "image/"):
		view.Image = true
		return nil
	case f.Large != nil:
		view.Why = "This file is kept as a large file. It can be downloaded."
		return nil
	case f.Size == 0:
		view.Why = "This file is empty."
		return nil
	}
	data, err := v.s.store.Blob(f.OID)
	if err != nil {
		return err
	}
	if binary(data[:min(len(data), 8000)]) {
		view.Why = "This file is not text. It can be downloaded."
		return nil
	}
	text := firstText(data)
	view.Cut = len(text) < len(data)
	if strings.EqualFold(path.Ext(v.path), ".md") {
		view.Text = v.markdown(path.Dir(v.path)).HTML(parseCard(text).text)
		return nil
	}
	view.Lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	return nil
}

// firstText is as much of a text as a page shows, cut between characters.
func firstText(data []byte) []byte {
	if len(data) <= pageText {
		return data
	}
	data = data[:pageText]
	for i := 1; i < utf8.UTFMax && !utf8.Valid(data[len(data)-utf8.UTFMax:]); i++ {
		data = data[:len(data)-1]
	}
	return data
}

func (v *repoView) markdown(folder string) web.Markdown {
	if folder == "." {
		folder = ""
	}
	return web.Markdown{Repo: v.base, Rev: v.rev, Folder: folder}
}

// commits shows a page of the history.
func (v *repoView) commits() error {
	n, _ := strconv.Atoi(v.URL.Query().Get("p")) // anything else is the first page
	n = min(max(n, 0), 100_000)
	var view web.Commits
	at := 0
	for c, err := range v.s.store.History(v.commit.ID) {
		if err != nil {
			return err
		}
		if at++; at <= n*pageCommits {
			continue
		}
		if len(view.Commits) == pageCommits {
			view.Older = "?p=" + strconv.Itoa(n+1)
			break
		}
		view.Commits = append(view.Commits, v.describe(c))
	}
	if n > 0 {
		view.Newer = "?p=" + strconv.Itoa(n-1)
	}
	v.path = ""
	return v.show("Commits", "commits", view)
}

// change shows what a commit changed, against its first parent.
func (v *repoView) change() error {
	view := web.Change{Commit: v.describe(v.commit), Browse: v.at("tree", v.commit.ID, "")}
	var before gitstore.Commit
	for i, id := range v.commit.Parents {
		view.Parents = append(view.Parents, web.Link{Text: id[:8], URL: v.base + "/commit/" + id})
		if i == 0 {
			var err error
			if before, err = v.s.store.ReadCommit(id); err != nil {
				return err
			}
		}
	}
	var err error
	if view.Diff, err = v.differences(before, v.commit); err != nil {
		return err
	}
	v.path = ""
	return v.show("Commits", "", view)
}

// differences shows what is different between two commits, within bounds.
func (v *repoView) differences(from, to gitstore.Commit) (web.Diffs, error) {
	var out web.Diffs
	hidden := v.gated()
	left := pageDiff
	for d, err := range v.s.store.Differences(from, to) {
		if err != nil {
			return out, err
		}
		if len(out.Files) == pageChanged {
			out.More++
			continue
		}
		c, err := v.changed(d, hidden, &left)
		if err != nil {
			return out, err
		}
		out.Files = append(out.Files, c)
		out.Added += c.Added
		out.Removed += c.Removed
	}
	return out, nil
}

// changed compares the two versions of a file. Left is how many bytes may
// still be compared.
func (v *repoView) changed(d gitstore.Difference, hidden string, left *int) (web.Changed, error) {
	c := web.Changed{Path: d.Path, How: "changed", Note: hidden}
	if d.New != "" {
		c.URL = v.at("blob", v.commit.ID, d.Path)
	}
	switch {
	case d.Old == "":
		c.How = "added"
	case d.New == "":
		c.How = "deleted"
	}
	var texts [2][]byte
	for i, oid := range []string{d.Old, d.New} {
		if oid == "" {
			continue
		}
		f, err := v.s.store.File(oid)
		if err != nil {
			return c, err
		}
		if f.Large != nil {
			c.Note = "large file, " + web.Size(f.Size)
			continue
		}
		if *left -= int(min(f.Size, pageDiff)); *left < 0 {
			c.Note = "not compared: the commit is large"
		}
		if c.Note == "" {
			if texts[i], err = v.s.store.Blob(oid); err != nil {
				return c, err
			}
		}
	}
	if c.Note == "" {
		c.Hunks, c.Added, c.Removed, c.Note = web.Diff(texts[0], texts[1])
	}
	return c, nil
}
