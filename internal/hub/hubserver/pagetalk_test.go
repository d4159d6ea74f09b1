package hubserver_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// page is a page as a browser gets it, in which all of has must be and nothing
// of not.
func (s site) page(path string, has, not []string) {
	s.t.Helper()
	a := s.do("GET", path, "", "Accept", browser)
	if a.status != http.StatusOK {
		s.t.Errorf("%s: %d %s", path, a.status, a.body)
		return
	}
	body := a.body[strings.Index(a.body, "<header"):]
	for _, text := range has {
		if !strings.Contains(body, text) {
			s.t.Errorf("%s has no %s:\n%s", path, text, body)
		}
	}
	for _, text := range append(not, "<script") {
		if strings.Contains(body, text) {
			s.t.Errorf("%s has %s:\n%s", path, text, body)
		}
	}
}

func TestPagesOfDiscussions(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").commit("main", fileLine("a", "one\n"))
	at := "/api/models/me/x/discussions"
	as("o").do("POST", at, `{"title":"<b>why</b>","description":"**so** <script>x()</script>","pullRequest":false}`)
	var said struct{ NewMessage struct{ ID string } }
	as("o").do("POST", at+"/1/comment", `{"comment":"never to be read"}`).json(t, &said)
	as("w").do("POST", at+"/1/comment/"+said.NewMessage.ID+"/hide", "")
	as("w").do("POST", at+"/1/title", `{"title":"because"}`)
	num := as("o").pull(fileLine("a", "two\n"), fileLine("<i>", "x\n"))

	as("").page("/me/x", []string{`href="/me/x/discussions"`, `href="/login?to=%2Fme%2Fx"`}, nil)
	as("").page("/me/x/discussions", []string{`href="/me/x/discussions/1"`, "because", "pull request", `Open <span class="count">2`}, []string{"<b>why"})
	as("").page("/me/x/discussions/1", []string{"<strong>so</strong>", "This comment has been hidden", "&lt;b&gt;why"}, []string{"never to be read", "<b>why", "Changes"})
	one := fmt.Sprintf("/me/x/discussions/%d", num)
	as("").page(one, []string{"added a commit", "two", "&lt;i&gt;", `href="/me/x/commits/refs%2Fpr%2F2"`, `href="/me/x/tree/main"`, "/blob/"}, []string{"different ways", "<i>"})
	as("").page("/me/x/commits/refs%2Fpr%2F2", []string{"initial commit"}, nil)
	as("w").commit("main", fileLine("a", "three\n"))
	as("").page(one, []string{"different ways", "<li><code>a</code></li>"}, nil)
	as("w").commit("main", fileLine("a", "one\n"))
	if a := as("w").merge(num); a.status != http.StatusOK {
		t.Fatalf("merge: %d %s", a.status, a.body)
	}
	as("").page(one, []string{"merged this", "merged as", "/me/x/commit/" + as("w").head("me/x"), "two"}, []string{"different ways"})
	as("").page("/me/x/discussions?status=closed", []string{`href="` + one + `"`}, []string{"/discussions/1"})

	for path, want := range map[string]int{"/me/x/discussions/9": 404, "/me/x/discussions/zero": 400, "/me/x/discussions/1/2": 404} {
		if a := as("").do("GET", path, "", "Accept", browser); a.status != want {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	as("w").do("PUT", "/api/models/me/x/settings", `{"discussionsDisabled":true}`)
	as("").page("/me/x", nil, []string{"/me/x/discussions"})
	if a := as("").do("GET", one, "", "Accept", browser); a.status != http.StatusForbidden {
		t.Errorf("a discussion where there are none: %d", a.status)
	}
}

// What a page shows of a gated repository to those who may not read it.
func TestGatePage(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").commit("main", fileLine("README.md", "---\nextra_gated_prompt: be **kind** <img src=x>\nextra_gated_fields:\n  \"<Who>\": text\n  Sure: checkbox\n---\nthe secret text\n"))
	as("w").do("PUT", "/api/models/me/x/settings", `{"gated":"manual"}`)
	num := as("w").pull(fileLine("README.md", "the secret change\n"))
	as("").page("/me/x", []string{"Log in to ask for access", "<strong>kind</strong>"}, []string{"<form", "secret", "<img", "<Who>"})
	as("o").page("/me/x", []string{`action="/me/x/ask-access"`, `name="&lt;Who&gt;"`, `type="checkbox"`}, []string{"secret", "Log in"})
	as("w").page("/me/x", []string{"the secret text"}, []string{"<form"})
	as("o").page(fmt.Sprintf("/me/x/discussions/%d", num), nil, []string{"secret change"})
	form := url.Values{"<Who>": {"o"}, "Sure": {"true"}}.Encode()
	if a := as("o").do("POST", "/me/x/ask-access", form, "Content-Type", "application/x-www-form-urlencoded"); a.status != http.StatusSeeOther {
		t.Fatalf("ask: %d %s", a.status, a.body)
	}
	as("o").page("/me/x", []string{"You have asked"}, []string{"<form"})
	as("w").do("POST", "/api/models/me/x/user-access-request/handle", `{"user":"other","status":"rejected"}`)
	as("o").page("/me/x", []string{"refused"}, []string{"<form"})
	as("w").do("POST", "/api/models/me/x/user-access-request/handle", `{"user":"other","status":"accepted"}`)
	as("o").page("/me/x", []string{"the secret text"}, nil)
	if a := as("o").do("GET", "/me/x/ask-access", ""); a.status != http.StatusSeeOther || a.header.Get("Location") != "/me/x" {
		t.Errorf("the address of the form: %d %v", a.status, a.header)
	}
}

// A browser says who it is at one address, which leads nowhere else.
func TestLoginPage(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").do("POST", "/api/repos/create", `{"name":"hidden","private":true}`)
	a := as("").do("GET", "/me/hidden", "", "Accept", browser)
	if b := as("").do("GET", "/me/absent", "", "Accept", browser); a.status != http.StatusUnauthorized || strings.ReplaceAll(b.body, "absent", "hidden") != a.body || !strings.Contains(a.body, "/login?to=%2Fme%2Fhidden") {
		t.Errorf("a private repository is %s\none that is not there %s", a.body, b.body)
	}
	if a := as("").do("GET", "/login", "", "Accept", browser); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("login: %d %v", a.status, a.header)
	}
	for to, want := range map[string]string{"/me/x?p=1": "/me/x?p=1", "": "/", "//evil": "/", `/\evil`: "/", "https://evil": "/", "/\tx": "/"} {
		if a := as("w").do("GET", "/login?to="+url.QueryEscape(to), ""); a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("login leads from %q to %q", to, a.header.Get("Location"))
		}
	}
}

// Pages tell what the files say: how large a model is, how a Space is, and the
// first rows of a data set.
func TestFactsOnPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	header := `{"w":{"dtype":"F16","shape":[1500],"data_offsets":[0,3000]}}`
	weights := string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + strings.Repeat("\x00", 3000)
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("model.safetensors", weights)))
	s.page("/me/x", []string{"Parameters", "1.5K", "F16"}, nil)
	for _, kind := range []string{"dataset", "space"} {
		if a := s.do("POST", "/api/repos/create", fmt.Sprintf(`{"name":"x","type":%q,"sdk":"static"}`, kind)); a.status != 200 {
			t.Fatalf("create %s: %s", kind, a.body)
		}
	}
	s.do("POST", "/api/spaces/me/x/commit/main", commitBody("", fileLine("README.md", "---\nsdk: gradio\n---\n")))
	s.page("/spaces/me/x", []string{"NO_APP_FILE", "there is no app.py"}, nil)
	var table strings.Builder
	table.WriteString("a,b,<c>\n")
	for i := range 12 {
		fmt.Fprintf(&table, "%d,%s,<i>\n", i, strings.Repeat("é", 300))
	}
	s.do("POST", "/api/datasets/me/x/commit/main", commitBody("", fileLine("data.csv", table.String())))
	s.page("/datasets/me/x", []string{"First rows", "12 rows", "int64", "<div class=\"cell\">9</div>", strings.Repeat("é", 100) + "…", "&lt;i&gt;"}, []string{"<i>", "<c>", strings.Repeat("é", 101), ">10<"})
	s.do("POST", "/api/datasets/me/x/commit/main", commitBody("", fileLine("data.csv", "\x00\x01\"")))
	s.page("/datasets/me/x", []string{"data.csv"}, nil)
}
