package hubserver

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// file serves a file's content: rest is resolve or raw, a revision and
// the path. With raw a large file is its pointer.
func (s *Server) file(x *exchange, id hub.RepoID, rest []string) error {
	c, err := s.repoCall(x, id, read)
	if err != nil {
		return err
	}
	commit, err := s.store.Resolve(c.repo, rest[1])
	if err != nil {
		return err
	}
	x.Header().Set("X-Repo-Commit", commit.ID) // on a missing file, too: clients remember that
	name := strings.Join(rest[2:], "/")
	e, err := s.store.Entry(commit, name)
	if err == nil && e.Dir {
		err = gitstore.ErrNoEntry
	}
	if errors.Is(err, gitstore.ErrNoEntry) {
		return refuse(http.StatusNotFound, "EntryNotFound", "Entry not found")
	}
	if err != nil {
		return err
	}
	f, err := s.store.File(e.OID)
	if err != nil {
		return err
	}
	if rest[0] == "raw" {
		f.Large = nil
	}
	return s.content(x, f, name)
}

// content answers with a file, or the range of it that was asked for.
func (s *Server) content(x *exchange, f gitstore.File, name string) error {
	var body io.ReadSeeker
	etag := f.OID
	if f.Large != nil {
		etag = f.Large.OID
		large, err := s.store.OpenLarge(etag)
		if err != nil {
			return err
		}
		defer large.Close()
		body = large
		x.Header().Set("X-Linked-Size", itoa(f.Size))
		x.Header().Set("X-Linked-ETag", `"`+etag+`"`)
	} else {
		data, err := s.store.Blob(f.OID)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	x.Header().Set("ETag", `"`+etag+`"`)
	x.Header().Set("Content-Type", contentType(name, f.Large == nil))
	// A file comes from who knows where: a browser must not run it as our page.
	x.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	how := "inline"
	if truth(x.URL.Query().Get("download")) {
		how = "attachment"
	}
	x.Header().Set("Content-Disposition", how+"; filename*=UTF-8''"+url.PathEscape(path.Base(name)))
	http.ServeContent(x, x.Request, "", time.Time{}, body)
	return nil
}

// contentType shows text and pictures in a browser, and lets it save the rest.
func contentType(name string, text bool) string {
	switch typ := mime.TypeByExtension(strings.ToLower(path.Ext(name))); {
	case strings.HasPrefix(typ, "image/") && !strings.Contains(typ, "svg"), strings.HasPrefix(typ, "audio/"), strings.HasPrefix(typ, "video/"):
		return typ
	case strings.HasPrefix(typ, "application/json"):
		return "application/json; charset=utf-8"
	case text:
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
