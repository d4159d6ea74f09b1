package baseline

import (
	"encoding/json"
	"fmt"
	"path"
)

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
