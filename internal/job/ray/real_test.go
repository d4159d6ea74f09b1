//go:build linux

package ray_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
)

// TestRealBackend runs the suite against a real Ray head.
func TestRealBackend(t *testing.T) {
	c := startCluster(t, 6, "")
	jobtest.Run(t, func(t *testing.T) job.Backend { return c.backend(t) }, jobtest.Traits{Elsewhere: true})
}

// TestRealHeadRestarted takes a head away with all that it knows.
func TestRealHeadRestarted(t *testing.T) {
	c := startCluster(t, 2, "")
	b := c.backend(t)
	spec, trace := runs(t)
	spec.Command[2] = `echo begun; ` + spec.Command[2] + `; sleep 300`
	s := submit(t, b, spec)
	done := wait(t, b, submit(t, b, shell(t, "echo fine")).ID)
	untilLogged(t, b, s.ID, "begun")
	c.stop(c.head)
	if now, err := b.Status(t.Context(), s.ID); err == nil || now.State != job.Running {
		t.Errorf("without a head the job is %+v, %v", now, err)
	}
	if err := b.Cancel(t.Context(), s.ID); err == nil {
		t.Error("without a head the job was canceled")
	}
	if log := text(t, b, done.ID); log != "fine\n" {
		t.Errorf("without a head the log is %q", log)
	}
	if line := job.LastLine(t.Context(), b, s.ID); line != "begun" {
		t.Errorf("without a head the last line is %q", line)
	}
	c.startHead()
	want(t, wait(t, b, s.ID), job.Lost, -1, "restarted")
	if again := submit(t, b, spec); again.ID != s.ID || again.State != job.Lost {
		t.Errorf("its label gives %+v", again)
	}
	ranOnce(t, trace)
	want(t, wait(t, b, submit(t, b, shell(t, "true")).ID), job.Succeeded, 0, "")
}

// TestRealNodeLost takes away the nodes that jobs run on.
func TestRealNodeLost(t *testing.T) {
	c := startCluster(t, 0, "")
	first := c.addNode(2)
	b := c.backend(t)
	c.offers(1)
	spec := shell(t, `echo "attempt $JOB_ATTEMPT from $CHECKPOINT"; [ "$JOB_ATTEMPT" = 1 ] || sleep 300; echo 1 >"$OUTPUT_DIR/score"`)
	spec.Retries, spec.Checkpoint = 1, "hf://model/me/run"
	again := submit(t, b, spec)
	spec.Retries = 0
	once := submit(t, b, spec)
	untilLogged(t, b, again.ID, "attempt 0")
	untilLogged(t, b, once.ID, "attempt 0")
	c.stop(first)
	c.addNode(2)
	done := wait(t, b, once.ID)
	if done.State != job.Preempted || !strings.Contains(done.Reason, "node") {
		t.Errorf("the job without retries is %+v", done)
	}
	done = wait(t, b, again.ID)
	want(t, done, job.Succeeded, 0, "")
	log := text(t, b, again.ID)
	if want := "attempt 0 from hf://model/me/run\n[its node was taken away; this is attempt 2]\nattempt 1 from hf://model/me/run\n"; log != want {
		t.Errorf("the log is %q, want %q", log, want)
	}
	if err := b.Collect(t.Context(), again.ID); err != nil {
		t.Errorf("collect: %v", err)
	}
	if err := b.Collect(t.Context(), once.ID); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("collect what was lost: %v", err)
	}
}

// TestRealToken asks a head that wants a token.
func TestRealToken(t *testing.T) {
	token := strings.Repeat("0123456789abcdef", 4)
	c := startCluster(t, 2, token)
	b := c.backend(t)
	for _, wrong := range []string{"", strings.Repeat("f", 64)} {
		b.Token = wrong
		spec := shell(t, "true")
		spec.Label = "x"
		if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("with the token %q: %+v, %v", wrong, s, err)
		}
		if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("refused jobs are listed: %v, %v", all, err)
		}
	}
	b.Token = token
	b.Secret = func(string) (string, bool) { return "hunter2-hunter2", true }
	spec := shell(t, "")
	spec.Command = []string{"python", "-c", `
import os, ray
ray.init()
@ray.remote
def f(): return os.environ["GREETING"]
print(ray.get(f.remote()), len(os.environ["API_KEY"]))`}
	spec.Env, spec.Secrets = map[string]string{"GREETING": "hello"}, []string{"API_KEY"}
	s := submit(t, b, spec)
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	if log := text(t, b, s.ID); !strings.Contains(log, "hello 15\n") {
		t.Errorf("the log is %q", log)
	}
	if n := c.search("hunter2-hunter2"); n == 0 {
		t.Error("no file of the cluster was read")
	}
	data, err := os.ReadFile(filepath.Join(b.Dir, "jobs", s.ID+".json"))
	if err != nil || strings.Contains(string(data), token) {
		t.Errorf("the record holds the token, or %v", err)
	}
}

// TestRealShared runs jobs in the workspace itself, on nodes with GPUs that are
// not there.
func TestRealShared(t *testing.T) {
	c := startCluster(t, 2, "")
	c.start("--address=127.0.0.1:"+strconv.Itoa(c.port), "--num-cpus=3", "--num-gpus=2", `--resources={"accelerator_type:A100": 1}`)
	b := c.backend(t)
	b.Shared, b.GPUMemory = true, map[string]float64{"A100": 81920}
	c.offers(2)
	var gpu job.Offer
	c.until("Ray says what is free", func() bool {
		offers, err := b.Offers(t.Context())
		gpu = offers[len(offers)-1]
		return err == nil && gpu.FreeGPUs == 2 && gpu.FreeCPUs == 3
	})
	if gpu.GPUMemoryMB != 81920 || gpu.GPU != "A100" || gpu.GPUs != 2 || gpu.CPUs != 3 || !strings.HasSuffix(gpu.Flavor, "-2xa100") || gpu.PriceUnknown || gpu.Ephemeral {
		t.Errorf("the offer is %+v", gpu)
	}
	b.USDPerHour = map[string]float64{gpu.Flavor: 3}
	for _, need := range []job.Hardware{{GPUMemoryMB: 60000}, {GPU: "a100"}, {Flavor: gpu.Flavor}} {
		spec := shell(t, `pwd; echo "<$CUDA_VISIBLE_DEVICES>"; echo 1 >"$OUTPUT_DIR/score"; echo 2 >beside`)
		spec.Hardware = need
		s := wait(t, b, submit(t, b, spec).ID)
		want(t, s, job.Succeeded, 0, "")
		ids := map[bool]string{true: "<0,1>", false: "<0>"}[need.Flavor != ""]
		if log := text(t, b, s.ID); !strings.HasPrefix(log, spec.Dir+"\n") || !strings.Contains(log, ids) && !strings.Contains(log, "<1>") && !strings.Contains(log, "<1,0>") {
			t.Errorf("%+v: the log is %q", need, log)
		}
		if s.USDPerHour != 3 || !strings.Contains(s.Hardware, "A100") {
			t.Errorf("%+v: it costs %v on %s", need, s.USDPerHour, s.Hardware)
		}
		for _, path := range []string{filepath.Join(s.OutputDir, "score"), filepath.Join(spec.Dir, "beside")} {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
	spec := shell(t, "true")
	spec.GPU = "H100"
	if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "A100") {
		t.Errorf("a GPU that is not there: %+v, %v", s, err)
	}
}

// TestRealGauges has a node with two GPUs that are not there, and a program that
// calls itself nvidia-smi. Of a job that has one is told what that does, of
// another only the disk.
func TestRealGauges(t *testing.T) {
	bin := t.TempDir()
	smi := "#!/bin/sh\ncase $* in *utilization*) ;; *) exit 2 ;; esac\n" +
		`echo "0, GPU-aa, NVIDIA A100-SXM4-80GB, 0, 512, 81920"` + "\n" + `echo "1, GPU-bb, NVIDIA A100-SXM4-80GB, 0, 512, 81920"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(smi), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c := startCluster(t, 2, "")
	c.start("--address=127.0.0.1:"+strconv.Itoa(c.port), "--num-cpus=3", "--num-gpus=2")
	b := c.backend(t)
	c.offers(2)
	spec := shell(t, "echo begun; sleep 300")
	plain := submit(t, b, spec)
	spec.GPUs = 1
	with := submit(t, b, spec)
	for _, id := range []string{plain.ID, with.ID} {
		untilLogged(t, b, id, "begun")
		c.until("it runs", func() bool { s, err := b.Status(t.Context(), id); return err == nil && s.State == job.Running })
	}
	want := []job.GPUGauge{{Name: "NVIDIA A100-SXM4-80GB", MemoryMB: 512, MemoryTotalMB: 81920}}
	c.until("it has noted what its GPU does", func() bool {
		m, err := b.Gauge(t.Context(), with.ID)
		return err == nil && slices.Equal(m.GPUs, want) && m.DiskTotal > 0 && m.DiskFree <= m.DiskTotal
	})
	if m, err := b.Gauge(t.Context(), plain.ID); err != nil || m.GPUs != nil || m.DiskTotal <= 0 {
		t.Errorf("the machine of the plain one is %+v, %v", m, err)
	}
	for _, id := range []string{plain.ID, with.ID} {
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Gauge(t.Context(), with.ID); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("of one that is over: %v", err)
	}
}

// TestRealDependencies has Ray make environments; it needs an index of packages.
func TestRealDependencies(t *testing.T) {
	c := startCluster(t, 2, "")
	b := c.backend(t)
	spec := job.Spec{Dir: t.TempDir(), Script: "train.py", Dependencies: []string{"six"}}
	script := "# /// script\n# requires-python = '>=3.9'\n# dependencies = ['iniconfig>=2']\n# ///\nimport six, iniconfig, ray\nprint('imported', six.__name__, iniconfig.__name__)\n"
	if err := os.WriteFile(filepath.Join(spec.Dir, "train.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	good := submit(t, b, spec)
	spec.Dependencies = []string{"no-such-package-of-ml-intern==1"}
	bad := submit(t, b, spec)
	spec.Dependencies, spec.Python = nil, "3.8"
	old := submit(t, b, spec)
	want(t, wait(t, b, old.ID), job.Failed, 127, "3.8")
	want(t, wait(t, b, good.ID), job.Succeeded, 0, "")
	if log := text(t, b, good.ID); !strings.Contains(log, "imported six iniconfig\n") {
		t.Errorf("the log is %q", log)
	}
	want(t, wait(t, b, bad.ID), job.Failed, -1, "no-such-package-of-ml-intern")
}
