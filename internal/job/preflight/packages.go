package preflight

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed signatures.py
var signaturesProgram string

// packages checks that what is imported is there, and takes what it is given.
func (c *check) packages(ctx context.Context) {
	third := c.thirdParty()
	c.localImports()
	n, sure := c.needs()
	switch {
	case len(third) == 0 && len(n.Requirements) == 0:
		return
	case len(n.Requirements) == 0 && c.Spec.Image != "":
		c.note(CodeUnchecked, "packages were not checked: they are those of the image %s", c.Spec.Image)
		return
	case len(n.Requirements) == 0:
		c.undeclared(third)
		return
	case len(n.Requirements) == 0 && c.Remote:
		c.here(ctx, third)
	case c.Packages == nil:
		c.note(CodeUnchecked, "packages were not checked: nothing here knows the package index")
		return
	}
	versions, err := c.Packages.Resolve(ctx, n)
	if errors.Is(err, ErrConflict) && sure {
		c.fail(Finding{Code: CodePackages, Text: err.Error(), Fix: "correct the names and versions in the PEP 723 header or the job's dependencies"})
		return
	}
	if err != nil {
		c.note(CodeUnchecked, "packages were not checked: %v", err)
		return
	}
	if sure {
		for _, i := range third {
			c.installed(i, versions)
		}
	}
	c.signatures(ctx, versions, n)
}

// here checks a job that runs in the Python of this machine.
func (c *check) here(ctx context.Context, third []imported) {
	if c.Installed == nil || c.facts.Header != nil && c.facts.Header.Error != "" {
		return
	}
	var names []string
	for _, i := range third {
		names = append(names, i.top())
	}
	site, err := c.Installed.Find(ctx, names)
	if err != nil {
		c.note(CodeUnchecked, "packages were not checked: %v", err)
		return
	}
	for _, i := range third {
		if !slices.Contains(site.Missing, i.top()) || c.installsMore() || c.changesPath() {
			continue
		}
		found := Finding{
			Code: CodeImport, Level: Error, Line: i.Line, Text: i.Module + " is imported, and " + site.Python + ", which runs the job, does not have it",
			Fix: "name " + packageOf(i.top()) + " in a PEP 723 header, so that it is installed for the job",
		}
		if i.Conditional {
			found.Level = Warning
		}
		c.add(found)
	}
	calls, imports, _ := c.questions(site.Versions)
	if len(calls)+len(imports) == 0 || c.Python == nil {
		return
	}
	answer, err := c.askSignatures(ctx, site.Path, calls, imports)
	if err != nil {
		c.note(CodeUnchecked, "arguments were not checked: %v", err)
		return
	}
	c.judgeNames(answer, site.Versions)
	c.judgeArguments(answer, site.Versions)
}

// needs are the job's packages. Those that do not come from the index by their
// name are left out, and then not all is known.
func (c *check) needs() (n Needs, sure bool) {
	all := slices.Clone(c.Spec.Dependencies)
	sure = true
	if c.facts.Header != nil {
		all = append(all, c.facts.Header.Dependencies...)
		sure = !c.facts.Header.Own
	}
	for _, r := range all {
		r = strings.TrimSpace(r)
		if strings.Contains(r, "@") || strings.Contains(r, "://") || strings.HasPrefix(r, ".") || strings.HasPrefix(r, "-") || strings.HasPrefix(r, "/") {
	for i, arg := range c.Spec.Command { // of uv run
		if arg == "--with" && i+1 < len(c.Spec.Command) {
			all = append(all, strings.Split(c.Spec.Command[i+1], ",")...)
		}
	}
		if strings.ContainsAny(r, "@\r\n") || strings.Contains(r, "://") || strings.HasPrefix(r, ".") || strings.HasPrefix(r, "-") || strings.HasPrefix(r, "/") {
			sure = false
			continue
		}
		if r != "" {
			n.Requirements = append(n.Requirements, r)
		}
	}
	n.Python, n.Linux = c.wantedPython(), c.Remote
	return n, sure && c.Spec.Image == ""
}

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

// undeclared is a job that names no packages: on this machine it has those of
// its Python, elsewhere nobody knows.
func (c *check) undeclared(third []imported) {
	if !c.Remote || c.facts.Header != nil && c.facts.Header.Error != "" {
		return // the job's Python may be the workspace's environment
	}
	var names []string
	for _, i := range third {
		names = append(names, packageOf(i.top()))
	}
	c.warn(Finding{Code: CodeImport, Line: third[0].Line, Text: "the script imports " + strings.Join(names, ", ") + " and the job names no packages",
		Fix: "add a PEP 723 header or dependencies with them"})
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

// heavy are packages too large to look into.
var heavy = []string{"torch", "torchvision", "torchaudio", "tensorflow", "jax", "jaxlib", "vllm", "triton", "flash-attn", "bitsandbytes", "xformers", "deepspeed",
	"pyspark", "ray", "cupy", "opencv-python", "scipy", "numpy", "pandas", "pyarrow", "scikit-learn", "matplotlib", "mlx", "unsloth", "unsloth-zoo"}

// signatures checks keyword arguments and imported names against the sources
// of the very versions that will be installed.
func (c *check) signatures(ctx context.Context, versions map[string]string, n Needs) {
	calls, imports, tops := c.questions(versions)
	if len(calls)+len(imports) == 0 || c.Python == nil {
		return
	}
	var answer *signatureAnswer
	dirs := map[string]string{}
	for range 4 { // a package's classes may be made from those of another
		if err := c.unpack(ctx, tops, versions, n, dirs); err != nil {
			c.note(CodeUnchecked, "arguments were not checked: %v", err)
			return
		}
		var err error
		if answer, err = c.askSignatures(ctx, dirs, calls, imports); err != nil {
			c.note(CodeUnchecked, "arguments were not checked: %v", err)
			return
		}
		before := len(dirs)
		tops = c.lookable(answer.Needs, versions)
		tops = slices.DeleteFunc(tops, func(name string) bool { _, have := dirs[name]; return have })
		if len(tops) == 0 || before == 0 {
			break
		}
	}
	c.judgeNames(answer, versions)
	c.judgeArguments(answer, versions)
}

// questions are what to ask of which packages.
func (c *check) questions(versions map[string]string) (calls map[string][]string, imports [][2]string, tops []string) {
	calls = map[string][]string{}
	asked := map[string]bool{}
	ask := func(module string) bool {
		top, _, _ := strings.Cut(module, ".")
		found := c.lookable([]string{top}, versions)
		if len(found) > 0 && !asked[top] {
			asked[top] = true
			tops = append(tops, found...)
		}
		return len(found) > 0
	}
	for _, k := range c.facts.Calls {
		if !k.Builtin && !k.Guarded && len(k.Written) > 0 && strings.Contains(k.Name, ".") && k.Name[0] != '.' && ask(k.Name) {
			calls[k.Name] = union(calls[k.Name], k.Written)
		}
	}
	for _, i := range c.facts.Imports {
		if i.Level == 0 && !i.Guarded && i.Name != "" && i.Name != "*" && ask(i.Module) {
			imports = append(imports, [2]string{i.Module, i.Name})
		}
	}
	return calls, imports, tops
}

// lookable are the packages of modules that will be installed and can be
// looked into.
func (c *check) lookable(modules []string, versions map[string]string) []string {
	var found []string
	for _, m := range modules {
		name := normalized(packageOf(m))
		if _, ok := versions[name]; ok && !slices.Contains(heavy, name) && !c.isLocal(m) {
			found = append(found, name)
		}
	}
	return found
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

func (c *check) unpack(ctx context.Context, names []string, versions map[string]string, n Needs, dirs map[string]string) error {
	found, errs := make([]string, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { found[i], errs[i] = c.Packages.Unpack(ctx, name, versions[name], n) })
	}
	wg.Wait()
	for i, name := range names {
		dirs[name] = found[i]
	}
	return errors.Join(errs...)
}

// A signatureAnswer is what signatures.py says.
type signatureAnswer struct {
	Calls map[string]struct {
		Params []string
		Open   bool
		Known  bool
		Near   map[string][]string
	}
	Lacking []struct {
		Module, Name string
		Near         []string
	}
	Needs []string
}

func (c *check) askSignatures(ctx context.Context, dirs map[string]string, calls map[string][]string, imports [][2]string) (*signatureAnswer, error) {
	var folders []string
	for _, dir := range dirs {
		folders = append(folders, dir)
	}
	slices.Sort(folders)
	request, err := json.Marshal(map[string]any{"path": folders, "calls": calls, "imports": imports})
	if err != nil {
		return nil, err
	}
	out, err := c.Python.Run(ctx, Program{Code: signaturesProgram, Input: request})
	if err != nil {
		return nil, err
	}
	var answer signatureAnswer
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("read Python's answer: %w", err)
	}
	return &answer, nil
}

func (c *check) judgeNames(answer *signatureAnswer, versions map[string]string) {
	for _, lack := range answer.Lacking {
		for _, i := range c.facts.Imports {
			if i.Guarded || i.Module != lack.Module || i.Name != lack.Name {
				continue
			}
			found := Finding{Code: CodeImport, Level: Error, Line: i.Line, Text: fmt.Sprintf("%s of %s has no %s", lack.Module, c.version(i.top(), versions), lack.Name), Fix: nearest(lack.Near, "look up what it is called in that version")}
			if i.Conditional {
				found.Level = Warning
			}
			c.add(found)
		}
	}
}

func (c *check) judgeArguments(answer *signatureAnswer, versions map[string]string) {
	for _, k := range c.facts.Calls {
		a, asked := answer.Calls[k.Name]
		if !asked || !a.Known || a.Open || k.Guarded {
			continue
		}
		top, _, _ := strings.Cut(k.Name, ".")
		for _, arg := range k.Written {
			if !slices.Contains(a.Params, arg) {
				c.fail(Finding{Code: CodeArgument, Line: k.Line, Text: fmt.Sprintf("%s of %s takes no argument %s", k.last(), c.version(top, versions), arg),
					Fix: nearest(a.Near[arg], "take it out, or look up what it is called in that version")})
			}
		}
	}
}

func (c *check) version(top string, versions map[string]string) string {
	return packageOf(top) + " " + versions[normalized(packageOf(top))]
}

func nearest(names []string, otherwise string) string {
	if len(names) == 0 {
		return otherwise
	}
	return "it has " + strings.Join(names, ", ")
}
