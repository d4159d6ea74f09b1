package hubserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// played is what runs for every Space: it tells what it is asked.
type played struct {
	addr string

	mu      sync.Mutex
	running map[string]string // Space to start
	envs    []map[string]string
}

func (p *played) Run(_ context.Context, sp hubserver.SpaceProgram) hubserver.SpaceProcess {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running[sp.ID] != sp.Start {
		p.envs = append(p.envs, sp.Env)
	}
	p.running[sp.ID] = sp.Start
	return hubserver.SpaceProcess{Addr: p.addr, Log: []string{"it runs"}}
}

func (p *played) Visit(string)                 {}
func (p *played) Visited(string) (t time.Time) { return t }

func (p *played) Stop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, id)
}

const sandboxDockerfile = "FROM x\nCOPY ml-intern /bin/ml-intern\nCMD [\"ml-intern\", \"sandbox\", \"serve\"]\n"

// A Space's program answers to who may read the Space, at an address of the
// Hub, and sees neither the Hub's token nor its cookies.
func TestVisits(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-Sandbox-Authorization")))
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = w.Write([]byte("<script>"))
	}))
	t.Cleanup(inside.Close)
	p := &played{addr: strings.TrimPrefix(inside.URL, "http://"), running: map[string]string{}}
	h := hubtest.StartWith(t, hubserver.Options{Spaces: p, Auth: true, Tokens: map[string]hubserver.Account{"hf_me": {Name: "me"}, "hf_other": {Name: "other"}}})
	me := &hub.Client{BaseURL: h.URL, Token: "hf_me"}
	repo := hub.RepoID{Type: hub.Space, Namespace: "me", Name: "box"}
	spec := hub.SpaceSpec{Repo: repo, SDK: "docker", Private: true, Secrets: []hub.Setting{{Key: "KEY", Value: "v"}}}
	if _, err := me.CreateSpace(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	docker := hub.File{Path: "Dockerfile", Content: []byte(sandboxDockerfile)}
	if _, err := me.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{docker}}); err != nil {
		t.Fatal(err)
	}
	if _, err := me.WaitSpace(t.Context(), repo, nil); err == nil || !strings.Contains(err.Error(), "BUILD_ERROR") || !strings.Contains(err.Error(), "ml-intern: not found") {
		t.Errorf("without its file: %v", err)
	}
	if _, err := me.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "ml-intern", Content: []byte("program")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := me.WaitSpace(t.Context(), repo, nil); err != nil {
		t.Fatal(err)
	}
	info, err := me.RepoInfo(t.Context(), repo, "")
	if err != nil || info.Host != h.URL+"/hf.space/me/box" {
		t.Fatalf("its host is %q, %v", info.Host, err)
	}
	for token, status := range map[string]int{"hf_me": 200, "hf_other": 404, "": 401, "hf_wrong": 401} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, info.Host+"/v1/a%2Fb?c=d%20e", strings.NewReader("x"))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Cookie", "session=1")
		r.Header.Set("X-Sandbox-Authorization", "Bearer s")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status || status == 200 && (resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Content-Security-Policy") != "sandbox") {
			t.Errorf("with the token %q: %d, want %d; %v", token, resp.StatusCode, status, resp.Header)
		}
	}
	if len(asked) != 1 || asked[0] != "PUT /v1/a%2Fb?c=d%20e Bearer s" {
		t.Errorf("the program was asked %q", asked)
	}
	if len(p.envs) != 1 || p.envs[0]["KEY"] != "v" || p.envs[0]["SPACE_ID"] != "me/box" {
		t.Errorf("it was started with %v", p.envs)
	}
	for line, err := range me.SpaceLogs(t.Context(), repo, false, hub.LogOptions{}) {
		if err != nil || line.Text != "it runs" {
			t.Errorf("the log is %+v, %v", line, err)
		}
		break
	}
	if _, err := me.PauseSpace(t.Context(), repo); err != nil || len(p.running) != 0 {
		t.Errorf("paused: %v runs, %v", p.running, err)
	}
	if _, err := me.RestartSpace(t.Context(), repo, false); err != nil {
		t.Error(err)
	}
	if _, err := me.WaitSpace(t.Context(), repo, nil); err != nil || len(p.envs) != 2 {
		t.Errorf("restarted: %d starts, %v", len(p.envs), err)
	}
	if err := me.DeleteRepo(t.Context(), repo); err != nil || len(p.running) != 0 {
		t.Errorf("deleted: %v runs, %v", p.running, err)
	}
}
