package baseline

import (
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/lazyregexp"
)

var (
	uvFound     = lazyregexp.New(`(?m)^uv \d`)
	pythonFound = lazyregexp.New(`(?m)^Python 3`)
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

var packageTrouble = lazyregexp.New(`(?im)^(.*(?:dns error|failed to (?:fetch|download|lookup)|could not connect|connection (?:refused|reset)|timed out|network|not found in the (?:cache|package registry)|no solution found|error sending request|ModuleNotFoundError|ImportError|No module named|certificate).*)$`)

// causeMark is what uv puts before a cause.
var causeMark = lazyregexp.New(`(?i)^(?:error|cause|caused by): *`)

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
		return clip(causeMark.ReplaceAllString(strings.TrimSpace(m), ""), 200)
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
	if e, ok := errors.AsType[*end](err); ok && e.failed {
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
