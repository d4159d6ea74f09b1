package preflight

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// leaks finds data that the model is evaluated on and was trained on.
func (c *check) leaks() {
	if c.train == nil {
		return
	}
	train := c.train.dataset("train_dataset")
	evals := []value{c.train.dataset("eval_dataset")}
	for _, k := range c.facts.named("evaluate", "predict") {
		if k.Recv != nil {
			evals = append(evals, k.arg(0, "eval_dataset", "test_dataset"))
		}
	}
	for _, v := range evals {
		if v.Kind == "dict" {
			for _, e := range v.Entries {
				evals = append(evals, e)
			}
		}
	}
	for _, eval := range evals {
		if why := overlap(train, eval); why != "" {
			c.warn(Finding{Code: CodeLeak, Line: c.train.trainer.Line, Text: "the evaluation data are part of the training data: " + why, Fix: "evaluate on another split, or on a part that train_test_split sets aside"})
			return
		}
	}
}

// overlap says why rows of eval are also in train, "" if that is not certain.
func overlap(train, eval value) string {
	for _, t := range train.parts() {
		for _, e := range eval.parts() {
			if t.Kind == "ds" && e.Kind == "ds" && t.Path != "" && !t.Unsure && !e.Unsure && !t.Files && !e.Files && t.Sure && e.Sure &&
				t.Path == e.Path && t.Name == e.Name && t.Revision == e.Revision && !t.Whole && !e.Whole && shareSplit(t.Split, e.Split) && shareRows(t.Ops, e.Ops) {
				return fmt.Sprintf("both are of the split %s of %s", e.Split, e.Path)
			}
		}
	}
	return ""
}

// shareSplit reports whether two splits surely have rows in common: as in
// train+test and test, or train[:80%] and train[70%:].
func shareSplit(a, b string) bool {
	for _, x := range strings.Split(a, "+") {
		for _, y := range strings.Split(b, "+") {
			if slice(x).meets(slice(y)) {
				return true
			}
		}
	}
	return false
}

// A splitPart is a part of a split: train[10%:20%].
type splitPart struct {
	name     string
	unit     string // "%", "rows", "" if it is the whole split, "?" if it cannot be told
	from, to float64
}

func slice(split string) splitPart {
	name, rest, cut := strings.Cut(strings.TrimSpace(split), "[")
	if !cut {
		return splitPart{name: name}
	}
	from, to, _ := strings.Cut(strings.TrimSuffix(rest, "]"), ":")
	p := splitPart{name: name, unit: "rows", to: math.Inf(1)}
	if strings.Contains(rest, "%") {
		p.unit = "%"
	}
	for text, end := range map[string]*float64{from: &p.from, to: &p.to} {
		if text = strings.TrimSuffix(strings.TrimSpace(text), "%"); text == "" {
			continue
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n < 0 {
			p.unit = "?"
		}
		*end = n
	}
	return p
}

func (p splitPart) meets(o splitPart) bool {
	switch {
	case p.name != o.name || p.unit == "?" || o.unit == "?":
		return false
	case p.unit == "" || o.unit == "":
		return true
	}
	return p.unit == o.unit && math.Max(p.from, o.from) < math.Min(p.to, o.to)
}

// shareRows reports whether rows that two chains of operations leave of the
// same data surely overlap.
func shareRows(train, eval [][]any) bool {
	a, b := rowOps(train), rowOps(eval)
	for len(a) > 0 && len(b) > 0 && reflect.DeepEqual(a[0], b[0]) {
		a, b = a[1:], b[1:]
	}
	switch {
	case len(a) == 0: // all of what eval is a part of
		return true
	case len(b) == 0: // training is on a part of it
		return a[0][0] == "range" || a[0][0] == "part"
	}
	if a[0][0] == "range" && b[0][0] == "range" && len(a) == 1 && len(b) == 1 {
		return math.Max(asNumber(a[0][1]), asNumber(b[0][1])) < math.Min(asNumber(a[0][2]), asNumber(b[0][2]))
	}
	return false
}

// rowOps are the operations that choose rows or put them in another order.
func rowOps(ops [][]any) [][]any {
	var out [][]any
	for _, op := range ops {
		if len(op) > 0 && (op[0] == "range" || op[0] == "rows" || op[0] == "part" || op[0] == "shuffle") {
			out = append(out, op)
		}
	}
	// A shuffle at the end leaves the same rows.
	for len(out) > 0 && out[len(out)-1][0] == "shuffle" {
		out = out[:len(out)-1]
	}
	return out
}

func asNumber(v any) float64 {
	n, _ := v.(float64)
	return n
}
