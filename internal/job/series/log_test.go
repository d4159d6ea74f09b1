package series

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// readLines reads lines of output into "name=value@step axis" and the rest.
func readLines(lines ...string) (got []string, log *Log) {
	log = &Log{}
	for _, line := range lines {
		log.Line(line, time.Time{}, func(x Sample) {
			got = append(got, fmt.Sprintf("%s=%s@%s %s", x.Name, Number(x.Value), Number(x.Step), x.Axis))
		})
	}
	return got, log
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		want string // joined by ", "
	}{
		"trainer":     {`{'loss': 0.6931, 'grad_norm': 1.25, 'learning_rate': 4.9e-05, 'epoch': 0.02}`, "loss=0.6931@0.02 epoch, grad_norm=1.25@0.02 epoch, learning_rate=4.9e-05@0.02 epoch"},
		"trainer 5":   {`{'loss': '0.6931', 'grad_norm': 'nan', 'learning_rate': '0', 'epoch': '0.02'}`, "loss=0.6931@0.02 epoch, grad_norm=NaN@0.02 epoch, learning_rate=0@0.02 epoch"},
		"eval":        {`{'eval_loss': 0.5, 'eval_runtime': 1.2, 'eval_samples_per_second': 80.0, 'epoch': 1.0}`, "eval_loss=0.5@1 epoch, eval_runtime=1.2@1 epoch, eval_samples_per_second=80@1 epoch"},
		"behind tqdm": {` 10%|█         | 10/100 [00:05<00:45,  2.00it/s]{'loss': 0.5, 'epoch': 0.1}`, "loss=0.5@0.1 epoch"},
		"json":        {`{"step": 7, "train/loss": 0.25, "_timestamp": 1700000000.5}`, "train/loss=0.25@7 step"},
		"json nan":    {`{"step": 7, "loss": NaN, "lr": Infinity}`, "loss=NaN@7 step, lr=Inf@7 step"},
		"tensor":      {`{'loss': tensor(0.5, device='cuda:0'), 'acc': np.float64(0.75)}`, "loss=0.5@0 , acc=0.75@0 "},
		"nested":      {`{"step": 1, "eval": {"loss": 2.5, "f1": 0.5}, "note": "x"}`, "eval/loss=2.5@1 step, eval/f1=0.5@1 step"},
		"words":       {`step 100/500 | train loss: 2.5 | lr 1e-4`, "train_loss=2.5@100 step, lr=0.0001@100 step"},
		"epoch":       {`Epoch [3/10], Loss: 0.3214, val_acc=90.5%`, "Loss=0.3214@3 epoch, val_acc=90.5@3 epoch"},
		"no place":    {`final accuracy: 0.875`, "accuracy=0.875@0 "},
		"logger":      {`2026-11-26 18:00:00,123 INFO train.py:12 step=5 loss=1.5`, "loss=1.5@5 step"},
		"keras":       {`100/100 ━━━━━━━━━━━━━━━━━━━━ 3s 9ms/step - accuracy: 0.95 - loss: 0.25`, "accuracy=0.95@0 , loss=0.25@0 "},
		"keras mean":  {`45/100 ━━━━━━━━━━━━━━━━━━━━ 3s 9ms/step - accuracy: 0.95 - loss: 0.25`, ""},
		"postfix":     {`Training:  45%|████▌     | 45/100 [00:10<00:12,  4.50it/s, loss=0.5, v_num=3]`, "loss=0.5@45 step"},
		"ansi":        {"\x1b[32mstep 3\x1b[0m loss=\x1b[1m0.5\x1b[0m", "loss=0.5@3 step"},
		"version":     {`Installed torch==2.5.1, accuracy-lib 0.3`, ""},
		"time":        {`loss: 10:30`, ""},
		"config":      {`{'hidden_size': 768, 'dropout': 0.1}`, ""},
		"cut dict":    {`{'loss': 0.5, 'epo`, ""},
		"path":        {`saving to runs/loss-0.5/checkpoint-3`, ""},
		"blank":       {``, ""},
	} {
		got, _ := readLines(c.line)
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q gives\n %s, want\n %s", name, c.line, text, c.want)
		}
	}
}

func TestLogProgress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines    []string
		fraction float64
		left     time.Duration
		none     bool
	}{
		"tqdm":         {lines: []string{` 45%|████▌     | 45/100 [00:10<00:12,  4.50it/s]`}, fraction: 0.45, left: 12 * time.Second},
		"two bars":     {lines: []string{` 45%|████▌     | 450/1000 [1:00:10<1:12:00,  4.50s/it]`, `100%|███| 10/10 [00:10<00:00,  1.00it/s]`, ` 50%|███| 5/10 [00:10<00:12,  1.00it/s]`}, fraction: 0.45, left: 72 * time.Minute},
		"epochs":       {lines: []string{`Epoch 1/10: loss 0.5`, `Epoch 3/10: loss 0.5`}, fraction: 0.2},
		"from 0":       {lines: []string{`Epoch 0/10: loss 0.5`, `Epoch 3/10: loss 0.5`}, fraction: 0.3},
		"steps":        {lines: []string{`step 100/500 loss 0.5`}, fraction: 0.2},
		"bar of epoch": {lines: []string{`Epoch 0:  50%|██▌  | 50/100 [00:10<00:10,  5.00it/s]`}, none: true},
		"bar of 4":     {lines: []string{`Epoch 1/4: 100%|██▌  | 100/100 [00:10<00:00,  5.00it/s]`, `Epoch 2/4:  50%|██▌  | 50/100 [00:10<00:10,  5.00it/s]`}, fraction: 0.375},
		"days":         {lines: []string{`  1%|▌     | 1/100 [10:00<1 day, 1:00:00, 600.00s/it]`}, fraction: 0.01, left: 25 * time.Hour},
		"none":         {lines: []string{`hello 5`}, none: true},
		"unknown left": {lines: []string{`  0%|      | 0/100 [00:00<?, ?it/s]`}, fraction: 0},
	} {
		_, log := readLines(c.lines...)
		p, ok := log.Progress()
		if ok == c.none || math.Abs(p.Fraction-c.fraction) > 1e-9 || p.Left != c.left {
			t.Errorf("%s: %+v, %v; want %v done, %v left", name, p, ok, c.fraction, c.left)
		}
	}
}

func TestLogMoves(t *testing.T) {
	t.Parallel()
	var log Log
	nothing := func(Sample) {}
	for _, c := range []struct {
		line  string
		moved bool
	}{
		{` 45%|████▌     | 45/100 [00:10<00:12,  4.50it/s]`, true},
		{` 45%|████▌     | 45/100 [00:20<00:12,  4.50it/s]`, false}, // redrawn, and no further
		{` 46%|████▌     | 46/100 [00:20<00:12,  4.50it/s]`, true},
		{`waiting for 3 workers`, false},
		{`loss: 0.5`, true},
	} {
		if got := log.Line(c.line, time.Time{}, nothing); got != c.moved {
			t.Errorf("%q: moved is %v", c.line, got)
		}
	}
}

func TestManyBars(t *testing.T) {
	t.Parallel()
	var log Log
	for i := range 1000 {
		log.Line(fmt.Sprintf("part %d: 45%%|████▌     | 45/100 [00:10<00:12,  4.50it/s]", i), time.Time{}, func(Sample) {})
	}
	if len(log.bars) > maxBars {
		t.Errorf("%d bars are kept", len(log.bars))
	}
}

func TestBetterWhen(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Direction{
		"loss": Lower, "eval_loss": Lower, "train/loss": Lower, "valLoss": Lower, "accuracy": Higher, "val_acc": Higher, "eval_f1": Higher,
		"rewards/margins": Higher, "reward_std": Unknown, "learning_rate": Unknown, "grad_norm": Unknown, "reward_loss": Lower, "epoch": Unknown,
	} {
		if got := BetterWhen(name); got != want {
			t.Errorf("%s is better when %s, want %s", name, got, want)
		}
	}
}

func FuzzLog(f *testing.F) {
	f.Add(`{'loss': 0.6931, 'grad_norm': 1.25, 'learning_rate': 4.9e-05, 'epoch': 0.02}`)
	f.Add(`Epoch 3/10: 45%|████▌     | 45/100 [00:10<00:12,  4.50it/s, loss=0.5, v_num=3]{"a": {"b": [1, {'c': tensor(1, x=(2))}]}}`)
	f.Add("45/100 [====>....] - ETA: 5s - loss: 0.5\n12it [00:01,  9.5it/s]")
	f.Fuzz(func(t *testing.T, text string) {
		var log Log
		n := 0
		for line := range strings.Lines(text) {
			log.Line(line, time.Time{}, func(x Sample) {
				if n++; x.Name == "" {
					t.Errorf("%q gives a value without a name", line)
				}
			})
		}
		if n > 2*maxPairs*(1+strings.Count(text, "\n")) {
			t.Errorf("%d values", n)
		}
		if p, ok := log.Progress(); ok && !(p.Fraction >= 0 && p.Fraction <= 1 && p.Left >= 0) {
			t.Errorf("progress of %q: %+v", text, p)
		}
	})
}
