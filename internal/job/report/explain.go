package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// An Explanation says why a job failed.
type Explanation struct {
	Cause    Cause
	Sentence string   // why, with the numbers
	Line     string   // of the output that says so; text from outside
	At       int64    // cursor of the line
	Choices  []string // what can be done that keeps what the person asked for
	Ask      string   // what changes it, so that the person must be asked
}

// Explain says why a job did not succeed: from its status, its spec, and what
// was read of its output. It reports false if it did succeed or is not done.
func Explain(status job.Status, spec job.Spec, view *View) (Explanation, bool) {
	if !status.Done() || status.State == job.Succeeded {
		return Explanation{}, false
	}
	e := explain(status, view)
	e.Choices, e.Ask = choices(e, status, spec)
	return e, true
}

// Line is the cause of failure that a line of output names, with a sentence.
// It reports false for lines that name none, or only what follows from one.
func Line(text string) (Cause, string, bool) {
	if !isError(text) {
		return "", "", false
	}
	var f findings
	f.look(clip(text), 0)
	if f.strong == nil {
		return "", "", false
	}
	return f.strong.cause, f.strong.sentence, true
}

func (f *finding) explanation() Explanation {
	return Explanation{Cause: f.cause, Sentence: f.sentence, Line: f.line, At: f.at}
}

func explain(status job.Status, view *View) Explanation {
	found := view.found
	switch status.State {
	case job.TimedOut:
		return Explanation{Cause: Limit, Sentence: sayLimit(status)}
	case job.Preempted:
		return Explanation{Cause: Preempted, Sentence: fmt.Sprintf("the machine was taken from it after %s, and no retry was left", rough(status.Seconds()))}
	case job.Canceled:
		return Explanation{Cause: Canceled, Sentence: fmt.Sprintf("it was canceled after %s", rough(status.Seconds()))}
	case job.Lost:
		return Explanation{Cause: Lost, Sentence: "it started, and nobody knows how it ended; it is not run again by itself"}
	}
	if found.strong != nil {
		return found.strong.explanation()
	}
	if status.State == job.OutOfMemory {
		return Explanation{Cause: HostMemory, Sentence: "the machine's memory was not enough"}
	}
	if found.weak != nil && !(found.weak.cause == Exception && status.ExitCode > 128) {
		return found.weak.explanation()
	}
	return Explanation{Cause: exitCause(status.ExitCode), Sentence: sayExit(status)}
}

func exitCause(code int) Cause {
	if code > 128 {
		return Signal
	}
	return ExitStatus
}

// rough is a duration for people.
func rough(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

func sayLimit(status job.Status) string {
	if status.TimeLimit > 0 {
		return fmt.Sprintf("it was stopped at its time limit of %s", rough(status.TimeLimit.Seconds()))
	}
	return fmt.Sprintf("it was stopped at its time limit, after %s", rough(status.Seconds()))
}

// sayExit explains an exit code that nothing in the output explains.
func sayExit(status job.Status) string {
	switch code := status.ExitCode; code {
	case 128 + 9:
		return "it was killed (SIGKILL); if nobody did, the machine's memory was not enough"
	case 128 + 11:
		return "it crashed in native code (SIGSEGV)"
	case 128 + 6:
		return "it aborted in native code (SIGABRT)"
	case 128 + 7:
		return "it was ended by SIGBUS: most often shared memory (/dev/shm) is too small for the loader's workers"
	case 128 + 15:
		return "it was asked to end (SIGTERM) by somebody else"
	case 128 + 4:
		return "it was built for another CPU (SIGILL)"
	case 126:
		return "its program may not be executed (exit code 126)"
	case 127:
		return "its program was not found (exit code 127)"
	default:
		if code > 128 {
			return fmt.Sprintf("it was killed by signal %d", code-128)
		}
		if status.Reason != "" {
			return strings.TrimSuffix(status.Reason, ".")
		}
		return fmt.Sprintf("it ended with exit code %d and its output does not say why", code)
	}
}

// asking is what only a person may change.
const asking = "another method (such as LoRA in place of full training), shorter sequences, a smaller model, less data or fewer steps"

// choices are what can be done about a failure and keeps what was asked for.
func choices(e Explanation, status job.Status, spec job.Spec) (can []string, ask string) {
	switch e.Cause {
	case GPUMemory:
		return gpuChoices(e, spec), asking
	case HostMemory:
		return hostChoices(status, spec), asking
	case Limit:
		return []string{
			"submit it again with a longer time limit" + fromCheckpoint(spec),
			"take faster hardware or more GPUs, with the same effective batch",
		}, asking
	case Preempted:
		return []string{"submit it again" + fromCheckpoint(spec), "allow retries (retries in the spec)", "take hardware that is not taken away"}, ""
	case Diverged:
		return []string{"look at the loss and the gradient norm before it (job_metrics)", "train in bf16 instead of fp16 if the hardware can"}, "another learning rate, warmup or clipping"
	}
	return fixes[e.Cause], ""
}

// fixes are the choices that need no numbers.
var fixes = map[Cause][]string{
	DiskFull: {
		"keep fewer checkpoints (save_total_limit) and put caches where there is room (HF_HOME)",
		"take hardware with a larger disk",
		"push what is finished to the Hub before it is deleted here",
	},
	Gated:        {"ask for access on the repository's page with the account of the job's token, then submit again", "pass HF_TOKEN to the job as a secret, if it has none"},
	Unauthorized: {"pass HF_TOKEN to the job as a secret", "make a new token if the old one was revoked"},
	Forbidden:    {"use a token that may write to this namespace", "push to a namespace that the token may write to, if the person agrees"},
	RepoNotFound: {"check the name and the revision", "pass HF_TOKEN to the job as a secret, if the repository is private", "create the repository before the job starts, if it is to be pushed to"},
	Module:       {"add the package to the script's dependencies (PEP 723) in the version that the script was written for"},
	Keyword:      {"use the name that the installed version has", "pin the version that the script was written for"},
	Arguments:    {"correct the arguments, or the script's parser"},
	Driver:       {"install a build of the library for the machine's driver", "take an image or a machine with a newer driver"},
	NoGPU:        {"ask for a GPU in the job's hardware", "install a build of the library with CUDA"},
	NCCL:         {"look for the first error of the rank that stopped", "raise the timeout (ddp_timeout) if one rank loads or saves for long"},
	DeviceAssert: {"check labels and token ids against the model's sizes; run once with CUDA_LAUNCH_BLOCKING=1 to see the place"},
	Dependencies: {"loosen or pin the versions that the output names"},
	Network:      {"submit it again: what was downloaded is kept where the job's cache outlives it"},
	Refused:      {"ask the person for this one host with the tool grant, then submit again", "take what is needed from the Hub or a package index"},
	FileMissing:  {"check the path as it is where the job runs: local paths are not there on other machines"},
	Syntax:       {"correct the script"},
	Signal:       {"ask for more memory if nobody stopped it", "look at the machine's own log"},
	Lost:         {"look at its outputs and checkpoints before it is submitted again"},
}

func fromCheckpoint(spec job.Spec) string {
	if spec.Checkpoint != "" {
		return ", going on from " + spec.Checkpoint
	}
	return ", going on from its last checkpoint if there is one"
}

var (
	batchArg = lazyregexp.New(`--?(?:per_device_)?(?:train_)?(?:micro_)?batch[_-]size[= ](\d+)`)
	accumArg = lazyregexp.New(`--?(?:gradient_accumulation_steps|grad_accum(?:ulation)?(?:_steps)?)[= ](\d+)`)
)

func gpuChoices(e Explanation, spec job.Spec) []string {
	list := []string{"use a smaller batch per device and more gradient accumulation, so that the effective batch stays the same" + batches(spec)}
	if batches(spec) == batchOfOne {
		list = nil
	}
	list = append(list, "turn on gradient checkpointing: slower, with the same result")
	if m := unused.FindStringSubmatch(e.Line); m != nil && !strings.HasPrefix(m[1], "0") {
		list = append(list, "set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True: "+m[1]+" GiB were reserved and not used")
	}
	bigger := "take a GPU with more memory"
	if size := gpuSize(e.Line); size != "" {
		bigger = "take a GPU with more than " + size
	}
	return append(list, bigger+", or shard parameters and optimizer over several GPUs (FSDP, ZeRO)",
		"if it happened in evaluation: a smaller per_device_eval_batch_size and eval_accumulation_steps")
}

const batchOfOne = ": the batch is 1"

// batches says which numbers keep the effective batch, if the arguments name them.
func batches(spec job.Spec) string {
	args := strings.Join(append(append([]string(nil), spec.Command...), spec.Args...), " ")
	m := batchArg.FindStringSubmatch(args)
	if m == nil {
		return ""
	}
	batch, accum := count(m), 1
	if m := accumArg.FindStringSubmatch(args); m != nil {
		accum = count(m)
	}
	switch {
	case batch == 1:
		return batchOfOne
	case batch < 1 || batch%2 != 0 || accum < 1:
		return ""
	}
	return fmt.Sprintf(": %d and %d instead of %d and %d", batch/2, accum*2, batch, accum)
}

// count is the number that an expression has found, 0 if it is none to go by.
func count(m []string) int {
	n, err := strconv.Atoi(m[1])
	if err != nil || n > 1<<20 {
		return 0
	}
	return n
}

func hostChoices(status job.Status, spec job.Spec) []string {
	more := "ask for more memory (memory_mb)"
	if spec.MemoryMB > 0 {
		more = fmt.Sprintf("ask for more than %d MB of memory", spec.MemoryMB)
	}
	list := []string{more, "stream or map the data set instead of loading it whole, with fewer loader workers"}
	if status.Hardware != "" {
		list = append(list, "take larger hardware than "+status.Hardware)
	}
	return list
}

// String is the explanation for a person or a model, in a few lines.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Sentence + "\n")
	if e.Line != "" {
		fmt.Fprintf(&b, "the output says, at cursor %d: %s\n", e.At, e.Line)
	}
	if len(e.Choices) > 0 {
		b.WriteString("what keeps what was asked for:\n")
		for _, c := range e.Choices {
			b.WriteString("- " + c + "\n")
		}
	}
	if e.Ask != "" {
		b.WriteString("only if the person agrees: " + e.Ask + "\n")
	}
	return b.String()
}
