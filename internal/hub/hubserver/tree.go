package hubserver

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// Sizes of a page of a tree: with its commits, each entry is a search.
const (
	treePage         = 1000
	treePageExpanded = 100
)

// tree lists a folder.
func (s *Server) tree(c *repoCall) error {
	commit, err := s.store.Resolve(c.repo, c.args[0])
	if err != nil {
		return err
	}
	c.Header().Set("X-Repo-Commit", commit.ID)
	q := c.URL.Query()
	expand := truth(q.Get("expand"))
	most := treePage
	if expand {
		most = treePageExpanded
	}
	p, err := newPage(q, most, most)
	if err != nil {
		return err
	}
	folder := strings.Trim(strings.Join(c.args[1:], "/"), "/") // Python escapes the slashes, others do not
	var entries []gitstore.Entry
	n := 0
	for e, err := range s.store.Entries(commit, folder, truth(q.Get("recursive"))) {
		if err != nil {
			return err
		}
		if n++; n <= p.skip {
			continue
		}
		if len(entries) == p.limit {
			p.next(c.exchange, c.treePath(commit.ID, folder))
			break
		}
		entries = append(entries, e)
	}
	out, err := s.entries(commit, entries, expand)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, out)
}

// treePath names the commit, so that all pages are of one tree.
func (c *repoCall) treePath(commit, folder string) string {
	path := "/api/" + string(c.repo.Type) + "s/" + c.repo.String() + "/tree/" + commit
	if folder != "" {
		path += "/" + url.PathEscape(folder)
	}
	return path
}

// entries describes files and folders as the API does.
func (s *Server) entries(commit gitstore.Commit, entries []gitstore.Entry, expand bool) ([]map[string]any, error) {
	var last map[string]gitstore.Commit
	if expand {
		paths := make([]string, len(entries))
		for i, e := range entries {
			paths[i] = e.Path
		}
		var err error
		if last, err = s.store.LastCommits(commit, paths); err != nil {
			return nil, err
		}
	}
	out := make([]map[string]any, 0, len(entries))
	for _, e := range entries {
		v := map[string]any{"type": "directory", "oid": e.OID, "size": 0, "path": e.Path}
		if !e.Dir {
			f, err := s.store.File(e.OID)
			if err != nil {
				return nil, err
			}
			v["type"], v["size"] = "file", f.Size
			if f.Large != nil {
				v["lfs"] = map[string]any{"oid": f.Large.OID, "size": f.Size, "pointerSize": f.PointerSize}
			}
		}
		if at, ok := last[e.Path]; ok {
			v["lastCommit"] = map[string]any{"id": at.ID, "title": at.Title(), "date": stamp(at.Time)}
		}
		out = append(out, v)
	}
	return out, nil
}

const maxPaths = 2000

// pathsInfo describes the entries of a list of paths, those that are there.
func (s *Server) pathsInfo(c *repoCall) error {
	paths, expand, err := c.readPaths()
	if err != nil {
		return err
	}
	commit, err := s.store.Resolve(c.repo, c.args[0])
	if err != nil {
		return err
	}
	c.Header().Set("X-Repo-Commit", commit.ID)
	for i, path := range paths {
		paths[i] = strings.Trim(path, "/")
	}
	found, err := s.store.Find(commit, paths)
	if err != nil {
		return err
	}
	var entries []gitstore.Entry
	for _, path := range paths {
		if e, ok := found[path]; ok {
			entries = append(entries, e)
		}
	}
	out, err := s.entries(commit, entries, expand)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, out)
}

// readPaths reads the body, which Python sends as a form and others as JSON.
func (c *repoCall) readPaths() (paths []string, expand bool, err error) {
	kind, _, _ := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" {
		c.Body = http.MaxBytesReader(c, c.Body, maxBody)
		if err := c.ParseForm(); err != nil {
			return nil, false, badRequest("the form cannot be read: " + err.Error())
		}
		paths, expand = values(c.PostForm, "paths"), truth(c.PostForm.Get("expand"))
	} else {
		var in struct {
			Paths  json.RawMessage `json:"paths"`
			Expand bool            `json:"expand"`
		}
		if err := decode(c.exchange, &in); err != nil {
			return nil, false, err
		}
		var one string
		if json.Unmarshal(in.Paths, &one) == nil {
			paths = []string{one}
		} else if err := json.Unmarshal(in.Paths, &paths); err != nil {
			return nil, false, badRequest(`"paths" must be a list of strings`)
		}
		expand = in.Expand
	}
	if len(paths) > maxPaths {
		return nil, false, refuse(http.StatusRequestEntityTooLarge, "TooLarge", "at most 2000 paths can be asked for")
	}
	return paths, expand, nil
}
