package report

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
)

// A Cause is the kind of a failure.
type Cause string

// The causes.
const (
	GPUMemory    Cause = "gpu_memory"
	HostMemory   Cause = "host_memory"
	DiskFull     Cause = "disk_full"
	Gated        Cause = "gated"
	Unauthorized Cause = "unauthorized"
	Forbidden    Cause = "forbidden"
	RepoNotFound Cause = "not_found"
	Module       Cause = "missing_module"
	Keyword      Cause = "wrong_keyword"
	Arguments    Cause = "wrong_arguments"
	Driver       Cause = "driver_mismatch"
	NoGPU        Cause = "no_gpu"
	NCCL         Cause = "nccl"
	DeviceAssert Cause = "device_assert"
	Dependencies Cause = "dependencies"
	Network      Cause = "network"
	Refused      Cause = "network_refused"
	FileMissing  Cause = "file_missing"
	Syntax       Cause = "syntax"
	Diverged     Cause = "diverged"
	Exception    Cause = "exception"
	Signal       Cause = "signal"
	ExitStatus   Cause = "exit_status"
	Limit        Cause = "time_limit"
	Preempted    Cause = "preempted"
	Canceled     Cause = "canceled"
	Lost         Cause = "lost"
)

// A finding is a line that says why a job failed.
type finding struct {
	cause    Cause
	line     string
	at       int64
	sentence string
}

// findings keeps the last line that names a cause, and the last that only says
// what followed from one: other ranks notice that one has died.
type findings struct {
	strong, weak *finding
	seen         map[string]*rule // by the line's shape; nil says nothing
}

// A rule knows a cause by its line. The sentence's $1 is the first group.
type rule struct {
	cause    Cause
	weak     bool
	match    *lazyregexp.Regexp
	sentence string
	say      func(line string, m []string) string // instead of sentence
}

// rules are tried in order; the first that matches a line is its cause.
var rules = []rule{
	{cause: Refused, match: lazyregexp.New(`^[^\[].*(?:Error|Exception|failed|refused).*the sandbox may not reach ([\w.*-]+:\d+)`), sentence: "the job may not reach $1: jobs of this machine reach the hosts that commands reach"},
	{cause: GPUMemory, match: lazyregexp.New(`CUDA out of memory|CUDA error: out of memory|OutOfMemoryError: CUDA|CUBLAS_STATUS_ALLOC_FAILED|HIP out of memory|MPS backend out of memory|RESOURCE_EXHAUSTED: (?:Out of memory|.*OOM)|OOM when allocating tensor`), say: sayGPUMemory},
	{cause: HostMemory, match: lazyregexp.New(`\bMemoryError\b|oom[-_]kill|Out of memory: Killed process|annot allocate memory|can't allocate memory|bad_alloc|is killed by signal: Killed|Unable to allocate .+ for an array`), sentence: "the machine's memory was not enough"},
	{cause: DiskFull, match: lazyregexp.New(`No space left on device|\[Errno 28\]|Disk quota exceeded|\[Errno 122\]|disk is full|PytorchStreamWriter failed writing`), say: sayDisk},
	{cause: Gated, match: lazyregexp.New(`GatedRepoError|gated repo|Access to (?:model|dataset) .+ is restricted|awaiting a review from the repo`), say: sayRepo("%s is gated, and the account of the job's token has not been given access")},
	{cause: RepoNotFound, match: lazyregexp.New(`Repository Not Found|RepositoryNotFoundError|DatasetNotFoundError|RevisionNotFoundError|EntryNotFoundError|404 Client Error|is not a local folder and is not a valid model identifier|doesn't exist on the Hub`), say: sayRepo("%s does not exist on the Hub, or the job's token may not see it")},
	{cause: Unauthorized, match: lazyregexp.New(`401 Client Error|HTTP(?:Error)?:? 401|401 Unauthorized|Invalid user token|Invalid username or password|LocalTokenNotFoundError|Token is required`), say: sayRepo("the Hub did not accept the job's token for %s (401): there is none, or it is no longer valid")},
	{cause: Forbidden, match: lazyregexp.New(`403 Client Error|403 Forbidden|HTTP(?:Error)?:? 403|You don't have the rights|token with (?:the )?write`), say: sayRepo("the job's token may not do this to %s (403)")},
	{cause: Module, match: lazyregexp.New(`No module named '?([\w.]+)'?`), sentence: "the Python module $1 is not installed where the job ran"},
	{cause: Module, match: lazyregexp.New(`cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'`), sentence: "the installed $2 has no $1: another version is meant"},
	{cause: Keyword, match: lazyregexp.New(`TypeError: ([\w<>.]+)\(\) got an unexpected keyword argument '(\w+)'`), say: sayKeyword},
	{cause: Arguments, match: lazyregexp.New(`error: (unrecognized arguments: .+|the following arguments are required: .+|argument .+: (?:invalid|expected) .+)`), sentence: "the script does not take the arguments it was given: $1"},
	{cause: NoGPU, match: lazyregexp.New(`Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device|Torch not compiled with CUDA enabled|libcuda\.so\.1: cannot open`), sentence: "the job needs a GPU and found none"},
	{cause: Driver, match: lazyregexp.New(`driver version is insufficient|NVIDIA driver on your system is too old(?: \(found version (\d+)\))?|no kernel image is available|forward compatibility was attempted|sm_\d+ is not compatible|unsupported toolchain`), sentence: "the machine's CUDA driver and the installed build of the library do not go together"},
	{cause: DeviceAssert, match: lazyregexp.New(`device-side assert triggered`), sentence: "a check on the GPU failed: nearly always an index out of range, such as a label that is not below the number of classes, or a token not below the size of the vocabulary"},
	{cause: Dependencies, match: lazyregexp.New(`No solution found when resolving|Could not find a version that satisfies|ResolutionImpossible|No matching distribution found`), sentence: "the dependencies cannot be installed together"},
	{cause: Diverged, match: lazyregexp.New(`returned nan values|FloatingPointError|(?i:loss (?:is|became) (?:nan|inf))`), sentence: "the numbers became NaN or infinite, and the script stopped"},
	{cause: Syntax, match: lazyregexp.New(`^(SyntaxError|IndentationError|TabError): (.+)`), sentence: "the script is not valid Python: $2"},
	{cause: FileMissing, match: lazyregexp.New(`FileNotFoundError: .*?'([^']+)'`), sentence: "the file $1 is not there"},
	{cause: FileMissing, match: lazyregexp.New(`can't open file '([^']+)'`), sentence: "the file $1 is not there"},
	{cause: FileMissing, match: lazyregexp.New(`: ([\w./-]+): (?:command )?not found$`), sentence: "the program $1 is not there"},
	{cause: NCCL, weak: true, match: lazyregexp.New(`Watchdog caught collective operation timeout|NCCL error|nccl\w+Error|NCCL timeout|DistBackendError`), say: sayNCCL},
	{cause: Network, weak: true, match: lazyregexp.New(`ConnectionError|Max retries exceeded|Name or service not known|name resolution|ReadTimeout|ConnectTimeout|Connection (?:reset|refused)|(?:502|503|504) Server Error`), sentence: "the network failed, or a server did not answer"},
	{cause: Exception, weak: true, match: lazyregexp.New(`^((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning)|(?:\w+\.)+[A-Z]\w+): (.+)`), sentence: "the script ended with $1: $2"},
	{cause: Exception, weak: true, match: lazyregexp.New(`^((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Interrupt))$`), sentence: "the script ended with $1"},
}

// launcher is what torchrun and others say of a failure: that there was one.
var launcher = lazyregexp.New(`ChildFailedError|CalledProcessError|ProcessRaisedException|ProcessExitedException|WorkerCrashedError`)

// look remembers the line if it names a cause.
func (f *findings) look(line string, at int64) {
	key := shape(line)
	r, known := f.seen[key]
	if !known {
		r = ruleOf(line)
		if f.seen == nil || len(f.seen) == maxSeen {
			f.seen = map[string]*rule{}
		}
		f.seen[key] = r
	}
	if r == nil {
		return
	}
	found := &finding{cause: r.cause, line: line, at: at}
	m := r.match.FindStringSubmatch(line)
	switch {
	case m == nil: // it differs where the rule looks
		return
	case r.say != nil:
		found.sentence = r.say(line, m)
	default:
		found.sentence = fill(r.sentence, m)
	}
	if !r.weak {
		f.better(found)
	} else if f.weak == nil || r.cause != Exception || f.weak.cause == Exception {
		f.weak = found
	}
}

// maxSeen bounds what is remembered of lines that were looked at.
const maxSeen = 1000

func ruleOf(line string) *rule {
	if launcher.MatchString(line) {
		return nil
	}
	for i := range rules {
		if rules[i].match.MatchString(line) {
			return &rules[i]
		}
	}
	return nil
}

// together is how far apart the lines of one failure may be, in bytes.
const together = 8 << 10

// refusal says how much a cause tells of why the Hub refused something.
var refusal = map[Cause]int{Unauthorized: 1, Forbidden: 1, RepoNotFound: 2, Gated: 3}

// better takes the later finding, unless it says the same with less: an
// exception is often printed again by whoever passes it on.
func (f *findings) better(found *finding) {
	// The Hub's client says one refusal in several ways, one after the other.
	if f.strong != nil && refusal[f.strong.cause] > refusal[found.cause] && refusal[found.cause] > 0 && found.at-f.strong.at < together {
		return
	}
	if old := f.strong; old != nil && old.cause == found.cause && old.exact() > found.exact() {
		found.sentence, found.line = old.sentence, old.line
	}
	f.strong = found
}

// exact says how much the sentence tells: a name or numbers more than none.
func (f *finding) exact() int {
	if strings.Contains(f.sentence, aRepo) {
		return 0
	}
	return 1 + len(f.sentence)
}

// fill puts the groups of a match into a sentence.
func fill(sentence string, m []string) string {
	for i := len(m) - 1; i > 0; i-- {
		sentence = strings.ReplaceAll(sentence, "$"+strconv.Itoa(i), strings.TrimSpace(m[i]))
	}
	return sentence
}

var (
	wanted   = lazyregexp.New(`Tried to allocate ([\d.]+ [KMGT]i?B)`)
	free     = lazyregexp.New(`([\d.]+ (?:[KMGT]i?B|bytes)) (?:is )?free`)
	capacity = lazyregexp.New(`total capacity of ([\d.]+ [KMGT]i?B)|([\d.]+ [KMGT]i?B) total capacity`)
	unused   = lazyregexp.New(`([\d.]+) GiB is reserved by PyTorch but unallocated`)
)

func sayGPUMemory(line string, _ []string) string {
	text := "the GPU's memory was not enough"
	if m := wanted.FindStringSubmatch(line); m != nil {
		text += ": " + m[1] + " more were asked for"
		if m := free.FindStringSubmatch(line); m != nil {
			text += " and " + m[1] + " were free"
		}
		if size := gpuSize(line); size != "" {
			text += " of " + size
		}
	}
	return text
}

// gpuSize is the GPU's memory as an error names it, "" if it does not.
func gpuSize(line string) string {
	if m := capacity.FindStringSubmatch(line); m != nil {
		return cmp.Or(m[1], m[2])
	}
	return ""
}

var written = lazyregexp.New(`(?:No space left on device|Errno 28\][^:']*):? '([^']+)'`)

func sayDisk(line string, _ []string) string {
	if m := written.FindStringSubmatch(line); m != nil {
		return "the disk was full when it wrote " + m[1]
	}
	return "the disk was full"
}

var repoName = lazyregexp.New(`https?://[^/\s]+/(?:api/)?(?:models/|datasets/|spaces/)?([\w.-]+/[\w.-]+)|(?:model|dataset|repo(?:sitory)?|Dataset) '?([\w.-]+/[\w.-]+)'?|^(?:OSError: )?([\w.-]+/[\w.-]+) is not a local`)

// aRepo stands for a repository whose name the line does not have.
const aRepo = "a repository"

// sayRepo names the repository that the line names.
func sayRepo(sentence string) func(string, []string) string {
	return func(line string, _ []string) string {
		name := aRepo
		if m := repoName.FindStringSubmatch(line); m != nil {
			name = strings.TrimRight(cmp.Or(m[1], m[2], m[3]), ".")
		}
		switch {
		case strings.Contains(line, "/api/repos/create"):
			name = "a new repository"
		case strings.Contains(line, "/whoami"):
			name = "the account"
		}
		return strings.Replace(sentence, "%s", name, 1)
	}
}

// renamed are keywords that have another name in later versions.
var renamed = map[string]string{
	"evaluation_strategy": "eval_strategy", "tokenizer": "processing_class", "max_seq_length": "max_length", "no_cuda": "use_cpu",
	"per_gpu_train_batch_size": "per_device_train_batch_size", "use_auth_token": "token", "torch_dtype": "dtype", "include_tokens_per_second": "include_num_input_tokens_seen",
}

func sayKeyword(_ string, m []string) string {
	name := strings.TrimSuffix(m[1], ".__init__")
	if name == "__init__" {
		name = "what was called"
	}
	text := name[strings.LastIndexByte(name, '.')+1:] + " has no keyword " + m[2] + " in the version that was installed"
	if other := renamed[m[2]]; other != "" {
		text += "; later versions call it " + other
	}
	return text
}

var collective = lazyregexp.New(`OpType=(\w+)|Timeout\(ms\)=(\d+)`)

func sayNCCL(line string, _ []string) string {
	if !strings.Contains(line, "imeout") {
		return "the GPUs could not exchange data (NCCL)"
	}
	text := "the ranks waited for each other too long (NCCL): one was stuck, slow or dead"
	for _, m := range collective.FindAllStringSubmatch(line, -1) {
		if ms, err := strconv.ParseInt(m[2], 10, 64); err == nil {
			text += "; the limit was " + (time.Duration(ms) * time.Millisecond).String()
		} else if m[1] != "" {
			text += "; the operation was " + m[1]
		}
	}
	return text
}
