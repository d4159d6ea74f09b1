package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ml-intern/internal/config"
)

func TestRules(t *testing.T) {
	t.Parallel()
	c, err := load(t, `rules:
  - verdict: deny
    command: rm -rf
    reason: ask me first
  - {verdict: allow, tool: bash, command: [git, commit, "-m", "a b"], exact: true}
  - {verdict: ask, effect: spends, cost_over: 2.5}
  - {verdict: allow, path: "~/data/**", effect: reads}
  - {verdict: deny, command: "echo ${HOME}"}
hooks:
  - {event: PreToolUse, matcher: "bash|write", command: "./check ${X}", timeout: 5s}
`, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if u := c.Rules[0]; u.Verdict != "deny" || strings.Join(u.Command, "|") != "rm|-rf" || u.Reason != "ask me first" {
		t.Errorf("got %+v", u)
	}
	if u := c.Rules[1]; strings.Join(u.Command, "|") != "git|commit|-m|a b" || !u.Exact || u.Tool != "bash" {
		t.Errorf("got %+v", u)
	}
	if *c.Rules[2].CostOver != 2.5 || c.Rules[3].Path != "~/data/**" || c.Rules[4].Command[1] != "${HOME}" {
		t.Errorf("got %+v", c.Rules[2:])
	}
	if h := c.Hooks[0]; h.Command != "./check ${X}" || h.Timeout.Seconds() != 5 {
		t.Errorf("got %+v", h)
	}
}

func TestBadRules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rules: yes":    "config.yaml:1: rules must be a list",
		"rules: [deny]": "expected keys with values",
		"rules:\n  - verdict: allow\n    comand: rm":                 `config.yaml:3: rules have no key "comand"; did you mean command?`,
		"rules:\n  - verdict: allow\n    what: rm":                   `config.yaml:3: rules have no key "what"; the keys are verdict, tool`,
		"rules:\n  - tool: bash":                                     "config.yaml:2: rules need a verdict",
		"rules:\n  - verdict: forbid\n    tool: x":                   `not "forbid"`,
		"rules:\n  - verdict: allow":                                 "config.yaml:2: rules that allow must say what",
		"rules:\n  - verdict: deny\n    effect: read":                `have no effect "read"; the effects are reads`,
		"rules:\n  - verdict: deny\n    path: a\n    host: b":        "about one thing each",
		"rules:\n  - verdict: deny\n    path: \"[\"":                 "no such pattern for a path",
		"rules:\n  - verdict: deny\n    tool: \"[\"":                 "no such pattern",
		"rules:\n  - verdict: deny\n    command: []":                 "config.yaml:3: rules command must name a program",
		"rules:\n  - verdict: deny\n    command: 3":                  "rules command must be text",
		"rules:\n  - verdict: deny\n    exact: true":                 "exact only with a command",
		"rules:\n  - verdict: deny\n    cost_over: -1":               "config.yaml:3: rules cost_over must be a number",
		"rules:\n  - verdict: deny\n    cost_over: .inf":             "config.yaml:3: rules cost_over must be a number",
		"rules:\n  - verdict: deny\n    cost_over: much":             "must be a number, not much",
		"rules:\n  - verdict: deny\n    tool: ''":                    "must not be empty",
		"hooks:\n  - event: PreTool\n    command: x":                 `config.yaml:2: hooks have no event "PreTool"; did you mean PreToolUse?`,
		"hooks:\n  - event: Stop":                                    "need a command",
		"hooks:\n  - event: Stop\n    comand: x":                     "config.yaml:3: hooks have no key \"comand\"; did you mean command?",
		"hooks:\n  - event: Stop\n    command: x\n    timeout: 1h":   "10m0s at most",
		"hooks:\n  - event: Stop\n    command: x\n    matcher: (":    "no pattern",
		"hooks:\n  - event: Stop\n    command: x\n    timeout: long": "config.yaml:4: hooks timeout must be a duration",
	} {
		if _, err := load(t, text, "", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// However a command is written, its rule is read as it was meant, and what
// stood in the file before stays.
func TestAddRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		word := rapid.OneOf(rapid.StringN(1, 20, -1), rapid.SampledFrom([]string{"${X}", "a b", "'", `"`, "#", ": ", "\n", "-", "{}", "\u2028", "null", "~"}))
		read := func() *config.Config {
			c, err := config.Load([]string{"ML_INTERN_HOME=" + dir}, dir)
			if err != nil {
				r.Fatal(err)
			}
			return c
		}
		var want [][]string
		for range rapid.IntRange(1, 3).Draw(r, "rounds") {
			words := append([]string{"git"}, rapid.SliceOfN(word, 0, 4).Draw(r, "words")...)
			if _, err := read().AddRules([]config.Rule{{Verdict: "allow", Tool: "bash", Command: words, Exact: true}}); err != nil {
				r.Fatal(err)
			}
			want = append(want, words)
		}
		got := read().Rules
		if len(got) != len(want) {
			r.Fatalf("%d rules, want %d", len(got), len(want))
		}
		for i := range want {
			if strings.Join(got[i].Command, "\x00") != strings.Join(want[i], "\x00") {
				r.Fatalf("got %q, want %q", got[i].Command, want[i])
			}
		}
	})
}

func TestAddRulesKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	c, err := load(t, "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.RulesFile(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one := []config.Rule{{Verdict: "allow", Tool: "bash", Command: []string{"ls"}}}
	write("# mine\nrules:\n  # why\n  - verdict: deny\n    tool: x\n")
	if _, err := c.AddRules(one); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.RulesFile())
	if err != nil || !strings.HasPrefix(string(text), "# mine\nrules:\n  # why\n  - verdict: deny\n    tool: x\n  - {") {
		t.Errorf("%v:\n%s", err, text)
	}
	for _, text := range []string{"rules: []\n", "rules: [{verdict: deny}]\nother: 1\n", "model: x\n", "rules:\n- verdict: deny\n  tool: x\n"} {
		write(text)
		if _, err := c.AddRules(one); err == nil {
			t.Errorf("%q was added to", text)
		}
		if after, _ := os.ReadFile(c.RulesFile()); string(after) != text {
			t.Errorf("%q became %q", text, after)
		}
	}
	info, err := os.Stat(filepath.Dir(c.RulesFile()))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
