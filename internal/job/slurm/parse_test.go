package slurm

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
)

func TestParseQueue(t *testing.T) {
	t.Parallel()
	q := parseQueue("12|RUNNING|None|2026-11-26T19:00:01|2026-11-26T20:00:01|main|node1|ml.261126-190000-aaaaa.try\n" +
		"13_4|PENDING|Resources|N/A|N/A|main||ml.261126-190000-bbbbb\n" +
		"14|CANCELLED by 1000|None|N/A|N/A|main||not|ours\n" +
		"15|RUNNING|None|N/A|N/A|main|node1|ml.../../etc\n" +
		"slurm_load_jobs error: it is late\n")
	if ids := slices.Sorted(maps.Keys(q)); !slices.Equal(ids, []string{"261126-190000-aaaaa", "261126-190000-bbbbb"}) {
		t.Fatalf("the jobs are %v", ids)
	}
	r := q["261126-190000-aaaaa"][0]
	if r.ref != "12" || r.state != "RUNNING" || r.start.Unix() != time.Date(2026, 11, 26, 19, 0, 1, 0, time.UTC).Unix() || r.over() {
		t.Errorf("the first is %+v", r)
	}
	if r := q["261126-190000-bbbbb"][0]; r.ref != "13_4" || r.reason != "Resources" || !r.start.IsZero() {
		t.Errorf("the second is %+v", r)
	}
}

func TestParseDetails(t *testing.T) {
	t.Parallel()
	control := parseControl("JobId=7 JobName=ml.a ArrayJobId=6 ArrayTaskId=1 UserId=root(0) JobState=FAILED Reason=NonZeroExitCode Comment=a JobState=RUNNING ExitCode=3:0\n\n")
	if len(control) != 1 || control[0].ref != "6_1" || control[0].state != "FAILED" || control[0].code != 3 {
		t.Errorf("scontrol says %+v", control)
	}
	accounts := parseAccounts("8|CANCELLED by 0|0:15|Unknown|2026-11-26T19:00:01|main|None assigned|ml.b\n8.batch|CANCELLED|0:15||||n|batch\n9|NODE_FAIL|1:0\n")
	if len(accounts) != 1 || accounts[0].state != "CANCELLED" || accounts[0].code != 128+15 || accounts[0].end.IsZero() {
		t.Errorf("sacct says %+v", accounts)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	b := &Backend{}
	for script, want := range map[string]string{
		"printf abc": "abc", "echo abc": "abc\n", ":": "", "printf '\n\na\n'": "\n\na\n", "cat": "", "echo 'ml-intern: end 0'; exit 0": "ml-intern: end 0\n",
	} {
		if got, err := b.run(t.Context(), script); got != want || err != nil {
			t.Errorf("%s says %q, %v; want %q", script, got, err, want)
		}
	}
	var refused *refusal
	if got, err := b.run(t.Context(), "echo half; echo 'too  bad' >&2; exit 3"); got != "half\n" || !errors.As(err, &refused) || refused.code != 3 || err.Error() != "too bad" {
		t.Errorf("a script that fails says %q, %v", got, err)
	}
	if got, err := b.run(t.Context(), "kill -9 $$"); !errors.Is(err, errNoAnswer) {
		t.Errorf("a shell that is killed says %q, %v", got, err)
	}
}

// Where Slurm's programs are and no cluster is, that is said in plain words.
func TestNoCluster(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"scontrol: fatal: Could not establish a configuration source":                       "Slurm's programs are here, and no cluster",
		"slurm_load_partitions error: Unable to contact slurm controller (connect failure)": "does not answer",
		"scontrol: it is late": "scontrol: it is late",
	} {
		bin := t.TempDir()
		for _, name := range []string{"scontrol", "squeue"} {
			if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho '"+said+"' >&2\nexit 1\n"), 0o700); err != nil { //nolint:gosec // a program
				t.Fatal(err)
			}
		}
		b := &Backend{Dir: t.TempDir(), Bin: bin}
		if _, err := b.Offers(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", said, err)
		}
	}
	b := &Backend{Dir: t.TempDir(), Bin: t.TempDir()}
	if _, err := b.Offers(t.Context()); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("without programs: %v", err)
	}
}

// What a job has noted of its GPUs counts while it is new, and only for those
// that the job was given.
func TestParseGauges(t *testing.T) {
	t.Parallel()
	all := parseGauges("1000300\na/gauge:look 1000250 1,GPU-cc\na/gauge:gpu 0, GPU-aa, A100, 5, 1, 2\na/gauge:gpu 1, GPU-bb, A100, [N/A], 3, 4\n" +
		"a/gauge:gpu 2, GPU-ccdd, A100, 50, [N/A], 6\na/gauge:gpu torn\nb/gauge:look 999000 0\nb/gauge:gpu 0, GPU-aa, A100, 0, 1, 2\n" +
		"c/gauge:look 1000301\nc/gauge:gpu 0, GPU-aa, A100, 0, 1, 2\nd/gauge:gpu 0, GPU-aa, A100, 0, 1, 2\ngarbage\n")
	want := []job.GPUGauge{{Name: "A100", Busy: 1, MemoryMB: 3, MemoryTotalMB: 4}, {Name: "A100", Busy: 0.5, MemoryTotalMB: 6}}
	if len(all) != 1 || !slices.Equal(all["a"], want) {
		t.Errorf("got %+v", all)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	all := parseHistories("a/history:start 0 1795717956.5 12 node1\na/history:end 0 1795717966.25 143 asked\n" +
		"b/history:start 0 1.%N 13 node1\nb/history:end 0 3.0 0 itself\n" +
		"c/history:start 0 1.0 14 n\nc/history:end 0 2.0 98 failed node n does not see it\n" +
		"d/history:start 0 1.0 15 n\nd/history:end 0 2.0 0 asked\nd/history:start 1 3.0 15 n2\n" +
		"e/history:start 0 1.0 16 n\ne/history:end 0 2.0 0 its")
	a := all["a"]
	if a.final() || a.code != 143 || a.how != "asked" || a.end.Sub(a.start) != 9750*time.Millisecond {
		t.Errorf("one that was asked to end: %+v", a)
	}
	if b := all["b"]; !b.final() || b.start.Unix() != 1 {
		t.Errorf("one that succeeded: %+v", b)
	}
	if c := all["c"]; !c.final() || c.why != "node n does not see it" {
		t.Errorf("one that failed: %+v", c)
	}
	if d := all["d"]; d.final() || d.attempt != 1 || d.node != "n2" || !d.end.IsZero() {
		t.Errorf("one that runs again: %+v", d)
	}
	again := parseHistories("f/history:start 0 1000 1 n\nf/history:end 0 1600 143 asked\nf/history:start 1 2000 1 n\nf/history:start 2 9000 1 n\n")["f"]
	if got := again.before(time.Hour); got != 600+3600 {
		t.Errorf("10 min that are noted and one attempt at its limit of an hour are %v s", got)
	}
	if now := going(job.Status{TimeLimit: time.Hour, EarlierSeconds: again.before(time.Hour)}, again, row{state: "PENDING"}); now.EarlierSeconds != 600+2*3600 || !now.Started.IsZero() {
		t.Errorf("while it waits to run again: %+v", now)
	}
	if e := all["e"]; e.final() || !e.end.IsZero() {
		t.Errorf("one whose end is cut off: %+v", e)
	}
}

// TestOutcome has what cannot be made to happen at will.
func TestOutcome(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	ran := history{ref: "1", node: "n", start: at}
	asked := history{ref: "1", node: "n", start: at, end: at.Add(time.Hour), code: 143, how: "asked"}
	soon := asked
	soon.end = at.Add(time.Minute)
	itself := asked
	itself.how, itself.code = "itself", 1
	for what, c := range map[string]struct {
		h    history
		r    row
		want job.State
	}{
		"nobody knows":                  {ran, row{}, job.Lost},
		"asked at its limit, forgotten": {asked, row{}, job.TimedOut},
		"asked before it, forgotten":    {soon, row{}, job.Preempted},
		"failed, forgotten":             {itself, row{}, job.Failed},
		"the kernel's doing":            {itself, row{state: "OUT_OF_MEMORY"}, job.OutOfMemory},
		"deadline":                      {asked, row{state: "DEADLINE"}, job.TimedOut},
		"node failed":                   {ran, row{state: "NODE_FAIL"}, job.Lost},
		"node failed after it had":      {itself, row{state: "NODE_FAIL"}, job.Failed},
		"node failed before":            {history{}, row{state: "BOOT_FAIL"}, job.Failed},
		"no note of an end":             {ran, row{state: "COMPLETED"}, job.Succeeded},
		"not even of a start":           {history{}, row{state: "COMPLETED"}, job.Failed},
		"killed, and Slurm says so":     {ran, row{state: "FAILED", code: 137}, job.Failed},
	} {
		s := ended(job.Status{TimeLimit: time.Hour, Submitted: at, Started: c.h.start}, c.h, c.r)
		if s.State != c.want || (s.Reason == "") != (s.State == job.Succeeded) || s.State != job.Lost && s.Finished.Before(s.Started) {
			t.Errorf("%s: %+v, want %s", what, s, c.want)
		}
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	parts := parsePartitions(
		"PartitionName=cpu AllowGroups=ALL Default=YES MaxTime=2-01:00:00 State=UP\n"+
			"PartitionName=gpu Default=NO MaxTime=UNLIMITED State=UP\nPartitionName=old MaxTime=UNLIMITED State=DOWN\n",
		"NodeName=a CPUAlloc=3 CPUEfctv=8 CPUTot=8 Gres=(null) GresUsed= RealMemory=4000 State=MIXED Partitions=cpu,old\n"+
			"NodeName=b CPUAlloc=0 CPUTot=64 Gres=gpu:a100:4(S:0-1),gpu:h100:2,shard:9 GresUsed=gpu:a100:1(IDX:0,2),gpu:h100:0(IDX:N/A) RealMemory=9000 State=IDLE+PLANNED Partitions=gpu\n"+
			"NodeName=c CPUAlloc=0 CPUTot=64 Gres=gpu:a100:8 GresUsed=gpu:a100:0 RealMemory=9000 State=DOWN* Partitions=gpu\n",
		"cpu\ngpu,cpu\n")
	got := ""
	for _, p := range parts {
		got += strings.Join([]string{p.Flavor, p.GPU, p.maxLimit.String()}, " ") + "|"
	}
	if got != "cpu  49h0m0s|gpu:a100 a100 0s|gpu:h100 h100 0s|" {
		t.Fatalf("the partitions are %s", got)
	}
	if p := parts[0]; p.CPUs != 8 || p.FreeCPUs != 5 || p.Queued != 2 || p.GPUs != 0 || !p.first {
		t.Errorf("the first is %+v", p)
	}
	if p := parts[1]; p.GPUs != 8 || p.FreeGPUs != 3 || p.Queued != 1 {
		t.Errorf("the second is %+v", p)
	}
	if p := parts[2]; p.GPUs != 2 || p.FreeGPUs != 2 {
		t.Errorf("the third is %+v", p)
	}
}

func TestPricesOfPartitions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prices map[string]float64
		want   string
	}{
		"none":           {nil, "a 0 false|b 0 false|"},
		"of one":         {map[string]float64{"b": 2}, "b 2 false|a 0 true|"},
		"and the others": {map[string]float64{"b": 2, "*": 1}, "a 1 false|b 2 false|"},
	} {
		got := ""
		for _, p := range (&Backend{USDPerHour: c.prices}).priced([]partition{{name: "a"}, {name: "b"}}) {
			got += fmt.Sprint(p.name, " ", p.USDPerHour, " ", p.PriceUnknown, "|")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestSecretsInHalves(t *testing.T) {
	t.Parallel()
	pad, mixed := newSecrets(map[string]string{"A": "hunter2", "B": "ü\n"})
	if strings.Contains(pad+mixed.text, "68756e74657232") || strings.Contains(pad+mixed.text, "hunter2") {
		t.Errorf("a half tells the secret: %s %s", pad, mixed.text)
	}
	if again, _ := newSecrets(map[string]string{"A": "hunter2", "B": "ü\n"}); again == pad {
		t.Error("the bytes are not random")
	}
	if pad, mixed := newSecrets(nil); pad != "" || mixed.name != "" {
		t.Error("there are halves of nothing")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("12|RUNNING|None|N/A|N/A|main|node1|ml.a\n" + historyMark + " 0\na/history:end 0 1.0 3 itself\n")
	f.Add("gpu:a100:4(S:0-1),gpu:1(IDX:N/A)")
	f.Add("1-00:00:00")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseSnapshot(text)
		parsePartitions(text, text, text)
		parseAccounts(text)
		parseControl(text)
		parseLimit(text)
		for _, g := range parseGres(text) {
			if strings.ContainsAny(g.kind, ",:") {
				t.Errorf("a type of GPU is %q", g.kind)
			}
		}
	})
}

func TestParseDisk(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]job.Gauge{
		"/dev/sda1 1000 300 700 30% /":                        {DiskFree: 700 << 10, DiskTotal: 1000 << 10},
		"//nas/some share 1000 300 700 30% /mnt/my workspace": {DiskFree: 700 << 10, DiskTotal: 1000 << 10},
		"/dev/sda1 - - - - /":                                 {},
		"":                                                    {},
	} {
		if got, ok := parseDisk(line); ok != (want.DiskTotal > 0) || ok && (got.DiskFree != want.DiskFree || got.DiskTotal != want.DiskTotal) {
			t.Errorf("%q is %+v, %v", line, got, ok)
		}
	}
}
