package hubserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

func TestOverviews(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_me": {Name: "me", Orgs: []string{"lab"}}, "hf_other": {Name: "other", Orgs: []string{"lab"}},
	}})
	s.token = "hf_me"
	s.create("open")
	s.do("POST", "/api/repos/create", `{"name":"secret","private":true}`)
	s.do("POST", "/api/repos/create", `{"name":"shared","organization":"lab","type":"dataset"}`)
	stranger := s
	stranger.token = ""
	for path, want := range map[string]string{
		"/api/users/me/overview":          `"numModels":1`,
		"/api/organizations/lab/overview": `"numUsers":2`,
		"/api/organizations/lab/members":  `"user":"other"`,
		"/api/agent-harnesses":            `"harnesses":{}`,
	} {
		if a := stranger.do("GET", path, ""); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
	}
	if a := s.do("GET", "/api/users/me/overview", ""); !strings.Contains(a.body, `"numModels":2`) || !strings.Contains(a.body, `"name":"lab"`) {
		t.Errorf("the account itself sees %s", a.body)
	}
	for _, path := range []string{"/api/users/nobody/overview", "/api/organizations/me/overview", "/api/organizations/none/members"} {
		if a := s.do("GET", path, ""); a.status != http.StatusNotFound || a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := s.do("HEAD", "/api/telemetry/some/topic", ""); a.status != http.StatusOK {
		t.Errorf("telemetry: %d", a.status)
	}
}

func TestCollectionAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_me": {Name: "me"}, "hf_other": {Name: "other"}}})
	s.token = "hf_me"
	s.do("POST", "/api/repos/create", `{"name":"secret","private":true}`)
	slugs := map[string]string{}
	for title, private := range map[string]bool{"open": false, "closed": true} {
		var made struct{ Slug string }
		s.do("POST", "/api/collections", fmt.Sprintf(`{"title":%q,"namespace":"me","private":%v,"item":{"type":"model","id":"me/secret"}}`, title, private)).json(t, &made)
		slugs[title] = made.Slug
	}
	other, stranger := s, s
	other.token, stranger.token = "hf_other", ""
	for _, who := range []site{other, stranger} {
		if a := who.do("GET", "/api/collections/"+slugs["closed"], ""); a.status != http.StatusNotFound {
			t.Errorf("a private collection: %d %s", a.status, a.body)
		}
		if a := who.do("GET", "/api/collections/"+slugs["open"], ""); a.status != http.StatusOK || strings.Contains(a.body, "me/secret") {
			t.Errorf("a private model in a collection: %d %s", a.status, a.body)
		}
		if a := who.do("GET", "/api/collections", ""); strings.Contains(a.body, "closed") {
			t.Errorf("the list: %s", a.body)
		}
		if a := who.do("PATCH", "/api/collections/"+slugs["open"], `{"title":"mine"}`); a.status != 403 && a.status != 401 {
			t.Errorf("a stranger renames a collection: %d", a.status)
		}
	}
	if a := other.do("POST", "/api/collections", `{"title":"x","namespace":"me"}`); a.status != http.StatusForbidden {
		t.Errorf("a collection for another: %d", a.status)
	}
	if a := other.do("POST", "/api/collections", `{"title":"x","item":{"type":"model","id":"me/secret"}}`); a.status != http.StatusNotFound {
		t.Errorf("a collection with another's private model: %d", a.status)
	}
}

// Of many that make the same collection at once, on two servers, one does.
func TestCollectionsTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := newSite(t, hubserver.Options{Dir: dir}), newSite(t, hubserver.Options{Dir: dir})
	var mu sync.Mutex
	statuses, slugs := map[int]int{}, map[string]bool{}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			got := []site{a, b}[i%2].do("POST", "/api/collections", `{"title":"same","namespace":"me"}`)
			var v struct{ Slug string }
			err := json.Unmarshal([]byte(got.body), &v)
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
			slugs[v.Slug] = true
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if statuses[200] != 1 || statuses[409] != 15 || len(slugs) != 1 {
		t.Errorf("the answers were %v with %v", statuses, slugs)
	}
}

// A webhook is told of what happens to what it watches, with its secret; one
// whose account may not see a repository is not.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	type delivery struct {
		Event struct{ Action, Scope string }
		Repo  struct {
			Name, HeadSha string
			Private       bool
		}
		UpdatedRefs []struct{ Ref, OldSha, NewSha string }
		MovedTo     struct{ Name string }
	}
	var mu sync.Mutex
	var got []delivery
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		var d delivery
		if err != nil || json.Unmarshal(data, &d) != nil || r.Header.Get("X-Webhook-Secret") != "psst" {
			t.Errorf("delivery %s %v, %v", data, r.Header, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, d)
	}))
	t.Cleanup(receiver.Close)
	server, err := hubserver.Open(hubserver.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	s := site{t: t, url: front.URL}
	hook := fmt.Sprintf(`{"url":%q,"watched":[{"type":"model","name":"me/x"},{"type":"org","name":"lab"}],"secret":"psst"}`, receiver.URL)
	if a := s.do("POST", "/api/settings/webhooks", hook); a.status != http.StatusOK {
		t.Fatalf("make a webhook: %d %s", a.status, a.body)
	}
	steps := func() {
		s.create("x")
		s.create("unwatched")
		s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("a", "1")))
		s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("a", "1"))) // nothing new
		s.do("POST", "/api/models/me/x/branch/dev", `{}`)
		s.do("PUT", "/api/models/me/x/settings", `{"private":true}`)
		s.do("POST", "/api/repos/move", `{"fromRepo":"me/x","toRepo":"lab/x","type":"model"}`)
		s.do("DELETE", "/api/repos/delete", `{"name":"x","organization":"lab"}`)
	}
	steps()
	if err := server.Close(); err != nil { // all deliveries are over
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	seen := map[string]delivery{}
	for _, d := range got {
		seen[d.Event.Action+" "+d.Event.Scope+" "+d.Repo.Name] = d
	}
	for _, want := range []string{
		"create repo me/x", "update repo.content me/x", "update repo.config me/x", "move repo me/x", "delete repo lab/x",
	} {
		if _, ok := seen[want]; !ok {
			t.Errorf("no delivery of %q", want)
		}
	}
	if len(seen) != 5 || len(got) != 6 || seen["move repo me/x"].MovedTo.Name != "lab/x" || !seen["update repo.config me/x"].Repo.Private {
		t.Errorf("the deliveries are %+v", got)
	}
}

// On a server for several, a webhook does not reach into the server's network,
// and is not told of what its account may not see.
func TestWebhooksStayOutside(t *testing.T) {
	t.Parallel()
	reached := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(inside.Close)
	var log bytes.Buffer
	server, err := hubserver.Open(hubserver.Options{
		Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil)),
		Auth: true, Tokens: map[string]hubserver.Account{"hf_me": {Name: "me"}, "hf_other": {Name: "other"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	s := site{t: t, url: front.URL}
	for _, s.token = range []string{"hf_other", "hf_me"} {
		s.do("POST", "/api/settings/webhooks", fmt.Sprintf(`{"url":%q,"watched":[{"type":"user","name":"me"}]}`, inside.URL))
	}
	s.create("x")
	s.do("POST", "/api/repos/create", `{"name":"secret","private":true}`)
	if err := server.Close(); err != nil || reached {
		t.Errorf("the webhook reached %s: %v, %v", inside.URL, reached, err)
	}
	if n := strings.Count(log.String(), "could not deliver"); n != 3 { // the public one to both, the private one to its owner
		t.Errorf("%d deliveries were tried, want 3:\n%s", n, log.String())
	}
}
