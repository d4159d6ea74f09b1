package preflight

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// maxScript is the largest script that is looked at.
const maxScript = 4 << 20

// findScript finds the Python script of the job: also that of a command such
// as accelerate launch train.py.
func (c *check) findScript() bool {
	if c.Spec.Script != "" {
		c.script, c.args = path.Clean(filepath.ToSlash(c.Spec.Script)), c.Spec.Args
		return true
	}
	all := append(slices.Clone(c.Spec.Command), c.Spec.Args...)
	runners := []string{"python", "python3", "uv", "accelerate", "torchrun", "deepspeed"}
	if len(all) == 0 || !slices.Contains(runners, path.Base(all[0])) {
		return false
	}
	for i, arg := range all[1:] {
		name := path.Clean(filepath.ToSlash(arg))
		if strings.HasSuffix(name, ".py") && fs.ValidPath(name) {
			if _, err := fs.Stat(c.Files, name); err == nil {
				c.script, c.args = name, all[i+2:]
				return true
			}
		}
	}
	return false
}

// trainingPrograms are commands that train.
var trainingPrograms = []string{"trl", "accelerate", "torchrun", "deepspeed", "axolotl", "llamafactory-cli", "tune"}

// command checks a job without a script of the workspace: of what it runs,
// little is known.
func (c *check) command(ctx context.Context) {
	c.report.SHA256 = hashOf([]byte(strings.Join(c.Spec.Command, "\x00")))
	c.args = append(slices.Clone(c.Spec.Command), c.Spec.Args...)
	c.note(CodeUnchecked, "the job is a command without a script of the workspace: what it does was not checked")
	trains := slices.Contains(trainingPrograms, path.Base(c.Spec.Command[0]))
	pushes := slices.ContainsFunc(c.args, func(a string) bool { return strings.Contains(a, "push_to_hub") || strings.Contains(a, "config") })
	if trains && c.Offer.Ephemeral && !pushes {
		c.warn(Finding{Code: CodeResults, Text: "the trained model stays on a disk that is gone when the job ends: nothing pushes it", Fix: "add --push_to_hub"})
	}
	c.batch(ctx)
	c.changes(ctx)
	c.limit(trains)
	c.argumentPaths()
	c.inputPaths()
	c.tried(ctx)
}

func (c *check) readScript() bool {
	fail := func(why string) bool {
		c.fail(Finding{Code: CodeScript, Text: "the script " + c.script + " cannot be read: " + why, Fix: "name a Python file inside the workspace"})
		return false
	}
	if !fs.ValidPath(c.script) {
		return fail("it is not inside the workspace")
	}
	info, err := fs.Stat(c.Files, c.script)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file")
	case err != nil:
		return fail(err.Error())
	case !info.Mode().IsRegular():
		return fail("it is not a file")
	case info.Size() > maxScript:
		return fail(fmt.Sprintf("it has %d bytes, more than any script", info.Size()))
	}
	if c.source, err = c.read(); err != nil {
		return fail(err.Error())
	}
	c.report.SHA256 = hashOf(c.source)
	if len(strings.TrimSpace(string(c.source))) == 0 {
		return fail("it is empty")
	}
	return true
}

// hashOf is a script's name among those that were tried; as job.Status has it.
func hashOf(script []byte) string {
	sum := sha256.Sum256(script)
	return hex.EncodeToString(sum[:])
}

// analyse lets Python read the script.
func (c *check) analyse(ctx context.Context) {
	f, err := c.askFacts(ctx)
	switch {
	case errors.Is(err, ErrNoPython):
		c.note(CodeUnchecked, "there is no Python here to read the script with, so what it does was not checked")
		return
	case err != nil:
		c.note(CodeUnchecked, "what the script does was not checked: Python did not read it: %v", err)
		return
	}
	if f.Header != nil && f.Header.Error != "" {
		c.fail(Finding{Code: CodePackages, Line: f.Header.Line, Text: "the PEP 723 header is not TOML: " + f.Header.Error, Fix: "write it as in https://peps.python.org/pep-0723/"})
	}
	c.headerPython(f)
	if f.Error != nil {
		c.add(c.syntax(f))
		return
	}
	if f.Deep {
		c.note(CodeUnchecked, "the script is nested too deeply to be read whole")
	}
	if f.Imports == nil && f.Deep {
		return
	}
	c.facts = f
}

func (c *check) askFacts(ctx context.Context) (*facts, error) {
	if c.Python == nil {
		return nil, ErrNoPython
	}
	request, err := json.Marshal(map[string]any{"path": path.Base(c.script), "source": c.source, "args": c.args, "env": c.Spec.Env})
	if err != nil {
		return nil, err
	}
	out, err := c.Python.Run(ctx, Program{Code: factsProgram, Input: request, Version: c.wantedPython()})
	if err != nil {
		return nil, err
	}
	var f facts
	if err := json.Unmarshal(out, &f); err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	return &f, nil
}

var versionWanted = lazyregexp.New(`requires-python\s*=\s*["']([^"'\n]+)["']`)

// read reads the script as a backend will: no link leads out of the workspace.
func (c *check) read() ([]byte, error) {
	if c.disk {
		spec := c.Spec
		spec.Script = c.script
		if c.MayRead != nil {
			if err := c.MayRead(c.script); err != nil {
				return nil, err
			}
		}
		return job.ReadScript(spec)
	}
	return fs.ReadFile(c.Files, c.script)
}

// wantedPython is the version that the job asks for, as uv understands it.
func (c *check) wantedPython() string {
	if c.Spec.Python != "" {
		return c.Spec.Python
	}
	if m := versionWanted.FindSubmatch(c.source); m != nil {
		return string(m[1])
	}
	return ""
}

// headerPython looks at the version of Python that the script's header asks for.
// The job's own was looked at before.
func (c *check) headerPython(f *facts) {
	header, ok := job.Metadata(c.source)
	m := versionWanted.FindStringSubmatch(header)
	if !ok || m == nil || c.Spec.Python != "" {
		return
	}
	if err := job.CheckPython(m[1]); err != nil {
		c.fail(Finding{Code: CodePackages, Text: err.Error(), Fix: "correct requires-python in the PEP 723 header"})
	} else if !c.Remote && !job.PythonFits(f.Python, m[1]) {
		c.note(CodeUnchecked, "the script asks for Python %s, and Python %s read it here: the job gets what it asks for from uv alone", m[1], f.Python)
	}
}

// syntax tells a mistake from what only a newer Python understands.
func (c *check) syntax(f *facts) Finding {
	e := f.Error
	found := Finding{Code: CodeSyntax, Level: Error, Line: e.Line, Text: fmt.Sprintf("the script is not Python: %s: %s", e.Text, e.Code), Fix: "correct the line"}
	switch {
	case strings.HasPrefix(e.Code, "!") || strings.HasPrefix(e.Code, "%"):
		found.Fix = "take the notebook's line out; packages belong into the PEP 723 header or the job's dependencies"
	case strings.Contains(e.Text, "tab") || strings.Contains(e.Text, "indent"):
		found.Fix = "indent with spaces alone"
	}
	if newer.MatchString(e.Code) && !c.sameVersion(f.Python) {
		found.Level = Warning
		found.Text += fmt.Sprintf(" (says Python %s; what runs the job may be newer)", f.Python)
		found.Fix = "say which Python the job gets, or write it so that this one reads it"
	}
	return found
}

// newer is what later versions of Python have added to the language: nested
// quotes in f-strings, match, type parameters, several exceptions unbracketed.
var newer = lazyregexp.New(`\b[fFtTrR]{1,2}["']|^(match|case|type) |^except [^(:]*,|^(async )?def \w+\[|^class \w+\[`)

// sameVersion reports whether the job is known to run in this Python.
func (c *check) sameVersion(have string) bool {
	want := c.wantedPython()
	if want == "" {
		return !c.Remote
	}
	return have == want || strings.HasPrefix(have, want+".")
}

// scriptDir is the script's folder in the workspace, with slashes.
func (c *check) scriptDir() string { return cmp.Or(path.Dir(c.script), ".") }
