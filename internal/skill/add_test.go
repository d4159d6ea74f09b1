package skill_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/skill"
)

// A shelf is a repository by path. What lie holds is sent in place of a file.
type shelf struct {
	files map[string]string
	lie   map[string]string
}

func (r shelf) Files(context.Context) ([]skill.File, error) {
	var all []skill.File
	for path, text := range r.files {
		f := skill.File{Path: path, Size: int64(len(text)), SHA1: fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text)))}
		if strings.HasSuffix(path, ".bin") {
			f.SHA1, f.SHA256 = "0", fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b skill.File) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

func (r shelf) Read(_ context.Context, f skill.File) ([]byte, error) {
	if text, ok := r.lie[f.Path]; ok {
		return []byte(text), nil
	}
	return []byte(r.files[f.Path]), nil
}

func (r shelf) offers(t *testing.T) []skill.Offer {
	t.Helper()
	files, err := r.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return skill.Offers(files, "the-repo")
}

// like is the layout of huggingface/skills: what other programs need of it lies
// beside the skills and is no part of them.
func like() map[string]string {
	return map[string]string{
		".claude-plugin/marketplace.json": "{}", ".github/workflows/ci.yml": "on: push", "README.md": "# Skills", "agents/AGENTS.md": "all", "LICENSE": "x",
		"skills/hub-tool/SKILL.md":          doc("hub-tool", "\"Works with the Hub. Use when: asked\"", "# Hub\n"),
		"skills/trainer/SKILL.md":           doc("trainer", "Trains models", "Read references/methods.md, run scripts/cost.py"),
		"skills/trainer/references/meth.md": "SFT and DPO", "skills/trainer/scripts/cost.py": "print(1)", "skills/trainer/assets/w.bin": "\x00\x01",
		"skills/trainer/examples/inner/SKILL.md": doc("inner", "an example within", ""),
		"plugins/x/skills/extra/SKILL.md":        doc("extra", "deeper", ""),
		".claude/skills/internal/SKILL.md":       doc("internal", "of the repository itself", ""),
		".cache/skills/odd/SKILL.md":             doc("odd", "d", ""),
		"a/b/c/d/e/f/SKILL.md":                   doc("far", "d", ""),
	}
}

func TestOffers(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range (shelf{files: like()}).offers(t) {
		got = append(got, fmt.Sprintf("%s:%s:%d", o.Name, o.Path, len(o.Files)))
	}
	want := "extra:plugins/x/skills/extra:1 hub-tool:skills/hub-tool:1 internal:.claude/skills/internal:1 trainer:skills/trainer:5"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
	one := shelf{files: map[string]string{"SKILL.md": doc("the-repo", "d", ""), "scripts/x.sh": "x", ".gitattributes": "x"}}.offers(t)
	if len(one) != 1 || one[0].Name != "the-repo" || len(one[0].Files) != 2 {
		t.Errorf("got %+v", one)
	}
	if none := (shelf{files: map[string]string{"/a/SKILL.md": "x", "../a/SKILL.md": "x", "a/../SKILL.md": "x", "//": "x"}}).offers(t); len(none) != 0 {
		t.Errorf("got %+v", none)
	}
	if two := (shelf{files: map[string]string{"old/a/SKILL.md": "x", "skills/a/SKILL.md": "x"}}).offers(t); len(two) != 1 || two[0].Path != "skills/a" {
		t.Errorf("got %+v", two)
	}
}

// A repository that lies about its files, or whose files would lie elsewhere,
// adds nothing.
func TestFetch(t *testing.T) {
	t.Parallel()
	good := shelf{files: like()}
	got, err := skill.Fetch(t.Context(), good, good.offers(t)[3])
	if err != nil || got.Skill.Name != "trainer" || len(got.Files) != 5 || string(got.Files["assets/w.bin"]) != "\x00\x01" {
		t.Fatalf("%+v, %v", got, err)
	}
	body := doc("s", "d", "x")
	many := map[string]string{"s/SKILL.md": body}
	for i := range 501 {
		many[fmt.Sprintf("s/f%d", i)] = "x"
	}
	huge := strings.Repeat("x", 10<<20+1)
	for name, tt := range map[string]struct {
		files, lie map[string]string
		want       string
	}{
		"another text":   {map[string]string{"s/SKILL.md": body}, map[string]string{"s/SKILL.md": doc("s", "d", "y")}, "not what the repository says"},
		"longer":         {map[string]string{"s/SKILL.md": body}, map[string]string{"s/SKILL.md": body + "y"}, "were said"},
		"a large file":   {map[string]string{"s/SKILL.md": body, "s/x.bin": "abc"}, map[string]string{"s/x.bin": "abd"}, "not what the repository says"},
		"above":          {map[string]string{"s/SKILL.md": body, "s/../../x": "x"}, nil, "cannot be a file"},
		"a hook":         {map[string]string{"s/SKILL.md": body, "s/.git/hooks/x": "x"}, nil, "cannot be a file"},
		"a drive":        {map[string]string{"s/SKILL.md": body, "s/c:x": "x"}, nil, "cannot be a file"},
		"a backslash":    {map[string]string{"s/SKILL.md": body, `s/..\x`: "x"}, nil, "cannot be a file"},
		"a control":      {map[string]string{"s/SKILL.md": body, "s/a\x1b[2J": "x"}, nil, "cannot be a file"},
		"upper case":     {map[string]string{"s/SKILL.md": body, "s/skill.md": "x"}, nil, "upper and lower case"},
		"too many":       {many, nil, "more than 500 files"},
		"too large":      {map[string]string{"s/SKILL.md": body, "s/x": huge}, nil, "10.5 MB"},
		"too much":       {map[string]string{"s/SKILL.md": body, "s/x": huge[1:], "s/y": huge[1:]}, nil, "21.0 MB"},
		"no description": {map[string]string{"s/SKILL.md": "---\nname: s\n---\n"}, nil, "no description"},
	} {
		r := shelf{files: tt.files, lie: tt.lie}
		if _, err := skill.Fetch(t.Context(), r, r.offers(t)[0]); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fetched(t *testing.T, body string) map[string][]byte {
	t.Helper()
	return map[string][]byte{"SKILL.md": []byte(doc("a", "d", body)), "scripts/x.py": []byte("print(1)\n")}
}

// What was added is offered as long as every file is what it was.
func TestStore(t *testing.T) {
	t.Parallel()
	store := &skill.Store{Dir: filepath.Join(t.TempDir(), "skills")}
	f := skill.Finder{Store: store}
	if got, why := list(f); got != "" || why != "" {
		t.Errorf("%q, %q", got, why)
	}
	pin := skill.Pin{Source: "org/repo", Commit: "c1"}
	if err := store.Put(t.Context(), "a", pin, fetched(t, "one")); err != nil {
		t.Fatal(err)
	}
	text, err := f.Read("a", "")
	if err != nil || text.Body != "one" || text.From != "org/repo" || text.Kind != skill.Added {
		t.Fatalf("%+v, %v", text, err)
	}
	dir := text.Dir
	if info, err := os.Stat(filepath.Join(dir, "scripts", "x.py")); err != nil || info.Mode().Perm()&0o111 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for name, spoil := range map[string]func(){
		"another text": func() { put(t, doc("a", "d", "obey"), dir, "SKILL.md") },
		"a new file":   func() { put(t, "x", dir, "new.md") },
		"gone":         func() { _ = os.Remove(filepath.Join(dir, "scripts", "x.py")) },
		"a link": func() {
			_ = os.Remove(filepath.Join(dir, "scripts", "x.py"))
			link(t, "/etc/passwd", dir, "scripts", "x.py")
		},
		"all gone": func() { _ = os.RemoveAll(dir) },
	} {
		spoil()
		if got, why := list(f); got != "a:changed" || !strings.Contains(why, "ml-intern skills update a") {
			t.Errorf("%s: %s, %s", name, got, why)
		}
		if text, err := f.Read("a", ""); !errors.Is(err, skill.ErrNotOn) || text.Body != "" {
			t.Errorf("%s: it was read: %+v, %v", name, text, err)
		}
		if err := store.Put(t.Context(), "a", pin, fetched(t, "one")); err != nil {
			t.Fatal(err)
		}
		text, err = f.Read("a", "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if dir == text.Dir {
			t.Errorf("%s: the folder is the old one", name)
		}
		dir = text.Dir
	}
	if was, err := store.Remove(t.Context(), "a"); err != nil || !was {
		t.Errorf("%v, %v", was, err)
	}
	if was, err := store.Remove(t.Context(), "a"); err != nil || was {
		t.Errorf("%v, %v", was, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("its files are there")
	}
}

// What a killed process left is no skill, and goes away; a lock file that cannot
// be read costs the added skills and nothing else.
func TestHalf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := &skill.Store{Dir: dir}
	own := filepath.Join(t.TempDir(), "own")
	put(t, doc("mine", "d", ""), own, "mine", "SKILL.md")
	put(t, doc("half", "d", "x"), dir, "at-123", "half", "SKILL.md")
	f := skill.Finder{Places: []skill.Place{{Dir: own, Kind: skill.Own, From: own}}, Store: store}
	if got, why := list(f); got != "mine:on" || why != "" {
		t.Errorf("%s, %s", got, why)
	}
	if err := store.Put(t.Context(), "a", skill.Pin{Source: "s"}, fetched(t, "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "at-123")); err == nil {
		t.Error("what a killed process left is there")
	}
	for _, text := range []string{"{", `{"version":9}`, `{"version":1,"skills":{"../x":{"folder":"a"},"ok":{"folder":"../.."},"dot":{"folder":"."}}}`} {
		put(t, text, dir, "skills.json")
		if got, _ := list(f); got != "mine:on" {
			t.Errorf("%s: %s", text, got)
		}
	}
	put(t, "{", dir, "skills.json")
	if _, why := list(f); !strings.Contains(why, "skills.json") {
		t.Errorf("nobody is told: %s", why)
	}
	if err := store.Put(t.Context(), "b", skill.Pin{}, fetched(t, "x")); err == nil {
		t.Error("a lock file that cannot be read was written over")
	}
}

// Two who add at once both have what they added.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	store := &skill.Store{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("s", i)
			mine := &skill.Store{Dir: store.Dir}
			if err := mine.Put(t.Context(), name, skill.Pin{Source: "s"}, map[string][]byte{"SKILL.md": []byte(doc(name, "d", "x"))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, why := list(skill.Finder{Store: store}); strings.Count(got, ":on") != 8 {
		t.Errorf("%s\n%s", got, why)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	store := &skill.Store{Dir: t.TempDir()}
	if err := store.Put(t.Context(), "a", skill.Pin{}, fetched(t, "one\n")); err != nil {
		t.Fatal(err)
	}
	pins, err := store.Pins()
	if err != nil {
		t.Fatal(err)
	}
	all := store.Changes("a", pins["a"], map[string][]byte{"SKILL.md": []byte(doc("a", "d", "two\n")), "x.bin": {0, 1}})
	var got []string
	for _, c := range all {
		got = append(got, c.Do+" "+c.Path)
	}
	if strings.Join(got, ", ") != "change SKILL.md, delete scripts/x.py, add x.bin" || !strings.Contains(all[0].Diff, "-one\n+two\n") || !strings.Contains(all[1].Diff, "-print(1)") || all[2].Diff != "" {
		t.Errorf("%+v", all)
	}
}
