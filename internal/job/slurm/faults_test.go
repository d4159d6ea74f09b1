//go:build slurm

package slurm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/slurm"
)

// TestMain lets the test program be an agent that submits the job in its
// arguments, to be killed while it does.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "agent" {
		var spec job.Spec
		err := json.Unmarshal([]byte(os.Args[4]), &spec)
		if err == nil {
			_, err = (&slurm.Backend{Dir: os.Args[2], Bin: os.Args[3]}).Submit(context.Background(), spec)
		}
		fmt.Fprintln(os.Stderr, "submitted:", err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestFaults breaks the cluster, so that its parts run one after another.
func TestFaults(t *testing.T) {
	for _, fault := range []struct {
		name  string
		check func(t *testing.T, f faults)
	}{
		{"AnswerLost", answerLost},
		{"AgentKilled", agentKilled},
		{"SentTwice", sentTwice},
		{"Refused", refused},
		{"GPUs", gpus},
		{"Gauges", gauges},
		{"Array", array},
		{"ArrayBySSH", arrayBySSH},
		{"ControllerRestarted", controllerRestarted},
		{"Forgotten", forgotten},
		{"AccountsOfSecrets", accountsOfSecrets},
		{"OutOfMemory", outOfMemory},
		{"Preempted", preempted},
		{"RequeuedByHand", requeuedByHand},
		{"Signals", signals},
		{"NodeDown", nodeDown},
		{"NetworkLost", networkLost},
	} {
		t.Run(fault.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			fault.check(t, faults{t, here(t), cluster(t), t.TempDir(), ctx})
		})
	}
}

func answerLost(t *testing.T, f faults) {
	f.Bin = f.bin("sbatch", `REAL "$@" >/dev/null; exit 1`)
	before := f.jobs()
	s := f.submit(f.shell("lost", "true"))
	f.want(f.until(s.ID, ""), job.Succeeded, 0)
	if again := f.submit(f.shell("lost", "true")); again.ID != s.ID || f.jobs() != before+1 {
		t.Errorf("sent again it is %+v, with %d jobs more", again, f.jobs()-before)
	}
	f.ran("lost", "run 0\n")

	// The connection dies with the answer, and Slurm cannot be asked either.
	f.Bin = f.bin("sbatch", `REAL "$@" >/dev/null; kill -9 $PPID`)
	squeue := filepath.Join(f.Bin, "squeue")
	good, err := os.ReadFile(squeue)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(squeue, []byte("#!/bin/sh\nexit 1\n"), 0o755)
	if s, err := f.Submit(f.ctx, f.shell("cut", "true")); err == nil {
		t.Errorf("without an answer Submit says %+v", s)
	}
	os.WriteFile(squeue, good, 0o755)
	s = f.submit(f.shell("cut", "true"))
	f.want(f.until(s.ID, ""), job.Succeeded, 0)
	f.ran("cut", "run 0\n")
	if f.jobs() != before+2 {
		t.Errorf("%d jobs were sent for two labels", f.jobs()-before)
	}
}

// agentKilled kills the agent at different moments of Submit.
func agentKilled(t *testing.T, f faults) {
	for label, script := range map[string]string{
		"before": `kill -9 $(cat PID); exit 1`,
		"after":  `REAL "$@"; kill -9 $(cat PID)`,
		"unseen": `REAL "$@"; kill -9 $(cat PID)`, // nobody has asked for it before it is submitted again
	} {
		spec := f.shell(label, "true")
		spec.Name = label
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		pidFile := filepath.Join(f.TempDir(), "pid")
		c := exec.CommandContext(f.ctx, os.Args[0], "agent", f.Dir, f.bin("sbatch", strings.ReplaceAll(script, "PID", pidFile)), string(text))
		var said bytes.Buffer
		c.Stderr = &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(pidFile, []byte(strconv.Itoa(c.Process.Pid)), 0o600)
		if err := c.Wait(); err == nil {
			t.Fatalf("the agent was not killed: %s", &said)
		}
		if label != "unseen" {
			if found, err := f.Find(f.ctx, label); err != nil || found.Label != label {
				t.Errorf("%s: after the kill the label is %+v, %v", label, found, err)
			}
		}
		s := f.submit(spec)
		f.want(f.until(s.ID, ""), job.Succeeded, 0)
		f.ran(label, "run 0\n")
		if n := strings.Count(f.run("squeue", "-h", "-t", "all", "-o", "%j"), s.ID); n != 1 {
			t.Errorf("%s: Slurm was sent %d jobs", label, n)
		}
	}
}

func sentTwice(t *testing.T, f faults) {
	f.Bin = f.bin("sbatch", `REAL "$@" >/dev/null; REAL "$@"`)
	s := f.submit(f.shell("twice", "sleep 2"))
	f.want(f.until(s.ID, ""), job.Succeeded, 0)
	f.ran("twice", "run 0\n")

	s = f.submit(f.shell("both", "sleep 100"))
	f.started("both")
	if err := f.Cancel(f.ctx, s.ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if out := f.run("squeue", "-h", "-n", "ml."+s.ID, "-t", "PENDING,RUNNING", "-o", "%i"); out != "" {
		t.Errorf("after Cancel there are still %s", out)
	}
}

func refused(t *testing.T, f faults) {
	f.Account = "" // there are no accounts to be refused; a constraint nobody has is
	f.Options = []string{"--constraint=nobody-has-it"}
	s, err := f.Submit(f.ctx, f.shell("refused", "true"))
	if err == nil || !strings.Contains(err.Error(), "feature") {
		t.Errorf("a job that Slurm refuses is %+v, %v", s, err)
	}
	if all, err := f.List(f.ctx); len(all) != 0 || err != nil {
		t.Errorf("it is listed: %+v, %v", all, err)
	}
	f.Options = nil
	f.want(f.until(f.submit(f.shell("refused", "true")).ID, ""), job.Succeeded, 0)

	for what, need := range map[string]job.Hardware{"a H100": {GPU: "H100"}, "9 CPUs": {CPUs: 9}, "3 GPUs": {GPUs: 3}} {
		spec := f.shell("", "true")
		spec.Hardware = need
		if _, err := f.Submit(f.ctx, spec); err == nil || !strings.Contains(err.Error(), "main:a100") {
			t.Errorf("%s: %v", what, err)
		}
	}
	spec := f.shell("", "true")
	spec.TimeLimit = 2 * time.Hour
	if _, err := f.Submit(f.ctx, spec); err == nil || !strings.Contains(err.Error(), "1h0m0s") {
		t.Errorf("two hours where one is allowed: %v", err)
	}
}

// gpus looks at what is offered while a job has the GPUs.
func gpus(t *testing.T, f faults) {
	f.USDPerHour, f.GPUMemoryMB = map[string]float64{"urgent": 2, "*": 1}, map[string]int64{"a100": 40 << 10}
	spec := f.shell("gpus", "echo gpus $CUDA_VISIBLE_DEVICES; sleep 14")
	spec.Hardware = job.Hardware{GPUs: 2, GPU: "A100", GPUMemoryMB: 40 << 10}
	s := f.submit(spec)
	f.started("gpus")
	time.Sleep(11 * time.Second) // what is offered counts for ten seconds
	offers, err := f.Offers(f.ctx)
	if err != nil || len(offers) != 2 || offers[0].Flavor != "main:a100" || offers[1].USDPerHour != 2 {
		t.Fatalf("the offers are %+v, %v", offers, err)
	}
	if o := offers[0]; o.GPUs != 2 || o.FreeGPUs != 0 || o.FreeCPUs != 7 || o.GPUMemoryMB != 40<<10 || o.MemoryMB != 4000 || o.DefaultLimitS != 3600 {
		t.Errorf("what is taken is offered as %+v", o)
	}
	f.want(f.until(s.ID, ""), job.Succeeded, 0)
	if log := f.read(filepath.Join(f.Dir, "jobs", s.ID, "log")); log != "gpus 0,1\n" {
		t.Errorf("the job has %q", log)
	}
}

func controllerRestarted(t *testing.T, f faults) {
	short, long := f.submit(f.shell("short", "sleep 4")), f.submit(f.shell("long", "sleep 12; exit 7"))
	f.started("short")
	f.started("long")
	time.Sleep(6 * time.Second) // Slurm saves what it has every few seconds
	f.kill("slurmctld")
	s, err := f.Status(f.ctx, long.ID)
	if err == nil || s.State != job.Running {
		t.Errorf("without a controller the job is %+v, %v", s, err)
	}
	if _, err := f.Submit(f.ctx, f.shell("none", "true")); err == nil {
		t.Errorf("without a controller a job was accepted")
	}
	f.want(f.until(short.ID, ""), job.Succeeded, 0) // its own note says so
	f.start("slurmctld")
	f.want(f.until(long.ID, ""), job.Failed, 7)
	f.want(f.until(f.submit(f.shell("none", "true")).ID, ""), job.Succeeded, 0)
	for _, label := range []string{"short", "long", "none"} {
		f.ran(label, "run 0\n")
	}
}

// forgotten looks at jobs after Slurm has forgotten them.
func forgotten(t *testing.T, f faults) {
	fails := f.submit(f.shell("fails", "exit 3"))
	held := f.shell("held", "true")
	f.Options = []string{"--hold"}
	waits := f.submit(held)
	f.Options = nil
	killed := f.submit(f.shell("killed", "sleep 100"))
	f.run("scancel", waits.Ref)
	f.started("fails")
	f.started("killed")
	f.killProcesses(killed)
	for f.run("squeue", "-h", "-t", "all", "-o", "%i", "-n", "ml."+fails.ID+",ml."+waits.ID+",ml."+killed.ID) != "" {
		if f.ctx.Err() != nil {
			t.Fatal("Slurm remembers too long")
		}
		time.Sleep(time.Second)
	}
	f.want(f.until(fails.ID, ""), job.Failed, 3)
	s := f.until(waits.ID, "")
	f.want(s, job.Canceled, -1)
	if accounts() != (s.Reason == "it was canceled") {
		t.Errorf("of the canceled job it is said: %s", s.Reason)
	}
	s = f.until(killed.ID, "")
	f.want(s, job.Lost, -1)
	if accounts() != strings.Contains(s.Reason, "node1") {
		t.Errorf("of the killed job it is said: %s", s.Reason)
	}
}

// accountsOfSecrets looks for a job's secret in what Slurm keeps of the job:
// its variables and its script too, where there are accounts.
func accountsOfSecrets(t *testing.T, f faults) {
	t.Setenv("SLURM_TEST_TOKEN", "hunter2-hunter2")
	spec := f.shell("kept", `[ ${#SLURM_TEST_TOKEN} = 15 ] || exit 9; sleep 3`)
	spec.Secrets = []string{"SLURM_TEST_TOKEN"}
	s := f.submit(spec)
	f.started("kept")
	said := f.run("scontrol", "write", "batch_script", s.Ref, "-") + f.run("scontrol", "-dd", "show", "job", s.Ref) + f.run("grep", "-raF", padName, filepath.Join(f.cluster, "state"))
	f.want(f.until(s.ID, ""), job.Succeeded, 0)
	if accounts() {
		kept := ""
		for !strings.Contains(kept, padName) { // accounts come a little later
			if f.ctx.Err() != nil {
				t.Fatalf("the job's variables are not kept: %s", kept)
			}
			time.Sleep(time.Second)
			kept = f.run("sacct", "-j", s.Ref, "--env-vars")
		}
		said += kept + f.run("sacct", "-j", s.Ref, "--batch-script")
	}
	if strings.Contains(said, "hunter2") {
		t.Errorf("Slurm keeps the secret: %s", said)
	}
	if out, err := exec.CommandContext(f.ctx, "grep", "-raF", "hunter2-hunter2", filepath.Join(f.cluster, "state"), filepath.Join(f.cluster, "spool"), f.Dir).Output(); err == nil {
		t.Errorf("the secret is in a file: %s", out)
	}
}

// padName is the variable that holds one half of the secrets.
const padName = "MLI_PAD"

func outOfMemory(t *testing.T, f faults) {
	spec := f.shell("oom", `exec python3 -c 'import time; x = b"x" * (300 << 20); time.sleep(60)'`)
	spec.MemoryMB = 100
	s := f.until(f.submit(spec).ID, "")
	if s.State != job.OutOfMemory || !strings.Contains(s.Reason, "memory") {
		t.Errorf("out of memory the job is %+v", s)
	}
	f.ran("oom", "run 0\n")
}

// preempted lets urgent jobs take the node.
func preempted(t *testing.T, f faults) {
	t.Setenv("SLURM_TEST_TOKEN", "hunter2-hunter2")
	full := func(label, script, flavor string) job.Spec {
		spec := f.shell(label, script)
		spec.Hardware = job.Hardware{Flavor: flavor, CPUs: 8}
		return spec
	}
	again := full("again", `echo "secret ${#SLURM_TEST_TOKEN}"; [ $JOB_ATTEMPT = 1 ] || sleep 100`, "main:a100")
	again.Retries, again.Secrets = 1, []string{"SLURM_TEST_TOKEN"}
	first := f.submit(again)
	f.started("again")
	urgent := f.submit(full("urgent", "sleep 2", "urgent:a100"))
	f.want(f.until(urgent.ID, ""), job.Succeeded, 0)
	done := f.until(first.ID, "")
	f.want(done, job.Succeeded, 0)
	if done.EarlierSeconds <= 0 || done.EarlierSeconds > 100 || done.Retries != 1 {
		t.Errorf("the first attempt is not counted: %+v", done)
	}
	f.ran("again", "run 0\nrun 1\n")
	log := ""
	for line, err := range f.Logs(f.ctx, first.ID, 0) {
		log += fmt.Sprintln(line.Text, err)
	}
	if strings.Count(log, "secret 15 <nil>\n") != 2 {
		t.Errorf("the secret was not there both times: %s", log)
	}

	once := f.submit(full("once", "sleep 100", "main:a100"))
	f.started("once")
	f.until(f.submit(full("urgent2", "sleep 2", "urgent:a100")).ID, "")
	s := f.until(once.ID, "")
	f.want(s, job.Preempted, 143)
	f.ran("once", "run 0\n")

	// With a retry too few, the last attempt says so and does nothing.
	few := full("few", "sleep 100", "main:a100")
	few.Retries = 1
	s = f.submit(few)
	for i := range 2 {
		for f.until(s.ID, job.Running); strings.Count(f.read(f.trace("few")), "\n") != i+1; time.Sleep(50 * time.Millisecond) {
		}
		f.until(f.submit(full("urgent3."+strconv.Itoa(i), "sleep 1", "urgent:a100")).ID, "")
	}
	f.want(f.until(s.ID, ""), job.Preempted, 143)
	f.ran("few", "run 0\nrun 1\n")
}

// requeuedByHand requeues a job that has ended, as an administrator may.
func requeuedByHand(t *testing.T, f faults) {
	spec := f.shell("ended", "exit 5")
	spec.Retries = 3
	s := f.submit(spec)
	f.started("ended")
	for !strings.Contains(f.run("squeue", "-h", "-t", "all", "-j", s.Ref, "-o", "%T"), "FAILED") {
		time.Sleep(100 * time.Millisecond)
	}
	f.run("scontrol", "requeue", s.Ref)
	for !strings.Contains(f.run("squeue", "-h", "-t", "all", "-j", s.Ref, "-o", "%T"), "COMPLETED") {
		if f.ctx.Err() != nil {
			t.Fatal("it was not run again")
		}
		time.Sleep(time.Second)
	}
	f.want(f.until(s.ID, ""), job.Failed, 5)
	f.ran("ended", "run 0\n")
}

// signals are jobs that end by one, or that save something when they are asked
// to end.
func signals(t *testing.T, f faults) {
	killed := f.submit(job.Spec{Dir: f.dir, Command: []string{"sh", "-c", "echo begun; kill -KILL $$"}})
	absent := f.submit(job.Spec{Dir: f.dir, Command: []string{"/nowhere/program"}})
	echo := f.submit(job.Spec{Dir: f.dir, Command: []string{"echo"}, Args: []string{"-e", `a\n`}}) // the program, not the shell's
	saves := f.submit(f.shell("saves", `trap 'echo saved; exit 0' TERM; while :; do sleep 0.1; done`))
	f.want(f.until(killed.ID, ""), job.Failed, 137)
	f.want(f.until(absent.ID, ""), job.Failed, 127)
	f.want(f.until(echo.ID, ""), job.Succeeded, 0)
	f.started("saves")
	f.run("scancel", saves.Ref)
	f.want(f.until(saves.ID, ""), job.Canceled, 0)
	for id, want := range map[string]string{
		killed.ID: "begun\n", echo.ID: "a\n\n", absent.ID: "[/nowhere/program is not there on node node1]\n",
	} {
		if log := f.read(filepath.Join(f.Dir, "jobs", id, "log")); log != want {
			t.Errorf("the log is %q, want %q", log, want)
		}
	}
	if log := f.read(filepath.Join(f.Dir, "jobs", saves.ID, "log")); !strings.HasSuffix(log, "saved\n") {
		t.Errorf("what it saves is %q", log) // its own shell may say something of its sleep
	}
}

// nodeDown kills a node with what runs on it.
func nodeDown(t *testing.T, f faults) {
	once := f.submit(f.shell("gone", "sleep 100"))
	again := f.shell("back", "[ $JOB_ATTEMPT = 1 ] || sleep 100")
	again.Retries = 1
	twice := f.submit(again)
	f.started("gone")
	f.started("back")
	f.kill("slurmd")
	for _, s := range []job.Status{once, twice} {
		f.killProcesses(s)
	}
	s := f.until(once.ID, "")
	f.want(s, job.Lost, -1)
	f.start("slurmd")
	f.want(f.until(twice.ID, ""), job.Succeeded, 0)
	f.ran("gone", "run 0\n")
	f.ran("back", "run 0\nrun 1\n")
	if s.Started.IsZero() || !strings.Contains(s.Reason, "node1") {
		t.Errorf("the lost job is %+v", s)
	}
}

// networkLost ends the connection while a job runs, and lets nobody in.
func networkLost(t *testing.T, f faults) {
	f.Backend = byssh(t)
	s := f.submit(f.shell("away", "echo one; sleep 6; echo two"))
	f.started("away")
	f.until(s.ID, job.Running)
	f.kill("sshd")
	f.hangUp()
	time.Sleep(1100 * time.Millisecond) // what was asked last counts for a second
	if now, err := f.Status(f.ctx, s.ID); err == nil || now.State != job.Running {
		t.Errorf("without a network the job is %+v, %v", now, err)
	}
	for line, err := range f.Logs(f.ctx, s.ID, 0) {
		if err == nil {
			t.Errorf("without a network the log says %q", line.Text)
		}
	}
	if err := f.Cancel(f.ctx, s.ID); err == nil {
		t.Error("without a network the job was canceled")
	}
	if known, err := f.Submit(f.ctx, f.shell("away", "true")); err != nil || known.ID != s.ID {
		t.Errorf("its label is %+v, %v", known, err)
	}
	f.start("sshd")
	f.want(f.until(s.ID, ""), job.Succeeded, 0)
	f.hangUp() // whoever opens a connection that is kept must not wait for its end
	log := ""
	for line, err := range f.Logs(f.ctx, s.ID, 0) {
		log += fmt.Sprintln(line.Text, err)
	}
	if log != "one <nil>\ntwo <nil>\n" {
		t.Errorf("the log is %q", log)
	}
	f.ran("away", "run 0\n")
}
