package hub_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/hub"
)

func TestParseRepo(t *testing.T) {
	t.Parallel()
	good := map[string]hub.RepoID{
		"me/x":            {Type: hub.Model, Namespace: "me", Name: "x"},
		"gpt2":            {Type: hub.Model, Name: "gpt2"},
		"datasets/me/x":   {Type: hub.Dataset, Namespace: "me", Name: "x"},
		"spaces/me/A_b.c": {Type: hub.Space, Namespace: "me", Name: "A_b.c"},
		"models/me/x":     {Type: hub.Model, Namespace: "me", Name: "x"},
	}
	for id, want := range good {
		got, err := hub.ParseRepo("", id)
		if err != nil || got != want {
			t.Errorf("ParseRepo(%q) = %+v, %v; want %+v", id, got, err, want)
		}
	}
	bad := []string{
		"", "/", "me/", "/x", "a/b/c", "me/..", "me/.", "me/a--b", "me/a..b", "me/-x", "me/x.", "me/x.git",
		"me/ü", "me/a b", "me/a\nb", `me\x`, "../x", "me/" + strings.Repeat("x", 94), "me/x?y",
	}
	for _, id := range bad {
		if got, err := hub.ParseRepo("", id); err == nil {
			t.Errorf("ParseRepo(%q) = %+v, want an error", id, got)
		}
	}
	if _, err := hub.ParseRepo("bucket", "me/x"); err == nil {
		t.Error("a type that does not exist is taken")
	}
}

func TestParseURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"hf://me/x":                  "model me/x @",
		"hf://model/me/x@v1":         "model me/x @v1",
		"hf://datasets/me/x/":        "dataset me/x @",
		"hf://dataset/me/x":          "dataset me/x @",
		"hf://spaces/me/x@refs/pr/1": "space me/x @refs/pr/1",
		"hf://gpt2":                  "model gpt2 @",
		"hf://model/gpt2":            "model model/gpt2 @",
	} {
		repo, rev, err := hub.ParseURI(uri)
		if got := fmt.Sprintf("%s %s @%s", repo.Type, repo, rev); err != nil || got != want {
			t.Errorf("ParseURI(%q) is %q, %v; want %q", uri, got, err, want)
		}
	}
	for _, uri := range []string{"", "me/x", "hf://", "hf://datasets/me/x/data.csv/y", "https://huggingface.co/me/x"} {
		if repo, _, err := hub.ParseURI(uri); err == nil {
			t.Errorf("ParseURI(%q) is %v", uri, repo)
		}
	}
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"a", "a/b", ".gitattributes", "ünï cødé/#1 %20?.txt", "a/.git-x", "...", "..a", "-"} {
		if err := hub.CheckPath(path); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".git/config", "a/.GIT/hooks", `a\b`, `..\a`,
		"a\x00b", "a\nb", "a\xffb", strings.Repeat("x", 256), strings.Repeat("x/", 2000) + "x",
	} {
		if hub.CheckPath(path) == nil {
			t.Errorf("CheckPath(%q) finds nothing wrong", path)
		}
	}
}

// A path that is let through stays inside the folder it is joined to.
func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"a/b", "../a", `..\a`, "a/./b", ".git/x", "C:/x", "con"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if hub.CheckPath(path) != nil {
			return
		}
		if !filepath.IsLocal(path) || filepath.ToSlash(filepath.Clean(path)) != path {
			t.Errorf("CheckPath lets %q through", path)
		}
	})
}

func FuzzParseRepo(f *testing.F) {
	for _, seed := range []string{"me/x", "datasets/me/x", "gpt2", "../x", "a/b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		repo, err := hub.ParseRepo("", id)
		if err != nil {
			return
		}
		again, err := hub.ParseRepo(repo.Type, repo.String())
		if err != nil || again != repo || !filepath.IsLocal(filepath.FromSlash(repo.Path())) {
			t.Errorf("ParseRepo(%q) = %+v, which reads as %+v, %v", id, repo, again, err)
		}
	})
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
