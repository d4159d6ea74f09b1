package baseline

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"ml-intern/internal/llm"
)

// steps is the whole job, in order. Each step makes its calls through
// attempt and must, and leaves what it found in facts for the steps after it.
var steps = []struct {
	title     string // in the plan
	publishes bool   // left out of the plan where nothing is to be published
	run       func(*work) error
}{
	{"look at the machine and the data", false, (*work).look},
	{"get the packages ready", false, (*work).prepare},
	{"settle the data and the target", false, (*work).settle},
	{"split off a holdout and smoke-test the training script", false, (*work).rehearse},
	{"train the candidates as jobs", false, (*work).train},
	{"compare the runs and choose", false, (*work).choose},
	{"evaluate the choice on the holdout", false, (*work).evaluate},
	{"publish the model", true, (*work).publish},
	{"download it and check the card's number", true, (*work).verify},
	{"", false, (*work).finish},
}

// folder holds every file that the job writes, apart from runs and downloads,
// so that nothing of the person's is overwritten.
const folder = "baseline"

const (
	trainFile    = folder + "/train.py"
	evaluateFile = folder + "/evaluate.py"
	splitFile    = folder + "/split.py"
	columnsJSON  = folder + "/columns.json"
	trainCSV     = folder + "/data/train.csv"
	holdoutCSV   = folder + "/data/holdout.csv"
	schemaJSON   = folder + "/data/schema.json"
	evalJSON     = folder + "/eval.json"
)

// facts are what the steps have found out.
type facts struct {
	uv, hasPython bool
	plain         bool   // only Python's standard library is used
	why           string // why plain
	swapped       bool   // the fallback data is used
	file          string // the table in use, as the person wrote it
	raw           string // what the profile was made of, if file had to be converted
	looked        *llm.ToolResult
	profile       *profile
	notes         []string // about the data and the target
	drop          map[string]string
	parts         split
	runs          []run
	comparison    comparison
	best          run
	eval          evaluation
	published     published
	checked       evaluation
}

type split struct {
	Unlabelled int `json:"rows_without_target"`
	Features   int `json:"features"`
	Dropped    []struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	} `json:"dropped"`
	Train   part     `json:"train"`
	Holdout part     `json:"holdout"`
	Notes   []string `json:"notes"`
}

type part struct {
	Rows   int    `json:"rows"`
	SHA256 string `json:"sha256"`
}

type run struct {
	Job       string  `json:"job"`
	Name      string  `json:"name"`
	State     string  `json:"state"`
	OutputDir string  `json:"output_dir"`
	Seconds   float64 `json:"seconds"`
	Reason    string  `json:"reason"`
	LogTail   string  `json:"log_tail"`
}

type comparison struct {
	Choice    string   `json:"choice"`
	ChosenJob string   `json:"chosen_job"`
	Table     string   `json:"table"`
	Verdict   string   `json:"verdict"`
	Warnings  []string `json:"warnings"`
}

type evaluation struct {
	Metric    string             `json:"metric"`
	Value     float64            `json:"value"`
	N         int                `json:"n"`
	Metrics   map[string]float64 `json:"metrics"`
	CardValue *float64           `json:"card_value"`
	Agrees    bool               `json:"agrees"`
}

type published struct {
	Repo      string `json:"repo"`
	URL       string `json:"url"`
	Commit    string `json:"commit"`
	Unchanged bool   `json:"unchanged"`
}

func bash(seconds int, command string) wish {
	return wish{tool: "bash", args: map[string]any{"command": command, "timeout_s": seconds}}
}

func write(file, content string) wish {
	return wish{tool: "write", args: map[string]any{"path": file, "content": content}}
}

// python is the command line of a script with arguments.
func (w *work) python(script string, args ...string) string {
	if w.plain && w.hasPython {
		return shell(append([]string{"python3", script}, args...)...)
	}
	return shell(append([]string{"uv", "run", "-q", "--offline", script}, args...)...)
}

var (
	uvFound     = regexp.MustCompile(`(?m)^uv \d`)
	pythonFound = regexp.MustCompile(`(?m)^Python 3`)
)

// look finds out what the machine has and, at the same time, what is in the
// file.
func (w *work) look() error {
	w.file = w.ask.Data
	wishes := []wish{bash(60, `uv --version 2>/dev/null || echo "uv: not found"; python3 --version 2>/dev/null || echo "python3: not found"; `+
		`echo "cores: $(getconf _NPROCESSORS_ONLN 2>/dev/null)"; awk '/MemAvailable/ {printf "memory available: %d MB\n", $2/1024}' /proc/meminfo 2>/dev/null; true`)}
	say := "First I look at this machine, then at scikit-learn's data."
	if w.file != "" {
		wishes = append(wishes, w.inspection(w.file, w.ask.Target))
		say = fmt.Sprintf("I look at this machine and at %s.", w.file)
	}
	results, err := w.attempt(say, wishes...)
	if err != nil {
		return err
	}
	w.uv, w.hasPython = uvFound.MatchString(results[0].Text), pythonFound.MatchString(results[0].Text)
	if !w.uv && !w.hasPython {
		return failed("This machine has neither uv nor python3 on its PATH, so I cannot run a training script. Install uv (https://docs.astral.sh/uv/), then say: go on.\n%s", tail(results[0].Text, 5))
	}
	if w.file == "" {
		return nil
	}
	w.looked = results[1]
	return w.understand(w.ask.Target, w.ask.Soft)
}

var packageTrouble = regexp.MustCompile(`(?im)^(.*(?:dns error|failed to (?:fetch|download|lookup)|could not connect|connection (?:refused|reset)|timed out|network|not found in the (?:cache|package registry)|no solution found|error sending request|ModuleNotFoundError|ImportError|No module named|certificate).*)$`)

// prepare downloads the packages apart from any training, so that a slow or
// missing package index is not taken for a broken script.
func (w *work) prepare() error {
	if !w.uv {
		w.goPlain("uv is not on the PATH")
		return nil
	}
	check := shell("uv", "run", "-q", "--offline", trainFile, "--check")
	online := "UV_HTTP_TIMEOUT=15 UV_HTTP_RETRIES=1 " + shell("uv", "run", trainFile, "--check")
	results, err := w.attempt("I write the training script and get its packages ready, from the cache or else from the package index.",
		write(trainFile, trainScript(false)), bash(600, check+" 2>/dev/null || "+online))
	if err != nil {
		return err
	}
	if r := results[1]; r.IsError || !strings.Contains(r.Text, `"ready"`) {
		w.goPlain("scikit-learn could not be had here: " + cause(r.Text))
	}
	return nil
}

// goPlain falls back to the script without packages.
func (w *work) goPlain(why string) {
	w.plain, w.why = true, why
	w.tell("%s. I go on with a training script that needs nothing but Python's standard library.", upper(why))
}

// cause finds the line of an output that says best what went wrong.
func cause(text string) string {
	if m := packageTrouble.FindString(text); m != "" {
		return clip(strings.TrimSpace(m), 200)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if n := len(lines); n > 1 && strings.HasPrefix(lines[n-1], "[exit ") {
		lines = lines[:n-1]
	}
	return clip(strings.TrimSpace(lines[len(lines)-1]), 300)
}

// settle makes sure that there is a table that can be read and a target.
func (w *work) settle() error {
	if w.ask.Builtin != "" && w.plain {
		if w.ask.Fallback == nil {
			return failed("%s comes with the scikit-learn package, which is not to be had here: %s. Name a table of your own, such as: train a model that predicts species from ./iris.csv", upper(w.ask.source()), w.why)
		}
		w.swapped, w.file = true, w.ask.Fallback.Data
		w.tell("Instead of %s I use %s, as you said.", w.ask.source(), w.file)
		return w.inspect(w.ask.Fallback.Target, w.ask.Fallback.Soft)
	}
	if w.ask.Builtin != "" {
		return w.fetch()
	}
	if w.profile.Format == "parquet" {
		return w.convert()
	}
	return nil
}

// fetch writes one of scikit-learn's data sets to a file.
func (w *work) fetch() error {
	w.file = folder + "/" + w.ask.Builtin + ".csv"
	script := folder + "/fetch_data.py"
	results, err := w.must("I write "+w.ask.source()+" to a file.", write(script, fetchScript), bash(300, w.python(script, w.ask.Builtin, w.file)))
	if err != nil {
		return err
	}
	var made struct {
		Target string `json:"target"`
	}
	if !lastObject(results[1].Text, &made) {
		return failed("Writing %s failed:\n%s", w.ask.source(), tail(results[1].Text, 10))
	}
	if w.ask.Target == "" {
		return w.inspect(made.Target, false)
	}
	err = w.inspect(w.ask.Target, true)
	if e, ok := err.(*end); ok && e.failed {
		w.note("scikit-learn's data has no column %q; its own target, %q, is predicted", w.ask.Target, made.Target)
		return w.inspect(made.Target, false)
	}
	return err
}

// convert turns Parquet into something that split.py can read.
func (w *work) convert() error {
	if !w.uv {
		return failed("%s is a Parquet file, which needs the pyarrow package, and %s. Save the table as CSV and name that file.", w.file, w.why)
	}
	w.raw = folder + "/table.jsonl"
	script := folder + "/from_parquet.py"
	line := shell(script, w.file, w.raw)
	results, err := w.attempt("Parquet has to be converted first.", write(script, parquetScript),
		bash(600, "uv run -q --offline "+line+" 2>/dev/null || UV_HTTP_TIMEOUT=15 UV_HTTP_RETRIES=1 uv run -q "+line))
	if err != nil {
		return err
	}
	if r := results[1]; r.IsError {
		return failed("%s is a Parquet file, and converting it failed: %s. Save the table as CSV and name that file.", w.file, cause(r.Text))
	}
	return nil
}

// rehearse writes the scripts, splits the data and runs every candidate on a
// few rows. One column that breaks the script is left out, and a package that
// turns out to be broken is done without, each once.
func (w *work) rehearse() error {
	w.drop = w.profile.leaks()
	if w.drop == nil {
		w.drop = map[string]string{}
	}
	adapted := false
	for {
		if err := w.split(); err != nil {
			return err
		}
		results, err := w.attempt("I test the script on a few rows before it becomes a job.",
			bash(300, w.python(trainFile, "--smoke", "--data", trainCSV, "--schema", schemaJSON, "--out", folder+"/smoke")))
		if err != nil {
			return err
		}
		r := results[0]
		if !r.IsError && strings.Contains(r.Text, `"smoke": "passed"`) {
			return nil
		}
		broken := w.brokenColumn(r.Text)
		switch {
		case !w.plain && packageTrouble.MatchString(r.Text):
			w.goPlain("the packages do not work here: " + cause(r.Text))
		case !adapted && broken != "":
			adapted = true
			w.drop = maps.Clone(w.drop)
			w.drop[broken] = "the training script could not use it: " + cause(r.Text)
			w.tell("The script fails on the column %q; I leave that one out and try once more.", broken)
		default:
			return failed("The smoke test of the training script failed, so I submitted nothing: %s\n\n%s", cause(r.Text), tail(r.Text, 25))
		}
	}
}

// split writes the scripts and makes the training and holdout tables.
func (w *work) split() error {
	columns := *w.profile
	switch {
	case w.raw != "":
		columns.Path, columns.Format, columns.Encoding = w.raw, "jsonl", "utf-8"
	case !strings.HasPrefix(w.file, "~"):
		columns.Path = w.file
	}
	wishes := []wish{write(columnsJSON, columns.columnsFile(w.drop)), write(splitFile, splitScript), write(evaluateFile, evaluationScript(w.plain))}
	if w.plain {
		wishes = append(wishes, write(trainFile, trainScript(true)))
	}
	command := shell("uv", "run", "-q", "--offline", splitFile)
	if w.hasPython {
		command = shell("python3", splitFile)
	}
	wishes = append(wishes, bash(300, command+" "+shell("--columns", columnsJSON, "--out", folder+"/data", "--seed", "0")))
	results, err := w.must("I split off a holdout that training never sees: a fifth of the rows, drawn by seed 0, copies of rows left out.", wishes...)
	if err != nil {
		return err
	}
	last := results[len(results)-1]
	if !lastObject(last.Text, &w.parts) || w.parts.Train.Rows == 0 {
		return failed("Splitting the data failed:\n%s", tail(last.Text, 10))
	}
	return nil
}

var pythonError = regexp.MustCompile(`(?m)^(?:KeyError|ValueError|TypeError|\w+Error): .*$`)

// brokenColumn is the one feature that a traceback's last line names.
func (w *work) brokenColumn(text string) string {
	lines := pythonError.FindAllString(text, -1)
	if len(lines) == 0 {
		return ""
	}
	found := ""
	for _, name := range w.profile.names() {
		quoted := strings.Contains(lines[len(lines)-1], "'"+name+"'") || strings.Contains(lines[len(lines)-1], `"`+name+`"`)
		if quoted && name != w.profile.Target.Name && w.drop[name] == "" {
			if found != "" {
				return ""
			}
			found = name
		}
	}
	return found
}

// candidates are the models to train. The first is the floor that the others
// must beat.
func (w *work) candidates() []string {
	linear := "logistic"
	if w.profile.Target.Task == "regression" {
		linear = "ridge"
	}
	switch {
	case !w.plain:
		return []string{"dummy", linear, "forest", "boosting"}
	case linear == "ridge":
		return []string{"dummy", "ridge", "forest"}
	}
	return []string{"dummy", "bayes", "logistic", "forest"}
}

// train submits every candidate as a job and waits for all.
func (w *work) train() error {
	var wishes []wish
	for _, model := range w.candidates() {
		submit := wish{tool: "job_submit", args: map[string]any{
			"name": model, "script": trainFile, "cpus": 1, "time_limit_s": 900,
			"args": []string{"--data", trainCSV, "--schema", schemaJSON, "--model", model, "--seed", "0"},
			"env":  map[string]string{"UV_OFFLINE": "1"},
		}}
		wishes = append(wishes, submit.anew(w))
	}
	results, err := w.attempt("The script works. I submit the candidates as jobs, all on the same folds; dummy is the floor that the others must beat.", wishes...)
	if err != nil {
		return err
	}
	var ids, trouble []string
	for i, r := range results {
		var job run
		if r.IsError || json.Unmarshal([]byte(r.Text), &job) != nil || job.Job == "" {
			trouble = append(trouble, fmt.Sprintf("%s was not accepted as a job: %s", w.candidates()[i], cause(r.Text)))
			continue
		}
		ids = append(ids, job.Job)
	}
	if len(ids) == 0 {
		return failed("No job could be submitted: %s", strings.Join(trouble, "; "))
	}
	waited, err := w.must("I wait for the jobs.", wish{tool: "job_wait", args: map[string]any{"jobs": ids}, until: isDone})
	if err != nil {
		return err
	}
	var all struct {
		Jobs []run `json:"jobs"`
	}
	if json.Unmarshal([]byte(waited[0].Text), &all) != nil {
		return failed("I could not read what became of the jobs:\n%s", tail(waited[0].Text, 10))
	}
	w.runs = all.Jobs
	return w.sift(trouble)
}

// isDone holds for an answer of job_wait after which no job runs any more.
func isDone(r *llm.ToolResult) bool {
	var answer struct {
		Done bool `json:"done"`
	}
	return r.IsError || json.Unmarshal([]byte(r.Text), &answer) != nil || answer.Done
}

// sift looks into the jobs that failed and ends the work if too few are left.
func (w *work) sift(trouble []string) error {
	real := 0
	for _, r := range w.runs {
		if r.State == "succeeded" {
			real += map[bool]int{true: 1}[r.Name != "dummy"]
			continue
		}
		logs, err := w.attempt(fmt.Sprintf("%s %s; I look at its log.", r.Name, words(r.State)), wish{tool: "job_logs", args: map[string]any{"job": r.Job}})
		if err != nil {
			return err
		}
		trouble = append(trouble, fmt.Sprintf("%s %s: %s", r.Name, words(r.State), w.jobCause(r, logs[0])))
	}
	if real == 0 {
		return failed("No candidate could be trained, so there is nothing to publish.\n%s\n%s", bullets(trouble), w.soFar())
	}
	for _, t := range trouble {
		w.note("%s; I went on without it", t)
	}
	return nil
}

func (w *work) jobCause(r run, logs *llm.ToolResult) string {
	var log struct {
		Text string `json:"text"`
	}
	text := r.LogTail
	if !logs.IsError && json.Unmarshal([]byte(logs.Text), &log) == nil && log.Text != "" {
		text = log.Text
	}
	if lines := pythonError.FindAllString(text, -1); len(lines) > 0 {
		return clip(lines[len(lines)-1], 300)
	}
	if strings.TrimSpace(text) == "" {
		return r.Reason
	}
	return strings.TrimPrefix(r.Reason+": "+cause(text), ": ")
}

// choose compares the runs on the metric that fits the target.
func (w *work) choose() error {
	var ids []string
	for _, r := range w.runs {
		if r.State == "succeeded" {
			ids = append(ids, r.Job)
		}
	}
	results, err := w.must(fmt.Sprintf("I compare them on %s, fold by fold. %s", w.profile.Target.Metric, w.profile.Target.Reason),
		wish{tool: "compare_runs", args: map[string]any{"jobs": ids, "metric": w.profile.Target.Metric}})
	if err != nil {
		return err
	}
	if json.Unmarshal([]byte(results[0].Text), &w.comparison) != nil {
		return failed("I could not read the comparison:\n%s", tail(results[0].Text, 10))
	}
	i := slices.IndexFunc(w.runs, func(r run) bool {
		return r.Job == w.comparison.ChosenJob || w.comparison.ChosenJob == "" && (r.Name == w.comparison.Choice || r.Job == w.comparison.Choice)
	})
	if i < 0 {
		return failed("The comparison chose %q, which is none of my runs.", w.comparison.Choice)
	}
	w.best = w.runs[i]
	if w.best.Name == "dummy" {
		return failed("No model learned anything useful: none can be told from the dummy, which ignores the features and always answers the same. %s. "+
			"I do not publish such a model.\n\n%s\n%s", upper(w.comparison.Verdict), w.comparison.Table, w.oddities())
	}
	return nil
}

// evaluate measures the choice on the rows that training never saw.
func (w *work) evaluate() error {
	results, err := w.must(fmt.Sprintf("%s. I measure %s once on the holdout.", upper(w.comparison.Verdict), w.best.Name),
		bash(300, w.python(evaluateFile, "--model-dir", w.best.OutputDir, "--data", holdoutCSV, "--out", evalJSON)))
	if err != nil {
		return err
	}
	if !lastObject(results[0].Text, &w.eval) || w.eval.Metric == "" {
		return failed("The evaluation printed no result:\n%s", tail(results[0].Text, 10))
	}
	return nil
}

// publish puts the model on the Hub, if the person named a place for it.
func (w *work) publish() error {
	if w.ask.Repo == "" {
		return nil
	}
	model, library := "model.joblib", "sklearn"
	if w.plain {
		model, library = "model.json", ""
	}
	task := "tabular-classification"
	if w.profile.Target.Task == "regression" {
		task = "tabular-regression"
	}
	files := []string{path.Join(w.best.OutputDir, model), path.Join(w.best.OutputDir, "metrics.json"), evalJSON, trainFile, evaluateFile, splitFile, schemaJSON}
	if !w.swapped && w.ask.Builtin != "" {
		files = append(files, folder+"/fetch_data.py")
	}
	card := map[string]any{"title": path.Base(w.ask.Repo), "summary": w.summary(), "dataset": w.data(), "task": task, "tags": []string{"tabular", "baseline"}, "limits": w.limits()}
	if library != "" {
		card["library"] = library
	}
	say := "I publish the model, with its numbers and scripts, as a private repository."
	if w.ask.Public {
		say = "I publish the model, with its numbers and scripts, as a public repository, as you asked."
	}
	results, err := w.must(say, wish{tool: "publish", args: map[string]any{
		"repo": w.ask.Repo, "private": !w.ask.Public, "job": w.best.Job, "files": files, "evaluation": evalJSON, "card": card,
	}})
	if err != nil {
		return err
	}
	if json.Unmarshal([]byte(results[0].Text), &w.published) != nil || w.published.Repo == "" {
		return failed("I could not read what publishing did:\n%s", tail(results[0].Text, 10))
	}
	return nil
}

// verify fetches what was published and measures it anew, in a process that
// has nothing but the download and the holdout.
func (w *work) verify() error {
	if w.ask.Repo == "" {
		return nil
	}
	dir := "downloaded/" + path.Base(w.published.Repo)
	args := map[string]any{"repo": w.published.Repo, "dir": dir}
	if w.published.Commit != "" {
		args["revision"] = w.published.Commit
	}
	if _, err := w.must("I download what was published and measure that copy on the holdout.", wish{tool: "hub_download", args: args}); err != nil {
		return err
	}
	results, err := w.attempt("Does the downloaded copy give the number on its card?",
		bash(300, w.python(dir+"/evaluate.py", "--model-dir", dir, "--data", holdoutCSV, "--out", folder+"/verify.json", "--card", dir+"/README.md", "--expect", dir+"/eval.json")).anew(w))
	if err != nil {
		return err
	}
	r := results[0]
	switch read := lastObject(r.Text, &w.checked); {
	case read && w.checked.Agrees && !r.IsError:
		return nil
	case read && w.checked.CardValue == nil:
		return failed("VERIFICATION FAILED: the card of %s names no holdout %s to compare with. %s", w.published.URL, w.checked.Metric, w.soFar())
	case read:
		return failed("VERIFICATION FAILED: the downloaded copy of %s gives %s %s on the holdout, but its card says %s. Do not trust this model. %s",
			w.published.URL, w.checked.Metric, number(w.checked.Value), number(*w.checked.CardValue), w.soFar())
	}
	return failed("VERIFICATION FAILED: the downloaded copy of %s could not be evaluated: %s\n\n%s", w.published.URL, cause(r.Text), tail(r.Text, 15))
}

// lastObject reads the last line that is a JSON object into v.
func lastObject(text string, v any) bool {
	for _, line := range slices.Backward(strings.Split(text, "\n")) {
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), v) == nil {
			return true
		}
	}
	return false
}
