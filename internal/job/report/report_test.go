package report

import (
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); go test -update writes it anew:\n%s", name, diff)
	}
}

func lines(text string) iter.Seq2[job.Line, error] { return job.Lines(strings.NewReader(text), 0) }

func read(t *testing.T, text string) *View {
	t.Helper()
	v, err := Read(lines(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const frames = "Traceback (most recent call last):\n  File \"/w/train.py\", line 80, in <module>\n    trainer.train()\n  File \"/v/trainer.py\", line 2123, in train\n    return inner()\n"

func TestCauses(t *testing.T) {
	t.Parallel()
	failed := job.Status{State: job.Failed, ExitCode: 1}
	for name, c := range map[string]struct {
		log    string
		status job.Status // failed if zero
		cause  Cause
		say    string
	}{
		"a host that the sandbox refuses": {
			log:   "[network: the sandbox may not reach a.example:443; ask the person]\n" + frames + "requests.exceptions.ProxyError: HTTPSConnectionPool(host='b.example', port=443): Max retries exceeded with url: /x (Caused by ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 403 the sandbox may not reach b.example:443; ask the person')))\n",
			cause: Refused, say: "the job may not reach b.example:443: jobs of this machine reach the hosts that commands reach",
		},
		"another failure after a refusal": {
			log:   "[network: the sandbox may not reach telemetry.example:443; ask the person]\n" + frames + "ValueError: labels are missing\n",
			cause: Exception, say: "the script ended with ValueError: labels are missing",
		},
		"cuda oom": {
			log:   frames + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 512.00 MiB is free. Process 1 has 78.64 GiB memory in use.\n",
			cause: GPUMemory, say: "the GPU's memory was not enough: 2.00 GiB more were asked for and 512.00 MiB were free of 79.15 GiB",
		},
		"old cuda oom": {
			log:   frames + "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total capacity; 14.56 GiB already allocated; 38.44 MiB free; 14.80 GiB reserved in total by PyTorch)\n",
			cause: GPUMemory, say: "20.00 MiB more were asked for and 38.44 MiB were free of 15.78 GiB",
		},
		"oom of one rank": {
			log: "[rank3]: " + strings.ReplaceAll(strings.TrimSpace(frames), "\n", "\n[rank3]: ") + "\n[rank3]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n" +
				"[rank0]:[E1126 18:00:00 ProcessGroupNCCL.cpp:632] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=5, OpType=ALLREDUCE, NumelIn=1, Timeout(ms)=600000) ran for 600010 milliseconds before timing out.\n" +
				"torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n",
			cause: GPUMemory, say: "2.00 GiB more",
		},
		"nccl alone": {
			log:   "[rank0]:[E1126 18:00:00 ProcessGroupNCCL.cpp:632] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=5, OpType=ALLREDUCE, NumelIn=1, Timeout(ms)=600000) ran for 600010 milliseconds before timing out.\n",
			cause: NCCL, say: "the operation was ALLREDUCE; the limit was 10m0s",
		},
		"host oom":      {log: "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0\n", cause: HostMemory, say: "the machine's memory was not enough"},
		"loader killed": {log: frames + "RuntimeError: DataLoader worker (pid 123) is killed by signal: Killed.\n", cause: HostMemory, say: "memory"},
		"oom state":     {status: job.Status{State: job.OutOfMemory, ExitCode: 137}, cause: HostMemory, say: "memory"},
		"disk":          {log: frames + "OSError: [Errno 28] No space left on device: '/out/checkpoint-500/model.safetensors'\n", cause: DiskFull, say: "the disk was full when it wrote /out/checkpoint-500/model.safetensors"},
		"gated": {
			log: frames + "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/meta-llama/Llama-3.1-8B/resolve/main/config.json\n\nThe above exception was the direct cause of the following exception:\n\n" +
				frames + "huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-1)\n\nCannot access gated repo for url https://huggingface.co/meta-llama/Llama-3.1-8B/resolve/main/config.json.\nAccess to model meta-llama/Llama-3.1-8B is restricted. You must have access to it and be authenticated to access it. Please log in.\n",
			cause: Gated, say: "meta-llama/Llama-3.1-8B is gated",
		},
		"gated, told again": {
			log:   "OSError: You are trying to access a gated repo. Make sure to have access to it at https://huggingface.co/acme/m.\n401 Client Error. (Request ID: Root=1-1)\n",
			cause: Gated, say: "acme/m is gated",
		},
		"401 on push":   {log: frames + "huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/api/repos/create (Request ID: Root=1-1)\n", cause: Unauthorized, say: "the Hub did not accept the job's token for a new repository (401)"},
		"403 on push":   {log: frames + "huggingface_hub.errors.HfHubHTTPError: 403 Client Error: Forbidden for url: https://huggingface.co/api/models/acme/m/commit/main. You don't have the rights\n", cause: Forbidden, say: "the job's token may not do this to acme/m (403)"},
		"404":           {log: frames + "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error. (Request ID: x)\n\nRepository Not Found for url: https://huggingface.co/api/models/acme/none.\n", cause: RepoNotFound, say: "acme/none does not exist on the Hub"},
		"no such model": {log: frames + "OSError: acme/none is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'\n", cause: RepoNotFound, say: "acme/none does not exist"},
		"no dataset":    {log: frames + "datasets.exceptions.DatasetNotFoundError: Dataset 'acme/data' doesn't exist on the Hub or cannot be accessed.\n", cause: RepoNotFound, say: "acme/data does not exist"},
		"module":        {log: frames + "ModuleNotFoundError: No module named 'peft'\n", cause: Module, say: "the Python module peft is not installed"},
		"import":        {log: frames + "ImportError: cannot import name 'AdamW' from 'transformers' (/v/transformers/__init__.py)\n", cause: Module, say: "the installed transformers has no AdamW"},
		"keyword":       {log: frames + "TypeError: TrainingArguments.__init__() got an unexpected keyword argument 'evaluation_strategy'\n", cause: Keyword, say: "TrainingArguments has no keyword evaluation_strategy in the version that was installed; later versions call it eval_strategy"},
		"function":      {log: frames + "TypeError: train() got an unexpected keyword argument 'x'\n", cause: Keyword, say: "train has no keyword x"},
		"arguments":     {log: "usage: train.py [-h]\ntrain.py: error: unrecognized arguments: --epoch 3\n", status: job.Status{State: job.Failed, ExitCode: 2}, cause: Arguments, say: "unrecognized arguments: --epoch 3"},
		"driver":        {log: frames + "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver\n", cause: Driver, say: "CUDA driver"},
		"kernel image":  {log: frames + "RuntimeError: CUDA error: no kernel image is available for execution on the device\n", cause: Driver, say: "CUDA driver"},
		"no gpu":        {log: frames + "RuntimeError: No CUDA GPUs are available\n", cause: NoGPU, say: "found none"},
		"assert":        {log: frames + "RuntimeError: CUDA error: device-side assert triggered\n", cause: DeviceAssert, say: "label"},
		"uv":            {log: "  × No solution found when resolving script dependencies:\n  ╰─▶ Because only torch<=2.9 is available\n", cause: Dependencies, say: "dependencies"},
		"network":       {log: frames + "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded\n", cause: Network, say: "network"},
		"file":          {log: frames + "FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'\n", cause: FileMissing, say: "the file data/train.csv is not there"},
		"program":       {log: "sh: 1: nvcc: not found\n", status: job.Status{State: job.Failed, ExitCode: 127}, cause: FileMissing, say: "the program nvcc is not there"},
		"syntax":        {log: "  File \"train.py\", line 3\n    def f(\n         ^\nSyntaxError: '(' was never closed\n", cause: Syntax, say: "not valid Python: '(' was never closed"},
		"nan":           {log: frames + "RuntimeError: Function 'MulBackward0' returned nan values in its 0th output.\n", cause: Diverged, say: "NaN"},
		"exception":     {log: frames + "KeyError: 'text'\n", cause: Exception, say: "the script ended with KeyError: 'text'"},
		"bare":          {log: frames + "AssertionError\n", cause: Exception, say: "the script ended with AssertionError"},
		"own exception": {log: frames + "my.module.Broken: it is\n", cause: Exception, say: "my.module.Broken: it is"},
		"handled then oom": {
			log:   "Error: 404 Client Error. adapter_config.json EntryNotFoundError, going on\nstep 1\nstep 2\n" + frames + "torch.OutOfMemoryError: CUDA out of memory.\n",
			cause: GPUMemory, say: "memory",
		},
		"killed":     {log: "step 5\n", status: job.Status{State: job.Failed, ExitCode: 137}, cause: Signal, say: "SIGKILL"},
		"segv":       {log: "step 5\nSegmentation fault (core dumped)\n", status: job.Status{State: job.Failed, ExitCode: 139}, cause: Signal, say: "SIGSEGV"},
		"signal 31":  {status: job.Status{State: job.Failed, ExitCode: 159}, cause: Signal, say: "signal 31"},
		"limit":      {log: frames + "KeyboardInterrupt\n", status: job.Status{State: job.TimedOut, TimeLimit: 90 * time.Minute}, cause: Limit, say: "it was stopped at its time limit of 1 h 30 min"},
		"preempted":  {status: job.Status{State: job.Preempted, Started: time.Unix(0, 0), Finished: time.Unix(600, 0)}, cause: Preempted, say: "taken from it after 10 min"},
		"canceled":   {status: job.Status{State: job.Canceled, Started: time.Unix(0, 0), Finished: time.Unix(7, 0)}, cause: Canceled, say: "canceled after 7 s"},
		"lost":       {status: job.Status{State: job.Lost}, cause: Lost, say: "nobody knows"},
		"silent":     {status: job.Status{State: job.Failed, ExitCode: 3}, cause: ExitStatus, say: "exit code 3"},
		"reason":     {status: job.Status{State: job.Failed, ExitCode: 3, Reason: "the node went away."}, cause: ExitStatus, say: "the node went away"},
		"no failure": {log: "mean_error: 0.25\n0 errors\n{'error': 0.1}\n", status: job.Status{State: job.Failed, ExitCode: 3}, cause: ExitStatus, say: "does not say why"},
	} {
		if c.status.State == "" {
			c.status = failed
		}
		got, ok := Explain(c.status, job.Spec{}, read(t, c.log))
		if !ok || got.Cause != c.cause || !strings.Contains(got.Sentence, c.say) {
			t.Errorf("%s: %s, %q; want %s, %q", name, got.Cause, got.Sentence, c.cause, c.say)
		}
		for _, choice := range got.Choices {
			for _, word := range []string{"LoRA", "shorter", "smaller model", "less data", "fewer steps", "quantiz"} {
				if strings.Contains(choice, word) {
					t.Errorf("%s: the choice %q changes what was asked for", name, choice)
				}
			}
		}
	}
	for _, state := range []job.State{job.Succeeded, job.Running, job.Queued} {
		if _, ok := Explain(job.Status{State: state}, job.Spec{}, read(t, "Error: x")); ok {
			t.Errorf("a job that is %s has failed", state)
		}
	}
}

func TestExplanationTexts(t *testing.T) {
	t.Parallel()
	oom := read(t, frames+"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 512.00 MiB is free. Of the allocated memory 60 GiB is allocated by PyTorch, and 12.50 GiB is reserved by PyTorch but unallocated.\n")
	var text strings.Builder
	for _, c := range []struct {
		title  string
		status job.Status
		spec   job.Spec
		view   *View
	}{
		{"out of memory on the GPU", job.Status{State: job.Failed, ExitCode: 1}, job.Spec{Args: []string{"--per_device_train_batch_size", "8", "--gradient_accumulation_steps=2"}}, oom},
		{"the same with a batch of 1", job.Status{State: job.Failed, ExitCode: 1}, job.Spec{Args: []string{"--batch-size=1"}}, oom},
		{"out of memory", job.Status{State: job.OutOfMemory, ExitCode: 137, Hardware: "4 CPUs, 16384 MB"}, job.Spec{Hardware: job.Hardware{MemoryMB: 8192}}, read(t, "")},
		{"time limit", job.Status{State: job.TimedOut, TimeLimit: 3 * time.Hour}, job.Spec{Checkpoint: "hf://models/me/x"}, read(t, "")},
		{"gated", job.Status{State: job.Failed, ExitCode: 1}, job.Spec{}, read(t, "OSError: You are trying to access a gated repo. Make sure to have access to it at https://huggingface.co/meta-llama/Llama-3.1-8B.\n")},
	} {
		e, _ := Explain(c.status, c.spec, c.view)
		fmt.Fprintf(&text, "# %s\n%s\n", c.title, e)
	}
	golden(t, "explanations.txt", text.String())
}

// training is the log of a run that fails after many steps.
func training() string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "Downloading shard %d of model\n", i)
		if i%10 == 0 {
			fmt.Fprintf(&b, "Loaded part %c\n", 'a'+i/10)
		}
	}
	for i := range 5000 {
		fmt.Fprintf(&b, "{'loss': %.4f, 'epoch': %.2f}\n", 2-float64(i)/5000, float64(i)/1000)
		if i%100 == 50 {
			fmt.Fprintf(&b, "WARNING: token ids longer than 512 at sample %d\n", i)
		}
		if i%1000 == 500 {
			fmt.Fprintf(&b, "UserWarning: retry %d after Error: 503 Server Error\n", i)
		}
		if i%500 == 400 {
			fmt.Fprintf(&b, "Error: sample %c is odd\n", 'a'+i/500)
		}
	}
	b.WriteString(strings.Repeat("x", 100_000) + "\n" + "saving checkpoint\n" + frames)
	for i := range 90 {
		fmt.Fprintf(&b, "  File \"/v/m%d.py\", line %d, in forward\n    y = f(x)\n", i, i)
	}
	b.WriteString("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\nwandb: done\n")
	return b.String()
}

func TestView(t *testing.T) {
	t.Parallel()
	v := read(t, training())
	golden(t, "view.txt", v.String())
	if v.Next != int64(len(training())) || v.From != 0 {
		t.Errorf("cursors %d to %d", v.From, v.Next)
	}
	if got := read(t, "").String(); got != "no output from cursor 0 on\n" {
		t.Errorf("no output: %q", got)
	}
	if short := read(t, frames+"KeyError: 'x'\n").String(); strings.Count(short, "KeyError") != 1 {
		t.Errorf("an error that is seen anyway is shown twice:\n%s", short)
	}
	golden(t, "view-short.txt", read(t, "hello\nepoch 1\nepoch 2\nepoch 3\n").String())
}

func TestViewIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 600 {
		fmt.Fprintf(&b, "%s%s Error: %s\n", strings.Repeat("é", i%700), strings.Repeat(string(rune('a'+i%26)), i%50), strings.Repeat("long ", 200))
	}
	v := read(t, b.String())
	if n := len(v.String()); n > 20<<10 {
		t.Errorf("%d bytes are shown", n)
	}
	if _, err := Read(func(yield func(job.Line, error) bool) {
		_ = yield(job.Line{Text: "one", Next: 4}, nil) && yield(job.Line{}, fmt.Errorf("cut"))
	}, 0); err == nil || !strings.Contains(err.Error(), "cut") {
		t.Errorf("a stream that is cut: %v", err)
	}
}

func FuzzView(f *testing.F) {
	f.Add(frames + "KeyError: 'x'\n\n[rank0]: Error\n")
	f.Add("Traceback (most recent call last):\n\n\n\nError: a\nError: b\n a\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Read(lines(text), 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(v.String()); n > 24<<10 {
			t.Errorf("%d bytes are shown", n)
		}
		for _, state := range []job.State{job.Failed, job.TimedOut, job.OutOfMemory, job.Lost} {
			if e, ok := Explain(job.Status{State: state, ExitCode: 1}, job.Spec{}, v); !ok || e.Sentence == "" || len(e.String()) > 4<<10 {
				t.Errorf("%s: %+v", state, e)
			}
		}
	})
}

// BenchmarkRead goes through the output of a run, as often as it takes.
func BenchmarkRead(b *testing.B) {
	text := training()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(lines(text), 0); err != nil {
			b.Fatal(err)
		}
	}
}
