package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed ui
var ui embed.FS

// types are those of files that are served.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".txt": "text/plain; charset=utf-8",
}

// files serves the page: what is embedded, under its name, and nothing else.
func files() http.Handler {
	type file struct {
		data []byte
		tag  string
	}
	all := make(map[string]file)
	_ = fs.WalkDir(ui, "ui", func(name string, d fs.DirEntry, err error) error { // it is in memory
		if err != nil || d.IsDir() || types[path.Ext(name)] == "" {
			return err
		}
		data, err := ui.ReadFile(name)
		sum := sha256.Sum256(data)
		all[name[len("ui"):]] = file{data, `"` + hex.EncodeToString(sum[:8]) + `"`}
		return err
	})
	all["/"] = all["/index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := all[r.URL.Path]
		switch {
		case !ok:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this is read only", http.StatusMethodNotAllowed)
		default:
			name := r.URL.Path
			if name == "/" {
				name = "/index.html"
			}
			w.Header().Set("Content-Type", types[path.Ext(name)])
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("ETag", f.tag)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.data))
		}
	})
}
