package approval_test

import (
	"strings"
	"testing"

	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

func dollars(n float64) *float64 { return &n }

// rule reads a rule as tests write it: verdict, then key=value; commands have
// their words split at blanks.
func rule(text string) approval.Rule {
	verdict, rest, _ := strings.Cut(text, " ")
	u := approval.Rule{Verdict: verdict}
	for field := range strings.SplitSeq(rest, "; ") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "tool":
			u.Tool = value
		case "effect":
			u.Effect = tool.Effect(value)
		case "path":
			u.Path = value
		case "host":
			u.Host = value
		case "repo":
			u.Repo = value
		case "device":
			u.Device = value
		case "command":
			u.Command = strings.Fields(value)
		case "exact":
			u.Command, u.Exact = strings.Fields(value), true
		case "under":
			u.CostUnder = dollars(map[string]float64{"1": 1, "5": 5}[value])
		case "over":
			u.CostOver = dollars(map[string]float64{"1": 1, "5": 5}[value])
		}
	}
	return u
}

func rules(text string) (all []approval.Rule) {
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			all = append(all, rule(line))
		}
	}
	return all
}

func bash(line string) approval.Request {
	return approval.Request{Call: llm.ToolCall{Name: "bash"}, Impact: tool.Impact{Effect: tool.Executes, Outside: "it runs unconfined", Shell: line}}
}

func request(name string, i tool.Impact) approval.Request {
	return approval.Request{Call: llm.ToolCall{Name: name}, Impact: i}
}

func policy(mode approval.Mode, own string) approval.Ruled {
	return approval.NewRuled(approval.Ruled{Mode: mode, Own: rules(own), Dir: "/w", Home: "/home/me"})
}

// Lines of commands in mode ask, where what no rule covers asks.
func TestCommandRules(t *testing.T) {
	t.Parallel()
	tests := []struct{ rules, line, want string }{
		{"", "git status", "ask"},
		{"allow command=git status", "git status", "allow"},
		{"allow command=git status", "git status -s .", "allow"},
		{"allow command=git status", "git", "ask"},
		{"allow command=git status", "git -C x status", "ask"},
		{"allow command=git status", "/tmp/git status", "ask"},
		{"allow command=git status", "git $X", "ask"},
		{"allow command=git status", "$X status", "ask"},
		{"allow command=git status", "PATH=. git status", "ask"},
		{"allow command=git status", "export PATH=.; git status", "ask"},
		{"allow command=git status", "git status && rm x", "ask"},
		{"allow command=git status", "git status; git status", "allow"},
		{"allow command=git status\nallow command=ls", "git status | ls", "allow"},
		{"allow command=git status", "git status $(rm x)", "ask"},
		{"allow command=git status", "git status > out", "ask"},
		{"allow command=git status", "git status > /dev/null 2>&1", "allow"},
		{"allow command=git status\nallow path=out; effect=writes", "git status > out", "allow"},
		{"allow command=git status\nallow path=out/**", "git status > out/../../etc/x", "ask"},
		{"allow command=git status", "bash -c 'git status'", "ask"},
		{"allow command=git status\nallow command=bash -c", "bash -c 'git status'", "allow"},
		{"allow command=git status\nallow command=bash -c", "bash -c 'rm x'", "ask"},
		{"allow command=git status\nallow command=bash -c", "bash -c $X", "ask"},
		{"allow command=xargs\nallow command=rm", "xargs rm", "allow"},
		{"allow command=xargs", "xargs rm", "ask"},
		{"allow exact=rm x", "rm x", "allow"},
		{"allow exact=rm x", "rm x y", "ask"},
		{"allow command=echo\nallow command=cd\nallow path=out", "echo x > out", "allow"},
		{"allow command=echo\nallow command=cd\nallow path=out", "cd /etc; echo x > out", "ask"},
		{"allow command=echo\nallow command=cd\nallow path=/w/out", "cd /etc; echo x > /w/out", "allow"},
		{"allow tool=bash", "git $(anything) > $X", "allow"},
		{"allow tool=ba*", "x", "allow"},
		{"allow tool=write", "x", "ask"},
		{"allow effect=executes", "x", "allow"},
		{"allow effect=reads", "x", "ask"},

		{"deny command=rm", "rm x", "deny"},
		{"deny command=rm", "/bin/rm x", "deny"},
		{"deny command=rm", `\rm x; true`, "deny"},
		{"deny command=rm", "git rm x", "ask"},
		{"deny command=rm", "echo $(rm x)", "deny"},
		{"deny command=rm", "$X y", "deny"},
		{"deny command=rm", "eval $X", "deny"},
		{"deny command=rm", "echo $X", "ask"},
		{"deny command=rm -rf", "rm x", "ask"},
		{"deny command=rm -rf", "rm -fr x", "deny"},
		{"deny command=rm -rf", "rm -v -r x -f", "deny"},
		{"deny command=rm -rf", "rm -r --force x", "deny"},
		{"deny command=rm -rf", "rm --rec --forc x", "deny"},
		{"deny command=rm -rf", "rm -r --interactive x", "ask"},
		{"deny command=rm -rf", "source <(echo rm -rf x)", "deny"},
		{"deny command=rm -rf", "source env.sh", "ask"},
		{"deny command=rm -rf", "shopt -s expand_aliases\nalias q=rm\nq -rf x", "deny"},
		{"deny command=rm -rf", "alias rm='rm -r'; rm -f x", "deny"},
		{"deny command=rm -rf", "alias rm='rm -r'; rm x", "ask"},
		{"deny command=rm -rf", "chrt -f 1 rm -rf x", "deny"},
		{"deny command=rm -rf", "uvx rm -rf x", "deny"},
		{"deny path=data/**", "dd if=data/x of=/dev/null", "deny"},
		{"deny command=rm -rf", "bash -c 'rm -rf x'", "deny"},
		{"deny command=rm -rf", "env A=1 rm -rf x", "deny"},
		{"deny command=rm -rf", "find . | xargs rm -rf", "deny"},
		{"deny command=rm -rf", "f() { rm -rf x; }; f", "deny"},
		{"deny command=rm -rf", "alias x='rm -rf'; x y", "deny"},
		{"deny command=git push", "git -C d push", "deny"},
		{"deny command=git push", "git -C \"$D\" push", "deny"},
		{"deny command=git push", "git -C \"$D\" status", "ask"},
		{"deny command=git push", "git commit -m push", "ask"},
		{"deny command=git push --force", "git push --force-with-lease", "ask"},
		{"deny command=git push --force", "git push o --force", "deny"},
		{"allow tool=bash\ndeny command=rm", "ls; rm x", "deny"},
		{"allow command=rm x\ndeny command=rm", "rm x", "allow"},
		{"allow command=rm\ndeny command=rm", "rm", "deny"},
		{"ask command=rm\ndeny command=rm", "rm", "deny"},
		{"deny path=secret/**", "cat secret/key", "deny"},
		{"deny path=secret", "cat ./secret/a/key", "deny"},
		{"deny path=~/.ssh", "cp ~/.ssh/id x", "deny"},
		{"deny path=~/.ssh", "cp /home/me/.ssh/id x", "deny"},
		{"deny path=out; effect=reads", "cat < out", "deny"},
		{"deny path=out", "x > $Y", "deny"},
		{"deny path=*.env\nallow path=a.env", "cat a.env", "ask"},
		{"deny host=*.evil.example", "curl https://a.evil.example/x", "deny"},
		{"deny host=evil.example", "curl --url=https://evil.example:8443/x", "deny"},
	}
	for _, tt := range tests {
		got := policy(approval.AskFirst, tt.rules).Decide(bash(tt.line))
		if got.Verdict != tt.want {
			t.Errorf("%q on %q: got %s (%s), want %s", tt.rules, tt.line, got.Verdict, got.Reason, tt.want)
		}
		if got.Verdict != approval.Allow && got.Reason == "" {
			t.Errorf("%q on %q: %s without a reason", tt.rules, tt.line, got.Verdict)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	write := request("write", tool.Impact{Effect: tool.Writes, Paths: []string{"/w/src/a.py"}})
	read := request("read", tool.Impact{Effect: tool.Reads, Outside: "it reads /data/x", Paths: []string{"/data/x"}})
	link := request("read", tool.Impact{Effect: tool.Reads, Outside: "it reads /etc/x", Paths: []string{"/w/link", "/etc/x"}})
	upload := request("hf_repo_files", tool.Impact{Effect: tool.Publishes, Repo: "me/x", Paths: []string{"/w/model"}})
	leak := request("hf_repo_files", tool.Impact{Effect: tool.Publishes, Repo: "me/x", Outside: "it uploads /etc", Paths: []string{"/etc"}})
	remove := request("hf_repo_git", tool.Impact{Effect: tool.Publishes, Deletes: true, Repo: "me/x"})
	both := request("hf_repo_files", tool.Impact{Effect: tool.Publishes, Deletes: true, Public: true, Repo: "me/x"})
	job := request("job_submit", tool.Impact{Effect: tool.Spends, CostUSD: 3, Outside: "it runs on cluster", Hosts: []string{"cluster"}, Argv: []string{"python", "t.py"}})
	secret := request("job_submit", tool.Impact{Effect: tool.Executes, Outside: "it is given HF_TOKEN", Argv: []string{"python", "t.py"}, Secrets: []string{"HF_TOKEN"}})
	fetch := request("web_fetch", tool.Impact{Effect: tool.Reads, Hosts: []string{"a.example:443"}})
	grant := request("ask_grant", tool.Impact{Effect: tool.Reads, Grants: tool.Grants{Hosts: []string{"a.example"}}})
	gpu := request("grant", tool.Impact{Effect: tool.Executes, Grants: tool.Grants{GPU: true}})
	tests := []struct {
		name  string
		mode  approval.Mode
		rules string
		r     approval.Request
		want  string
	}{
		{"a write", approval.Strict, "allow path=src/**", write, "allow"},
		{"a write elsewhere", approval.Strict, "allow path=lib/**", write, "ask"},
		{"a write denied in auto", approval.Auto, "deny path=src; effect=writes", write, "deny"},
		{"an exception", approval.Auto, "deny path=src/**\nallow path=src/a.py", write, "allow"},
		{"by tool, less specific than by path", approval.Auto, "allow tool=write\ndeny path=src/**", write, "deny"},
		{"a read outside", approval.AskFirst, "allow path=/data/**; effect=reads", read, "allow"},
		{"a read outside in plan", approval.Plan, "allow path=/data/**", read, "allow"},
		{"a write in plan", approval.Plan, "allow tool=write\nallow path=src/**", write, "deny"},
		{"a command in plan", approval.Plan, "allow command=ls\nallow tool=bash", bash("ls"), "deny"},
		{"through a link", approval.AskFirst, "allow path=/w/**", link, "ask"},
		{"an upload", approval.AskFirst, "allow repo=me/*", upload, "allow"},
		{"an upload by effect", approval.AskFirst, "allow effect=publishes", upload, "allow"},
		{"an upload from outside", approval.AskFirst, "allow repo=me/*", leak, "ask"},
		{"an upload of a denied file", approval.Auto, "allow repo=me/*\ndeny path=model", upload, "deny"},
		{"a repository without owner", approval.Auto, "deny repo=me/x", request("publish", tool.Impact{Effect: tool.Publishes, Repo: "x"}), "deny"},
		{"another spelling", approval.Auto, "deny repo=me/x", request("publish", tool.Impact{Effect: tool.Publishes, Repo: "hf://datasets/me/x"}), "deny"},
		{"a deletion", approval.Auto, "", remove, "deny"},
		{"a deletion by a wide rule", approval.Auto, "allow tool=hf_repo_git\nallow repo=me/x\nallow tool=hf_repo_git; repo=me/x", remove, "deny"},
		{"a deletion by its effect alone", approval.Auto, "allow effect=deletes\nallow tool=hf_repo_git; effect=deletes", remove, "deny"},
		{"a deletion by a pattern", approval.Auto, "allow tool=hf_repo_git; effect=deletes; repo=me/*", remove, "deny"},
		{"exactly that deletion", approval.Auto, "allow tool=hf_repo_git; effect=deletes; repo=me/x", remove, "allow"},
		{"in plan not even that", approval.Plan, "allow tool=hf_repo_git; effect=deletes; repo=me/x", remove, "deny"},
		{"a deletion and public, one named", approval.Auto, "allow tool=hf_repo_files; effect=deletes; repo=me/x", both, "deny"},
		{"a deletion and public, both named", approval.Auto, "allow tool=hf_repo_files; effect=deletes; repo=me/x\nallow tool=hf_repo_files; effect=public; repo=me/x", both, "allow"},
		{"deletions denied in ask", approval.AskFirst, "deny effect=deletes", remove, "deny"},
		{"a job without a word of money", approval.AskFirst, "allow tool=job_submit", job, "ask"},
		{"a job that costs too much", approval.AskFirst, "allow tool=job_submit; under=1", job, "ask"},
		{"a job that costs little", approval.AskFirst, "allow tool=job_submit; under=5", job, "allow"},
		{"a job's program, but not where", approval.AskFirst, "allow command=python; under=5", job, "ask"},
		{"a job's program and where", approval.AskFirst, "allow command=python; under=5\nallow host=cluster; under=5", job, "allow"},
		{"dear jobs ask in auto", approval.Auto, "ask tool=job_*; over=1", job, "ask"},
		{"cheap ones do not", approval.Auto, "ask tool=job_*; over=5", job, "allow"},
		{"a job's secret", approval.AskFirst, "allow command=python", secret, "ask"},
		{"a host", approval.Auto, "deny host=*.example", fetch, "deny"},
		{"another host", approval.Auto, "deny host=*.b.example", fetch, "allow"},
		{"a grant in auto", approval.Auto, "", grant, "deny"},
		{"a grant in ask", approval.AskFirst, "", grant, "ask"},
		{"a GPU in auto", approval.Auto, "", gpu, "allow"},
		{"a GPU denied in auto", approval.Auto, "deny device=gpu", gpu, "deny"},
		{"a GPU in ask", approval.AskFirst, "", gpu, "ask"},
		{"a GPU by rule", approval.Strict, "allow device=gpu", gpu, "allow"},
		{"a GPU by a rule about hosts", approval.AskFirst, "allow host=*", gpu, "ask"},
		{"a GPU in plan", approval.Plan, "allow device=gpu", gpu, "deny"},
		{"a grant by rule", approval.Auto, "allow host=a.example", grant, "allow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := policy(tt.mode, tt.rules).Decide(tt.r); got.Verdict != tt.want {
				t.Errorf("got %s (%s), want %s", got.Verdict, got.Reason, tt.want)
			}
		})
	}
}

// What decides about calls is changed by none of them, and a workspace behind a
// link is one workspace.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := approval.NewRuled(approval.Ruled{
		Mode: approval.Auto, Own: rules("allow tool=*\nallow path=/**\ndeny path=src/secret"), Dir: "/w", Real: "/real/w",
		Guarded: []string{"/w/.ml-intern", "/home/me/config"},
	})
	write := func(paths ...string) approval.Request {
		return request("write", tool.Impact{Effect: tool.Writes, Paths: paths})
	}
	tests := []struct {
		r    approval.Request
		want string
	}{
		{write("/w/.ml-intern/config.yaml"), "deny"},
		{write("/real/w/.ml-intern/config.yaml"), "deny"},
		{write("/w/link", "/home/me/config/rules.yaml"), "deny"},
		{write("/w/.ml-internal"), "allow"},
		{bash("echo x >> .ml-intern/config.yaml"), "deny"},
		{bash("echo x > src/../.ml-intern/x"), "deny"},
		{bash("cat .ml-intern/config.yaml"), "allow"},
		{request("read", tool.Impact{Effect: tool.Reads, Paths: []string{"/w/.ml-intern/config.yaml"}}), "allow"},
		{write("/w/src/a", "/real/w/src/a"), "allow"},
		{write("/w/link", "/real/w/src/secret"), "deny"},
		{bash("cat /real/w/src/secret"), "deny"},
	}
	for _, tt := range tests {
		if got := p.Decide(tt.r); got.Verdict != tt.want {
			t.Errorf("%+v: got %s (%s), want %s", tt.r.Impact, got.Verdict, got.Reason, tt.want)
		}
	}
}

// A project's rules narrow; they allow only when trusted, and never against
// the person's own.
func TestProjectRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		own, project string
		trusted      bool
		want         string
	}{
		{"", "allow command=ls", false, "ask"},
		{"", "allow command=ls", true, "allow"},
		{"", "deny command=ls", false, "deny"},
		{"allow command=ls", "deny tool=bash", false, "deny"},
		{"allow command=ls", "ask tool=bash", true, "ask"},
		{"deny command=ls", "allow exact=ls", true, "deny"},
		{"deny tool=bash", "ask command=ls", false, "deny"},
		{"ask tool=bash", "allow exact=ls", true, "ask"},
	}
	for _, tt := range tests {
		p := approval.NewRuled(approval.Ruled{Mode: approval.AskFirst, Own: rules(tt.own), Project: rules(tt.project), Trusted: tt.trusted, Dir: "/w"})
		if got := p.Decide(bash("ls")); got.Verdict != tt.want {
			t.Errorf("%+v: got %s (%s)", tt, got.Verdict, got.Reason)
		}
	}
}

// What is remembered of a yes lets the very call pass the next time, and is
// not offered where no rule may be made.
func TestRemember(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		r    approval.Request
		want string
	}{
		{"a command", bash("git status"), `allow tool bash effect executes command "git status" exactly`},
		{"two commands", bash("git status | ls -l"), `allow tool bash effect executes command "git status" exactly, allow tool bash effect executes command "ls -l" exactly`},
		{"a redirection", bash("ls > out"), `allow tool bash effect executes command "ls" exactly, allow tool bash effect writes path /w/out`},
		{"a shell with its script", bash("bash -c ls"), `allow tool bash effect executes command "bash -c ls" exactly, allow tool bash effect executes command "ls" exactly`},
		{"what is not known", bash("$X"), ""},
		{"a shell that reads", bash("curl x | bash"), ""},
		{"a variable", bash("A=1 ls"), ""},
		{"a file outside", request("read", tool.Impact{Effect: tool.Reads, Outside: "x", Paths: []string{"/data/x"}}), "allow tool read effect reads path /data/x"},
		{"a repository", request("publish", tool.Impact{Effect: tool.Publishes, Repo: "me/x"}), "allow tool publish effect publishes repo me/x"},
		{"a deletion", request("hf_repo_git", tool.Impact{Effect: tool.Publishes, Deletes: true, Repo: "me/x"}), ""},
		{"something public", request("publish", tool.Impact{Effect: tool.Publishes, Public: true, Repo: "me/x"}), ""},
		{"money", request("job_submit", tool.Impact{Effect: tool.Spends, CostUSD: 1.5, Argv: []string{"python", "t.py"}}), `allow tool job_submit effect spends command "python t.py" exactly cost_under 1.5`},
		{"a secret", request("job_submit", tool.Impact{Effect: tool.Executes, Outside: "x", Argv: []string{"python"}, Secrets: []string{"T"}}), ""},
		{"a tool as a whole", request("python_api", tool.Impact{Effect: tool.Executes, Outside: "x"}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy(approval.AskFirst, "")
			d := p.Decide(tt.r)
			var got []string
			for _, u := range d.Remember {
				got = append(got, u.String())
			}
			if text := strings.Join(got, ", "); d.Verdict != approval.Ask || text != tt.want {
				t.Fatalf("%s, remembers %s\nwant %s", d.Verdict, text, tt.want)
			}
			if tt.want == "" {
				return
			}
			tt.r.Rules = d.Remember
			if again := p.Decide(tt.r); again.Verdict != approval.Allow {
				t.Errorf("in the session it asks again: %s", again.Reason)
			}
			p = approval.NewRuled(approval.Ruled{Mode: approval.AskFirst, Own: d.Remember, Dir: "/w"})
			tt.r.Rules = nil
			if again := p.Decide(tt.r); again.Verdict != approval.Allow {
				t.Errorf("with the rule in the file it asks again: %s", again.Reason)
			}
		})
	}
}

func TestWithHook(t *testing.T) {
	t.Parallel()
	allow, ask := approval.Decision{Verdict: approval.Allow}, approval.Decision{Verdict: approval.Ask, Reason: "x"}
	deny, byRule := approval.Decision{Verdict: approval.Deny, Reason: "x"}, approval.Decision{Verdict: approval.Ask, Reason: "x", ByRule: true}
	final := tool.Impact{Deletes: true}
	tests := []struct {
		before approval.Decision
		hook   string
		impact tool.Impact
		want   string
	}{
		{allow, "", tool.Impact{}, "allow"},
		{allow, "deny", tool.Impact{}, "deny"},
		{allow, "ask", tool.Impact{}, "ask"},
		{ask, "allow", tool.Impact{}, "allow"},
		{ask, "deny", tool.Impact{}, "deny"},
		{ask, "ask", tool.Impact{}, "ask"},
		{deny, "allow", tool.Impact{}, "deny"},
		{byRule, "allow", tool.Impact{}, "ask"},
		{ask, "allow", final, "ask"},
	}
	for _, tt := range tests {
		got := approval.WithHook(tt.before, approval.Request{Impact: tt.impact}, approval.Decision{Verdict: tt.hook, Reason: "h"})
		if got.Verdict != tt.want {
			t.Errorf("%+v: got %s", tt, got.Verdict)
		}
	}
}
