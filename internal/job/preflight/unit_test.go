package preflight_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
)

func check(t testing.TB, r preflight.Request) preflight.Report {
	t.Helper()
	report, err := preflight.Check(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// plainRequest is a job of a script that asks for nothing.
func plainRequest(script string) preflight.Request {
	return preflight.Request{
		Spec:  job.Spec{Script: "train.py", Dir: "/home/ada/space", TimeLimit: time.Hour},
		Offer: offers["free"], Remote: true, Python: preflight.Interpreter{}, Files: fstest.MapFS{"train.py": {Data: []byte(script)}},
	}
}

// No line of the script runs, and what reads it knows no secrets.
func TestNothingRuns(t *testing.T) {
	needPython(t)
	file := filepath.Join(t.TempDir(), "ran")
	report := check(t, plainRequest("import os\nopen("+`"`+file+`", "w").write("x")`+"\nos.system('touch "+file+"')\n"))
	if _, err := os.Stat(file); err == nil {
		t.Error("the script ran")
	}
	if len(report.Blocking()) > 0 {
		t.Error(report)
	}
	t.Setenv("HF_TOKEN", "hf_of_this_process")
	out, err := preflight.Interpreter{}.Run(t.Context(), preflight.Program{Code: "import os, sys; sys.stdout.write(str(dict(os.environ)) + sys.stdin.read())", Input: []byte("said")})
	if err != nil || strings.Contains(string(out), "hf_of") || !strings.HasSuffix(string(out), "said") {
		t.Errorf("Run = %s, %v", out, err)
	}
}

// Without Python the report says so, and checks what it can.
func TestWithoutPython(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	r := plainRequest("print(1)\n")
	r.Offer = offers["a10g"]
	report := check(t, r)
	if matching(report.Findings, "note unchecked there is no Python here") < 0 || matching(report.Findings, "warning smoke") < 0 {
		t.Error(report)
	}
	r.Python = nil
	if report := check(t, r); matching(report.Findings, "note unchecked there is no Python here") < 0 {
		t.Error(report)
	}
	r.Python = preflight.Interpreter{Path: "/nonexistent/python"}
	if report := check(t, r); matching(report.Findings, "note unchecked Python did not read it") < 0 {
		t.Error(report)
	}
}

// A header may ask for no Python that there is none of, and one that this machine
// does not have is said.
func TestHeaderPython(t *testing.T) {
	t.Parallel()
	needPython(t)
	for want, found := range map[string]string{
		">=4": `error packages the job asks for Python ">=4"`, "<3.8": "error packages", ">=3.90": "note unchecked the script asks for Python >=3.90, and Python 3.", ">=3.8": "",
	} {
		r := plainRequest("# /// script\n# requires-python = \"" + want + "\"\n# ///\nprint(1)\n")
		r.Offer, r.Remote = offers["local"], false
		findings := check(t, r).Findings
		if found == "" && len(findings) > 0 || found != "" && matching(findings, found) < 0 {
			t.Errorf("%s: %+v", want, findings)
		}
	}
}

// A job that names no packages gets those of this machine's Python.
func TestInstalled(t *testing.T) {
	t.Parallel()
	needPython(t)
	r := plainRequest("import json\nimport surely_not_there\nfrom trl import SFTConfig, SFTTrainr\nc = SFTConfig(output_dir='o', max_seq_length=3)\nc = SFTConfig(output_dir='o', max_length=3)\n")
	r.Offer, r.Remote, r.Installed = offers["local"], false, onShelf{}
	left := check(t, r).Blocking()
	for _, want := range []string{"error import surely_not_there", "error import trl 1.0 has no SFTTrainr", "error argument SFTConfig of trl 1.0 takes no argument max_seq_length"} {
		if matching(left, want) < 0 {
			t.Errorf("no %s in %+v", want, left)
		}
	}
	if len(left) != 3 {
		t.Errorf("%+v", left)
	}
	site, err := preflight.Interpreter{}.Find(t.Context(), []string{"json", "surely_not_there"})
	if err != nil || len(site.Path) == 0 || strings.Join(site.Missing, " ") != "surely_not_there" || site.Python == "" {
		t.Errorf("Find = %+v, %v", site, err)
	}
}

// onShelf is a Python that has the packages of testdata.
type onShelf struct{}

func (onShelf) Find(context.Context, []string) (preflight.Site, error) {
	dir, err := filepath.Abs("testdata/packages")
	return preflight.Site{Versions: map[string]string{"trl": "1.0", "transformers": "1.0"}, Missing: []string{"surely_not_there"}, Path: []string{dir}, Python: "/usr/bin/python3"}, err
}

func TestCheckFails(t *testing.T) {
	t.Parallel()
	r := plainRequest("print(1)\n")
	r.Spec.Dir = "relative"
	if _, err := preflight.Check(t.Context(), r); err == nil || !strings.Contains(err.Error(), "not an absolute path") {
		t.Errorf("a spec that is none: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := preflight.Check(ctx, plainRequest("print(1)\n")); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	r = plainRequest("")
	r.Spec.Script = "../outside.py"
	if report := check(t, r); matching(report.Findings, "error script not inside the workspace") < 0 {
		t.Error(report)
	}
}

// Warnings need a reason; errors cannot be waived, and blanks are no reason.
func TestWaivers(t *testing.T) {
	t.Parallel()
	needPython(t)
	r := plainRequest("import os\nos.environ['X']\n")
	r.Offer = offers["a10g"]
	r.Waivers = map[string]string{preflight.CodeSmoke: "  ", preflight.CodeEnv: "let it be"}
	left := check(t, r).Blocking()
	if len(left) != 2 || matching(left, "error environment X") < 0 || matching(left, "warning smoke") < 0 {
		t.Errorf("%+v", left)
	}
	r.Waivers = map[string]string{preflight.CodeSmoke: "it is 3 lines"}
	report := check(t, r)
	if left := report.Blocking(); len(left) != 1 || !strings.Contains(report.String(), "waived: it is 3 lines") {
		t.Errorf("%+v\n%s", left, report)
	}
}

// Of a sweep that costs money the first goes alone, until a job of the script
// has shown progress.
func TestSweep(t *testing.T) {
	t.Parallel()
	needPython(t)
	for name, c := range map[string]struct {
		offer   string
		jobs    int
		proven  bool
		stopped bool
	}{
		"paid": {"a10g", 8, false, true}, "proven": {"a10g", 8, true, false}, "one": {"a10g", 1, false, false}, "free": {"free", 8, false, false},
	} {
		r := plainRequest("print(1)\n")
		r.Offer, r.Jobs = offers[c.offer], c.jobs
		if r.Earlier = (past{smoke: true, proven: c.proven, unproven: "j9"}); c.proven && len(check(t, r).Blocking()) > 0 {
			t.Errorf("%s: that another still waits is in the way", name)
		}
		r.Earlier = past{smoke: true, proven: c.proven}
		if found := matching(check(t, r).Blocking(), "warning batch 8 jobs that cost money") >= 0; found != c.stopped {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	needPython(t)
	r := plainRequest("a = 1\nb = 2\n")
	r.Spec.Args = []string{"--lr", "1e-4", "--seed", "3"}
	before := preflight.Run{ID: "j1", Spec: r.Spec, Script: "a = 1\nb = 3\n"}
	before.Spec.Args = []string{"--lr", "2e-4", "--seed", "3"}
	r.Earlier = past{previous: &before}
	diff := check(t, r).Diff
	for _, want := range []string{"-argument: --lr 2e-4\n", "+argument: --lr 1e-4\n", "-b = 3\n", "+b = 2\n", "train.py of j1"} {
		if !strings.Contains(diff, want) {
			t.Errorf("no %q in:\n%s", want, diff)
		}
	}
	if strings.Contains(diff, "-argument: --seed") || strings.Contains(diff, "-a = 1") {
		t.Errorf("what is the same is told:\n%s", diff)
	}
	before.Script, before.Spec.Args = "a = 1\nb = 2\n", r.Spec.Args
	if diff := check(t, r).Diff; diff != "" {
		t.Errorf("nothing changed: %s", diff)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	open := map[string]bool{"j1": true, "j2": true}
	h := preflight.History{Dir: filepath.Join(t.TempDir(), "jobs"), Open: func(_ context.Context, id string) bool { return open[id] }}
	ctx := t.Context()
	spec := job.Spec{Script: "a.py", Dir: "/w", Name: "x"}
	if _, ok := h.Previous(ctx, spec); ok {
		t.Error("there is something in an empty folder")
	}
	for _, r := range []preflight.Run{{ID: "j1", Spec: spec, Script: "one"}, {ID: "j2", Spec: spec, Script: "two"}} {
		if err := h.Submitted(r); err != nil {
			t.Fatal(err)
		}
	}
	if r, ok := h.Previous(ctx, spec); !ok || r.ID != "j2" || r.Script != "two" {
		t.Errorf("Previous = %+v, %v", r, ok)
	}
	if _, ok := h.Previous(ctx, job.Spec{Script: "a.py", Dir: "/elsewhere"}); ok {
		t.Error("a job of another folder counts")
	}
	first := hash(t, "one")
	if id, ok := h.Unproven(ctx, first); !ok || id != "j1" {
		t.Errorf("Unproven = %s, %v", id, ok)
	}
	if _, ok := h.Smoke(ctx, first); ok {
		t.Error("it was not tried")
	}
	if err := h.Tried(preflight.Smoke{SHA256: hash(t, "two"), StepTime: time.Second, Flavor: "a"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"j1", "j2", "j1"} {
		if err := h.Progressed(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := h.Unproven(ctx, first); ok {
		t.Error("it has shown progress")
	}
	if s, ok := h.Smoke(ctx, first); !ok || s.SHA256 != first {
		t.Errorf("Smoke = %+v, %v", s, ok)
	}
	if s, _ := h.Smoke(ctx, hash(t, "two")); s.StepTime != time.Second {
		t.Errorf("what was measured is lost: %+v", s)
	}
	if err := h.Progressed("j9"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("Progressed of no job: %v", err)
	}
	if err := os.WriteFile(filepath.Join(h.Dir, "job-broken.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, ok := h.Previous(ctx, spec); !ok || r.ID != "j2" {
		t.Errorf("with a broken file: %+v, %v", r, ok)
	}
}

// hash is a script's, as the report says it.
func hash(t *testing.T, script string) string {
	r := plainRequest(script)
	r.Python = nil
	return check(t, r).SHA256
}

// An edit of the script asks for another trial.
func TestEditAsksAgain(t *testing.T) {
	t.Parallel()
	h := preflight.History{Dir: t.TempDir()}
	if err := h.Tried(preflight.Smoke{SHA256: hash(t, "print(1)\n")}); err != nil {
		t.Fatal(err)
	}
	for script, wants := range map[string]bool{"print(1)\n": false, "print(2)\n": true} {
		r := plainRequest(script)
		r.Offer, r.Earlier = offers["a10g"], h
		if got := matching(check(t, r).Findings, "warning smoke") >= 0; got != wants {
			t.Errorf("%q asks for a trial: %v", script, got)
		}
	}
}

// A slow Hub or Python does not hold a submission up for ever, and a canceled
// one ends at once.
func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := plainRequest("print(1)\n")
	r.Python = stuck{}
	begin := time.Now()
	if _, err := preflight.Check(ctx, r); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > time.Minute {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

type stuck struct{}

func (stuck) Run(ctx context.Context, _ preflight.Program) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// BenchmarkCheck is a whole check with Python, without a network.
func BenchmarkCheck(b *testing.B) {
	needPython(b)
	script, err := os.ReadFile("testdata/bench.py")
	if err != nil {
		b.Fatal(err)
	}
	r := plainRequest(string(script))
	r.Packages, r.Spec.Secrets = shelf{}, []string{"HF_TOKEN"}
	for b.Loop() {
		if report := check(b, r); len(report.Blocking()) > 0 {
			b.Fatal(report)
		}
	}
}

// Of what is estimated, the sums are those of the papers: 16 bytes for each
// parameter that is trained in 32 bits by AdamW, 8 if all is in 16 bits.
func TestEstimate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const billion = 1e9
	tests := []struct {
		load, config, more string
		bytes              float64 // a parameter
	}{
		{"dtype=torch.float32", "", "", 16},
		{"dtype=torch.bfloat16", "bf16=True", "", 8},
		{"dtype='bfloat16'", "optim='adamw_bnb_8bit'", "", 6},
		{"torch_dtype=torch.float32", "optim='adafactor'", "", 8},
		{"dtype='auto'", "optim='sgd'", "", 4},
		{"dtype='auto'", "optim='lion_32bit'", "", 6},
		{"load_in_8bit=True", "", ", peft_config=LoraConfig(r=8)", 1.05},
		{"load_in_4bit=True", "", ", peft_config=LoraConfig(r=8)", 0.55},
	}
	for _, test := range tests {
		r := plainRequest("import torch\nfrom peft import LoraConfig\nfrom transformers import AutoModelForCausalLM\nfrom trl import SFTConfig, SFTTrainer\n" +
			"m = AutoModelForCausalLM.from_pretrained('Qwen/Qwen2.5-7B', " + test.load + ")\n" +
			"SFTTrainer(m, args=SFTConfig('o', " + test.config + ")" + test.more + ").train()\n")
		r.Hub, r.Python = w, w.python
		e := check(t, r).Memory
		if e == nil {
			t.Fatalf("%s: no estimate", test.load)
		}
		if got := float64(e.Least()) / (7 * billion); got < test.bytes*0.99 || got > test.bytes*1.02 {
			t.Errorf("%s %s: %.2f bytes a parameter, not %.2f: %s", test.load, test.config, got, test.bytes, e)
		}
	}
}
