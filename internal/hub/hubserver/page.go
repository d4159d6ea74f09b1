package hubserver

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

const (
	pageFiles   = 500
	pageCommits = 10
	pageText    = 256 << 10
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// pageData is what page.html shows.
type pageData struct {
	Title   string
	Path    string // of the repository, "" on a list
	Badges  []string
	Rev     string
	Folder  string
	Up      string // the folder above, with Folder
	Files   []pageFile
	More    bool // there are more files than are shown
	Card    string
	Commits []pageCommit
	Repos   []pageRepo
}

type pageFile struct{ Name, URL, Size, Kind string }

type pageCommit struct{ Title, Author, Date, URL, Short string }

type pageRepo struct{ Name, URL, Kind, Date string }

// repoPage shows a repository to people: rest is empty, or tree, commit or
// commits with a revision, and with tree a folder.
func (s *Server) repoPage(x *exchange, id hub.RepoID, rest []string) error {
	c, err := s.repoCall(x, id, see)
	if err != nil {
		return err
	}
	rev, folder := "main", ""
	if len(rest) > 1 {
		rev, folder = rest[1], strings.Trim(strings.Join(rest[2:], "/"), "/")
	}
	commit, err := s.store.Resolve(c.repo, rev)
	if err != nil {
		return err
	}
	d := &pageData{Title: c.repo.String(), Path: "/" + c.repo.Path(), Rev: rev, Folder: folder}
	d.Badges = append(d.Badges, string(c.repo.Type))
	if c.repo.Private {
		d.Badges = append(d.Badges, "private")
	}
	if rev == commit.ID {
		d.Rev = commit.ID[:12]
	}
	if folder != "" {
		d.Up = d.Path + "/tree/" + url.PathEscape(rev)
		if at := strings.LastIndexByte(folder, '/'); at >= 0 {
			d.Up += "/" + escape(folder[:at])
		}
	}
	if err := s.fillFiles(d, commit, rev); err != nil {
		return err
	}
	if s.mayRead(x, c.repo) == nil && folder == "" {
		if err := s.fillCard(d, commit, c.repo.Type); err != nil {
			return err
		}
	}
	for old, err := range s.store.History(commit.ID) {
		if err != nil {
			return err
		}
		d.Commits = append(d.Commits, pageCommit{old.Title(), old.Author, old.Time.Format("2006-01-02 15:04"), d.Path + "/commit/" + old.ID, old.ID[:8]})
		if len(d.Commits) == pageCommits {
			break
		}
	}
	return s.show(x, d)
}

func (s *Server) fillFiles(d *pageData, commit gitstore.Commit, rev string) error {
	for e, err := range s.store.Entries(commit, d.Folder, false) {
		if err != nil {
			return err
		}
		if len(d.Files) == pageFiles {
			d.More = true
			break
		}
		name := strings.TrimPrefix(e.Path, d.Folder+"/")
		f := pageFile{Name: name + "/", URL: d.Path + "/tree/" + url.PathEscape(rev) + "/" + escape(e.Path)}
		if !e.Dir {
			file, err := s.store.File(e.OID)
			if err != nil {
				return err
			}
			f = pageFile{Name: name, URL: d.Path + "/resolve/" + url.PathEscape(rev) + "/" + escape(e.Path), Size: size(file.Size)}
			if file.Large != nil {
				f.Kind = "LFS"
			}
		}
		d.Files = append(d.Files, f)
	}
	return nil
}

func (s *Server) fillCard(d *pageData, commit gitstore.Commit, typ hub.RepoType) error {
	text, err := s.readFile(commit, "README.md")
	if err != nil {
		return err
	}
	c := parseCard(text)
	body := c.text[:min(len(c.text), pageText)]
	for len(body) > 0 && !utf8.Valid(body) && len(body) > pageText-utf8.UTFMax {
		body = body[:len(body)-1]
	}
	d.Card = strings.TrimSpace(string(body))
	d.Badges = append(d.Badges, tags(typ, c.data)...)
	return nil
}

// indexPage lists the repositories of an owner, or of all if owner is "".
func (s *Server) indexPage(x *exchange, owner string) error {
	d := &pageData{Title: "Repositories"}
	kind, all := apiType(owner)
	if owner != "" && !all {
		d.Title = owner
	}
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		if all && typ != kind {
			continue
		}
		repos, err := s.store.Repos(typ)
		if err != nil {
			return err
		}
		for _, r := range repos {
			if (owner == "" || all || r.Namespace == owner) && (!r.Private || s.member(x.who, r.Namespace)) {
				d.Repos = append(d.Repos, pageRepo{r.String(), "/" + r.Path(), string(typ), r.Modified.Format("2006-01-02 15:04")})
			}
		}
	}
	if len(d.Repos) == 0 && d.Title == owner {
		return refuse(http.StatusNotFound, "NotFound", "nobody here is called "+owner)
	}
	return s.show(x, d)
}

// show sends a page. It may load nothing: all it needs is in it.
func (s *Server) show(x *exchange, d *pageData) error {
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, d); err != nil {
		return fmt.Errorf("make page: %w", err)
	}
	h := x.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	x.WriteHeader(http.StatusOK)
	if x.Method != http.MethodHead {
		_, _ = x.Write(out.Bytes()) // a client that is gone cannot be told
	}
	return nil
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1000 {
		return itoa(n) + " B"
	}
	v, unit := float64(n)/1000, "kB"
	for _, next := range []string{"MB", "GB", "TB"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, next
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}
