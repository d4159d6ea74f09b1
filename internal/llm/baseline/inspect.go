package baseline

import (
	"fmt"
	"strings"

	"ml-intern/internal/llm"
)

func (w *work) inspection(file, target string) wish {
	args := map[string]any{"path": file}
	if target != "" {
		args["target"] = target
	}
	return wish{tool: "inspect_dataset", args: args}.anew(w)
}

// inspect profiles the file in use with a target, or finds the target.
func (w *work) inspect(target string, soft bool) error {
	results, err := w.attempt("I look at "+w.file+".", w.inspection(w.file, target))
	if err != nil {
		return err
	}
	w.looked = results[0]
	return w.understand(target, soft)
}

// understand reads the profile. A target that is no column's name, but a
// phrase that holds one, stands for that column; where the person named none,
// the profile's own guess is taken.
func (w *work) understand(target string, soft bool) error {
	r := w.looked
	if r.IsError {
		code, message, _ := strings.Cut(r.Text, ": ")
		if code == "target_absent" && (soft || strings.ContainsAny(target, " \t")) {
			return w.resolve(target, soft, r)
		}
		return w.unusable(code, message, r)
	}
	p, ok := readProfile(r.Text)
	if !ok {
		return failed("I could not read the profile of %s:\n%s", w.file, tail(r.Text, 5))
	}
	w.profile = p
	if p.Target != nil {
		return nil
	}
	if p.TargetGuess == nil {
		return failed("Which column of %s shall I predict? Its columns are %s. Say for example: predict %s.", w.file, list(p.names(), 12), example(p.names()))
	}
	w.note("you named no target; %q is predicted, as %s", p.TargetGuess.Name, p.TargetGuess.Reason)
	return w.inspect(p.TargetGuess.Name, false)
}

// resolve looks for a column in the person's phrase.
func (w *work) resolve(phrase string, soft bool, absent *llm.ToolResult) error {
	results, err := w.attempt(fmt.Sprintf("No column is called %q; I look at what there is.", phrase), w.inspection(w.file, ""))
	if err != nil {
		return err
	}
	p, ok := readProfile(results[0].Text)
	if results[0].IsError || !ok {
		return w.unusable("", results[0].Text, results[0])
	}
	name := mentioned(phrase, p.names())
	switch {
	case name != "":
		w.note("%q is taken to mean the column %q", phrase, name)
	case soft && p.TargetGuess != nil:
		name = p.TargetGuess.Name
		w.note("no column is called %q; %q is predicted, as %s", phrase, name, p.TargetGuess.Reason)
	default:
		_, message, _ := strings.Cut(absent.Text, ": ")
		return w.unusable("target_absent", message, absent)
	}
	return w.inspect(name, false)
}

// unusable says what is wrong with the file, in the words of the tool.
func (w *work) unusable(code, message string, r *llm.ToolResult) error {
	if message == "" || strings.ContainsAny(code, " /") {
		message = r.Text
	}
	// "What is wrong.; What to do."
	message = strings.ReplaceAll(strings.TrimSpace(message), ".; ", ". ")
	message = strings.TrimSuffix(message, ";")
	return failed("I cannot train on %s: %s", w.file, message)
}
