package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/secret"
)

// provided are variables that a job has without being given them.
var provided = lazyregexp.New(`^(OUTPUT_DIR|JOB_\w+|CHECKPOINT|PATH|HOME|USER|PWD|TMPDIR|LANG|SHELL|HOSTNAME|LOCAL_RANK|RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|NODE_RANK|MASTER_\w+|SLURM_\w+|CUDA_VISIBLE_DEVICES|ACCELERATE_\w+|ACCELERATOR|CPU_CORES|MEMORY|RAY_\w+)$`)

// secretName is what variables with secrets are called.
var secretName = lazyregexp.New(`(TOKEN|API_?KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?|_KEY|_PAT)$`)

// readByLibrary are secrets that a library reads by itself.
var readByLibrary = map[string][]string{
	"HF_TOKEN":                 {"transformers", "datasets", "huggingface_hub", "trl", "peft", "diffusers", "sentence_transformers", "unsloth", "vllm", "evaluate", "timm", "setfit", "lighteval", "lm_eval", "accelerate", "trackio", "kernels"},
	"HUGGING_FACE_HUB_TOKEN":   {"transformers", "datasets", "huggingface_hub", "trl"},
	"HUGGINGFACE_HUB_TOKEN":    {"transformers", "datasets", "huggingface_hub", "trl"},
	"WANDB_API_KEY":            {"wandb", "transformers", "trl", "lightning", "pytorch_lightning", "accelerate"},
	"OPENAI_API_KEY":           {"openai", "litellm", "langchain_openai", "inspect_ai"},
	"ANTHROPIC_API_KEY":        {"anthropic", "litellm", "inspect_ai"},
	"GITHUB_TOKEN":             {"github"},
	"COMET_API_KEY":            {"comet_ml", "transformers"},
	"NEPTUNE_API_TOKEN":        {"neptune", "transformers"},
	"KAGGLE_KEY":               {"kaggle", "kagglehub", "opendatasets"},
	"KAGGLE_API_TOKEN":         {"kaggle", "kagglehub"},
	"AWS_SECRET_ACCESS_KEY":    {"boto3", "s3fs", "sagemaker", "fsspec"},
	"AWS_ACCESS_KEY_ID":        {"boto3", "s3fs", "sagemaker", "fsspec"},
	"MLFLOW_TRACKING_TOKEN":    {"mlflow", "transformers"},
	"MLFLOW_TRACKING_PASSWORD": {"mlflow", "transformers"},
}

// hubTokens are the names under which the Hub's libraries look for a token.
var hubTokens = []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN"}

// secrets compares what the script reads with what it is given.
func (c *check) secrets() {
	for _, e := range c.facts.Env {
		c.variable(e)
	}
	c.hubToken()
	c.tracker()
	c.idle()
	c.writtenDown()
}

// elsewhere adds what is certain for a fresh machine. One that stays, such as a
// cluster, may have logins and variables of its own.
func (c *check) elsewhere(f Finding) {
	f.Level = Error
	if c.Remote && !c.Offer.Ephemeral {
		f.Level = Warning
	}
	c.add(f)
}

func (c *check) given(name string) bool {
	_, env := c.Spec.Env[name]
	return env || slices.Contains(c.Spec.Secrets, name) || slices.Contains(c.facts.SetEnv, name)
}

// variable checks one reading of the environment.
func (c *check) variable(e envRead) {
	if e.Name == "" || c.given(e.Name) || provided.MatchString(e.Name) {
		return
	}
	secret := secretName.MatchString(e.Name)
	switch {
	case e.How == "must" && secret:
		c.elsewhere(Finding{Code: CodeSecret, Line: e.Line, Text: fmt.Sprintf("the script reads %s, and the job is not given it", e.Name), Fix: "add " + e.Name + " to the job's secrets"})
	case e.How == "must":
		c.elsewhere(Finding{Code: CodeEnv, Line: e.Line, Text: fmt.Sprintf("the script fails without the variable %s, and the job does not set it", e.Name), Fix: "set it in the job's environment"})
	case e.How == "wants" && secret && !slices.Contains(hubTokens, e.Name):
		c.warn(Finding{Code: CodeSecret, Line: e.Line, Text: fmt.Sprintf("the script looks for %s, and the job is not given it", e.Name), Fix: "add " + e.Name + " to the job's secrets, or take the reading out"})
	}
}

// hubToken asks for a token where the Hub will want one.
func (c *check) hubToken() {
	if !c.Remote || slices.ContainsFunc(hubTokens, c.given) || c.logsIn() {
		return
	}
	slices.Sort(c.private)
	private := slices.Compact(c.private)
	fix := "add HF_TOKEN to the job's secrets"
	if len(private) > 0 {
		c.elsewhere(Finding{Code: CodeSecret, Text: fmt.Sprintf("%s can be read with a token alone, and the job is given none", strings.Join(private, ", ")), Fix: fix})
	}
	if line, ok := c.pushLine(); ok {
		c.elsewhere(Finding{Code: CodeSecret, Line: line, Text: "the script pushes to the Hub, and the job is given no token", Fix: fix})
	}
	if len(c.boards) > 0 {
		c.elsewhere(Finding{Code: CodeSecret, Line: c.boards[0].line, Text: "the script reports to a dashboard on the Hub, and the job is given no token", Fix: fix})
	}
}

// logsIn reports whether the script gets its token in a way of its own.
func (c *check) logsIn() bool {
	for _, k := range c.facts.Calls {
		if v := k.arg(-1, "token", "use_auth_token", "hub_token"); v.given() && v.Kind != "const" {
			return true
		}
		if k.last() == "login" && strings.HasPrefix(k.Name, "huggingface_hub") && len(k.Args) > 0 {
			return true
		}
	}
	return false
}

// pushLine is where the script surely pushes to the Hub.
func (c *check) pushLine() (int, bool) {
	for _, k := range c.facts.Calls {
		hub := k.last() == "push_to_hub" || strings.HasPrefix(k.last(), "upload_") && c.facts.imports("huggingface_hub")
		if !k.Guarded && !k.Maybe && (k.Kw["push_to_hub"].isTrue() || hub) {
			return k.Line, true
		}
	}
	return 0, false
}

// tracker asks for the key of Weights & Biases, which waits for it otherwise.
func (c *check) tracker() {
	if !c.Remote || c.given("WANDB_API_KEY") || c.given("WANDB_MODE") || c.given("WANDB_DISABLED") {
		return
	}
	for _, k := range c.facts.Calls {
		to := k.Kw["report_to"]
		names := append(leaves(to), "")
		starts := k.Name == "wandb.init" && k.Kw["mode"].text() != "offline" && k.Kw["mode"].text() != "disabled"
		if (starts || slices.Contains(names, "wandb")) && !k.Guarded && !k.Maybe {
			c.elsewhere(Finding{Code: CodeSecret, Line: k.Line, Text: "the script reports to wandb, and the job is not given WANDB_API_KEY", Fix: "add it to the job's secrets, or report to trackio"})
			return
		}
	}
}

// idle finds secrets that are given and that nothing reads.
func (c *check) idle() {
	for _, name := range c.Spec.Secrets {
		read := slices.ContainsFunc(c.facts.Env, func(e envRead) bool { return e.Name == name }) || c.facts.imports(readByLibrary[name]...) || c.facts.mentions(name)
		if !read && !c.readsAll() {
			c.warn(Finding{Code: CodeUnused, Text: fmt.Sprintf("the job is given the secret %s, and its script does not read it", name), Fix: "take it out of the job's secrets"})
		}
	}
}

// readsAll reports whether the script hands its environment on, or runs other
// files of the workspace that may read it.
func (c *check) readsAll() bool {
	local := slices.ContainsFunc(c.facts.Imports, func(i imported) bool { return i.Level > 0 || c.isLocal(i.top()) })
	return local || c.facts.imports("subprocess", "dotenv", "pydantic_settings") || len(c.facts.named("system", "copy", "execvp")) > 0
}

// writtenDown finds secrets where they are kept and seen.
func (c *check) writtenDown() {
	for _, t := range c.facts.Texts {
		if secret.Replace(t.Text, "") != t.Text {
			c.fail(Finding{Code: CodeSecret, Line: t.Line, Text: "a key stands in the script itself, which is kept and shown", Fix: "read it from a variable, and name that among the job's secrets; revoke this one"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Spec.Env)) {
		if secret.Replace(c.Spec.Env[name], "") != c.Spec.Env[name] {
			c.fail(Finding{Code: CodeSecret, Text: fmt.Sprintf("the variable %s holds a key, and the job's environment is kept", name), Fix: "name it among the job's secrets instead"})
		}
	}
}
