package preflight

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"
)

// A Duration is how long the training will take, as far as can be said.
type Duration struct {
	Steps    int64         `json:"steps,omitempty"`
	Time     time.Duration `json:"time"`
	Measured bool          `json:"measured"` // by the smoke step on the same hardware; else what the GPU could do at best
	How      string        `json:"how"`
}

func (d Duration) String() string {
	if d.Measured {
		return fmt.Sprintf("about %s: %s", d.Time.Round(time.Second), d.How)
	}
	return fmt.Sprintf("at least %s: %s", d.Time.Round(time.Second), d.How)
}

// shortDefault is a default below which no training should be left to it.
const shortDefault = 2 * time.Hour

// limit refuses a training that would stop at a backend's default.
func (c *check) limit(trains bool) {
	if c.Spec.TimeLimit > 0 || c.Offer.DefaultLimitS == 0 || !c.Remote && c.Offer.USDPerHour == 0 {
		return
	}
	standard := time.Duration(c.Offer.DefaultLimitS) * time.Second
	if trains && standard < shortDefault {
		c.fail(Finding{Code: CodeTime, Text: fmt.Sprintf("no time limit is set, and the default of %s ends a training before it is done", standard), Fix: "set time_limit to the time that the training takes, and a third more"})
		return
	}
	if standard < shortDefault {
		c.note(CodeTime, "no time limit is set: the job ends after %s", standard)
	}
}

// An extent is how much there is to train on; 0 is not known.
type extent struct{ rows, bytes int64 }

// rowsOf is the extent of the training data, if nothing has changed it.
func (t *training) rowsOf(sources map[string]*source) extent {
	if t == nil {
		return extent{}
	}
	v := t.dataset("train_dataset")
	s := sources[v.Path+"@"+v.Revision]
	if v.Kind != "ds" || s == nil || s.configs == nil || v.Files {
		return extent{}
	}
	config, _ := s.config(v.Name)
	split, ok := config.Splits[v.Split]
	if !ok || split.Rows == 0 {
		return extent{}
	}
	return extent{split.Rows, split.Bytes}.after(v.Ops)
}

func (e extent) after(ops [][]any) extent {
	for _, op := range ops {
		switch {
		case len(op) == 0:
		case op[0] == "rows" || op[0] == "open" || op[0] == "part" && len(op) < 3:
			return extent{}
		case op[0] == "part" && op[2] == "test":
			return extent{}
		case op[0] == "part": // of train_test_split, usually most of it
			e = e.scaled(e.rows * 3 / 4)
		case op[0] == "range" && len(op) == 3:
			from, _ := op[1].(float64)
			to, _ := op[2].(float64)
			e = e.scaled(max(0, int64(math.Min(to, float64(e.rows))-from)))
		}
	}
	return e
}

func (e extent) scaled(rows int64) extent {
	if e.rows == 0 || rows >= e.rows {
		return e
	}
	return extent{rows, int64(float64(e.bytes) / float64(e.rows) * float64(rows))}
}

// steps is how many times the optimizer moves, 0 if that is not known.
func (c *check) steps() int64 {
	t := c.train
	if t == nil || t.config == nil {
		return 0
	}
	if n := t.number("max_steps", 0); n > 0 {
		return int64(n)
	}
	if v, known := t.setting("max_steps"); v.given() && !known || c.size.rows == 0 {
		return 0
	}
	for _, name := range []string{"per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs"} {
		if v, known := t.setting(name); !known || v.given() && v.Kind != "const" {
			return 0
		}
	}
	if v, _ := t.setting("packing"); v.isTrue() || t.way == byReward {
		return 0
	}
	batch := t.number("per_device_train_batch_size", 8) * t.number("gradient_accumulation_steps", 1) * float64(max(c.Offer.GPUs, 1))
	return int64(math.Ceil(float64(c.size.rows)/math.Max(batch, 1)) * t.number("num_train_epochs", 3))
}

// duration compares the time that the training takes with the limit.
func (c *check) duration(smoke Smoke) {
	d := c.measured(smoke)
	if d == nil {
		d = c.atBest()
	}
	if d == nil || d.Time < time.Minute {
		return
	}
	c.report.Duration = d
	limit := cmp.Or(c.Spec.TimeLimit, time.Duration(c.Offer.DefaultLimitS)*time.Second)
	switch {
	case limit == 0 || d.Time <= limit:
	case d.Measured:
		c.fail(Finding{Code: CodeTime, Text: fmt.Sprintf("the training takes about %s (%s), and the limit is %s", d.Time.Round(time.Minute), d.How, limit), Fix: "raise the limit to a third more than that, or take faster hardware"})
	default:
		c.warn(Finding{Code: CodeTime, Text: fmt.Sprintf("the training takes %s at the very least (%s), and the limit is %s", d.Time.Round(time.Minute), d.How, limit), Fix: "raise the limit, or take faster hardware"})
	}
}

// measured goes by the smoke step, if that ran on the same hardware.
func (c *check) measured(smoke Smoke) *Duration {
	steps := c.steps()
	if steps == 0 || smoke.StepTime == 0 || smoke.Flavor != c.Offer.Flavor {
		return nil
	}
	return &Duration{Steps: steps, Time: time.Duration(steps) * smoke.StepTime, Measured: true, How: fmt.Sprintf("%d steps of %s", steps, smoke.StepTime.Round(time.Millisecond))}
}

// peaks are what GPUs do at most, in dense operations a second on 16 bits, as
// their makers' data sheets have it.
var peaks = []struct {
	name string
	rate float64
}{{"h200", 989e12}, {"h100", 989e12}, {"b200", 2250e12}, {"a100", 312e12}, {"l40s", 362e12}, {"l4", 121e12}, {"a10", 125e12}, {"t4", 65e12}, {"v100", 125e12}, {"4090", 165e12}, {"5090", 210e12}, {"3090", 71e12}, {"a6000", 155e12}}

// bestUse is the part of a GPU's peak that nobody's training passes.
const bestUse = 0.6

// bytesPerToken is rather more than text has, so that tokens are too few.
const bytesPerToken = 5

// atBest is the least time by the operations that training takes: 6 for each
// parameter and token (Kaplan et al., section 2.1, arXiv:2001.08361), 4 where
// the weights are frozen.
func (c *check) atBest() *Duration {
	t, e := c.train, c.report.Memory
	if t == nil || t.config == nil || e == nil || c.size.rows == 0 || t.way == byReward || t.number("max_steps", 0) > 0 {
		return nil
	}
	epochs, known := t.setting("num_train_epochs")
	steps, knownSteps := t.setting("max_steps")
	if epochs.given() && !known || steps.given() && !knownSteps || t.config.Star {
		return nil
	}
	tokens := math.Min(float64(c.size.bytes)/bytesPerToken, float64(c.size.rows)*t.number("max_length", 1024))
	each := 6.0
	if t.adapter {
		each = 4
	}
	for _, p := range peaks {
		if strings.Contains(strings.ToLower(c.Offer.GPU), p.name) {
			seconds := each * float64(e.Parameters) * tokens * t.number("num_train_epochs", 3) / (p.rate * bestUse * float64(max(c.Offer.GPUs, 1)))
			return &Duration{Time: time.Duration(seconds * float64(time.Second)), How: fmt.Sprintf("%s, %.0f million tokens, at the best that a %s can", count(e.Parameters), tokens*t.number("num_train_epochs", 3)/1e6, c.Offer.GPU)}
		}
	}
	return nil
}
