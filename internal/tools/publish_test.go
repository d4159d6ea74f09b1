package tools_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/job"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// A bench is a workspace with the outputs of one job, beside a Hub.
type bench struct {
	sandbox.Local
	hub    *hubtest.Hub
	status job.Status

	offline bool
}

// Collect finds everything there.
func (b bench) Collect(context.Context, string) error { return nil }

// Status is what Publish asks a job backend.
func (b bench) Status(_ context.Context, id string) (job.Status, error) {
	if id != b.status.ID {
		return job.Status{}, job.ErrNotFound
	}
	return b.status, nil
}

func newBench(t *testing.T) bench {
	t.Helper()
	const script = "print('train')\n"
	b := bench{Local: workspace(t), hub: hubtest.Start(t)}
	b.status = job.Status{
		ID: "j1", Name: "forest", State: job.Succeeded, OutputDir: filepath.Join(b.Dir, "runs/j1"),
		ScriptSHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(script))),
	}
	for path, content := range map[string]string{
		"train.py":             script,
		"other.py":             "print('not what ran')\n",
		"runs/j1/model.bin":    "weights",
		"runs/j1/metrics.json": `{"metrics":{"accuracy":[0.9,0.92,0.94]},"splits":{"kind":"kfold","folds":3,"test_fraction":0.33},"higher_is_better":{"accuracy":true},"params":{"depth":3,"weight":null},"versions":{"python":"3.11"}}`,
		"eval.json":            `{"metric":"accuracy","value":0.875,"n":40,"split":"holdout","data_sha256":"abc"}`,
		"bad.json":             `{"value":0.875}`,
	} {
		if _, err := b.WriteFile(t.Context(), path, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b bench) connect(context.Context) (*hub.Client, error) { return b.hub.Client, nil }

func (b bench) publish() tool.Tool {
	return tools.Publish(b.connect, b.Local, b, tools.Provenance{Session: "s1", Version: "test"})
}

// download is the tool with a cache of the test's own.
func (b bench) download() tool.Tool {
	return tools.HubDownload(b.connect, b.Local, func(context.Context) (*cache.Cache, error) {
		return &cache.Cache{Client: b.hub.Client, Dir: filepath.Join(b.Dir, "hf-cache"), Offline: b.offline}, nil
	})
}

func (b bench) args(change args) args {
	a := args{
		"repo": "forest", "job": "j1", "files": []string{"runs/j1/model.bin", "runs/j1/metrics.json", "train.py"}, "evaluation": "eval.json",
		"card": args{"title": "A forest", "summary": "It predicts.", "dataset": "Trees: \"old\"", "task": "tabular-classification"},
	}
	for key, value := range change {
		a[key] = value
	}
	return a
}

type published struct {
	Repo, URL, Commit  string
	Private, Unchanged bool
}

func decode(t *testing.T, out tool.Output) published {
	t.Helper()
	var p published
	if err := json.Unmarshal([]byte(out.Text), &p); err != nil || out.IsError {
		t.Fatalf("got %+v, %v", out, err)
	}
	return p
}

// Publishing is private, has a card whose numbers are the record's, and is
// done once.
func TestPublish(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := decode(t, call(t, b.publish(), b.args(nil)))
	if !first.Private || first.Unchanged || first.Repo != "me/forest" || !strings.HasSuffix(first.URL, "/me/forest") {
		t.Errorf("got %+v", first)
	}
	again := decode(t, call(t, b.publish(), b.args(nil)))
	if !again.Unchanged || again.Commit != first.Commit {
		t.Errorf("published twice: %+v, then %+v", first, again)
	}
	out := call(t, b.download(), args{"repo": "me/forest", "dir": "copy"})
	if out.IsError || !strings.Contains(out.Text, first.Commit) {
		t.Fatalf("got %+v", out)
	}
	for path, from := range map[string]string{"copy/train.py": "train.py", "copy/model.bin": "runs/j1/model.bin"} {
		got, _ := os.ReadFile(filepath.Join(b.Dir, path))
		want, _ := os.ReadFile(filepath.Join(b.Dir, from))
		if string(got) != string(want) || len(want) == 0 {
			t.Errorf("%s holds %q", path, got)
		}
	}
	card, err := os.ReadFile(filepath.Join(b.Dir, "copy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	checkCard(t, string(card), b.status.ScriptSHA256)
}

func checkCard(t *testing.T, card, scriptSum string) {
	t.Helper()
	parts := strings.SplitN(card, "---\n", 3)
	var front struct {
		Index []struct {
			Results []struct {
				Dataset struct{ Name, Type string }
				Metrics []struct {
					Type  string
					Value float64
				}
			}
		} `yaml:"model-index"`
	}
	if err := yaml.Unmarshal([]byte(parts[1]), &front); err != nil {
		t.Fatalf("%v in\n%s", err, card)
	}
	r := front.Index[0].Results[0]
	if r.Dataset.Name != `Trees: "old"` || r.Metrics[0].Type != "accuracy" || r.Metrics[0].Value != 0.875 {
		t.Errorf("metadata %+v", r)
	}
	for _, want := range []string{"# A forest", "| accuracy | 0.9200 [", "| 3 | 0.875 |", scriptSum, "depth: `3`", "weight: `null`", "session s1", "40 rows"} {
		if !strings.Contains(card, want) {
			t.Errorf("the card does not say %q:\n%s", want, card)
		}
	}
}

// TestPublishOver publishes other weights, measured on other data, in the place
// of the first: the card has no number of those that are gone.
func TestPublishOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	decode(t, call(t, b.publish(), b.args(nil)))
	newer := args{"title": "A forest", "summary": "It predicts.", "dataset": "Shrubs", "task": "tabular-classification"}
	decode(t, call(t, b.publish(), b.args(args{"card": newer})))
	out := call(t, b.download(), args{"repo": "me/forest", "dir": "copy"})
	card, err := os.ReadFile(filepath.Join(b.Dir, "copy/README.md"))
	if err != nil {
		t.Fatalf("%v: %+v", err, out)
	}
	if strings.Contains(string(card), "Trees") || strings.Count(string(card), "accuracy (holdout)") != 1 {
		t.Errorf("the card has older numbers:\n%s", card)
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change args
		want   string
	}{
		{"another script", args{"files": []string{"other.py", "runs/j1/model.bin"}}, "none of the files is the script that job j1 ran"},
		{"no such file", args{"files": []string{"train.py", "nope"}}, "there is no such file"},
		{"a file outside", args{"files": []string{"train.py", "/etc/hostname"}}, "outside the workspace"},
		{"two of one name", args{"files": []string{"train.py", "copy/train.py"}}, ""},
		{"a card of its own", args{"files": []string{"train.py", "README.md"}}, "README.md is written from the record"},
		{"an unknown job", args{"job": "j2"}, "no such job"},
		{"a bad name", args{"repo": "a/b/c"}, "parse repository id"},
		{"a data set", args{"repo": "datasets/me/x"}, "publish makes models"},
		{"an evaluation without a metric", args{"evaluation": "bad.json"}, `"metric" is missing`},
		{"a file of keys", args{"files": []string{"train.py", "server.pem"}}, "file of secrets"},
		{"a key in a file", args{"files": []string{"train.py", "notes.txt"}}, "what looks like a key"},
		{"a base model that is a path", args{"card": args{"title": "T", "summary": "S", "dataset": "D", "task": "tabular-classification", "base_model": "../x"}}, "nothing was made"},
		{"no evaluation file", args{"evaluation": "nope.json"}, "there is no file nope.json"},
	}
	b := newBench(t)
	for path, text := range map[string]string{"copy/train.py": "x", "server.pem": "x", "notes.txt": "ghp_" + strings.Repeat("c3", 18)} {
		if _, err := b.WriteFile(t.Context(), path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range tests {
		out := call(t, b.publish(), b.args(tt.change))
		if !out.IsError || !strings.Contains(out.Text, tt.want) {
			t.Errorf("%s: got %+v, want %q", tt.name, out, tt.want)
		}
	}
	if ok, err := b.hub.Client.RepoExists(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "me", Name: "forest"}); ok || err != nil {
		t.Errorf("a refused call left a repository behind: %v", err)
	}
	b.status.State = job.Failed
	if out := call(t, b.publish(), b.args(nil)); !out.IsError || !strings.Contains(out.Text, "only what a job that succeeded made") {
		t.Errorf("got %+v", out)
	}
}

// What was meant to be private never lands where everybody can read it.
func TestPublishPrivateIntoPublic(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "forest"}
	if _, err := b.hub.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if out := call(t, b.publish(), b.args(nil)); !out.IsError || !strings.Contains(out.Text, "exists and is public") {
		t.Errorf("got %+v", out)
	}
}

func TestImpactOfPublishing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for text, public := range map[string]bool{`{}`: false, `{"private":true}`: false, `{"private":false}`: true, `{"private":"no"}`: false, `[`: false} {
		if i := b.publish().Spec().Impact(text); i.Public != public || i.Effect != tool.Publishes {
			t.Errorf("%s: %+v", text, i)
		}
	}
}

// Publishing again over a card that a person has edited changes what is ours
// and keeps the rest, byte by byte.
func TestPublishKeepsWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.status.Hardware = "8 cores, 1 × H100"
	words := args{"title": "A forest", "summary": "It predicts.", "dataset": "me/trees", "task": "tabular-classification", "base_model": "me/seed"}
	decode(t, call(t, b.publish(), b.args(args{"card": words})))
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "forest"}
	first := readCard(t, b, repo)
	for _, want := range []string{"base_model: me/seed", "datasets:", "me/trees", "Hardware: 8 cores, 1 × H100.", "Base model: me/seed."} {
		if !strings.Contains(first, want) {
			t.Errorf("the card does not say %q:\n%s", want, first)
		}
	}
	edited := strings.Replace(first, "---\n", "---\n# our own remark\nx_own: [1, 2] # kept\n", 1) + "\n## A word of mine\n\nThanks.\n"
	edited = strings.Replace(edited, "- ml-intern", "- ml-intern\n- mine", 1)
	if _, err := b.hub.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "README.md", Content: []byte(edited)}}}); err != nil {
		t.Fatal(err)
	}
	words["summary"] = "It predicts better."
	if again := decode(t, call(t, b.publish(), b.args(args{"card": words}))); again.Unchanged {
		t.Error("nothing was published")
	}
	if got, want := readCard(t, b, repo), strings.Replace(edited, "It predicts.", "It predicts better.", 1); got != want {
		t.Errorf("the card is\n%s\nwant\n%s", got, want)
	}
	if again := decode(t, call(t, b.publish(), b.args(args{"card": words}))); !again.Unchanged {
		t.Error("the same was published again")
	}
}

func readCard(t *testing.T, b bench, repo hub.RepoID) string {
	t.Helper()
	var text strings.Builder
	if _, err := b.hub.Client.Download(t.Context(), repo, "", "README.md", &text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// A token that may not write is found out before anything is sent.
func TestPublishWithATokenThatReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.hub = hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_reads": {Name: "me", ReadOnly: true}}})
	b.hub.Client.Token = "hf_reads"
	out := call(t, b.publish(), b.args(nil))
	if !out.IsError || !strings.Contains(out.Text, "may not write to me/forest") {
		t.Errorf("got %+v", out)
	}
	for _, r := range b.hub.Requests() {
		if r.Method != "GET" {
			t.Errorf("it sent %s %s", r.Method, r.Path)
		}
	}
}

// Without a folder, a download lands where Python programs look, and only the
// files that are wanted are fetched.
func TestHubDownload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shelf(t, "lib", true, map[string]string{"config.json": "{}", "sub/a.txt": "a", "w.bin": "\x00weights"})
	out := call(t, b.download(), args{"repo": "me/lib", "files": []string{"*.json", "sub/"}})
	wantText(t, out, false, `"count":2`, "models--me--lib", "config.json", "sub/a.txt", "!w.bin")
	b.hub.Requests() // which forgets them
	again := call(t, b.download(), args{"repo": "me/lib", "files": []string{"*.json", "sub/"}})
	wantText(t, again, false, `"count":2`)
	for _, r := range b.hub.Requests() {
		if strings.Contains(r.Path, "/resolve/") && r.Method == "GET" {
			t.Errorf("it was fetched again: %s", r.Path)
		}
	}
	b.offline = true // what is there is there
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "files": []string{"*.json", "sub/"}}), false, `"count":2`, "config.json")
	b.offline = false
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "dir": "here", "files": []string{"w.*"}}), false, `"count":1`, "w.bin")
	wantText(t, call(t, b.download(), args{"repo": "me/li"}), true, "there are: me/lib")
	wantText(t, call(t, b.download(), args{"repo": "me/lbi"}), true, "there are: me/lib")
	wantText(t, call(t, b.download(), args{"repo": "datasets/me/lib"}), true, "me/lib, which is a model")
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "files": []string{"nope*"}}), true, "no file of me/lib matches nope*")
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "dir": "x", "files": []string{"nope*"}}), true, "no file of me/lib matches nope*", "config.json")
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "dir": ".git/hooks"}), true, "git runs programs by file")
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "dir": ".git/refs"}), true, "belongs to git")
	for path, text := range map[string]string{"mine/config.json": "mine", "mine/w.bin": "\x00wEIGHTS"} {
		if _, err := b.WriteFile(t.Context(), path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "dir": "mine"}), true, "2 files in mine have other content", "config.json, w.bin")
	wantText(t, call(t, b.download(), args{"repo": "me/lib", "dir": "here"}), false, `"count":4`) // what is there already is the same
	for text, outside := range map[string]bool{`{"repo":"a/b"}`: true, `{"repo":"a/b","dir":"x"}`: false} {
		if i := b.download().Spec().Impact(text); (i.Outside != "") != outside || i.Effect != tool.Writes {
			t.Errorf("%s: %+v", text, i)
		}
	}
}
