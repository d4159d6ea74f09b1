package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/dataset"
	"ml-intern/internal/experiment"
	"ml-intern/internal/llm"
)

// A bench is a small real world for the model: a folder in which its commands
// and jobs really run. Its Hub is a map.
type bench struct {
	t        *testing.T
	dir      string
	env      []string
	messages []llm.Message
	reason   string // of the last reply
	submits  map[string]int
	jobs     []run
	hub      map[string]map[string]string
	card     string // put in place of the number on the card
	script   string // put in place of every train.py
	noJobs   bool

	// fake, if set, answers calls in place of the real tools.
	fake func(llm.ToolCall) llm.ToolResult
}

var allTools = []string{"plan", "inspect_dataset", "read", "write", "edit", "bash", "job_submit", "job_wait", "job_logs", "job_cancel", "compare_runs", "publish", "hub_download"}

// newBench has python3 and, if uv is not empty, that uv on its PATH.
func newBench(t *testing.T, uv string) *bench {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("these tests need python3:", err)
	}
	bin := t.TempDir()
	for name, program := range map[string]string{"python3": python, "uv": uv} {
		if program == "" {
			continue
		}
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=" + bin + ":/usr/bin:/bin"}
	if uv == "" {
		// A real uv may be in /usr/bin; this one says that it is not there.
		missing := filepath.Join(bin, "uv")
		if err := os.WriteFile(missing, []byte("#!/bin/sh\nexit 127\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "UV_") || strings.HasPrefix(pair, "HOME=") || strings.HasPrefix(pair, "XDG_") || strings.HasPrefix(pair, "LANG=") {
			env = append(env, pair)
		}
	}
	return &bench{t: t, dir: t.TempDir(), env: env, submits: map[string]int{}, hub: map[string]map[string]string{}}
}

func (b *bench) put(name, content string) {
	b.t.Helper()
	file := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) text(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// say gives the model a prompt and runs its calls until it answers.
func (b *bench) say(prompt string) string {
	b.t.Helper()
	b.messages = append(b.messages, userSays(prompt))
	return b.goOn()
}

func userSays(text string) llm.Message {
	return llm.Message{Role: llm.User, Parts: []llm.Part{{Text: text}}}
}

func (b *bench) goOn() string {
	b.t.Helper()
	for range 60 {
		r := ask(b.t, b.messages)
		b.messages = append(b.messages, r.Message)
		b.reason = r.End.Reason
		calls := r.Message.Calls()
		if len(calls) == 0 {
			return r.Message.Text()
		}
		for _, call := range calls {
			result := b.call(call)
			result.CallID = call.ID
			b.messages = append(b.messages, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &result}}})
		}
	}
	b.t.Fatal("the model does not come to an end")
	return ""
}

// ask returns the model's reply, which must be well formed.
func ask(t *testing.T, messages []llm.Message) llm.Reply {
	t.Helper()
	req := llm.Request{System: "You are a test.", Messages: messages}
	for _, name := range allTools {
		req.Tools = append(req.Tools, llm.ToolSpec{Name: name})
	}
	var sum llm.Collector
	for chunk, err := range (Model{}).Stream(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		sum.Add(chunk)
	}
	r, whole := sum.Reply()
	calls := r.Message.Calls()
	switch {
	case !whole:
		t.Fatal("the reply has no end")
	case len(calls) == 0 && r.Message.Text() == "":
		t.Fatal("the reply is empty")
	case (len(calls) > 0) != (r.End.Reason == llm.EndCalls):
		t.Fatalf("the reply has %d calls and ends as %q", len(calls), r.End.Reason)
	}
	for _, call := range calls {
		if !json.Valid([]byte(call.Args)) || !slices.Contains(allTools, call.Name) {
			t.Fatalf("malformed call %s %s", call.Name, call.Args)
		}
	}
	return r
}

func failure(format string, args ...any) llm.ToolResult {
	return llm.ToolResult{Text: fmt.Sprintf(format, args...), IsError: true}
}

func jsonResult(v any) llm.ToolResult {
	text, err := json.Marshal(v)
	if err != nil {
		return failure("%v", err)
	}
	return llm.ToolResult{Text: string(text)}
}

type callArgs struct {
	Path, Target, Content, Command, Name, Script, Job, Metric, Repo, Dir, Evaluation string
	Args, Jobs, Files                                                                []string
	Private                                                                          *bool
}

func (b *bench) call(call llm.ToolCall) llm.ToolResult {
	if call.Name == "job_submit" {
		b.submits[call.Args]++
	}
	if b.fake != nil {
		return b.fake(call)
	}
	var in callArgs
	if call.Name != "plan" {
		var raw map[string]json.RawMessage
		_ = json.Unmarshal([]byte(call.Args), &raw)
		delete(raw, "card")
		delete(raw, "env")
		clean, _ := json.Marshal(raw)
		if err := json.Unmarshal(clean, &in); err != nil {
			b.t.Fatalf("%s %s: %v", call.Name, call.Args, err)
		}
	}
	switch call.Name {
	case "plan":
		return llm.ToolResult{Text: "plan saved"}
	case "inspect_dataset":
		return b.inspect(in)
	case "write":
		if in.Path == trainFile && b.script != "" {
			in.Content = b.script
		}
		b.put(in.Path, in.Content)
		return llm.ToolResult{Text: "wrote " + in.Path}
	case "bash":
		return b.bash(in.Command)
	case "job_submit":
		if b.noJobs {
			return failure("there are no jobs here")
		}
		return b.submit(in)
	case "job_wait":
		return jsonResult(map[string]any{"done": true, "jobs": b.jobs[len(b.jobs)-len(in.Jobs):]})
	case "job_logs":
		return jsonResult(map[string]any{"text": b.find(in.Job).LogTail})
	case "compare_runs":
		return b.compare(in)
	case "publish":
		return b.publish(in)
	case "hub_download":
		for name, content := range b.hub[in.Repo] {
			b.put(filepath.Join(in.Dir, name), content)
		}
		return jsonResult(map[string]any{"repo": in.Repo, "dir": in.Dir})
	}
	return failure("there is no tool %q", call.Name)
}

func (b *bench) inspect(in callArgs) llm.ToolResult {
	file := in.Path
	if !filepath.IsAbs(file) {
		file = filepath.Join(b.dir, file)
	}
	p, err := dataset.Inspect(b.t.Context(), file, dataset.Options{Target: in.Target})
	if e, ok := errors.AsType[*dataset.Error](err); ok {
		return failure("%s: %s; %s", e.Code, e.Message, e.Hint)
	}
	if err != nil {
		return failure("%v", err)
	}
	return jsonResult(p)
}

func (b *bench) exec(env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(b.t.Context(), name, args...)
	cmd.Dir = b.dir
	cmd.Env = append(slices.Clone(b.env), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *bench) bash(command string) llm.ToolResult {
	out, err := b.exec(nil, "/bin/sh", "-c", command)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		b.t.Fatal(err)
	}
	return llm.ToolResult{Text: fmt.Sprintf("%s\n[exit %d, 0.1 s]", strings.TrimSuffix(out, "\n"), code), IsError: code != 0}
}

func (b *bench) submit(in callArgs) llm.ToolResult {
	id := fmt.Sprintf("job%d", len(b.jobs)+1)
	job := run{Job: id, Name: in.Name, State: "succeeded", OutputDir: "runs/" + id, Seconds: 1}
	words := append([]string{in.Script}, in.Args...)
	program := "python3"
	if strings.Contains(b.text(in.Script), "scikit-learn>=") {
		words = append([]string{"run", "-q", "--offline"}, words...)
		program = "uv"
	}
	out, err := b.exec([]string{"OUTPUT_DIR=" + filepath.Join(b.dir, "runs", id)}, filepath.Join(strings.TrimPrefix(strings.Split(b.env[0], ":")[0], "PATH="), program), words...)
	job.LogTail = out
	if err != nil {
		job.State, job.Reason = "failed", err.Error()
	}
	b.jobs = append(b.jobs, job)
	return jsonResult(map[string]any{"job": id, "state": "running", "output_dir": job.OutputDir})
}

func (b *bench) find(id string) run {
	for _, j := range b.jobs {
		if j.Job == id {
			return j
		}
	}
	b.t.Fatalf("no job %q", id)
	return run{}
}

func (b *bench) compare(in callArgs) llm.ToolResult {
	var runs []experiment.Run
	ids := map[string]string{}
	for _, id := range in.Jobs {
		j := b.find(id)
		m, err := experiment.ReadMetrics(strings.NewReader(b.text(j.OutputDir + "/metrics.json")))
		if err != nil {
			return failure("metrics of %s: %v", id, err)
		}
		runs = append(runs, experiment.Run{Name: j.Name, Metrics: m})
		ids[j.Name] = id
	}
	c, err := experiment.Compare(runs, in.Metric)
	if err != nil {
		return failure("%v", err)
	}
	return jsonResult(map[string]any{"choice": c.Choice, "chosen_job": ids[c.Choice], "table": c.Table(), "verdict": c.Verdict, "warnings": c.Warnings, "pairs": c.Pairs})
}

func (b *bench) publish(in callArgs) llm.ToolResult {
	files := map[string]string{}
	for _, f := range in.Files {
		files[filepath.Base(f)] = b.text(f)
	}
	var eval evaluation
	if err := json.Unmarshal([]byte(b.text(in.Evaluation)), &eval); err != nil {
		return failure("%v", err)
	}
	var card bytes.Buffer
	fmt.Fprintf(&card, "---\ntags:\n- ml-intern\nmodel-index:\n- name: x\n  results:\n  - task:\n      type: tabular-classification\n    dataset:\n      name: y\n      split: holdout\n    metrics:\n")
	for _, name := range slices.Sorted(maps.Keys(eval.Metrics)) {
		value := fmt.Sprintf("%v", eval.Metrics[name])
		if b.card != "" {
			value = b.card
		}
		fmt.Fprintf(&card, "    - type: %s\n      name: %s (holdout)\n      value: %s\n", name, name, value)
	}
	card.WriteString("---\n\n# x\n")
	files["README.md"] = card.String()
	repo := in.Repo
	if !strings.Contains(repo, "/") {
		repo = "me/" + repo
	}
	b.hub[repo] = files
	return jsonResult(map[string]any{"repo": repo, "url": "http://hub.test/" + repo, "commit": "c0ffee", "private": in.Private == nil || *in.Private})
}
