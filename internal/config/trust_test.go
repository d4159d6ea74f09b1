package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/config"
)

const bringing = `approve: ask
model: openai/free-to-choose
max_cost: 100
hub: http://127.0.0.1:1
system_append: "${HF_TOKEN:-x}"
rules:
  - {verdict: allow, tool: bash}
  - {verdict: deny, command: rm}
hooks:
  - {event: Stop, command: "true"}
`

// A project's file narrows at once, and widens only as what the person saw.
func TestTrust(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	file := config.ProjectFile(dir)
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(want config.Trust) *config.Config {
		t.Helper()
		c, err := config.Load([]string{"ML_INTERN_HOME=" + home}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if c.Trust != want {
			t.Fatalf("the folder is %q, want %q", c.Trust, want)
		}
		return c
	}
	if c := read(config.NothingToTrust); len(c.Notes()) > 0 || c.TrustFolder(dir) == nil {
		t.Error("there is something to trust in an empty folder")
	}
	write(file, bringing)
	narrow := func(c *config.Config) {
		t.Helper()
		if c.Approve != "ask" || c.Model != "openai/free-to-choose" || c.MaxCost != config.DefaultMaxCost || c.Hub != "" || c.SystemAppend != "" || len(c.ProjectHooks) > 0 {
			t.Errorf("got %+v", c)
		}
		if len(c.ProjectRules) != 1 || c.ProjectRules[0].Verdict != "deny" || len(c.Rules) > 0 {
			t.Errorf("rules %+v", c.ProjectRules)
		}
		notes := strings.ReplaceAll(strings.Join(c.Notes(), "\n"), "'"+dir+"'", dir) // quoted, where it must be
		for _, want := range []string{":3: a project's file may only make max_cost", ":4: ", "hub", ":5: system_append holds ${…}", ":6: rules that allow something", ":9: hooks", "ml-intern config trust " + dir} {
			if !strings.Contains(notes, want) {
				t.Errorf("the notes lack %q:\n%s", want, notes)
			}
		}
	}
	c := read(config.Untrusted)
	narrow(c)
	if err := c.TrustFolder(dir); err != nil {
		t.Fatal(err)
	}
	c = read(config.Trusted)
	if c.MaxCost != 100 || c.Hub == "" || c.SystemAppend != "x" || len(c.ProjectHooks) != 1 || len(c.ProjectRules) != 2 || len(c.Notes()) > 0 {
		t.Errorf("got %+v", c)
	}
	for _, change := range []func(){
		func() { write(file, bringing+"# another word\n") },
		func() { write(filepath.Join(config.ProjectDir(dir), "hook.sh"), "true") },
		func() {
			write(filepath.Join(config.ProjectDir(dir), "hook.sh"), "true")
			if err := os.Chmod(filepath.Join(config.ProjectDir(dir), "hook.sh"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		func() {
			if err := os.Symlink("/etc", filepath.Join(config.ProjectDir(dir), "link")); err != nil {
				t.Skip(err)
			}
		},
	} {
		change()
		c = read(config.Changed)
		narrow(c)
		if c.StillTrusted(dir) == nil || !strings.Contains(strings.Join(c.Notes(), "\n"), "has changed since") {
			t.Error("a changed folder is still trusted")
		}
		_ = c.TrustFolder(dir) // which the link refuses
	}
	if err := c.TrustFolder(dir); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a folder with a link was trusted: %v", err)
	}
	if err := os.Remove(filepath.Join(config.ProjectDir(dir), "link")); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(config.ProjectDir(dir), "kept", "model.bin"), "the program's own")
	c = read(config.Trusted)
	if was, err := c.DistrustFolder(dir); err != nil || !was {
		t.Errorf("%v, %v", was, err)
	}
	read(config.Untrusted)
}

// Trust is of a real folder, however it is named, and of no other.
func TestTrustByRealPath(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, name, ".ml-intern"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config.ProjectFile(filepath.Join(dir, name)), []byte("max_cost: 100\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	trust := func(name string) config.Trust {
		c, err := config.Load([]string{"ML_INTERN_HOME=" + home}, filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "a" {
			if err := c.TrustFolder(c.Dir); err != nil {
				t.Fatal(err)
			}
		}
		return c.Trust
	}
	trust("a")
	if got := trust("link"); got != config.Trusted {
		t.Errorf("by a link it is %q", got)
	}
	if got := trust("b"); got != config.Untrusted {
		t.Errorf("another folder of the same content is %q", got)
	}
}

// Trust covers skills, also those for other agents; a link among them is part of
// what was seen, and leads nowhere. What lies in the home is the person's.
func TestTrustCoversSkills(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	load := func(at string) *config.Config {
		t.Helper()
		c, err := config.Load([]string{"ML_INTERN_HOME=" + home, "HOME=" + home}, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, agents := range []string{".claude", ".agents", ".ml-intern"} {
		file := filepath.Join(dir, agents, "skills", "a", "SKILL.md")
		write := func(text string) {
			t.Helper()
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("one")
		c := load(dir)
		if notes := strings.Join(c.Notes(), "\n"); c.Trust == config.Trusted || !strings.Contains(notes, filepath.Join(dir, agents, "skills")+": its skills") || !strings.Contains(notes, "ml-intern config trust") {
			t.Errorf("%s: %q, %s", agents, c.Trust, notes)
		}
		if err := c.TrustFolder(dir); err != nil {
			t.Fatal(err)
		}
		if c := load(dir); c.Trust != config.Trusted || len(c.Notes()) > 0 {
			t.Errorf("%s: %q, %q", agents, c.Trust, c.Notes())
		}
		write("two")
		if c := load(dir); c.Trust != config.Changed || c.StillTrusted(dir) == nil {
			t.Errorf("%s: a changed skill is still trusted", agents)
		}
		if err := c.TrustFolder(dir); err != nil {
			t.Fatal(err)
		}
		if agents == ".ml-intern" {
			continue // there a link is refused
		}
		link := filepath.Join(dir, agents, "skills", "b")
		for _, to := range []string{"a", "/etc"} {
			_ = os.Remove(link)
			if err := os.Symlink(to, link); err != nil {
				t.Skip(err)
			}
			if load(dir).Trust != config.Changed {
				t.Errorf("%s: a link to %s changed nothing", agents, to)
			}
			if err := c.TrustFolder(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(home, ".claude", "skills", "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if c := load(home); c.Trust != config.NothingToTrust || len(c.Notes()) > 0 {
		t.Errorf("the home: %q, %q", c.Trust, c.Notes())
	}
}

// What a project's file says and is so anyway is not set by it: where a person looks
// on, the default is another one, and that holds. What the person has set stays theirs.
func TestProjectSetsNoDefault(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{config.ProjectFile(dir): "approve: auto\n", filepath.Join(home, "config", "config.yaml"): ""} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() *config.Config {
		c, err := config.Load([]string{"ML_INTERN_HOME=" + home}, dir)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := read()
	if c.IsSet("approve") || c.Approve != "auto" {
		t.Errorf("a folder that is not trusted has set %s", c.Approve)
	}
	if err := os.WriteFile(c.File(), []byte("approve: auto\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c = read(); !c.IsSet("approve") || c.Approve != "auto" {
		t.Errorf("the person's own %s is not theirs any more", c.Approve)
	}
	if err := c.TrustFolder(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.File()); err != nil {
		t.Fatal(err)
	}
	if c = read(); !c.IsSet("approve") {
		t.Error("a trusted folder has set nothing")
	}
}
