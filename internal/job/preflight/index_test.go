package preflight_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
)

// index is the real one, if uv is here and it answers.
func index(t testing.TB) preflight.Index {
	t.Helper()
	if testing.Short() {
		t.Skip("it downloads packages")
	}
	x := preflight.Index{Dir: t.TempDir()}
	if dir := os.Getenv("PREFLIGHT_PACKAGES"); dir != "" {
		x.Dir = dir
	}
	if _, err := exec.LookPath("uv"); err != nil {
		x.UV, _ = filepath.Abs("../../../.tools/bin/uv")
	}
	if _, err := x.Resolve(t.Context(), preflight.Needs{Requirements: []string{"six"}}); err != nil {
		t.Skip("no package index answers:", err)
	}
	return x
}

func TestIndex(t *testing.T) {
	t.Parallel()
	x := index(t)
	needs := preflight.Needs{Requirements: []string{"six==1.16.0", "Typing_Extensions>=4"}, Python: "3.12", Linux: true}
	versions, err := x.Resolve(t.Context(), needs)
	if err != nil || versions["six"] != "1.16.0" || versions["typing-extensions"] == "" {
		t.Fatalf("Resolve = %v, %v", versions, err)
	}
	for range 2 {
		dir, err := x.Unpack(t.Context(), "six", "1.16.0", needs)
		if _, there := os.Stat(filepath.Join(dir, "six.py")); err != nil || there != nil {
			t.Fatalf("Unpack = %s, %v, %v", dir, err, there)
		}
	}
	for _, r := range []string{"six==99.0", "six-that-nobody-has-made==1.0"} {
		if _, err := x.Resolve(t.Context(), preflight.Needs{Requirements: []string{r}}); !errors.Is(err, preflight.ErrConflict) {
			t.Errorf("%s: %v", r, err)
		}
	}
	x.UV = "/nonexistent/uv"
	if again, err := x.Resolve(t.Context(), needs); err != nil || again["six"] != "1.16.0" {
		t.Errorf("an answer is not kept: %v, %v", again, err)
	}
	x.Dir = t.TempDir()
	if _, err := x.Resolve(t.Context(), needs); !errors.Is(err, preflight.ErrNoUV) {
		t.Errorf("without uv: %v", err)
	}
}

// TestRealPackages checks arguments against the very packages that a job gets.
func TestRealPackages(t *testing.T) {
	t.Parallel()
	needPython(t)
	x := index(t)
	script := `# /// script
# requires-python = ">=3.10"
# dependencies = ["trl==0.24.0", "transformers==4.57.1", "datasets==4.3.0", "peft==0.17.1"]
# ///
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments, pipeline
from trl import SFTConfig, SFTTrainer, DPOConfig, GRPOConfig, GRPOTrainer
good = SFTConfig(output_dir="o", max_length=512, packing=True, bf16=True, learning_rate=1e-4, eval_strategy="no", push_to_hub=True, hub_model_id="a/b")
good = GRPOConfig(output_dir="o", num_generations=4, max_completion_length=64, use_vllm=False, beta=0.0)
good = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.1)
good = AutoModelForCausalLM.from_pretrained("x/y", dtype="auto", device_map="auto", attn_implementation="sdpa")
good = pipeline("text-generation", model="x/y", whatever=1)
good = load_dataset("x/y", split="train", streaming=True, num_proc=2)
bad = SFTConfig(output_dir="o", max_seq_length=512)
bad = TrainingArguments("o", evaluation_strategy="steps")
bad = DPOConfig(output_dir="o", warmup=3)
bad = LoraConfig(rank=8)
bad = SFTTrainer("x/y", tokenizer=1)
`
	report, err := preflight.Check(t.Context(), preflight.Request{
		Spec: job.Spec{Script: "a.py", Dir: "/w", TimeLimit: time.Hour}, Remote: true,
		Python: preflight.Interpreter{}, Packages: x, Files: fstest.MapFS{"a.py": {Data: []byte(script)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range report.Blocking() {
		if f.Code == preflight.CodeArgument || f.Code == preflight.CodeImport || f.Code == preflight.CodePackages {
			got = append(got, f.Text)
		}
	}
	want := "SFTConfig of trl 0.24.0 takes no argument max_seq_length\nTrainingArguments of transformers 4.57.1 takes no argument evaluation_strategy\n" +
		"DPOConfig of trl 0.24.0 takes no argument warmup\nLoraConfig of peft 0.17.1 takes no argument rank\nSFTTrainer of trl 0.24.0 takes no argument tokenizer"
	if strings.Join(got, "\n") != want {
		t.Errorf("found:\n%s\n\nreport:\n%s", strings.Join(got, "\n"), report)
	}
}
