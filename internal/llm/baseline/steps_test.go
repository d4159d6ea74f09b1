package baseline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/llm"
)

// world answers calls as a machine would on which everything goes well, less
// what a test changes: the first override whose key is in the call wins.
type world struct {
	changes []change
	jobs    int
}

// A change answers calls that contain a text, as often as times says, or
// always if that is 0.
type change struct {
	call  string // tool name and a part of the arguments, separated by a blank
	text  string
	fails bool
	times int
}

func (w *world) answer(call llm.ToolCall) llm.ToolResult {
	for i := range w.changes {
		c := &w.changes[i]
		name, part, _ := strings.Cut(c.call, " ")
		if name != call.Name || !strings.Contains(call.Args, part) || c.times < 0 {
			continue
		}
		if c.times > 0 {
			if c.times--; c.times == 0 {
				c.times = -1
			}
		}
		return llm.ToolResult{Text: c.text, IsError: c.fails}
	}
	return llm.ToolResult{Text: w.good(call)}
}

func (w *world) good(call llm.ToolCall) string {
	switch call.Name {
	case "plan":
		return "plan saved"
	case "inspect_dataset":
		return irisProfile
	case "write":
		return "wrote it"
	case "bash":
		return goodCommand(call.Args) + "\n[exit 0, 1.2 s]"
	case "job_submit":
		w.jobs++
		var in struct{ Name string }
		_ = json.Unmarshal([]byte(call.Args), &in)
		return fmt.Sprintf(`{"job":"j-%s","state":"queued","output_dir":"runs/j-%s"}`, in.Name, in.Name)
	case "job_wait":
		return waited("succeeded", "succeeded", "succeeded", "succeeded")
	case "job_logs":
		return `{"text":"Traceback (most recent call last):\n  File \"x\"\nMemoryError: too much\n","next":9}`
	case "compare_runs":
		return `{"chosen_job":"j-forest","jobs":{},"table":"  run     accuracy\n* forest  0.95 ± 0.02\n","metric":"accuracy","choice":"forest","verdict":"forest is better than every other run (accuracy 0.95)"}`
	case "publish":
		return `{"repo":"me/iris-baseline","url":"http://hub.test/me/iris-baseline","commit":"c0ffee","private":true,"unchanged":false,"files":[]}`
	case "hub_download":
		return `{"repo":"me/iris-baseline","commit":"c0ffee","dir":"downloaded/iris-baseline","files":[]}`
	}
	return ""
}

func goodCommand(args string) string {
	switch {
	case strings.Contains(args, "uv --version"):
		return "uv 0.9.1\nPython 3.12.1\ncores: 2"
	case strings.Contains(args, "--check"):
		return `{"ready": {"python": "3.12.1"}}`
	case strings.Contains(args, "--smoke"):
		return `{"smoke": "passed", "rows": 119}`
	case strings.Contains(args, "split.py"):
		return `{"rows_read": 150, "features": 4, "dropped": [], "train": {"rows": 119, "sha256": "a"}, "holdout": {"rows": 30, "sha256": "b"}, "notes": []}`
	case strings.Contains(args, "fetch_data.py"):
		return `{"file": "baseline/wine.csv", "rows": 178, "columns": 14, "target": "cultivar"}`
	case strings.Contains(args, "--card"):
		return `{"metric": "accuracy", "value": 0.9667, "n": 30, "metrics": {"accuracy": 0.9667}, "card_value": 0.9667, "agrees": true}`
	case strings.Contains(args, "evaluate.py"):
		return `{"metric": "accuracy", "value": 0.9667, "n": 30, "metrics": {"accuracy": 0.9667, "f1_macro": 0.966}}`
	}
	return ""
}

const (
	irisColumns = `"format":"csv","delimiter":",","has_header":true,"rows":150,"column_count":5,"columns":[{"name":"sepal_length","kind":"number","missing":2},` +
		`{"name":"petal_width","kind":"number","missing":0},{"name":"species","kind":"category","missing":0}]`
	irisProfile = `{"path":"/w/iris.csv",` + irisColumns + `,"problems":["column \"petal_width\" is nearly constant."],` +
		`"target":{"name":"species","matched":"exact","task":"multiclass","class_count":3,"labelled_rows":150,"metric":"accuracy","also_report":["f1_macro"],"reason":"The target has 3 classes of similar size, so accuracy is a fair measure."}}`
	guessProfile = `{"path":"/w/iris.csv",` + irisColumns + `,"target_guess":{"name":"species","reason":"its name says so"}}`
	noGuess      = `{"path":"/w/iris.csv",` + irisColumns + `}`
	absent       = `target_absent: iris.csv: there is no column "kind" in the table.; Its columns are "sepal_length", "petal_width" and "species".`
)

func waited(states ...string) string {
	var jobs []string
	for i, name := range []string{"dummy", "logistic", "forest", "boosting"} {
		jobs = append(jobs, fmt.Sprintf(`{"job":"j-%s","name":"%s","state":"%s","output_dir":"runs/j-%s","seconds":3,"log_tail":""}`, name, name, states[i], name))
	}
	return fmt.Sprintf(`{"jobs":[%s],"done":true}`, strings.Join(jobs, ","))
}

const prompt = "train a model that predicts species from ./iris.csv, publish it as iris-baseline"

func faked(t *testing.T, changes ...change) *bench {
	w := &world{changes: changes}
	return &bench{t: t, submits: map[string]int{}, fake: w.answer}
}

// made lists the calls of the conversation, "tool arguments" each.
func (b *bench) made() []string {
	var calls []string
	for _, m := range b.messages {
		for _, c := range m.Calls() {
			calls = append(calls, c.Name+" "+c.Args)
		}
	}
	return calls
}

func (b *bench) called(part string) int {
	n := 0
	for _, c := range b.made() {
		name, rest, _ := strings.Cut(part, " ")
		if strings.HasPrefix(c, name+" ") && strings.Contains(c, rest) {
			n++
		}
	}
	return n
}

// traceback is what a command prints whose Python script fails.
func traceback(last string) string {
	return "Traceback (most recent call last):\n  File \"train.py\", line 7, in <module>\n" + last + "\n[exit 1, 2.0 s]"
}

func TestBranches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prompt  string
		changes []change
		ends    string
		says    []string // in the answer
		calls   []string // that are made
		never   []string // that are not
	}{
		{
			"all goes well", prompt, nil, llm.EndStop,
			[]string{"http://hub.test/me/iris-baseline", "0.9667", "* forest", "private", "2 cells"},
			[]string{`publish "private":true`, `publish "runs/j-forest/model.joblib"`, `hub_download "revision":"c0ffee"`},
			[]string{"bash python3 baseline/train"},
		},
		{
			"no such file", prompt,
			[]change{{call: "inspect_dataset ", text: "not_found: There is no file ./iris.csv.; Did you mean \"iris2.csv\"?", fails: true}},
			llm.EndFailed,
			[]string{"There is no file ./iris.csv. Did you mean"},
			nil,
			[]string{"write ", "job_submit ", "publish "},
		},
		{
			"the target is no column", "predict kind from iris.csv",
			[]change{{call: "inspect_dataset ", text: absent, fails: true}},
			llm.EndFailed,
			[]string{`no column "kind"`, "Its columns are"},
			nil,
			[]string{"write "},
		},
		{
			"the target is in a phrase", "predict whether the species is rare from iris.csv",
			[]change{{call: "inspect_dataset species is rare", text: absent, fails: true}, {call: `inspect_dataset {"path":"iris.csv"}`, text: noGuess}},
			llm.EndStop,
			[]string{`taken to mean the column "species"`},
			[]string{`inspect_dataset "target":"species"}`},
			nil,
		},
		{
			"a mere description", "classify kind in iris.csv",
			[]change{{call: `inspect_dataset "target":"kind"`, text: absent, fails: true}, {call: `inspect_dataset {"path":"iris.csv"}`, text: guessProfile}},
			llm.EndStop,
			[]string{`"species" is predicted`},
			nil, nil,
		},
		{
			"no target, but a guess", "train a model on iris.csv",
			[]change{{call: `inspect_dataset {"path":"iris.csv"}`, text: guessProfile}},
			llm.EndStop,
			[]string{"you named no target", "publish it as NAME"},
			nil,
			[]string{"publish ", "hub_download "},
		},
		{
			"no target and no guess", "train a model on iris.csv",
			[]change{{call: "inspect_dataset ", text: noGuess}},
			llm.EndFailed,
			[]string{"Which column", "sepal_length, petal_width, species"},
			nil,
			[]string{"write "},
		},
		{
			"no uv", prompt,
			[]change{{call: "bash uv --version", text: "uv: not found\nPython 3.11.2\n[exit 0, 0.1 s]"}},
			llm.EndStop,
			[]string{"uv is not on the PATH"},
			[]string{"bash python3 baseline/train.py --smoke", `publish "runs/j-forest/model.json"`},
			[]string{"bash uv run", "bash --check"},
		},
		{
			"no uv and no python", prompt,
			[]change{{call: "bash uv --version", text: "uv: not found\npython3: not found\n[exit 0, 0.1 s]"}},
			llm.EndFailed,
			[]string{"neither uv nor python3"},
			nil,
			[]string{"write "},
		},
		{
			"no package index", prompt,
			[]change{{call: "bash --check", text: "error: Failed to fetch: `https://pypi.org/simple/numpy/`\n  Caused by: dns error\n[exit 2, 16.0 s]", fails: true}},
			llm.EndStop,
			[]string{"could not be had here", "Failed to fetch"},
			[]string{"bash python3 baseline/train.py --smoke"},
			nil,
		},
		{
			"preparing takes too long", prompt,
			[]change{{call: "bash --check", text: "Downloading scipy\n[timed out after 600 s, the process group was killed]", fails: true}},
			llm.EndStop,
			[]string{"timed out"},
			[]string{"bash python3 baseline/train.py --smoke"},
			nil,
		},
		{"bundled data", "predict the cultivar from sklearn:wine, publish it as w", nil, llm.EndStop, []string{"scikit-learn's wine data"}, []string{"bash fetch_data.py wine", `publish fetch_data.py`}, nil},
		{
			"bundled data and no index", "predict the cultivar from sklearn:wine, publish it as w",
			[]change{{call: "bash --check", text: "dns error\n[exit 2, 16.0 s]", fails: true}},
			llm.EndFailed,
			[]string{"comes with the scikit-learn package"},
			nil,
			[]string{"job_submit ", "bash fetch_data"},
		},
		{
			"bundled data, no index, other data", "predict the cultivar from sklearn:wine, publish it as w; without a package index use ./iris.csv and predict species",
			[]change{{call: "bash --check", text: "dns error\n[exit 2, 16.0 s]", fails: true}},
			llm.EndStop,
			[]string{"./iris.csv was used instead of scikit-learn's wine data"},
			[]string{`inspect_dataset "./iris.csv","target":"species"`, "publish "},
			[]string{"bash fetch_data"},
		},
		{
			"a package that does not load", prompt,
			[]change{{call: "bash uv run -q --offline baseline/train.py --smoke", text: traceback("ImportError: libgomp.so.1: cannot open"), fails: true}},
			llm.EndStop,
			[]string{"the packages do not work here", "libgomp"},
			[]string{"bash python3 baseline/train.py --smoke"},
			nil,
		},
		{
			"a column breaks the script", prompt,
			[]change{{call: "bash --smoke", text: traceback("ValueError: cannot use column 'petal_width'"), fails: true, times: 1}},
			llm.EndStop, nil,
			[]string{`write \"petal_width\": \"the training script could not use it`},
			nil,
		},
		{
			"a column breaks the script again", prompt,
			[]change{{call: "bash --smoke", text: traceback("KeyError: 'petal_width'"), fails: true}},
			llm.EndFailed,
			[]string{"smoke test", "KeyError: 'petal_width'"},
			nil,
			[]string{"job_submit "},
		},
		{
			"the script is broken", prompt,
			[]change{{call: "bash --smoke", text: traceback("ZeroDivisionError: division by zero"), fails: true}},
			llm.EndFailed,
			[]string{"ZeroDivisionError: division by zero", "submitted nothing"},
			nil,
			[]string{"job_submit ", "publish "},
		},
		{
			"the split fails", prompt,
			[]change{{call: "bash split.py", text: "split: 3 usable rows are too few to train and to test\n[exit 1, 0.1 s]", fails: true}},
			llm.EndFailed,
			[]string{"3 usable rows are too few"},
			nil,
			[]string{"job_submit "},
		},
		{
			"a file cannot be written", prompt,
			[]change{{call: "write columns.json", text: "no space left on device", fails: true}},
			llm.EndFailed,
			[]string{"no space left"},
			nil,
			[]string{"job_submit "},
		},
		{
			"one job fails", prompt,
			[]change{{call: "job_wait ", text: waited("succeeded", "succeeded", "succeeded", "out_of_memory")}},
			llm.EndStop,
			[]string{"boosting out of memory: MemoryError: too much", "went on without it"},
			[]string{"job_logs ", `compare_runs ["j-dummy","j-logistic","j-forest"]`},
			nil,
		},
		{
			"all jobs fail", prompt,
			[]change{{call: "job_wait ", text: waited("failed", "failed", "failed", "timed_out")}},
			llm.EndFailed,
			[]string{"No candidate could be trained", "MemoryError"},
			nil,
			[]string{"compare_runs ", "publish "},
		},
		{
			"only the dummy is left", prompt,
			[]change{{call: "job_wait ", text: waited("succeeded", "failed", "failed", "failed")}},
			llm.EndFailed,
			[]string{"No candidate could be trained"},
			nil,
			[]string{"publish "},
		},
		{
			"no job is accepted", prompt,
			[]change{{call: "job_submit ", text: "the job's folder is full", fails: true}},
			llm.EndFailed,
			[]string{"No job could be submitted", "folder is full"},
			nil,
			[]string{"job_wait "},
		},
		{
			"one job is not accepted", prompt,
			[]change{{call: `job_submit "name":"forest"`, text: "not now", fails: true}, {call: "job_wait ", text: waited("succeeded", "succeeded", "succeeded", "succeeded")}},
			llm.EndStop,
			[]string{"forest was not accepted as a job: not now"},
			nil, nil,
		},
		{"jobs go on for long", prompt, []change{{call: "job_wait ", text: `{"jobs":[],"done":false}`, times: 1}}, llm.EndStop, nil, nil, nil},
		{
			"nothing beats the dummy", prompt,
			[]change{{call: "compare_runs ", text: `{"chosen_job":"j-dummy","choice":"dummy","table":"","verdict":"no significant difference"}`}},
			llm.EndFailed,
			[]string{"learned anything useful", "do not publish"},
			nil,
			[]string{"publish ", "bash evaluate.py --model-dir"},
		},
		{
			"the runs cannot be compared", prompt,
			[]change{{call: "compare_runs ", text: "compare runs: measured on different data", fails: true}},
			llm.EndFailed,
			[]string{"measured on different data"},
			nil,
			[]string{"publish "},
		},
		{"the evaluation fails", prompt, []change{{call: "bash evaluate.py", text: traceback("ValueError: x"), fails: true}}, llm.EndFailed, []string{"ValueError: x"}, nil, []string{"publish "}},
		{
			"publishing is refused", prompt,
			[]change{{call: "publish ", text: "refused: a person said no", fails: true}},
			llm.EndFailed,
			[]string{"a person said no", "forest in runs/j-forest"},
			nil,
			[]string{"hub_download "},
		},
		{
			"commands are refused", prompt,
			[]change{{call: "bash ", text: "refused: only reading tools run", fails: true}},
			llm.EndFailed,
			[]string{"only reading tools run"},
			nil,
			[]string{"write ", "job_submit "},
		},
		{
			"the download disagrees", prompt,
			[]change{{call: "bash --card", text: `{"metric": "accuracy", "value": 0.7, "n": 30, "card_value": 0.9667, "agrees": false}` + "\nevaluate: measured\n[exit 1, 1 s]", fails: true}},
			llm.EndFailed,
			[]string{"VERIFICATION FAILED", "0.7000", "0.9667"},
			nil, nil,
		},
		{
			"the card has no number", prompt,
			[]change{{call: "bash --card", text: `{"metric": "accuracy", "value": 0.7, "n": 30, "card_value": null, "agrees": false}` + "\n[exit 1, 1 s]", fails: true}},
			llm.EndFailed,
			[]string{"VERIFICATION FAILED", "names no holdout accuracy"},
			nil, nil,
		},
		{"public, because the person says so", prompt + " and make it public", nil, llm.EndStop, []string{"Published (public)"}, []string{`publish "private":false`}, nil},
		{
			"a file name full of quotes", `predict species from "it's; touch pwned $(x).parquet"`,
			[]change{{call: "inspect_dataset ", text: strings.Replace(irisProfile, `"csv"`, `"parquet"`, 1)}},
			llm.EndStop, nil,
			[]string{`bash 'it'\\''s; touch pwned $(x).parquet'`},
			nil,
		},
		{
			"Parquet and no pyarrow", "predict species from x.parquet",
			[]change{{call: "inspect_dataset ", text: strings.Replace(irisProfile, `"csv"`, `"parquet"`, 1)}, {call: "bash from_parquet", text: "dns error\n[exit 2, 16 s]", fails: true}},
			llm.EndFailed,
			[]string{"Save the table as CSV"},
			nil,
			[]string{"job_submit "},
		},
		{
			"a leak", prompt,
			[]change{{call: "inspect_dataset ", text: strings.Replace(irisProfile, `"problems":[`, `"problems":["column \"sepal_length\" is a copy of the target \"species\"; leave it out.",`, 1)}},
			llm.EndStop, nil,
			[]string{`write \"sepal_length\": \"it is a copy of the target`},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := faked(t, tt.changes...)
			answer := b.say(tt.prompt)
			if b.reason != tt.ends {
				t.Errorf("ended as %s, want %s", b.reason, tt.ends)
			}
			for _, part := range tt.says {
				if !strings.Contains(answer, part) {
					t.Errorf("the answer lacks %q", part)
				}
			}
			for _, part := range tt.calls {
				if b.called(part) == 0 {
					t.Errorf("no call %q", part)
				}
			}
			for _, part := range tt.never {
				if b.called(part) > 0 {
					t.Errorf("a call %q", part)
				}
			}
			repeated(t, b)
			checkPlan(t, b)
			if t.Failed() {
				t.Logf("%s\n%s", answer, strings.Join(b.made(), "\n"))
			}
		})
	}
}

// checkPlan wants no open points at the end.
func checkPlan(t *testing.T, b *bench) {
	t.Helper()
	last := ""
	for _, c := range b.made() {
		if strings.HasPrefix(c, "plan ") {
			last = c
		}
	}
	if strings.Contains(last, `"pending"`) || strings.Contains(last, `"doing"`) {
		t.Errorf("the plan stays open: %s", last)
	}
}

func TestBeyond(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"write me a poem":                           "beyond me",
		"what is the capital of France?":            "beyond me",
		"fine-tune llama on chats.jsonl":            "fine-tuning",
		"train an image classifier on ./photos.zip": "images",
		"train a model that predicts species":       "Which table",
		"train a model":                             "Which table",
		"predict y from https://x.test/a.csv":       "fetch the file first",
		"show me ./iris.csv":                        "What shall I predict",
		"":                                          "beyond me",
		"ünïcödé 🤖 \x00":                            "beyond me",
	} {
		b := faked(t)
		answer := b.say(text)
		if b.reason != llm.EndFailed || len(b.made()) > 0 || !strings.Contains(answer, want) || !strings.Contains(answer, "iris-baseline") {
			t.Errorf("%q: %s, %d calls: %s", text, b.reason, len(b.made()), answer)
		}
	}
}

// TestFollowUps goes on after the job is done.
func TestFollowUps(t *testing.T) {
	t.Parallel()
	b := faked(t)
	b.say("predict species from iris.csv")
	before := len(b.made())
	if answer := b.say("thanks!"); b.reason != llm.EndStop || !strings.Contains(answer, "welcome") {
		t.Errorf("thanks: %s: %s", b.reason, answer)
	}
	if b.say("write a poem about it"); b.reason != llm.EndFailed || len(b.made()) != before {
		t.Errorf("poem: %s", b.reason)
	}
	answer := b.say("publish it as iris-baseline")
	if b.reason != llm.EndStop || !strings.Contains(answer, "http://hub.test") || b.called("publish ") != 1 {
		t.Errorf("publish: %s: %s", b.reason, answer)
	}
	repeated(t, b)
	jobs := len(b.submits)
	b.say("now predict petal_width instead")
	if b.called(`inspect_dataset "target":"petal_width"`) != 1 || b.called("job_submit ") != 2*jobs {
		t.Errorf("another target begins anew: %d submissions", b.called("job_submit "))
	}
}

// TestAsksAgain repeats what failed before the person spoke again.
func TestAsksAgain(t *testing.T) {
	t.Parallel()
	b := faked(t, change{call: "inspect_dataset ", text: "not_found: There is no file.; Look.", fails: true, times: 1},
		change{call: "publish ", text: "refused: a person said no", fails: true, times: 1})
	if b.say(prompt); b.reason != llm.EndFailed {
		t.Fatal(b.reason)
	}
	if b.say("the file is there now, try again"); b.reason != llm.EndFailed || b.called("publish ") != 1 {
		t.Fatalf("%s after %d publications", b.reason, b.called("publish "))
	}
	if b.say("go on, you may publish it"); b.reason != llm.EndStop || b.called("publish ") != 2 {
		t.Fatalf("%s after %d publications", b.reason, b.called("publish "))
	}
	repeated(t, b)
}

// TestNotes: what a guard says is no wish of the person.
func TestNotes(t *testing.T) {
	t.Parallel()
	b := faked(t)
	answer := b.say(prompt)
	if again := b.say(llm.NoteMark + "Your plan still has one open point: predict price from other.csv, publish it as x. Finish it."); again != answer {
		t.Errorf("a note changes the answer:\n%s", again)
	}
}

func TestMissingTool(t *testing.T) {
	t.Parallel()
	req := llm.Request{Messages: []llm.Message{userSays(prompt)}, Tools: []llm.ToolSpec{{Name: "inspect_dataset"}, {Name: "plan"}}}
	a := reply(req)
	if a.reason != llm.EndFailed || !strings.Contains(a.text, "the tool bash") {
		t.Errorf("%+v", a)
	}
}
