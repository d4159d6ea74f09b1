package preflight

import (
	"fmt"
	"slices"
	"strings"
)

// hardware checks that the script's demands on the GPU can be met.
func (c *check) hardware() {
	if c.Offer.GPUs == 0 {
		c.withoutGPU()
		return
	}
	if !older(c.Offer.GPU) {
		return
	}
	for _, k := range c.facts.Calls {
		if k.Kw["attn_implementation"].text() == "flash_attention_2" && !k.Guarded && !k.Maybe {
			c.fail(Finding{Code: CodeHardware, Line: k.Line, Text: "flash_attention_2 wants a GPU of the Ampere generation or later, and a " + c.Offer.GPU + " is older", Fix: `leave it out, or use attn_implementation="sdpa"`})
		}
	}
}

// older reports whether a GPU is of a generation before Ampere.
func older(gpu string) bool {
	return slices.ContainsFunc(strings.Fields(strings.ToUpper(gpu)), func(word string) bool {
		return slices.Contains([]string{"T4", "V100", "P100", "P4", "K80", "RTX6000", "GTX"}, word)
	})
}

// withoutGPU finds what fails where there is none.
func (c *check) withoutGPU() {
	for _, k := range c.facts.Calls {
		if k.Guarded || k.Maybe {
			continue
		}
		what := ""
		switch {
		case k.Kw["load_in_4bit"].isTrue() || k.Kw["load_in_8bit"].isTrue():
			what = "quantization by bitsandbytes"
		case k.Name == "unsloth.FastLanguageModel.from_pretrained":
			what = "unsloth"
		case k.Kw["attn_implementation"].text() == "flash_attention_2":
			what = "flash_attention_2"
		case k.Kw["fp16"].isTrue() && !k.Kw["use_cpu"].isTrue():
			what = "fp16"
		case k.last() == "cuda" && k.Recv != nil && len(k.Args) == 0:
			what = ".cuda()"
		case k.last() == "to" && k.Recv != nil && len(k.Args) > 0 && strings.HasPrefix(k.Args[0].text(), "cuda"):
			what = `.to("cuda")`
		}
		if what != "" {
			c.fail(Finding{Code: CodeHardware, Line: k.Line, Text: fmt.Sprintf("%s needs a GPU, and %s has none", what, c.Offer.Flavor), Fix: "take hardware with a GPU, or leave it out"})
			return
		}
	}
}

// rewards checks the functions that score completions: the trainer passes them
// columns and more, by name.
func (c *check) rewards() {
	if c.train == nil || c.train.way != byReward {
		return
	}
	v := c.train.trainer.arg(1, "reward_funcs")
	funcs := v.Items
	if v.Kind == "function" {
		funcs = []value{v}
	}
	for _, f := range funcs {
		if f.Kind == "function" && !f.VarKw {
			c.fail(Finding{Code: CodeArgument, Line: c.train.trainer.Line, Text: fmt.Sprintf("the reward function %s takes no further arguments, and the trainer passes prompts, completions, their ids and all columns", f.Name), Fix: "add **kwargs to its parameters"})
		}
	}
}
