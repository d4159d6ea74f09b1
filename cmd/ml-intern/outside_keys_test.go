//go:build unix

package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"ml-intern/internal/fetch/fetchtest"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/paper/papertest"
	"ml-intern/internal/websearch/websearchtest"
)

// owners says which hosts may see a key.
var owners = map[string]string{hubKey: "huggingface.co datasets-server.huggingface.co", gitHubKey: "api.github.com", scholarKey: "api.semanticscholar.org", braveKey: "api.search.brave.com", tavilyKey: "api.tavily.com"}

// kept checks that no key went to another host, or by http.
func kept(t *testing.T, seen []fetchtest.Seen) {
	t.Helper()
	for _, s := range seen {
		all := fmt.Sprint(s.URI, s.Header, s.Body)
		for key, owner := range owners {
			if strings.Contains(all, key) && (!s.Secure || !strings.Contains(" "+owner+" ", " "+s.Host+" ")) {
				t.Errorf("%s (https: %v) saw %.8s…: %s %s", s.Host, s.Secure, key, s.Method, s.URI)
			}
		}
	}
}

// Every key goes to its own host and to no other, wherever that host leads.
func keysStay(t *testing.T, exe string) {
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("loopback was reached") }))
	defer canary.Close()
	calls := []llmtest.TurnCall{
		gitHub("read", args{"repo": "o/r", "path": "README.md"}), paper("citations", args{"arxiv_id": papertest.Known}),
		use("web_search", args{"query": "some words"}), use("hub_repo_details", args{"repo_id": "ada/kept", "repo_type": "dataset"}),
		use("hf_repo_files", args{"operation": "read", "repo_id": "ada/kept", "repo_type": "dataset", "path": "README.md"}),
		use("docs", args{"operation": "read", "page": "trl/sft_trainer"}),
	}
	tests := map[string]func(*testing.T, string){}
	for name, to := range map[string]string{
		"stay":      "",
		"elsewhere": "https://evil.example/x",
		"downgrade": "http://HOST/x",
		"metadata":  "http://169.254.169.254/latest/meta-data/",
		"loopback":  canary.URL + "/x",
		"localhost": strings.Replace(canary.URL, "127.0.0.1", "localhost", 1),
	} {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			if to == "" && status != http.StatusFound {
				continue
			}
			tests[fmt.Sprint(name, " ", status)] = func(t *testing.T, exe string) {
				r := newReader(t, exe)
				r.keys()
				r.repository()
				r.dataset("kept", "# Kept\n", "a\n1\n")
				r.web.Handle("evil.example", papertest.Text("application/json", websearchtest.Brave))
				if to != "" {
					r.lead(to, status)
				}
				got := r.ask(calls...)
				kept(t, r.web.Seen(""))
				for _, host := range []string{"169.254.169.254", "localhost"} {
					if seen := r.web.Seen(host); len(seen) > 0 {
						t.Errorf("%s was reached: %+v", host, seen)
					}
				}
				for i, text := range got.told {
					for key := range owners {
						if strings.Contains(text, key) {
							t.Errorf("%s tells a key: %s", calls[i].Args, text)
						}
					}
					private := to != "" && !strings.Contains(to, "evil") && !strings.Contains(to, "HOST")
					if to == "" && got.results[i].IsError || private && !got.results[i].IsError && !strings.Contains(calls[i].Args+calls[i].Name, "sft_trainer") {
						t.Errorf("%s: error %v: %.500s", calls[i].Args, got.results[i].IsError, text)
					}
				}
				if to == "" {
					for key, owner := range owners {
						if key != tavilyKey && key != hubKey && !strings.Contains(fmt.Sprint(r.web.Seen(owner)), key) {
							t.Errorf("%s never saw its key", owner)
						}
					}
					if !strings.Contains(fmt.Sprint(r.hubSeen()), hubKey) {
						t.Error("the Hub never saw its token")
					}
				}
			}
		}
	}
	together(t, exe, tests)
}

func (r *reader) hubSeen() []fetchtest.Seen { return r.web.Seen("huggingface.co") }

// lead lets every service that has a key send its visitor elsewhere.
func (r *reader) lead(to string, status int) {
	away := func(host string) http.HandlerFunc {
		return papertest.Status(status, "Location: "+strings.Replace(to, "HOST", host, 1))
	}
	r.github.Answer("/repos/o/r/contents/README.md", away("api.github.com"))
	r.papers.Fail("/graph", away("api.semanticscholar.org"))
	r.web.Handle("api.search.brave.com", away("api.search.brave.com"))
	r.web.Handle("api.tavily.com", away("api.tavily.com"))
	r.web.Handle("html.duckduckgo.com", papertest.Status(404))
	r.hub.Break(hubtest.Fault{Path: "ada/kept", Times: -1, Redirect: strings.Replace(to, "HOST", "huggingface.co", 1), Status: status})
}

// Without a proxy the program itself looks where a name leads: nothing of this
// machine is reached but what the person configured.
func privateNames(t *testing.T, exe string) {
	canary := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("loopback was reached") }))
	canary.Start()
	defer canary.Close()
	at, err := url.Parse(canary.URL)
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.2", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "169.254.169.254"}
	if own, err := os.Hostname(); err == nil {
		if ips, err := net.LookupIP(own); err == nil && len(ips) > 0 && ips[0].IsLoopback() {
			hosts = append(hosts, own)
		}
	}
	for _, host := range hosts {
		t.Run(host, func(t *testing.T) {
			r := newReader(t, exe)
			r.env = []string{"HTTPS_PROXY=", "HTTP_PROXY=", "GITHUB_API_URL=" + r.github.URL, "GITHUB_TOKEN=" + gitHubKey}
			r.github.Status("/repos/o/r/contents/x", http.StatusFound, "", "Location", "http://"+host+":"+at.Port()+"/x")
			direct := r.ask(gitHub("read", args{"repo": "o/r", "path": "x"}), use("web_fetch", args{"url": "http://" + host + ":" + at.Port() + "/x"}))
			for i, text := range direct.told {
				if !direct.results[i].IsError || !strings.Contains(text, "private") && !strings.Contains(text, "unusual form") && !strings.Contains(text, "not read") {
					t.Errorf("%d: %s", i, text)
				}
			}
		})
	}
}
