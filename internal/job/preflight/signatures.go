package preflight

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed signatures.py
var signaturesProgram string

// heavy are packages too large to look into.
var heavy = []string{
	"torch", "torchvision", "torchaudio", "tensorflow", "jax", "jaxlib", "vllm", "triton", "flash-attn", "bitsandbytes", "xformers", "deepspeed",
	"pyspark", "ray", "cupy", "opencv-python", "scipy", "numpy", "pandas", "pyarrow", "scikit-learn", "matplotlib", "mlx", "unsloth", "unsloth-zoo",
}

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
		if answer, err = c.askSignatures(ctx, slices.Sorted(maps.Values(dirs)), calls, imports); err != nil {
			c.note(CodeUnchecked, "arguments were not checked: %v", err)
			return
		}
		tops = slices.DeleteFunc(c.lookable(answer.Needs, versions), func(name string) bool { _, have := dirs[name]; return have })
		if len(tops) == 0 || answer.settled() {
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

// settled reports whether no call is left that another package may explain.
func (a *signatureAnswer) settled() bool {
	for _, k := range a.Calls {
		if !k.Known {
			return false
		}
	}
	return true
}

func (c *check) askSignatures(ctx context.Context, folders []string, calls map[string][]string, imports [][2]string) (*signatureAnswer, error) {
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
				c.fail(Finding{
					Code: CodeArgument, Line: k.Line, Text: fmt.Sprintf("%s of %s takes no argument %s", k.last(), c.version(top, versions), arg),
					Fix: nearest(a.Near[arg], "take it out, or look up what it is called in that version"),
				})
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
