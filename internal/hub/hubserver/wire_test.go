package hubserver_test

import (
	"net/http"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// What the official clients were seen to send beside the rule.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	server := start(t, hubserver.Options{})
	c := &hub.Client{BaseURL: server.URL}
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "odd"}
	if _, err := c.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	in := hub.Commit{Message: "a <b> & c", Description: "one\ntwo", Files: []hub.File{{Path: "a", Content: []byte("a")}}}
	if _, err := c.Upload(t.Context(), repo, in); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{
		{"/api/models/me/odd/commits/main?expand=formatted", `"title":"a \u0026lt;b\u0026gt; \u0026amp; c"`},
		{"/api/models/me/odd/commits/main?expand[]=formatted", `"message":"one\u003cbr\u003etwo"`},
		{"/api/models/me/odd/tree/refs/pr/7/dir", "revision refs/pr/7 of"},
		{"/api/models/me/odd/tree/refs%2Fpr%2F7/dir", "revision refs/pr/7 of"},
		{"/api/models/me/odd/revision/refs/convert/parquet", "revision refs/convert/parquet of"},
		{"/me/odd/resolve/refs/pr/7/a", "revision refs/pr/7 of"},
		{"/me/odd/resolve/main/refs/pr/7", "Entry not found"}, // a file's path may look like that
	} {
		resp, err := http.Get(server.URL + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, resp.Body); !strings.Contains(got, tt.want) {
			t.Errorf("GET %s: %s does not have %s", tt.path, got, tt.want)
		}
	} // The library behind Xet shows the last address and nothing else.
	resp, err := http.Get(server.URL + "/api/models/me/odd/xet-write-token/main")
	if err != nil {
		t.Fatal(err)
	}
	read(t, resp.Body)
	if at := resp.Request.URL.String(); resp.StatusCode != http.StatusNotFound || !strings.HasSuffix(at, "HF_HUB_DISABLE_XET=1") {
		t.Errorf("a client that wants Xet ends at %s with %s", at, resp.Status)
	}
}
