package hubserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// Whatever is written in whatever place of an address, nothing outside of the
// repositories is read or written, and the server does not fail.
func TestTraversal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := "the content of a file outside"
	write(t, filepath.Join(dir, "outside.txt"), []byte(outside))
	root := filepath.Join(dir, "hub")
	s := newSite(t, hubserver.Options{Dir: root})
	s.create("x")
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("d/f.txt", "1")))
	secret, err := os.ReadFile(filepath.Join(root, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	evil := []string{
		"..", "../..", "..%2f..%2foutside.txt", "%2e%2e/%2e%2e/outside.txt", "%252e%252e%252foutside.txt", `..\..\outside.txt`, "..%5c..%5coutside.txt",
		"%2fetc%2fpasswd", "//etc/passwd", "C:%5cwindows%5cwin.ini", "a%00b", "..%00", "%00", ".%2e/outside.txt", "%c0%ae%c0%ae%2foutside.txt",
		"%ef%bc%8e%ef%bc%8e%2foutside.txt", "%e2%80%ae", "....//outside.txt", "..;/outside.txt", ".git/config", ".GIT", "%2egit%2fconfig", "con", "aux.txt",
		"-rf", "--upload-pack=x", "%0d%0aX-Evil:%201", strings.Repeat("a", 5000), strings.Repeat("../", 300) + "outside.txt", "secret", "..%2fsecret", "%ff%fe",
	}
	places := []string{
		"GET /%s", "GET /me/%s", "GET /%s/x", "GET /me/x/%s", "GET /me/x/resolve/%s/d/f.txt", "GET /me/x/resolve/main/%s", "GET /me/x/raw/main/%s", "GET /me/x/blob/main/%s",
		"GET /me/x/tree/main/%s", "GET /me/x/tree/%s", "GET /me/x/commit/%s", "GET /me/x/commits/%s", "GET /datasets/%s/x", "GET /datasets/me/%s/resolve/main/f",
		"GET /%s/x.git/info/refs?service=git-upload-pack", "GET /me/%s/info/refs?service=git-upload-pack", "GET /me/x/info/refs?service=%s", "POST /me/%s.git/git-receive-pack",
		"POST /me/%s.git/info/lfs/objects/batch", "GET /me/x.git/%s", "GET /api/models/%s/x", "GET /api/models/me/%s", "GET /api/models/me/x/revision/%s", "GET /api/models/me/x/tree/main/%s",
		"GET /api/models/me/x/tree/%s", "GET /api/models/me/x/commits/%s", "POST /api/models/me/x/commit/%s", "POST /api/models/me/x/preupload/%s", "DELETE /api/models/me/x/branch/%s",
		"PUT /api/storage/large/%s", "PUT /api/storage/part/%s/1", "GET /api/storage/get/%s", "GET /api/%s", "GET /api/models/me/x/%s",
	}
	for _, place := range places {
		for _, part := range evil {
			method, path, _ := strings.Cut(fmt.Sprintf(place, part), " ")
			a := raw(t, s.url, method, path)
			if strings.Contains(a, outside) || strings.Contains(a, strings.TrimSpace(string(secret))) || strings.Contains(a, "root:") {
				t.Errorf("%s %.100s gives out %.300s", method, path, a)
			}
			if strings.HasPrefix(a, "HTTP/1.1 5") || strings.Contains(a, "\r\nX-Evil") || a == "" {
				t.Errorf("%s %.100s is answered %.300s", method, path, a)
			}
		}
	}
	for _, part := range []string{"..", "../x", "/etc/x", `..\x`, "a\x00b", "a/../b", ".git/config", "a/.GIT/x", "./x", "a//b", "a\nb", strings.Repeat("a", 3000)} {
		for _, line := range []string{fileLine(part, "evil"), fmt.Sprintf(`{"key":"lfsFile","value":{"path":%q,"algo":"sha256","oid":%q,"size":1}}`, part, sum("x")), fmt.Sprintf(`{"key":"deletedFolder","value":{"path":%q}}`, part)} {
			if a := s.do("POST", "/api/models/me/x/commit/main", commitBody("", line)); a.status < 400 || a.status >= 500 {
				t.Errorf("a commit of %.50q is answered %d %s", part, a.status, a.body)
			}
		}
		for _, field := range []string{"name", "organization"} {
			body := map[string]string{"name": "y", "type": "model"}
			body[field] = part
			if a := s.do("POST", "/api/repos/create", mustJSON(t, body)); a.status < 400 || a.status >= 500 {
				t.Errorf("a repository with the %s %.50q is answered %d %s", field, part, a.status, a.body)
			}
		}
	}
	if after := names(t, dir); after != before {
		t.Errorf("outside of the repositories there is now\n%s\nbefore\n%s", after, before)
	}
}

// raw sends a request as it is written, which a careful client would not.
func raw(t *testing.T, url, method, path string) string {
	t.Helper()
	host := strings.TrimPrefix(url, "http://")
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	path = strings.NewReplacer(" ", "%20", "\n", "%0a").Replace(path)
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path, host)
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// names lists what is outside of the store's own folders.
func names(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*", "hub/*", "hub/repos/*/*", "hub/repos/*/*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return strings.Join(out, "\n")
}

// A client that sends its head, its body or nothing very slowly, or that reads
// nothing, keeps nobody else out.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	host := strings.TrimPrefix(s.url, "http://")
	for i := range 60 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := []string{
			"GET /me/x HT", "POST /api/models/me/x/commit/main HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 100000\r\n\r\n{",
			"POST /me/x.git/git-receive-pack HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n00a0\r\n", "",
		}[i%4]
		fmt.Fprint(conn, begin)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a := s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("f", "1"))); a.status != http.StatusOK {
			t.Errorf("meanwhile a commit is answered %d", a.status)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("slow clients keep others out")
	}
}

// Of what is wrong with a large file nothing stays, however it is wrong.
func TestLargeFilesAreChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, hubserver.Options{Dir: dir, PartSize: 4})
	s.create("x")
	content := "0123456789"
	ask := fmt.Sprintf(`{"operation":"upload","transfers":["basic","multipart"],"objects":[{"oid":%q,"size":10}]}`, sum(content))
	var got struct {
		Objects []struct {
			Actions map[string]struct {
				Href   string
				Header map[string]string
			}
		}
	}
	s.do("POST", "/me/x.git/info/lfs/objects/batch", ask).json(t, &got)
	up := got.Objects[0].Actions["upload"]
	put := func(part, data string) answer { return s.do("PUT", up.Header[part], data) }
	if a := put("00001", "01234"); a.status != http.StatusBadRequest {
		t.Errorf("a part that is too long: %d", a.status)
	}
	if a := put("00001", "012"); a.status != http.StatusBadRequest {
		t.Errorf("a part that is too short: %d", a.status)
	}
	tags := []string{put("00001", "0123").header.Get("ETag"), put("00002", "4567").header.Get("ETag"), put("00003", "XY").header.Get("ETag")}
	done := func(tags []string) answer {
		var parts []map[string]any
		for i, tag := range tags {
			parts = append(parts, map[string]any{"partNumber": i + 1, "etag": tag})
		}
		return s.do("POST", up.Href, mustJSON(t, map[string]any{"oid": sum(content), "parts": parts}))
	}
	if a := done(tags); a.status != http.StatusBadRequest || !strings.Contains(a.body, "sha256") {
		t.Errorf("parts of another file: %d %s", a.status, a.body)
	}
	if a := done(tags[:2]); a.status != http.StatusBadRequest {
		t.Errorf("a part too few: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/api/models/me/x/commit/main", commitBody("", fmt.Sprintf(`{"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":%q,"size":10}}`, sum(content)))); a.status != http.StatusBadRequest {
		t.Errorf("a commit of what has not come: %d", a.status)
	}
	tags[2] = put("00003", "89").header.Get("ETag")
	if a := done(tags); a.status != http.StatusOK {
		t.Fatalf("the right parts: %d %s", a.status, a.body)
	}
	if a := done(tags); a.status != http.StatusOK {
		t.Errorf("once more: %d %s", a.status, a.body)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "new-*")); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	client := &hub.Client{BaseURL: s.url}
	var out strings.Builder
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fmt.Sprintf(`{"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":%q,"size":10}}`, sum(content))))
	if _, err := client.Download(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}, "main", "w.bin", &out); err != nil || out.String() != content {
		t.Errorf("the file is %q, %v", out.String(), err)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
