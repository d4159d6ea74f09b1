package preflight_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
)

const sweptScript = `# /// script
# dependencies = ["trl"]
# ///
import argparse, os
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

p = argparse.ArgumentParser()
p.add_argument("--bs", type=int, default=1)
args = p.parse_args()
print(os.environ["SEED"])
ds = load_dataset("trl-lib/chat")
cfg = SFTConfig(output_dir="o", per_device_train_batch_size=args.bs)
SFTTrainer("Qwen/Qwen2.5-0.5B", args=cfg, train_dataset=ds["train"], eval_dataset=ds["test"]).train()
`

// counted counts what the Hub is asked.
type counted struct {
	world
	n *atomic.Int32
}

func (c counted) RepoInfo(ctx context.Context, repo hub.RepoID, rev string) (hub.Info, error) {
	c.n.Add(1)
	return c.world.RepoInfo(ctx, repo, rev)
}

// Every setting of a sweep is checked: what is wrong with all is said once, and
// what is wrong with some says with which. The Hub is asked once.
func TestSettings(t *testing.T) {
	t.Parallel()
	needPython(t)
	w := newWorld(t)
	var asked atomic.Int32
	files := fstest.MapFS{"train.py": {Data: []byte(sweptScript)}}
	r, _ := request(t, w, files, nil)
	r.Hub = counted{w, &asked}
	member := func(i, bs int, env map[string]string) job.Spec {
		spec := r.Spec
		spec.Name, spec.Args, spec.Env, spec.TimeLimit = fmt.Sprintf("n bs=%d", i), []string{"--bs", fmt.Sprint(bs)}, env, 4*time.Hour
		return spec
	}
	seed := map[string]string{"SEED": "1"}
	r.Spec = member(0, 1, seed)
	alone := check(t, r)
	if matching(alone.Findings, "warning results") < 0 || matching(alone.Findings, "warning memory") >= 0 || matching(alone.Findings, "error environment") >= 0 {
		t.Fatalf("the first setting alone: %s", alone)
	}
	once := asked.Swap(0)
	for i := 1; i < 64; i++ {
		switch {
		case i == 7:
			r.Others = append(r.Others, member(i, 1, nil))
		case i > 40:
			r.Others = append(r.Others, member(i, 4*i, seed))
		default:
			r.Others = append(r.Others, member(i, 1, seed))
		}
	}
	report := check(t, r)
	if n := asked.Load(); n != once {
		t.Errorf("the Hub was asked %d times, and for one job %d times", n, once)
	}
	text := report.String()
	if i := matching(report.Findings, "error environment SEED"); i < 0 || report.Findings[i].Settings != "n bs=7" {
		t.Errorf("the setting without SEED: %s", text)
	}
	if i := matching(report.Findings, "warning results"); i < 0 || report.Findings[i].Settings != "" || strings.Count(text, "warning results") != strings.Count(alone.String(), "warning results") {
		t.Errorf("what all have is not said once: %s", text)
	}
	if n := strings.Count(text, "\nwarning memory") + strings.Count(text, "\nerror memory"); n < 1 || n > 6 || !strings.Contains(text, "(of n bs=4") || !strings.Contains(text, " more") || strings.Contains(text, "n bs=40") {
		t.Errorf("%d findings on memory: %s", n, text)
	}
	if report.Memory.Likely() <= alone.Memory.Likely() {
		t.Errorf("the estimate is not the largest: %s", report.Memory)
	}
	if len(text) > 6000 {
		t.Errorf("the report has %d bytes", len(text))
	}
	r.Waivers = map[string]string{preflight.CodeMemory: "known", preflight.CodeResults: "a test", preflight.CodeBatch: "they are short"}
	if left := check(t, r).Blocking(); len(left) != 1 || left[0].Code != preflight.CodeEnv {
		t.Errorf("left: %+v", left)
	}
}

// A waiver for what is no warning is refused, whatever else holds.
func TestUnknownWaiver(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"smoek", "columns", ""} {
		r := plainRequest("print(1)\n")
		r.Waivers = map[string]string{code: "why not", "smoke": "it is"}
		_, err := preflight.Check(t.Context(), r)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no warning %q", code)) || !strings.Contains(err.Error(), "smoke, results, leak") {
			t.Errorf("%q: %v", code, err)
		}
	}
}
