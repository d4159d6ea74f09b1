//go:build slurm

package slurm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/job"
)

// sweep are jobs that differ in their arguments.
func (f faults) sweep(labels ...string) (specs []job.Spec) {
	for i, label := range labels {
		spec := f.shell(label, fmt.Sprintf(`echo "lr $0 secret ${#SLURM_TEST_TOKEN}"; [ $0 != 0.2 ] || exec sleep 100; exit %d`, i))
		spec.Args = []string{fmt.Sprintf("0.%d", i)}
		spec.Secrets = []string{"SLURM_TEST_TOKEN"}
		specs = append(specs, spec)
	}
	return specs
}

// array is a sweep whose answer is lost, submitted three times.
func array(t *testing.T, f faults) {
	t.Setenv("SLURM_TEST_TOKEN", "hunter2-hunter2")
	single := f.submit(f.sweep("d")[0]) // one of them is there already
	f.until(single.ID, "")
	specs := f.sweep("a", "c", "b", "d")
	bin := f.bin("sbatch", `REAL "$@" >/dev/null; kill -9 $PPID`)
	squeue := filepath.Join(bin, "squeue")
	os.WriteFile(squeue, []byte("#!/bin/sh\nexit 1\n"), 0o755)
	before := f.jobs()
	// The first time neither sbatch nor squeue answers.
	f.Bin = bin
	if got, err := f.SubmitAll(f.ctx, specs); err == nil {
		t.Errorf("without an answer SubmitAll says %+v", got)
	}
	f.Bin = ""
	got, err := f.SubmitAll(f.ctx, specs)
	if err != nil {
		t.Fatal(err)
	}
	if got[3].ID != single.ID || f.jobs() > before+3 {
		t.Errorf("the sweep is %+v, with %d jobs more", got, f.jobs()-before)
	}
	number, _, _ := strings.Cut(got[0].Ref, "_")
	for i, s := range got[:3] {
		if task := fmt.Sprintf("%s_%d", number, slices.Index([]string{"a", "b", "c"}, s.Label)); s.Ref != task || s.Label != specs[i].Label {
			t.Errorf("job %d is %+v, want task %s", i, s, task)
		}
	}
	f.want(f.until(got[0].ID, ""), job.Succeeded, 0)
	f.want(f.until(got[1].ID, ""), job.Failed, 1)
	f.until(got[2].ID, job.Running)
	if err := f.Cancel(f.ctx, got[2].ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
	f.want(f.until(got[2].ID, ""), job.Canceled, 143)
	again, err := f.SubmitAll(f.ctx, specs)
	if err != nil || len(again) != 4 || again[1].ID != got[1].ID || again[1].ExitCode != 1 {
		t.Errorf("submitted again it is %+v, %v", again, err)
	}
	log := ""
	for line, err := range f.Logs(f.ctx, got[1].ID, 0) {
		log += fmt.Sprintln(line.Text, err)
	}
	if log != "lr 0.1 secret 15 <nil>\n" {
		t.Errorf("the second said %q", log)
	}
	for _, label := range []string{"a", "b", "c", "d"} {
		f.ran(label, "run 0\n")
	}
	specs[1].Label, specs[1].CPUs = "other", 2
	specs[0].Label = "another"
	if _, err := f.SubmitAll(f.ctx, specs); err == nil {
		t.Error("an array of different hardware was accepted")
	}
}

// arrayBySSH is a sweep of scripts with inputs on another machine; one of its
// tasks needs too much memory.
func arrayBySSH(t *testing.T, f faults) {
	f.Backend = byssh(t)
	for name, text := range map[string]string{
		"mod/helper.py": "word = 'helped'\n",
		"train.py":      "import sys\nsys.path.insert(0, 'mod')\nimport helper, os, time\nprint(helper.word, sys.argv[1])\nopen(os.environ['OUTPUT_DIR'] + '/score', 'w').write(sys.argv[1])\nx = b'x' * (int(sys.argv[1]) << 20)\ntime.sleep(3)\n",
	} {
		path := filepath.Join(f.dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte(text), 0o600)
	}
	var specs []job.Spec
	for _, mb := range []string{"1", "300"} {
		specs = append(specs, job.Spec{Dir: f.dir, Script: "train.py", Args: []string{mb}, Inputs: []string{"mod"}, Hardware: job.Hardware{MemoryMB: 150}})
	}
	got, err := f.SubmitAll(f.ctx, specs)
	if err != nil {
		t.Fatal(err)
	}
	f.want(f.until(got[0].ID, ""), job.Succeeded, 0)
	f.want(f.until(got[1].ID, ""), job.OutOfMemory, 137)
	for i, want := range []string{"1", "300"} {
		if err := f.Collect(f.ctx, got[i].ID); err != nil {
			t.Error(err)
		}
		if score := f.read(filepath.Join(got[i].OutputDir, "score")); score != want {
			t.Errorf("result %d is %q", i, score)
		}
	}
}
