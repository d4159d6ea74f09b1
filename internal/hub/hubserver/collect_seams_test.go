package hubserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// The collector takes no large file that anything still needs, wherever it is
// named: pull requests in all their states, tags, copies, what was squashed or
// moved, and what was sent and is not in a commit yet.
func TestCollectKeepsWhatIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, hubserver.Options{Dir: dir})
	for _, name := range []string{"x", "gone", "old", "squashed"} {
		s.create(name)
	}
	const api = "/api/models/me/x"
	del := commitBody("", `{"key":"deletedEntry","value":{"path":"w.bin"}}`)
	s.send("me/x", "", "w.bin", "copied")
	s.want(200, "POST", "/api/models/me/x/duplicate", `{"repository":"me/copy"}`)
	s.send("me/x", "", "w.bin", "tagged")
	s.want(200, "POST", api+"/tag/main", `{"tag":"v1"}`)
	s.send("me/x", "?create_pr=1", "open.bin", "open")
	s.send("me/x", "?create_pr=1", "closed.bin", "closed")
	s.want(200, "POST", api+"/discussions/2/status", `{"status":"closed"}`)
	s.send("me/x", "?create_pr=1", "merged.bin", "merged")
	s.want(200, "POST", api+"/discussions/3/merge", `{}`)
	s.want(200, "POST", api+"/commit/main", commitBody("", `{"key":"deletedEntry","value":{"path":"merged.bin"}}`))
	s.want(200, "POST", api+"/branch/dev", `{}`)
	s.send("me/x", "", "w.bin", "dev")
	s.want(200, "POST", api+"/commit/dev", commitBody("", largeLine("w.bin", "dev")))
	s.want(200, "POST", api+"/commit/dev?create_pr=1", commitBody("", fileLine("f", "for a branch that goes")))
	s.want(200, "DELETE", api+"/branch/dev", "")
	s.send("me/x", "", "w.bin", "before the squash")
	s.send("me/x", "", "w.bin", "squashed")
	s.want(200, "POST", api+"/super-squash/main", `{}`)
	s.send("me/old", "", "w.bin", "moved")
	s.want(200, "POST", "/api/repos/move", `{"fromRepo":"me/old","toRepo":"me/new","type":"model"}`)
	s.send("me/gone", "", "w.bin", "deleted")
	s.want(200, "DELETE", "/api/repos/delete", `{"name":"gone"}`)
	s.send("me/squashed", "", "w.bin", "history of nobody")
	s.want(200, "POST", "/api/models/me/squashed/commit/main", del)
	s.want(200, "POST", "/api/models/me/squashed/super-squash/main", `{}`)

	sent := func(content string) {
		s.want(200, "POST", "/me/x.git/info/lfs/objects/batch", fmt.Sprintf(
			`{"operation":"upload","transfers":["basic"],"objects":[{"oid":%q,"size":%d}]}`, sum(content), len(content)))
	}
	store, err := gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"fresh", "asked again"} {
		if err := store.PutLarge(gitstore.Large{OID: sum(content), Size: int64(len(content))}, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	when := time.Now().Add(-25 * time.Hour)
	files, err := filepath.Glob(filepath.Join(dir, "large", "*", "*", "*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("the large files are %v, %v", files, err)
	}
	for _, f := range files {
		if filepath.Base(f) != sum("fresh") {
			if err := os.Chtimes(f, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	sent("asked again")
	gone, err := store.Collect(t.Context())
	if err != nil || gone.Files != 3 {
		t.Errorf("it collects %+v, %v; want what was deleted, and two histories", gone, err)
	}
	for _, content := range []string{"deleted", "history of nobody", "before the squash"} {
		if store.HasLarge(gitstore.Large{OID: sum(content), Size: int64(len(content))}) {
			t.Errorf("%q is still here", content)
		}
	}
	for path, content := range map[string]string{
		"copy/resolve/main": "copied", "x/resolve/v1": "tagged", "x/resolve/main": "squashed", "new/resolve/main": "moved", "old/resolve/main": "moved",
	} {
		a := s.do("GET", "/me/"+path+"/w.bin", "")
		if a.status == 307 {
			a = s.do("GET", a.header.Get("Location"), "")
		}
		if a.status != 200 || a.body != content {
			t.Errorf("%s: %d %q, want %q", path, a.status, a.body, content)
		}
	}
	for n, file := range []string{"open.bin", "closed.bin", "merged.bin", "w.bin"} {
		want := strings.TrimSuffix(file, ".bin")
		if want == "w" {
			want = "dev"
		}
		if a := s.want(200, "GET", fmt.Sprintf("/me/x/resolve/refs%%2Fpr%%2F%d/%s", n+1, file), ""); a.body != want {
			t.Errorf("pull request %d has %q", n+1, a.body)
		}
	}
	for _, content := range []string{"fresh", "asked again"} {
		s.want(200, "POST", api+"/commit/main", commitBody("", largeLine(content+".bin", content)))
	}
	// What the merge and the reopening of a pull request need is there.
	s.want(200, "POST", api+"/discussions/1/merge", `{}`)
	s.want(200, "POST", api+"/discussions/2/status", `{"status":"open"}`)
	s.want(200, "POST", api+"/discussions/2/merge", `{}`)
	// A page that was asked for far behind the end is empty.
	if a := s.want(200, "GET", api+"/commits/main?limit=1000&p=9223372036854775807", ""); a.body != "[]\n" {
		t.Errorf("a page behind the end is %s", a.body)
	}
}
