package hubserver_test

import (
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// A large file that is deleted for good is in no commit of any branch, tag or
// pull request any more; all else is as it was.
func TestForgetLargeFiles(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	w := as("w")
	w.create("x")
	w.create("y")
	w.storeLarge("secret", "kept")
	line := func(path, data string) string {
		return fmt.Sprintf(`{"key":"lfsFile","value":{"path":%q,"algo":"sha256","oid":%q,"size":%d}}`, path, sum(data), len(data))
	}
	w.commit("main", fileLine("a", "1"))
	untouched := w.head("me/x")
	w.do("POST", "/api/models/me/x/tag/main", `{"tag":"before"}`)
	w.commit("main", line("d/e/only.bin", "secret"), fileLine("a", "2"))
	with := w.head("me/x")
	w.do("POST", "/api/models/me/x/tag/main", `{"tag":"v1"}`)
	w.commit("main", deleteLine("d/e/only.bin"), line("k.bin", "kept"), fileLine("d/f", "1"))
	merged := w.pull(fileLine("merged", "1"))
	w.merge(merged)
	num := w.pull(line("copy.bin", "secret"), fileLine("new", "1"))
	w.do("POST", "/api/models/me/y/commit/main", commitBody("", line("same.bin", "secret")))

	at := "/api/models/me/x/lfs-files"
	var list []struct{ FileOID, OID string }
	w.do("GET", at, "").json(t, &list)
	id := ""
	for _, f := range list {
		if f.OID == sum("secret") {
			id = f.FileOID
		}
	}
	body := fmt.Sprintf(`{"deletions":{"sha":[%q],"rewriteHistory":true}}`, id)
	for what, c := range map[string]struct {
		who, body string
		want      int
	}{
		"a stranger":             {"", body, 401},
		"another user":           {"o", body, 403},
		"without the history":    {"w", strings.Replace(body, "true", "false", 1), 400},
		"nothing":                {"w", `{"deletions":{"sha":[],"rewriteHistory":true}}`, 400},
		"what no id can be":      {"w", `{"deletions":{"sha":["x"],"rewriteHistory":true}}`, 400},
		"what is not there":      {"w", `{"deletions":{"sha":["aaaaaaaaaaaaaaaaaaaaaaaa"],"rewriteHistory":true}}`, 200},
		"with a body that is no": {"w", `[]`, 400},
	} {
		if a := as(c.who).do("POST", at+"/batch", c.body); a.status != c.want || w.do("GET", "/me/x/resolve/v1/d/e/only.bin", "").status >= 400 {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if a := w.do("DELETE", at+"/bbbbbbbbbbbbbbbbbbbbbbbb?rewriteHistory=true", ""); a.status != 404 {
		t.Errorf("one that is not there: %d", a.status)
	}
	if a := w.do("POST", at+"/batch", body); a.status != 200 {
		t.Fatalf("forget: %d %s", a.status, a.body)
	}

	w.do("GET", at, "").json(t, &list)
	if len(list) != 1 || list[0].OID != sum("kept") {
		t.Errorf("the large files are %+v", list)
	}
	for path, want := range map[string]string{
		"v1/a": "2", "before/a": "1", "main/d/f": "1", "main/k.bin": "kept", "main/merged": "1", "refs%2Fpr%2F2/new": "1", untouched + "/a": "1",
		"v1/d/e/only.bin": "", "refs%2Fpr%2F2/copy.bin": "", with + "/a": "",
	} {
		a := w.do("GET", "/me/x/resolve/"+path, "")
		if want == "" && a.status != 404 || want != "" && a.body != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := w.do("GET", "/me/y/resolve/main/same.bin", ""); a.body != "secret" {
		t.Errorf("of another repository: %d %s", a.status, a.body)
	}
	var tree []struct{ Path string }
	w.do("GET", "/api/models/me/x/tree/v1?recursive=1", "").json(t, &tree)
	for _, e := range tree {
		if e.Path == "d" {
			t.Error("an empty folder is left")
		}
	}
	var commits []struct {
		Title   string
		Authors []struct{ User string }
	}
	w.do("GET", "/api/models/me/x/commits/main", "").json(t, &commits)
	if len(commits) != 5 || commits[0].Title != "s (#1)" || commits[0].Authors[0].User != "me" {
		t.Errorf("the history is %+v", commits)
	}
	if d := w.discussion("me/x", merged); d.Status != "merged" || !strings.HasSuffix(d.types(), "status-change") {
		t.Errorf("the merged pull request is %+v", d)
	}
	if d := w.discussion("me/x", num); d.types() != "comment commit" || strings.Contains(d.Diff, "oid sha256") || !strings.Contains(d.Diff, "b/new") {
		t.Errorf("the open pull request is %+v", d)
	}
	if a := w.merge(num); a.status != 200 {
		t.Errorf("merge it: %d %s", a.status, a.body)
	}
	if a := w.do("POST", at+"/batch", body); a.status != 200 {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	if a := w.do("DELETE", at+"/"+sum("kept")+"?rewriteHistory=true", ""); a.status != 200 {
		t.Errorf("by its hash: %d %s", a.status, a.body)
	}
	g := newGit(t)
	g.run("", "clone", "-q", "--mirror", strings.Replace(w.url, "http://", "http://me:w@", 1)+"/me/x", g.path("clone"))
	g.whole("clone")
}
