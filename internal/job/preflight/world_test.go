package preflight_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/hub/weights"
	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
)

// world is a Hub with some data sets and models. The weights are too large to
// be there, and gates are not what this is about: both are told.
type world struct {
	*hub.Client
	python *keptPython
	closed map[string]bool // gated, and this account has no access
	gated  map[string]bool
}

func (w world) RepoInfo(ctx context.Context, repo hub.RepoID, rev string) (hub.Info, error) {
	info, err := w.Client.RepoInfo(ctx, repo, rev)
	if w.gated[repo.Name] || w.closed[repo.Name] {
		info.Gated = "auto"
	}
	return info, err
}

func (w world) CheckAccess(ctx context.Context, repo hub.RepoID, write bool) error {
	if w.closed[repo.Name] {
		return hub.ErrGated
	}
	if write && repo.Namespace == "stranger" {
		return hub.ErrForbidden
	}
	return w.Client.CheckAccess(ctx, repo, write)
}

// Weights is a network of 28 layers, in BF16, whose size the name says.
func (w world) Weights(_ context.Context, repo hub.RepoID, _ string) (*weights.Summary, error) {
	var billions float64
	m := regexp.MustCompile(`([\d.]+)B`).FindStringSubmatch(repo.Name)
	if m == nil {
		return nil, weights.ErrNone
	}
	fmt.Sscanf(m[1], "%g", &billions)
	s := &weights.Summary{Format: "safetensors", Total: int64(billions * 1e9)}
	s.Parameters = map[string]int64{"BF16": s.Total}
	for i := range 28 {
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "o_proj"} {
			s.Tensors = append(s.Tensors, weights.Tensor{Name: fmt.Sprintf("model.layers.%d.self_attn.%s.weight", i, name), DType: "BF16", Shape: []int64{3584, 3584}})
		}
	}
	return s, nil
}

// away is a Hub that does not answer for Spaces.
type away struct{ world }

func (away) RepoInfo(context.Context, hub.RepoID, string) (hub.Info, error) {
	return hub.Info{}, errors.New("the network is away")
}

const (
	smallConfig = `{"hidden_size": 896, "num_hidden_layers": 24, "vocab_size": 151936}`
	largeConfig = `{"hidden_size": 3584, "num_hidden_layers": 28, "vocab_size": 152064}`
)

// newWorld makes the Hub of all cases.
func newWorld(t testing.TB) world {
	t.Helper()
	h := hubtest.Start(t)
	put := func(repo hub.RepoID, files map[string]string) {
		t.Helper()
		options := hub.CreateOptions{Private: repo.Type == hub.Space && !strings.Contains(repo.Name, "open")}
		if repo.Type == hub.Space {
			options.SDK = "gradio"
		}
		if _, err := h.Client.CreateRepo(t.Context(), repo, options); err != nil {
			t.Fatal(err)
		}
		var all []hub.File
		for path, text := range files {
			all = append(all, hub.File{Path: path, Content: []byte(text)})
		}
		if _, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: all}); err != nil {
			t.Fatal(err)
		}
	}
	data := func(owner, name string, files map[string]string) {
		put(hub.RepoID{Type: hub.Dataset, Namespace: owner, Name: name}, files)
	}
	model := func(owner, name, config, card string) {
		put(hub.RepoID{Type: hub.Model, Namespace: owner, Name: name}, map[string]string{"config.json": config, "README.md": card})
	}
	space := func(owner, name, sdk, tag, app string) {
		put(hub.RepoID{Type: hub.Space, Namespace: owner, Name: name}, map[string]string{"README.md": "---\nsdk: " + sdk + "\ntags:\n- " + tag + "\n---\n", "app.py": app})
	}
	chat := strings.Repeat(`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`+"\n", 400)
	data("trl-lib", "chat", map[string]string{"train.jsonl": chat, "test.jsonl": chat})
	data("trl-lib", "pairs", map[string]string{"train.jsonl": `{"prompt":"q","chosen":"a","rejected":"b"}` + "\n", "test.jsonl": `{"prompt":"q","chosen":"a","rejected":"b"}` + "\n"})
	data("acme", "preferences", map[string]string{"train.jsonl": `{"question":"q","accepted":"a","rejected":"b"}` + "\n"})
	data("acme", "kto", map[string]string{"train.jsonl": `{"prompt":"q","completion":"a","label":true}` + "\n"})
	data("openai", "gsm8k", map[string]string{
		"README.md":        "---\nconfigs:\n- config_name: main\n  data_files:\n  - {split: train, path: main/train.jsonl}\n  - {split: test, path: main/test.jsonl}\n- config_name: socratic\n  data_files:\n  - {split: train, path: socratic/train.jsonl}\n---\n",
		"main/train.jsonl": `{"question":"q","answer":"a"}` + "\n", "main/test.jsonl": `{"question":"q","answer":"a"}` + "\n", "socratic/train.jsonl": `{"question":"q","answer":"a"}` + "\n",
	})
	data("stanfordnlp", "imdb", map[string]string{"train.csv": "text,label\na,0\nb,1\n", "test.csv": "text,label\na,0\n"})
	data("tatsu-lab", "alpaca", map[string]string{"train.jsonl": `{"instruction":"i","input":"","output":"o"}` + "\n"})
	data("acme", "ner", map[string]string{"train.jsonl": `{"tokens":["a"],"ner_tags":[0]}` + "\n", "validation.jsonl": `{"tokens":["a"],"ner_tags":[0]}` + "\n", "test.jsonl": `{"tokens":["a"],"ner_tags":[0]}` + "\n"})
	data("acme", "voices", map[string]string{"train.jsonl": `{"audio":"a.wav","sentence":"s"}` + "\n"})
	data("acme", "standard", map[string]string{"README.md": "---\nconfigs:\n- config_name: a\n  data_files: a.csv\n- config_name: b\n  default: true\n  data_files: b.csv\n---\n", "a.csv": "a\n1\n", "b.csv": "b\n1\n"})
	data("acme", "secret-data", map[string]string{"train.csv": "text\na\n"})
	space("me", "board", "gradio", "trackio", "")
	space("me", "open-board", "gradio", "trackio", "")
	space("me", "untagged", "gradio", "plain", "import trackio\ntrackio.show()\n")
	space("me", "demo", "gradio", "plain", "import gradio\n")
	space("me", "frozen", "static", "trackio", "")
	space("stranger", "board", "gradio", "trackio", "")
	model("Qwen", "Qwen2.5-0.5B", smallConfig, "---\nlicense: apache-2.0\n---\n")
	model("Qwen", "Qwen2.5-7B", largeConfig, "---\nlicense: apache-2.0\n---\n")
	model("Qwen", "Qwen2.5-72B", largeConfig, "---\nlicense: apache-2.0\n---\n")
	model("meta-llama", "Llama-3.2-1B", smallConfig, "---\nlicense: llama3.2\n---\n")
	model("acme", "Closed-1B", smallConfig, "")
	model("acme", "NoChange-1B", smallConfig, "---\nlicense: cc-by-nc-nd-4.0\n---\n")
	model("distilbert", "distilbert-base-uncased", `{}`, "---\nlicense: apache-2.0\n---\n")
	return world{Client: h.Client, python: keepPython(t), closed: map[string]bool{"Closed-1B": true}, gated: map[string]bool{"Llama-3.2-1B": true, "secret-data": true}}
}

// shelf is a package index of a few small packages, of version 9.9 unless it
// says otherwise.
type shelf struct{ versions map[string]string }

var brings = map[string][]string{
	"trl": {"transformers", "datasets", "accelerate", "torch"}, "transformers": {"huggingface-hub", "numpy", "tokenizers", "safetensors", "pyyaml", "tqdm", "requests"},
	"datasets": {"huggingface-hub", "numpy", "pandas", "pyarrow", "tqdm", "requests", "fsspec"}, "peft": {"transformers", "torch", "accelerate"}, "torch": nil, "accelerate": {"torch"}, "evaluate": {"datasets"}, "bitsandbytes": {"torch"},
	"scikit-learn": {"numpy", "scipy"}, "numpy": nil, "pandas": {"numpy"}, "wandb": nil, "pyyaml": nil, "trackio": nil, "openai": nil, "unsloth": {"trl", "peft"}, "vllm": {"torch", "transformers"}, "requests": nil, "polars": nil, "tqdm": nil, "datatrove": nil, "huggingface-hub": nil, "diffusers": {"torch", "huggingface-hub"}, "sentence-transformers": {"transformers", "torch", "datasets"}, "lightning": {"torch"}, "keras": {"numpy"}, "typer": nil, "hydra-core": {"omegaconf"}, "omegaconf": nil, "xgboost": {"numpy"}, "librosa": {"numpy"}, "jiwer": nil, "pillow": nil, "torchvision": {"torch", "pillow"}, "seqeval": nil, "lm-eval": {"datasets", "torch"}, "python-dotenv": nil, "matplotlib": {"numpy"}, "opencv-python-headless": nil,
}

func (s shelf) Resolve(_ context.Context, n preflight.Needs) (map[string]string, error) {
	all := map[string]string{}
	var take func(name string)
	take = func(name string) {
		all[name] = cmp.Or(s.versions[name], "9.9")
		for _, b := range brings[name] {
			take(b)
		}
	}
	for _, r := range n.Requirements {
		name := strings.ReplaceAll(strings.ToLower(regexp.MustCompile(`^[\w.-]+`).FindString(r)), "_", "-")
		if _, ok := brings[name]; !ok {
			return nil, fmt.Errorf("%w: %s was not found", preflight.ErrConflict, name)
		}
		take(name)
	}
	return all, nil
}

func (shelf) Unpack(_ context.Context, name, _ string, _ preflight.Needs) (string, error) {
	dir, err := filepath.Abs("testdata/packages")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, name))
	}
	if err != nil {
		return filepath.Abs("testdata") // nothing of it is known
	}
	return dir, nil
}

// past is what happened before.
type past struct {
	proven   bool
	smoke    bool
	step     time.Duration
	flavor   string
	unproven string
	previous *preflight.Run
}

func (p past) Smoke(context.Context, string) (preflight.Smoke, bool) {
	return preflight.Smoke{StepTime: p.step, Flavor: p.flavor}, p.smoke
}

func (p past) Previous(context.Context, job.Spec) (preflight.Run, bool) {
	if p.previous == nil {
		return preflight.Run{}, false
	}
	return *p.previous, true
}

func (p past) Proven(context.Context, string) bool { return p.proven }

func (p past) Unproven(context.Context, string) (string, bool) { return p.unproven, p.unproven != "" }

var offers = map[string]job.Offer{
	"a10g":   {Flavor: "a10g-small", GPUs: 1, GPU: "NVIDIA A10G", GPUMemoryMB: 24 << 10, USDPerHour: 1, DefaultLimitS: 1800, Ephemeral: true},
	"a100":   {Flavor: "a100-large", GPUs: 1, GPU: "NVIDIA A100", GPUMemoryMB: 80 << 10, USDPerHour: 2.5, DefaultLimitS: 1800, Ephemeral: true},
	"h100x8": {Flavor: "h100x8", GPUs: 8, GPU: "NVIDIA H100", GPUMemoryMB: 80 << 10, USDPerHour: 40, DefaultLimitS: 1800, Ephemeral: true},
	"t4":     {Flavor: "t4-small", GPUs: 1, GPU: "NVIDIA T4", GPUMemoryMB: 16 << 10, USDPerHour: 0.4, DefaultLimitS: 1800, Ephemeral: true},
	"cpu":    {Flavor: "cpu-basic", CPUs: 2, MemoryMB: 16 << 10, USDPerHour: 0.01, DefaultLimitS: 1800, Ephemeral: true},
	"free":   {Flavor: "gpu", GPUs: 1, GPU: "NVIDIA A100", GPUMemoryMB: 80 << 10, DefaultLimitS: 86400},
	"local":  {Flavor: "local", CPUs: 8, MemoryMB: 32 << 10},
}

// request is a job that is as it should be: remote, on an A10G, with a limit
// and a token, tried before. The lines of a case change it.
func request(t testing.TB, w world, files fstest.MapFS, lines []string) (r preflight.Request, want []string) {
	t.Helper()
	p := past{smoke: true}
	r = preflight.Request{
		Spec:  job.Spec{Script: "train.py", Dir: "/home/ada/space", TimeLimit: 4 * time.Hour},
		Offer: offers["a10g"], Remote: true, Hub: w, Account: &hub.Account{Name: "me"}, Python: w.python, Packages: shelf{}, Files: files, Waivers: map[string]string{},
	}
	if f := files["train.py"]; f != nil && regexp.MustCompile(`datasets|transformers|trl|huggingface_hub`).Match(f.Data) {
		r.Spec.Secrets = []string{"HF_TOKEN"}
	}
	for _, line := range lines {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "":
		case "want":
			want = append(want, rest)
		case "on":
			r.Offer = offers[rest]
			r.Remote = rest != "local"
		case "limit":
			r.Spec.TimeLimit, _ = time.ParseDuration(rest)
		case "secrets":
			r.Spec.Secrets = strings.Fields(rest)
		case "args":
			r.Spec.Args = strings.Fields(rest)
		case "command":
			r.Spec.Script, r.Spec.Command = "", strings.Fields(rest)
		case "deps":
			r.Spec.Dependencies = strings.Fields(rest)
		case "inputs":
			r.Spec.Inputs = strings.Fields(rest)
		case "outputs":
			r.Spec.Outputs = strings.Fields(rest)
		case "image":
			r.Spec.Image = rest
		case "env":
			name, v, _ := strings.Cut(rest, "=")
			r.Spec.Env = map[string]string{name: v}
		case "version":
			name, v, _ := strings.Cut(rest, " ")
			r.Packages = shelf{map[string]string{name: v}}
		case "hub":
			r.Hub = away{w}
		case "waive":
			code, why, _ := strings.Cut(rest, " ")
			r.Waivers[code] = why
		case "untried":
			p.smoke = false
		case "step":
			p.step, _ = time.ParseDuration(rest)
			p.flavor = r.Offer.Flavor
		case "measured":
			step, flavor, _ := strings.Cut(rest, " ")
			p.step, _ = time.ParseDuration(step)
			p.flavor = flavor
		case "open":
			p.unproven = rest
		case "before", "since":
			var minor int
			fmt.Sscan(rest, &minor)
			if (w.python.minor(t) < minor) != (verb == "before") {
				t.Skip("another Python says something else")
			}
		case "anonymous":
			r.Account = nil
		case "alone":
			r.Hub, r.Packages = nil, nil
		case "python":
			r.Spec.Python = rest
		case "gpus":
			fmt.Sscan(rest, &r.Spec.GPUs)
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	r.Earlier = p
	return r, want
}

func needPython(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3 here")
	}
}
