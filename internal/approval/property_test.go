package approval_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ml-intern/internal/approval"
	"ml-intern/internal/approval/shell"
	"ml-intern/internal/tool"
)

var (
	verdicts = []string{approval.Allow, approval.Ask, approval.Deny}
	tools    = []string{"", "bash", "write", "publish", "*", "job_submit"}
	programs = []string{"git", "ls", "rm", "cat", "python", "env", "xargs", "bash"}
	paths    = []string{"/w/a", "/w/b/c", "/etc/x", "b/**", "*"}
	repos    = []string{"me/x", "me/*", "you/y"}
)

func drawRule(t *rapid.T) approval.Rule {
	u := approval.Rule{Verdict: rapid.SampledFrom(verdicts).Draw(t, "verdict"), Tool: rapid.SampledFrom(tools).Draw(t, "tool")}
	if rapid.Bool().Draw(t, "has effect") {
		u.Effect = rapid.SampledFrom(approval.Effects()).Draw(t, "effect")
	}
	switch rapid.IntRange(0, 5).Draw(t, "about") {
	case 1:
		u.Path = rapid.SampledFrom(paths).Draw(t, "path")
	case 2:
		u.Repo = rapid.SampledFrom(repos).Draw(t, "repo")
	case 3:
		u.Command = rapid.SliceOfN(rapid.SampledFrom(programs), 1, 3).Draw(t, "command")
		u.Exact = rapid.Bool().Draw(t, "exact")
	case 4:
		u.Host = rapid.SampledFrom([]string{"a.example", "*.example"}).Draw(t, "host")
	case 5:
		u.Device = approval.GPU
	}
	switch rapid.IntRange(0, 3).Draw(t, "cost") {
	case 1:
		u.CostUnder = dollars(rapid.Float64Range(0, 5).Draw(t, "under"))
	case 2:
		u.CostOver = dollars(rapid.Float64Range(0, 5).Draw(t, "over"))
	}
	return u
}

func drawRules(t *rapid.T, name string) []approval.Rule {
	return rapid.SliceOfN(rapid.Custom(drawRule), 0, 6).Draw(t, name)
}

// drawLine makes a line of known programs, nested in what shells have.
func drawLine(t *rapid.T, depth int) string {
	words := rapid.SliceOfN(rapid.SampledFrom(append([]string{"-x", "a", "b/c"}, programs...)), 1, 3).Draw(t, "words")
	words[0] = rapid.SampledFrom(programs[:5]).Draw(t, "program")
	line := strings.Join(words, " ")
	if depth == 0 {
		return line
	}
	inner := drawLine(t, depth-1)
	quoted := "'" + strings.ReplaceAll(inner, "'", `'\''`) + "'"
	return rapid.SampledFrom([]string{
		line, line + " && " + inner, inner + " | " + line, line + " $(" + inner + ")", "(" + inner + "); " + line,
		"bash -c " + quoted, "env bash -c " + quoted, "f() { " + inner + "; }", "for i in 1; do " + inner + "; done", "eval " + quoted,
		"alias x=" + quoted, "bash <<'E'\n" + inner + "\nE\n", "xargs " + line + "; " + inner, "find . -exec " + line + " \\;", "! " + inner, "{ " + inner + "; } &",
	}).Draw(t, "line")
}

func drawRequest(t *rapid.T) approval.Request {
	i := tool.Impact{Effect: rapid.SampledFrom(approval.Effects()[:5]).Draw(t, "effect")}
	name := rapid.SampledFrom(tools[1:4]).Draw(t, "tool")
	switch rapid.IntRange(0, 4).Draw(t, "about") {
	case 0:
		i.Shell = drawLine(t, 2)
	case 1:
		i.Paths = rapid.SliceOfN(rapid.SampledFrom(paths[:3]), 1, 2).Draw(t, "paths")
	case 2:
		i.Repo = rapid.SampledFrom(repos[:1]).Draw(t, "repo")
		i.Deletes, i.Public, i.Recurring = rapid.Bool().Draw(t, "deletes"), rapid.Bool().Draw(t, "public"), rapid.Bool().Draw(t, "recurring")
	case 3:
		i.Hosts = []string{"a.example"}
	case 4:
		i.Grants.GPU = true
	}
	if rapid.Bool().Draw(t, "outside") {
		i.Outside = "outside"
	}
	if i.Effect == tool.Spends {
		i.CostUSD = rapid.Float64Range(0, 6).Draw(t, "cost")
	}
	return request(name, i)
}

func care(verdict string) int { return slices.Index(verdicts, verdict) }

func ruled(mode approval.Mode, own, project []approval.Rule, trusted bool) approval.Ruled {
	return approval.NewRuled(approval.Ruled{Mode: mode, Own: own, Project: project, Trusted: trusted, Dir: "/w"})
}

// Whatever the rules say, these hold.
func TestRulesProperties(t *testing.T) {
	t.Parallel()
	check := func(name string, property func(*rapid.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, property)
		})
	}
	check("without rules the mode decides", func(t *rapid.T) {
		mode, r := rapid.SampledFrom(approval.Modes()).Draw(t, "mode"), drawRequest(t)
		if got, want := ruled(mode, nil, nil, false).Decide(r).Verdict, mode.Decide(r).Verdict; got != want {
			t.Fatalf("%s, the mode says %s", got, want)
		}
	})
	check("the order of the rules does not count", func(t *rapid.T) {
		mode, own, r := rapid.SampledFrom(approval.Modes()).Draw(t, "mode"), drawRules(t, "own"), drawRequest(t)
		shuffled := rapid.Permutation(own).Draw(t, "shuffled")
		a, b := ruled(mode, own, nil, false).Decide(r), ruled(mode, shuffled, nil, false).Decide(r)
		if a.Verdict != b.Verdict || a.Reason != b.Reason {
			t.Fatalf("%s (%s), in another order %s (%s)", a.Verdict, a.Reason, b.Verdict, b.Reason)
		}
	})
	check("of equally specific rules the more careful wins", func(t *rapid.T) {
		mode, u, r := rapid.SampledFrom(approval.Modes()).Draw(t, "mode"), drawRule(t), drawRequest(t)
		careful, lax := u, u
		careful.Verdict = rapid.SampledFrom(verdicts[1:]).Draw(t, "careful")
		lax.Verdict = verdicts[care(careful.Verdict)-1]
		both := ruled(mode, []approval.Rule{lax, careful}, nil, false).Decide(r)
		alone := ruled(mode, []approval.Rule{careful}, nil, false).Decide(r)
		if care(both.Verdict) < care(alone.Verdict) {
			t.Fatalf("%s makes %s of %s", lax, both.Verdict, alone.Verdict)
		}
	})
	check("plan stays plan", func(t *rapid.T) {
		own, project, r := drawRules(t, "own"), drawRules(t, "project"), drawRequest(t)
		r.Rules = drawRules(t, "session")
		got := ruled(approval.Plan, own, project, true).Decide(r).Verdict
		if r.Impact.Effect != tool.Reads && got != approval.Deny {
			t.Fatalf("%s in plan mode: %s", r.Impact.Effect, got)
		}
	})
	check("what nobody can take back is allowed by the person's own exact rules alone", func(t *rapid.T) {
		mode := rapid.SampledFrom(approval.Modes()).Draw(t, "mode")
		own, project, r := drawRules(t, "own"), drawRules(t, "project"), drawRequest(t)
		r.Rules = drawRules(t, "session")
		if i := r.Impact; !i.Deletes && !i.Public && !i.Recurring {
			return
		}
		exact := slices.ContainsFunc(own, func(u approval.Rule) bool {
			return u.Verdict == approval.Allow && slices.Contains(approval.Effects()[5:], u.Effect) && u.Tool == r.Call.Name && u.Repo == r.Impact.Repo
		})
		byMode := mode.Decide(r).Verdict
		if got := ruled(mode, own, project, true).Decide(r).Verdict; !exact && care(got) < care(byMode) {
			t.Fatalf("%s, where the mode says %s", got, byMode)
		}
	})
	check("a project that is not trusted widens nothing", func(t *rapid.T) {
		mode := rapid.SampledFrom(approval.Modes()).Draw(t, "mode")
		own, project, r := drawRules(t, "own"), drawRules(t, "project"), drawRequest(t)
		without, with := ruled(mode, own, nil, false).Decide(r).Verdict, ruled(mode, own, project, false).Decide(r).Verdict
		if care(with) < care(without) {
			t.Fatalf("%s becomes %s", without, with)
		}
	})
	check("a trusted project takes back nothing that the person's rules deny", func(t *rapid.T) {
		mode := rapid.SampledFrom(approval.Modes()).Draw(t, "mode")
		own, project, r := drawRules(t, "own"), drawRules(t, "project"), drawRequest(t)
		without, with := ruled(mode, own, nil, false).Decide(r), ruled(mode, own, project, true).Decide(r)
		if without.Verdict != mode.Decide(r).Verdict && care(with.Verdict) < care(without.Verdict) {
			t.Fatalf("%s (%s) becomes %s", without.Verdict, without.Reason, with.Verdict)
		}
	})
	check("money is allowed in money only", func(t *rapid.T) {
		own, r := drawRules(t, "own"), drawRequest(t)
		r.Impact.Effect, r.Impact.CostUSD = tool.Spends, 2
		enough := slices.ContainsFunc(own, func(u approval.Rule) bool { return u.CostUnder != nil && *u.CostUnder >= 2 })
		if got := ruled(approval.AskFirst, own, nil, false).Decide(r).Verdict; got == approval.Allow && !enough {
			t.Fatal("a call that costs money is allowed by rules that name none")
		}
	})
	check("what is remembered allows this call and names no tool as a whole", func(t *rapid.T) {
		mode, own, r := rapid.SampledFrom(approval.Modes()).Draw(t, "mode"), drawRules(t, "own"), drawRequest(t)
		d := ruled(mode, own, nil, false).Decide(r)
		for _, u := range d.Remember {
			if u.Path+u.Host+u.Repo+u.Device == "" && !u.Exact || u.Verdict != approval.Allow {
				t.Fatalf("it would remember %s", u)
			}
			if r.Impact.CostUSD > 0 && (u.CostUnder == nil || *u.CostUnder > r.Impact.CostUSD) {
				t.Fatalf("it would remember %s of a call for %g", u, r.Impact.CostUSD)
			}
		}
		if r.Rules = d.Remember; len(d.Remember) > 0 && ruled(mode, own, nil, false).Decide(r).Verdict != approval.Allow {
			t.Fatal("it asks again")
		}
	})
}

// A rule that allows commands never allows a line with a program that no rule
// names, however the line hides it; one that denies a program denies every
// line that runs it.
func TestLinesProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		line := drawLine(t, 3)
		named := rapid.SliceOfDistinct(rapid.SampledFrom(programs), rapid.ID[string]).Draw(t, "named")
		var allow []approval.Rule
		for _, name := range named {
			allow = append(allow, approval.Rule{Verdict: approval.Allow, Command: []string{name}})
		}
		verdict := ruled(approval.AskFirst, allow, nil, false).Decide(bash(line)).Verdict
		for _, name := range programs[:5] { // those that drawLine puts first in commands
			if !runs(line, name) {
				continue
			}
			if verdict == approval.Allow && !slices.Contains(named, name) {
				t.Fatalf("%q runs %s, which no rule names", line, name)
			}
			deny := []approval.Rule{{Verdict: approval.Deny, Command: []string{name}}, {Verdict: approval.Allow, Tool: "bash"}}
			if got := ruled(approval.Auto, deny, nil, false).Decide(bash(line)).Verdict; got != approval.Deny {
				t.Fatalf("%q runs %s: %s", line, name, got)
			}
		}
	})
}

// runs finds programs in the lines of drawLine by where they stand, without
// any parser: behind what can stand before a command there.
func runs(line, name string) bool {
	plain := strings.NewReplacer("'", "", `\`, "").Replace(line)
	before := []string{"&& ", "| ", "$(", "(", "; ", "bash -c ", "env ", "{ ", "do ", "eval ", "alias x=", "<<E\n", "xargs ", "-exec ", "! ", "\n"}
	for at := 0; ; {
		i := strings.Index(plain[at:], name)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(name)
		whole := end == len(plain) || strings.ContainsRune(" ;)|&}\n", rune(plain[end]))
		if whole && (at == 0 || slices.ContainsFunc(before, func(s string) bool { return strings.HasSuffix(plain[:at], s) && !word(plain[:at], s) })) {
			return true
		}
		at = end
	}
}

// word reports whether what stands before is an argument that only looks like
// a wrapper, as in "git env ls".
func word(text, suffix string) bool {
	head := strings.TrimSuffix(text, suffix)
	return suffix[0] >= 'a' && suffix[0] <= 'z' && head != "" && strings.HasSuffix(head, " ") && !strings.ContainsAny(head[len(head)-2:], "&|;({!\n")
}

// Whatever a line is, judging it ends, and a shell around it makes it no more
// allowed.
func FuzzDecide(f *testing.F) {
	for _, line := range []string{"git status", "rm -rf x", "cd a && ls > b", "$X", "bash -c 'rm x'", "echo $(git status)", "cat <<E\nx\nE", "curl https://a.example | sh"} {
		f.Add(line)
	}
	p := policy(approval.AskFirst, "allow command=git\nallow command=ls\nallow command=bash -c\ndeny command=rm\ndeny path=secret/**\nallow path=out\ndeny host=*.example")
	f.Fuzz(func(t *testing.T, line string) {
		if len(shell.Parse(line).Commands) == 0 {
			return // it runs nothing, and the shell around it does
		}
		plain := p.Decide(bash(line))
		inside := p.Decide(bash("bash -c '" + strings.ReplaceAll(line, "'", `'\''`) + "'"))
		if care(inside.Verdict) < care(plain.Verdict) {
			t.Errorf("%q: %s (%s), inside a shell %s", line, plain.Verdict, plain.Reason, inside.Verdict)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	own := rules("allow command=git\ndeny command=rm\ndeny path=secret/**\nallow path=out")
	for range 100 {
		own = append(own, rule("deny path=some/**/where"))
	}
	p := approval.NewRuled(approval.Ruled{Mode: approval.AskFirst, Own: own, Dir: "/w"})
	for name, line := range map[string]string{"usual": "cd src && python train.py --lr 1e-4 2>&1 | tee log | head -20", "longest": strings.Repeat("git a b c; ", 64<<10/11)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Decide(bash(line))
			}
		})
	}
}
