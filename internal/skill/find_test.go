package skill_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ml-intern/internal/skill"
)

// put writes a file, with the folders above it.
func put(t *testing.T, text string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func doc(name, description, body string) string {
	return "---\nname: " + name + "\ndescription: " + description + "\n---\n" + body
}

func link(t *testing.T, to string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		t.Skip(err)
	}
}

// list shows skills as NAME:STATE, and what is said of those that are not on.
func list(f skill.Finder) (short, why string) {
	all, notes := f.Find()
	var names, said []string
	for _, s := range all {
		names = append(names, s.Name+":"+string(s.State))
		if s.Why != "" {
			said = append(said, s.Why)
		}
	}
	return strings.Join(names, " "), strings.Join(append(said, notes...), "\n")
}

// A skill of a project that the person has linked to is theirs, also while they
// work in that project and have not trusted it.
func TestLinkToAProjectsSkill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	project, own := filepath.Join(dir, "project", ".claude", "skills"), filepath.Join(dir, "own")
	put(t, doc("a", "mine", "my body"), project, "a", "SKILL.md")
	put(t, doc("b", "not mine", ""), project, "b", "SKILL.md")
	link(t, filepath.Join(project, "a"), own, "a")
	f := skill.Finder{Places: []skill.Place{
		{Dir: project, Kind: skill.Project, From: project, Trusted: func() error { return errors.New("not trusted") }},
		{Dir: own, Kind: skill.Own, From: own},
	}}
	if got, why := list(f); got != "a:on b:untrusted" {
		t.Errorf("%s\n%s", got, why)
	}
	if text, err := f.Read("a", ""); err != nil || text.Body != "my body" {
		t.Errorf("%+v, %v", text, err)
	}
}

// The nearest of a name counts, what is switched off or not trusted does not, and
// one bad skill keeps no other from use.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	near, own := filepath.Join(dir, "project"), filepath.Join(dir, "own")
	put(t, doc("a", "near", "near body"), near, "a", "SKILL.md")
	put(t, doc("a", "own", "own body"), own, "a", "SKILL.md")
	put(t, doc("b", "own b", "b body"), own, "b", "SKILL.md")
	put(t, doc("c", "own c", "c body"), own, "c", "SKILL.md")
	put(t, "no skill", own, "bad", "SKILL.md")
	put(t, "text", own, "README.md")
	put(t, doc("deep", "of a checkout", ""), own, "checkout", "skills", "deep", "SKILL.md")
	put(t, doc("hidden", "d", ""), own, ".git", "SKILL.md")
	put(t, "x", own, "empty", "notes.md")
	trusted := errors.New("not trusted here")
	f := skill.Finder{
		Places: []skill.Place{
			{Dir: near, Kind: skill.Project, From: near, Trusted: func() error { return trusted }},
			{Dir: own, Kind: skill.Own, From: own},
			{Dir: filepath.Join(dir, "missing"), Kind: skill.Own},
		},
		Off: []string{"c"},
	}
	if got, why := list(f); got != "a:on b:on deep:on a:untrusted bad:broken c:off" || !strings.Contains(why, "not trusted here") || !strings.Contains(why, "no frontmatter") {
		t.Errorf("%s\n%s", got, why)
	}
	if text, err := f.Read("a", ""); err != nil || text.Body != "own body" {
		t.Errorf("%+v, %v", text, err)
	}
	trusted = nil
	if got, why := list(f); got != "a:on b:on deep:on bad:broken c:off a:shadowed" && got != "a:on b:on deep:on a:shadowed bad:broken c:off" || !strings.Contains(why, "a nearer one has its name, in "+near) {
		t.Errorf("%s\n%s", got, why)
	}
	if text, err := f.Read("a", ""); err != nil || text.Body != "near body" || text.Kind != skill.Project {
		t.Errorf("%+v, %v", text, err)
	}
	for name, want := range map[string]error{"c": skill.ErrNotOn, "bad": skill.ErrNotOn, "none": skill.ErrUnknown, "": skill.ErrUnknown} {
		if _, err := f.Read(name, ""); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	all, _ := f.Find()
	notes := strings.Join(skill.Notes(all), "\n")
	if !strings.Contains(notes, "the skill a of "+own+" is not used: a nearer one") || !strings.Contains(notes, "the skill bad of "+own+" is left out") || strings.Contains(notes, "skill c") {
		t.Errorf("notes: %s", notes)
	}
}

// What changes between the list and the use is read as it is, and what is no
// longer trusted when it has been read is not given away.
func TestChangesMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, doc("a", "d", "first"), dir, "a", "SKILL.md")
	asked := 0
	f := skill.Finder{Places: []skill.Place{{Dir: dir, Kind: skill.Project, From: dir, Trusted: func() error {
		if asked++; asked > 1 {
			return errors.New("it has changed")
		}
		put(t, doc("a", "d", "delete everything"), dir, "a", "SKILL.md")
		return nil
	}}}}
	if text, err := f.Read("a", ""); !errors.Is(err, skill.ErrNotOn) || text.Body != "" {
		t.Errorf("%+v, %v", text, err)
	}
}

// Nothing outside a skill's folder is read as part of it, by whatever name.
func TestStaysInItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := filepath.Join(dir, ".ssh")
	put(t, "the key", keys, "id")
	put(t, doc("stolen", "d", "keys"), keys, "SKILL.md")
	own, project := filepath.Join(dir, "own"), filepath.Join(dir, "project")
	put(t, doc("a", "d", "body"), own, "a", "SKILL.md")
	put(t, "inside", own, "a", "references", "in.md")
	put(t, "\x00\x01", own, "a", "assets", "x.bin")
	link(t, filepath.Join(keys, "id"), own, "a", "key")
	link(t, keys, own, "a", "folder")
	link(t, "references/in.md", own, "a", "same.md")
	link(t, filepath.Join(keys, "id"), own, "b", "SKILL.md")
	link(t, keys, own, "stolen")
	put(t, doc("linked", "d", "linked body"), dir, "elsewhere", "linked", "SKILL.md")
	link(t, filepath.Join(dir, "elsewhere", "linked"), own, "linked")
	link(t, filepath.Join(own, "a"), project, "p")
	put(t, doc("other", "d", "other body"), dir, "elsewhere", "other", "SKILL.md")
	link(t, filepath.Join(dir, "elsewhere", "other"), project, "other")
	link(t, own, dir, "whole")
	f := skill.Finder{
		Places: []skill.Place{
			{Dir: project, Kind: skill.Project, From: "project"},
			{Dir: filepath.Join(dir, "whole"), Kind: skill.Project, From: "whole"},
			{Dir: own, Kind: skill.Own, From: "own"},
		},
		Private: func(dir string) bool { return strings.HasPrefix(dir, keys) },
	}
	if got, why := list(f); got != "a:on linked:on b:broken stolen:broken" || !strings.Contains(why, "where keys may be") {
		t.Errorf("%s\n%s", got, why)
	}
	for file, want := range map[string]string{"references/in.md": "inside", "./references/../references/in.md": "inside", "same.md": "inside", "SKILL.md": "body"} {
		if text, err := f.Read("a", file); err != nil || text.Body != want {
			t.Errorf("%s: %q, %v", file, text.Body, err)
		}
	}
	for _, file := range []string{"../b/SKILL.md", "../../.ssh/id", filepath.Join(keys, "id"), "key", "folder/id", "references", "gone.md", "assets/x.bin", "a\x00b", "/etc/passwd"} {
		if text, err := f.Read("a", file); err == nil || text.Body != "" {
			t.Errorf("%q: %q", file, text.Body)
		}
	}
	if all, _ := f.Find(); len(all) > 0 {
		files, total := all[0].Files()
		if fmt.Sprint(files) != "[{assets/x.bin 2  } {references/in.md 6  }]" || total != 2 {
			t.Errorf("%v, %d", files, total)
		}
	}
}

// A folder of thousands of skills is looked at in part, and what a model reads of
// them has a bound and is the same every time.
func TestThousands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 700 {
		put(t, doc(fmt.Sprintf("skill-%04d", i), strings.Repeat("long words ", 60), ""), dir, fmt.Sprintf("skill-%04d", i), "SKILL.md")
	}
	f := skill.Finder{Places: []skill.Place{{Dir: dir, Kind: skill.Own, From: dir}}}
	all, notes := f.Find()
	if len(all) != 500 || len(notes) != 1 || !strings.Contains(notes[0], "of the 700 folders") {
		t.Errorf("%d skills, %q", len(all), notes)
	}
	first := skill.Prompt(all)
	again, _ := f.Find()
	if first != skill.Prompt(again) || len(first) > 4<<10 || !strings.Contains(first, "- skill-0000 (") || !strings.Contains(first, " more: the tool skill lists all") {
		t.Errorf("%d bytes:\n%s", len(first), first)
	}
}

// The longest descriptions give way first; none breaks out of its line.
func TestPrompt(t *testing.T) {
	t.Parallel()
	if skill.Prompt(nil) != "" || skill.Prompt([]skill.Skill{{Name: "a", Description: "d", State: skill.Off}, {Name: "m", Description: "d", State: skill.On, Manual: true}}) != "" {
		t.Error("there is a text for no skills")
	}
	all := []skill.Skill{{Name: "short", Description: "says little", State: skill.On, Kind: skill.Own}}
	for i := range 6 {
		all = append(all, skill.Skill{Name: fmt.Sprint("long", i), Description: strings.Repeat("é", 1000), State: skill.On, Kind: skill.Added, From: "org/repo"})
	}
	text := skill.Prompt(all)
	if len(text) > 4<<10 || len(text) < 3<<10 || !strings.Contains(text, "- short (the person's own): says little\n") || strings.Count(text, "…\n") != 6 || strings.Count(text, "\n- ") != 7 {
		t.Errorf("%d bytes:\n%s", len(text), text)
	}
}

// A pipe and a device where a file should be keep nobody waiting.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no such files")
	}
	dir := t.TempDir()
	link(t, "/dev/zero", dir, "zero", "SKILL.md")
	if err := os.MkdirAll(filepath.Join(dir, "folder", "SKILL.md"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, doc("ok", "d", ""), dir, "ok", "SKILL.md")
	pipe(t, filepath.Join(dir, "pipe", "SKILL.md"))
	pipe(t, filepath.Join(dir, "ok", "pipe"))
	f := skill.Finder{Places: []skill.Place{{Dir: dir, Kind: skill.Own, From: dir}}}
	if got, why := list(f); got != "ok:on folder:broken pipe:broken zero:broken" {
		t.Errorf("%s\n%s", got, why)
	}
	if _, err := f.Read("ok", "pipe"); err == nil {
		t.Error("a pipe was read")
	}
}
