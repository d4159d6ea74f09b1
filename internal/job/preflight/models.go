package preflight

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/hub"
)

// A use of a model is where the script names it.
type modelUse struct {
	name, revision string
	line           int
}

// modelUses lists the models of the Hub that the script loads, each once.
func (c *check) modelUses() []modelUse {
	var uses []modelUse
	add := func(v, rev value, line int) {
		name := v.text()
		seen := slices.ContainsFunc(uses, func(u modelUse) bool { return u.name == name })
		if name != "" && !seen && !c.isFolder(name) && !c.writes(name) && (!rev.given() || rev.Kind == "const") {
			uses = append(uses, modelUse{name, rev.text(), line})
		}
	}
	for _, k := range c.facts.Calls {
		_, trainer := trainers[k.last()]
		switch {
		case k.Guarded || k.Recv != nil:
		case k.last() == "from_pretrained" && slices.Contains(hubLibraries, firstOf(k.Name)):
			add(k.arg(0, "pretrained_model_name_or_path", "model_name"), k.arg(-1, "revision"), k.Line)
		case trainer:
			add(k.arg(0, "model"), value{}, k.Line)
		case k.last() == "pipeline" && c.facts.imports("transformers"):
			add(k.arg(1, "model"), k.arg(-1, "revision"), k.Line)
		case k.Name == "vllm.LLM":
			add(k.arg(0, "model"), k.arg(-1, "revision"), k.Line)
		}
	}
	return uses
}

// hubLibraries are those whose from_pretrained takes a model of the Hub.
var hubLibraries = []string{"transformers", "trl", "peft", "diffusers", "unsloth", "sentence_transformers", "optimum", "setfit", "auto_gptq", "awq"}

// firstOf is the outermost module of a dotted name.
func firstOf(name string) string {
	top, _, _ := strings.Cut(name, ".")
	return top
}

// isFolder reports whether a name is a path rather than one of the Hub.
func (c *check) isFolder(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "/") || strings.HasPrefix(name, "~") || strings.Contains(name, `\`) || strings.Count(name, "/") > 1 || strings.Contains(name, "://") {
		return true
	}
	if !fs.ValidPath(name) {
		return false
	}
	_, err := fs.Stat(c.Files, name)
	return err == nil
}

// writes reports whether the script makes something of that name, such as the
// folder that a trainer saves to.
func (c *check) writes(name string) bool {
	for _, k := range c.facts.Calls {
		saves := strings.Contains(k.last(), "save") || strings.Contains(k.last(), "push") || k.last() == "snapshot_download"
		if saves && k.arg(0, "save_directory", "output_dir", "local_dir").text() == name || k.Kw["output_dir"].text() == name || k.Kw["hub_model_id"].text() == name || k.Kw["local_dir"].text() == name {
			return true
		}
	}
	return false
}

// models checks that models exist and may be used, and estimates the memory.
func (c *check) models(ctx context.Context) {
	uses := c.modelUses()
	if len(uses) == 0 {
		return
	}
	if c.Hub == nil {
		c.note(CodeUnchecked, "models and memory were not checked: there is no Hub here")
		return
	}
	var wg sync.WaitGroup
	for _, u := range uses {
		wg.Go(func() { c.model(ctx, u) })
	}
	wg.Wait()
}

func (c *check) model(ctx context.Context, u modelUse) {
	repo, err := hub.ParseRepo(hub.Model, u.name)
	if err != nil {
		c.fail(Finding{Code: CodeModel, Line: u.line, Text: fmt.Sprintf("%q is no name of a model", u.name), Fix: "write owner/name"})
		return
	}
	info, err := c.Hub.RepoInfo(ctx, repo, u.revision)
	if !c.reachable(ctx, CodeModel, "model", repo, u.line, info, err) {
		return
	}
	c.licence(u, info)
	if c.train != nil && c.train.model == u.name {
		c.memory(ctx, repo, u, info)
	}
}

// licence says what is known to stand against training on a model.
func (c *check) licence(u modelUse, info hub.Info) {
	name, _ := info.Card["license"].(string)
	for _, tag := range info.Tags {
		if rest, ok := strings.CutPrefix(tag, "license:"); ok && name == "" {
			name = rest
		}
	}
	name = strings.ToLower(name)
	trained := c.train != nil && c.train.model == u.name
	switch {
	case !trained:
	case strings.HasPrefix(name, "cc-by") && strings.Contains(name, "-nd"):
		c.warn(Finding{Code: CodeLicence, Line: u.line, Text: fmt.Sprintf("the model %s is under %s, which allows no changed versions to be passed on", u.name, name), Fix: "use another model, or keep the result private and waive this"})
	case strings.Contains(name, "-nc") || strings.Contains(name, "noncommercial") || strings.Contains(name, "non-commercial"):
		c.note(CodeLicence, "the model %s is under %s: what is made of it is not for commercial use", u.name, name)
	}
}
