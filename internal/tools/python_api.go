package tools

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
)

//go:embed python_api.py
var pythonAPIScript string

type pythonAPIInput struct {
	Name      string   `json:"name" jsonschema:"such as trl.SFTConfig"`
	Arguments []string `json:"arguments,omitempty"`
	Match     string   `json:"match,omitempty" jsonschema:"words: only what has one is shown"`
	Package   string   `json:"package,omitempty" jsonschema:"for pip, if not the module's: scikit-learn"`
	Python    string   `json:"python,omitempty" jsonschema:"interpreter or environment; default the workspace's"`
	TimeoutS  int      `json:"timeout_s,omitempty"`
}

var (
	dottedName  = lazyregexp.New(`^[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*$`)
	packageName = lazyregexp.New(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
)

const (
	pythonTimeout  = 2 * time.Minute
	resolveTimeout = time.Minute
	maxPythonText  = 24_000 // bytes of a description
	maxPythonDoc   = 6_000  // characters of a docstring
)

// PythonAPI says what a Python name is in the workspace's environment. It
// imports the package, which runs its code.
func PythonAPI(sb executor) tool.Tool {
	s := spec("python_api", tool.Executes)
	if sb.Confinement() == "" {
		s.Impact = func(string) tool.Impact {
			return tool.Impact{Effect: tool.Executes, Outside: "it imports a Python package, which --unconfined leaves without confinement"}
		}
	}
	s.Resumable = true // to import twice repeats nothing
	return tool.New(s, func(ctx context.Context, in pythonAPIInput, _ tool.Call) (tool.Output, error) {
		in.Name = strings.TrimSuffix(strings.TrimSpace(in.Name), "()")
		if !dottedName.MatchString(in.Name) || len(in.Name) > 300 {
			return badArgs("name must be a dotted Python name such as trl.SFTConfig, not %q", in.Name), nil
		}
		if in.Package != "" && !packageName.MatchString(in.Package) {
			return badArgs("package must be the name of a package such as scikit-learn, not %q", in.Package), nil
		}
		p := &pythonAsk{sb: sb, in: in, timeout: pythonTimeout}
		if in.TimeoutS > 0 {
			p.timeout = min(time.Duration(in.TimeoutS)*time.Second, maxTimeout)
		}
		return p.run(ctx)
	})
}

// A pythonAsk is one question about a name.
type pythonAsk struct {
	sb      executor
	in      pythonAPIInput
	timeout time.Duration
	meta    *pythonMeta
	api     *pythonAnswer
}

// pythonMeta is what is known without an import.
type pythonMeta struct {
	Package    string      `json:"package"`
	Version    string      `json:"version"`
	Stdlib     bool        `json:"stdlib"`
	Python     string      `json:"python"`
	Executable string      `json:"executable"`
	Wanted     [][2]string `json:"wanted"` // requirement and the file that has it
}

// pythonAnswer is what the import showed: Text, or why there is none.
type pythonAnswer struct {
	Text    string   `json:"text"`
	File    string   `json:"file"`
	Missing string   `json:"missing"` // the module is there, the name is not
	Absent  bool     `json:"absent"`  // the module is not there
	Error   string   `json:"error"`
	Needs   string   `json:"needs"` // a module that is not there
	Near    []string `json:"near"`
	Trace   []string `json:"trace"`
}

func (p *pythonAsk) run(ctx context.Context) (tool.Output, error) {
	mark := "ml-intern-" + rand.Text() + ":"
	ask, err := json.Marshal(map[string]any{
		"name": p.in.Name, "match": p.in.Match, "arguments": p.in.Arguments, "package": p.in.Package, "doc_chars": maxPythonDoc,
	})
	if err != nil {
		return tool.Output{}, fmt.Errorf("encode question: %w", err)
	}
	line := findPython(p.in.Python) + "exec \"$@\" - " + quoteShell(mark) + " " + quoteShell(string(ask)) + " <<'ML_INTERN_END'\n" + pythonAPIScript + "\nML_INTERN_END\n"
	out, err := p.sb.Exec(ctx, sandbox.Command{Line: line, Timeout: p.timeout})
	if err != nil {
		return tool.Output{}, fmt.Errorf("ask Python: %w", err)
	}
	rest := p.read(out.Text, mark)
	switch {
	case p.meta == nil && out.TimedOut:
		return tool.Output{}, fmt.Errorf("python did not start within %.0f s", p.timeout.Seconds())
	case p.meta == nil:
		return tool.Output{}, fmt.Errorf("python could not be asked (exit status %d): %s", out.Code, cutText(strings.TrimSpace(rest), 1000))
	case p.api == nil && out.TimedOut:
		return p.failed("%s: importing it took longer than %.0f s and was stopped; try again with a larger timeout_s, or read its source", p.version(), p.timeout.Seconds()), nil
	case p.api == nil:
		return p.failed("%s: importing it ended Python with exit status %d; it cannot be imported here. %s", p.version(), out.Code, cutText(strings.TrimSpace(rest), 1000)), nil
	}
	return p.answer(ctx), nil
}

// read takes the records out of what Python printed, and returns the rest.
func (p *pythonAsk) read(text, mark string) string {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		record, ours := strings.CutPrefix(line, mark)
		if !ours {
			rest.WriteString(line)
			continue
		}
		kind, body, _ := strings.Cut(record, " ")
		switch kind {
		case "meta":
			p.meta = decodeRecord[pythonMeta](body)
		case "api":
			p.api = decodeRecord[pythonAnswer](body)
		}
	}
	return rest.String()
}

func decodeRecord[T any](body string) *T {
	var v T
	if json.Unmarshal([]byte(body), &v) != nil {
		return nil
	}
	return &v
}

func (p *pythonAsk) answer(ctx context.Context) tool.Output {
	a := p.api
	switch {
	case a.Absent:
		return p.absent(ctx)
	case a.Missing != "":
		return p.failed("%s: %s", p.version(), a.Missing)
	case a.Error != "":
		text := fmt.Sprintf("%s, but importing %s fails: %s", p.version(), p.in.Name, a.Error)
		if a.Needs != "" {
			needs, _, _ := strings.Cut(a.Needs, ".")
			text += fmt.Sprintf("\nit needs %s, which is not in this environment: ask again after uv pip install %s", needs, quoteShell(packageFor(needs)))
		}
		if len(a.Trace) > 0 {
			text += "\nraised at " + strings.Join(a.Trace, "\n  called from ")
		}
		return p.failed("%s", text)
	}
	return outside(p.version(), cutText(a.Text, maxPythonText)+"\n", "%s in %s", p.in.Name, p.version())
}

func (p *pythonAsk) failed(format string, args ...any) tool.Output {
	text := fmt.Sprintf(format, args...)
	return tool.Output{Text: cutText(text, maxPythonText), IsError: true, Summary: shorten(text, 120)}
}

// version names the package and the Python that was asked.
func (p *pythonAsk) version() string {
	m := p.meta
	where := fmt.Sprintf("in Python %s (%s)", m.Python, m.Executable)
	switch {
	case m.Version != "":
		return fmt.Sprintf("%s %s, installed %s", m.Package, m.Version, where)
	case m.Stdlib:
		return fmt.Sprintf("%s of the standard library, %s", m.Package, where)
	case p.api != nil && p.api.File != "":
		return fmt.Sprintf("%s, which no package brought (%s), %s", m.Package, p.api.File, where)
	}
	return fmt.Sprintf("%s, no version known, %s", m.Package, where)
}

// absent says which version would be installed, and how to have it.
func (p *pythonAsk) absent(ctx context.Context) tool.Output {
	m := p.meta
	pkg := m.Package
	if p.in.Package != "" {
		pkg = p.in.Package
	} else {
		pkg = packageFor(pkg)
	}
	var b strings.Builder
	if m.Version != "" { // of a package with the module's name that does not bring it
		fmt.Fprintf(&b, "%s: %s. ", p.version(), p.api.Error)
	} else {
		fmt.Fprintf(&b, "%s is not installed in Python %s (%s).\n", pkg, m.Python, m.Executable)
	}
	requirement, pinned := pkg, ""
	for _, w := range m.Wanted {
		fmt.Fprintf(&b, "%s asks for %s\n", w[1], cutText(w[0], 200))
		if w[1] == "uv.lock" {
			_, pinned, _ = strings.Cut(w[0], "==")
		} else if requirement == pkg {
			requirement = w[0]
		}
	}
	if pinned == "" {
		version, why := p.resolve(ctx, requirement)
		if version == "" {
			fmt.Fprintf(&b, "which version would be installed cannot be said: %s\n", why)
		} else {
			fmt.Fprintf(&b, "would be installed: %s (%s)\n", version, why)
			_, pinned, _ = strings.Cut(version, "==")
		}
	}
	if len(p.api.Near) > 0 {
		fmt.Fprintf(&b, "installed packages with a similar name: %s\n", strings.Join(p.api.Near, ", "))
	}
	want := pkg
	if pinned != "" {
		want += "==" + pinned
	}
	fmt.Fprintf(&b, "nothing was installed. To ask again with it, in an environment of its own: uv venv /tmp/api && uv pip install -p /tmp/api %s, then python: \"/tmp/api\"; "+
		"for the workspace: uv pip install %s, or uv sync if uv.lock has it", quoteShell(want), quoteShell(want))
	return tool.Output{Text: b.String(), IsError: true, Summary: pkg + " is not installed"}
}

// knownPackages are those whose module has another name.
var knownPackages = map[string]string{
	"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml", "bs4": "beautifulsoup4", "flash_attn": "flash-attn",
	"skimage": "scikit-image", "dateutil": "python-dateutil", "dotenv": "python-dotenv", "sentence_transformers": "sentence-transformers",
	"faiss": "faiss-cpu", "google": "protobuf", "umap": "umap-learn", "huggingface_hub": "huggingface-hub",
}

func packageFor(module string) string { return cmp.Or(knownPackages[module], module) }

// resolve asks the package index which version a requirement gives.
func (p *pythonAsk) resolve(ctx context.Context, requirement string) (version, why string) {
	line := findPython(p.in.Python) + fmt.Sprintf(`r=%s; n=%s
if command -v uv >/dev/null 2>&1; then
  echo "ml-intern-by uv pip compile"; echo "$r" | uv pip compile - --no-deps --no-header --no-annotate --quiet --python-version %s 2>&1
else
  echo "ml-intern-by pip index versions"; "$@" -m pip index versions "$n" --disable-pip-version-check --retries 1 2>&1
fi`, quoteShell(requirement), quoteShell(packageOf(requirement)), quoteShell(p.meta.Python))
	out, err := p.sb.Exec(ctx, sandbox.Command{Line: line, Timeout: resolveTimeout})
	switch {
	case err != nil:
		return "", err.Error()
	case out.TimedOut:
		return "", fmt.Sprintf("the package index did not answer within %.0f s", resolveTimeout.Seconds())
	}
	text := out.Text
	if _, after, ok := strings.Cut(text, "ml-intern-by "); ok { // after what a shell says of its locale
		text = after
	}
	by, text, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if m := foundVersion.FindStringSubmatch(text); m != nil && out.Code == 0 {
		return packageOf(requirement) + "==" + m[1] + m[2], by
	}
	return "", fmt.Sprintf("%s says: %s", by, cutText(oneLine(pipWarning.ReplaceAllString(text, "")), 400))
}

// pipWarning is a line of which pip has several before it says what is wrong.
var pipWarning = lazyregexp.New(`(?m)^WARNING: .*\n`)

// foundVersion is how uv ("trl==0.24.0") and pip ("trl (0.24.0)") say it.
var foundVersion = lazyregexp.New(`(?m)^[A-Za-z0-9._-]+(?:\[[^\]]*\])?(?:==([^\s;]+)| \(([^)\s]+)\))`)

func packageOf(requirement string) string {
	end := strings.IndexFunc(requirement, func(r rune) bool { return strings.ContainsRune("[=<>!~@; ", r) })
	if end < 0 {
		return requirement
	}
	return requirement[:end]
}

// findPython is shell that sets $@ to the command of the workspace's Python.
// Nothing is installed by it, and no environment is left behind: uv run alone
// would make one and bring it up to date.
func findPython(named string) string {
	const offline = "export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false WANDB_MODE=disabled PYTHONIOENCODING=utf-8\n"
	if named != "" {
		n := quoteShell(named)
		return offline + "if [ -d " + n + " ]; then set -- " + n + "/bin/python; else set -- " + n + "; fi\n"
	}
	return offline + `if [ -x .venv/bin/python ]; then set -- .venv/bin/python
elif [ -x .venv/Scripts/python.exe ]; then set -- .venv/Scripts/python.exe
elif [ -n "$VIRTUAL_ENV" ] && [ -x "$VIRTUAL_ENV/bin/python" ]; then set -- "$VIRTUAL_ENV/bin/python"
elif { [ -f uv.lock ] || [ -f pyproject.toml ]; } && command -v uv >/dev/null 2>&1; then
  if [ -d "$UV_PROJECT_ENVIRONMENT" ]; then set -- uv run --quiet --no-sync python
  else set -- uv run --quiet --no-sync --isolated python; fi
elif command -v python3 >/dev/null 2>&1; then set -- python3
elif command -v python >/dev/null 2>&1; then set -- python
else echo "there is no Python: neither .venv, VIRTUAL_ENV, uv nor python3"; exit 127; fi
`
}

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
