package baseline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/llm"
)

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

var pythonError = lazyregexp.New(`(?m)^(?:KeyError|ValueError|TypeError|\w+Error): .*$`)

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
	if w.best.Name == dummy || w.comparison.likeDummy() {
		return failed("No model learned anything useful: none can be told from the dummy, which ignores the features and always answers the same. %s. "+
			"I do not publish such a model.\n\n%s\n%s", upper(w.comparison.Verdict), w.comparison.Table, w.oddities())
	}
	return nil
}
