package hubserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// Behind a proxy that has the encryption, large files are sent through it.
func TestBehindProxy(t *testing.T) {
	t.Parallel()
	inner := start(t, hubserver.Options{})
	to, err := url.Parse(inner.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
	t.Cleanup(proxy.Close)
	c := &hub.Client{BaseURL: proxy.URL, HTTP: &http.Client{Transport: proxy.Client().Transport}}
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	if _, err := c.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	files := []hub.File{{Path: "w.bin", Content: []byte{0, 1, 2, 255}}}
	if _, err := c.Upload(t.Context(), repo, hub.Commit{Files: files}); err != nil {
		t.Error(err)
	}
	if _, err := c.Snapshot(t.Context(), repo, hub.SnapshotOptions{Dir: t.TempDir()}); err != nil {
		t.Error(err)
	}
}
