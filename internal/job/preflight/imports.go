package preflight

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// thirdParty lists the imports of packages, each outermost module once.
func (c *check) thirdParty() []imported {
	var found []imported
	seen := map[string]bool{}
	for _, i := range c.facts.Imports {
		top := i.top()
		if i.Level > 0 || i.Guarded || top == "" || seen[top] || slices.Contains(c.facts.Stdlib, top) || c.isLocal(top) {
			continue
		}
		seen[top] = true
		found = append(found, i)
	}
	return found
}

// isLocal reports whether a module lies beside the script, or in the
// workspace's root.
func (c *check) isLocal(module string) bool {
	for _, dir := range []string{c.scriptDir(), "."} {
		at := path.Join(dir, module)
		if info, err := fs.Stat(c.Files, at+".py"); err == nil && info.Mode().IsRegular() {
			return true
		}
		if info, err := fs.Stat(c.Files, at); err == nil && info.IsDir() && c.hasPython(at) {
			return true
		}
	}
	return false
}

// hasPython reports whether a folder could be a package.
func (c *check) hasPython(dir string) bool {
	entries, err := fs.ReadDir(c.Files, dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".py") })
}

// localImports finds modules of the workspace that the job will not have.
func (c *check) localImports() {
	for _, i := range c.facts.Imports {
		if i.Guarded {
			continue
		}
		local := i.Level > 0 || i.top() != "" && !slices.Contains(c.facts.Stdlib, i.top()) && c.isLocal(i.top())
		switch {
		case !local:
		case i.Level > 0:
			c.add(Finding{Code: CodeImport, Level: Error, Line: i.Line, Text: "a script has no package of its own, so the relative import of " + strings.Repeat(".", i.Level) + i.Module + " fails", Fix: "import the module by its name"})
		case c.Remote && !c.isInput(i.top()):
			c.fail(Finding{Code: CodeImport, Line: i.Line, Text: "the module " + i.Module + " is a file of the workspace, and the job gets the script alone", Fix: "put its code into the script, or name the file as an input"})
		}
	}
}

// undeclared is a job elsewhere that names no packages.
func (c *check) undeclared(third []imported) {
	if c.installsMore() || c.facts.Header != nil && c.facts.Header.Error != "" {
		return
	}
	var names []string
	for _, i := range third {
		names = append(names, packageOf(i.top()))
	}
	c.warn(Finding{
		Code: CodeImport, Line: third[0].Line, Text: "the script imports " + strings.Join(names, ", ") + " and the job names no packages",
		Fix: "add a PEP 723 header or dependencies with them",
	})
}

// moduleOf are packages whose module has another name.
var moduleOf = map[string]string{
	"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml", "bs4": "beautifulsoup4", "skimage": "scikit-image",
	"dateutil": "python-dateutil", "dotenv": "python-dotenv", "faiss": "faiss-cpu", "umap": "umap-learn", "google": "protobuf", "attr": "attrs",
	"Levenshtein": "levenshtein", "pkg_resources": "setuptools", "pytorch_lightning": "pytorch-lightning", "git": "gitpython", "fitz": "pymupdf",
	"docx": "python-docx", "jwt": "pyjwt", "serial": "pyserial", "OpenSSL": "pyopenssl", "Crypto": "pycryptodome", "ruamel": "ruamel-yaml", "mpl_toolkits": "matplotlib",
}

// wellKnown are packages whose module has the package's name, so that without
// them the import fails for certain.
var wellKnown = strings.Fields(`torch torchvision torchaudio transformers datasets trl peft accelerate numpy pandas scipy matplotlib seaborn evaluate
	bitsandbytes tqdm requests wandb trackio tensorflow keras jax flax optax vllm unsloth deepspeed tokenizers safetensors huggingface_hub
	sentence_transformers einops timm diffusers lightning xgboost lightgbm catboost polars pyarrow openai anthropic tiktoken nltk spacy
	sentencepiece psutil flash_attn xformers triton rouge_score sacrebleu jiwer librosa soundfile gradio fastapi lm_eval optuna ray setfit`)

func packageOf(module string) string {
	if name, ok := moduleOf[module]; ok {
		return name
	}
	return strings.ReplaceAll(module, "_", "-")
}

// siblings are other packages that bring the same module.
var siblings = map[string][]string{
	"opencv-python":     {"opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"},
	"faiss-cpu":         {"faiss-gpu", "faiss-gpu-cu12"},
	"tensorflow":        {"tensorflow-cpu", "tf-nightly"},
	"protobuf":          {"google-generativeai", "google-genai", "google-cloud-storage", "googleapis-common-protos", "google-auth", "google-api-core"},
	"flash-attn":        {"flash-attn-2"},
	"lm-eval":           {"lm-evaluation-harness"},
	"pytorch-lightning": {"lightning"},
	"git":               {"gitpython"},
}

// installsMore reports whether the script installs packages itself.
func (c *check) installsMore() bool {
	return c.facts.mentions("pip install") || c.facts.says("pip") && c.facts.says("install")
}

// changesPath reports whether modules may come from other folders.
func (c *check) changesPath() bool {
	return slices.ContainsFunc(c.facts.Calls, func(k call) bool { return strings.HasPrefix(k.Name, "sys.path.") || k.Name == "site.addsitedir" })
}

// installed says whether an import will be there.
func (c *check) installed(i imported, versions map[string]string) {
	name := normalized(packageOf(i.top()))
	if _, ok := versions[name]; ok {
		return
	}
	for _, other := range siblings[name] {
		if _, ok := versions[other]; ok {
			return
		}
	}
	found := Finding{Code: CodeImport, Level: Error, Line: i.Line, Text: fmt.Sprintf("%s is imported, and none of the job's packages brings it", i.Module), Fix: "add " + packageOf(i.top()) + " to the PEP 723 header or the dependencies"}
	_, alias := moduleOf[i.top()]
	if c.installsMore() || !alias && !slices.Contains(wellKnown, i.top()) && c.changesPath() {
		return
	}
	if !alias && !slices.Contains(wellKnown, i.top()) {
		found.Level = Warning
		found.Text = fmt.Sprintf("%s is imported, and no package of that name is installed for the job", i.Module)
		found.Fix = "name the package that brings it"
	}
	if i.Conditional {
		found.Level = Warning
	}
	c.add(found)
}
