package baseline

import (
	"encoding/json"
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
	Features int `json:"features"`
	Dropped  []struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	} `json:"dropped"`
	Train   part     `json:"train"`
	Holdout part     `json:"holdout"`
	Notes   []string `json:"notes"`
}

type part struct {
	Rows int `json:"rows"`
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
	Pairs     []pair   `json:"pairs"` // the best by its mean against each other run
}

type pair struct {
	Best        string   `json:"best"`
	Other       string   `json:"other"`
	P           *float64 `json:"p"`
	Significant bool     `json:"significant"`
}

// likeDummy reports whether the best run could be tested against the dummy and
// not be told from it: then none of the runs is better than to guess.
func (c comparison) likeDummy() bool {
	return slices.ContainsFunc(c.Pairs, func(p pair) bool {
		return p.Best == dummy || p.Other == dummy && p.P != nil && !p.Significant
	})
}

// dummy is the run that ignores the features.
const dummy = "dummy"

type evaluation struct {
	Metric    string             `json:"metric"`
	Value     float64            `json:"value"`
	N         int                `json:"n"`
	Metrics   map[string]float64 `json:"metrics"`
	CardValue *float64           `json:"card_value"`
	Agrees    bool               `json:"agrees"`
}

type published struct {
	Repo   string `json:"repo"`
	URL    string `json:"url"`
	Commit string `json:"commit"`
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

// lastObject reads the last line that is a JSON object into v.
func lastObject(text string, v any) bool {
	for _, line := range slices.Backward(strings.Split(text, "\n")) {
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), v) == nil {
			return true
		}
	}
	return false
}
