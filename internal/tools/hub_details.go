package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/tool"
)

// RepoDetails describes a repository without downloading it.
func RepoDetails(connect dialer) tool.Tool {
	type input struct {
		Repo     string `json:"repo_id"`
		Type     string `json:"repo_type,omitempty"`
		Revision string `json:"revision,omitempty"`
	}
	return tool.New(spec("hub_repo_details", tool.Reads), func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		repo, err := repository(in.Repo, in.Type)
		if err != nil {
			return badArgs("%v", err), nil
		}
		c, err := connect(ctx)
		if err != nil {
			return tool.Output{}, err
		}
		info, err := c.RepoDetails(ctx, repo, hub.InfoOptions{Revision: in.Revision, Blobs: true})
		if err != nil {
			return tool.Output{}, explain(ctx, c, repo, err)
		}
		d := &details{client: c, repo: repo, info: info}
		d.write(ctx)
		return tool.Output{Text: fromOutside(c.RepoURL(repo), d.text.String()), Summary: hit(repo.Type, info)}, nil
	})
}

// details writes what is known of a repository, a line for each fact.
type details struct {
	client *hub.Client
	repo   hub.RepoID
	info   hub.Info
	text   strings.Builder
}

// line writes a fact unless it is empty.
func (d *details) line(name, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		fmt.Fprintf(&d.text, "%s: %s\n", name, cutText(oneLine(text), 1000))
	}
}

func (d *details) write(ctx context.Context) {
	i := d.info
	d.line(string(d.repo.Type), "%s", i.ID)
	d.line("page", "%s", d.client.RepoURL(d.repo))
	d.line("commit", "%s", i.SHA)
	if i.Gated != "" {
		d.line("gated", "%s; access is asked for at %s", i.Gated, d.client.RepoURL(d.repo))
	}
	if i.Private {
		d.line("visibility", "private")
	}
	d.line("licence", "%s", cmp.Or(cardText(i.Card["license"]), tagged(i.Tags, "license:")))
	d.line("downloads, likes", "%d, %d", i.Downloads, i.Likes)
	if !i.LastModified.IsZero() {
		d.line("changed", "%s", i.LastModified.UTC().Format("2006-01-02"))
	}
	switch d.repo.Type {
	case hub.Dataset:
		d.dataset(ctx)
	case hub.Space:
		d.space()
	default:
		d.model(ctx)
	}
	d.files()
}

// model says what a person who wants to run or train it must know.
func (d *details) model(ctx context.Context) {
	i := d.info
	d.line("task", "%s", i.PipelineTag)
	d.line("library", "%s", i.Library)
	d.line("base model", "%s", cardText(i.Card["base_model"]))
	d.line("trained with", "%s", cardText(i.Card["datasets"]))
	d.line("languages", "%s", cardText(i.Card["language"]))
	config := d.readJSON(ctx, "config.json")
	d.architecture(config)
	d.parameters(ctx)
	d.tokenizer(ctx)
	if g := i.GGUF; g != nil {
		d.line("GGUF", "%s, %s parameters, context %d", g.Architecture, count(g.Total), g.Context)
	}
	if len(i.Providers) > 0 {
		var names []string
		for _, p := range i.Providers {
			names = append(names, p.Name)
		}
		d.line("served by", "%s", strings.Join(names, ", "))
	}
}

// architecture reads config.json, in the words of most architectures.
func (d *details) architecture(config map[string]any) {
	if config == nil {
		return
	}
	inner := config
	if text, ok := config["text_config"].(map[string]any); ok { // of models that see or hear too
		inner = text
	}
	first := func(keys ...string) string {
		for _, key := range keys {
			for _, m := range []map[string]any{config, inner} {
				if v, ok := m[key]; ok && v != nil {
					return cardText(v)
				}
			}
		}
		return ""
	}
	d.line("architecture", "%s", cmp.Or(first("architectures"), first("model_type")))
	d.line("model type", "%s", first("model_type"))
	d.line("context length", "%s", first("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"))
	d.line("declared type", "%s", first("torch_dtype", "dtype"))
	d.line("layers", "%s", first("num_hidden_layers", "n_layer", "num_layers"))
	d.line("hidden size", "%s", first("hidden_size", "n_embd", "d_model"))
	d.line("vocabulary", "%s", first("vocab_size"))
	if quant, ok := config["quantization_config"].(map[string]any); ok {
		d.line("quantized", "%s", cardText(quant["quant_method"]))
	}
}

// parameters counts by the Hub's own figures, or by the headers of the files.
func (d *details) parameters(ctx context.Context) {
	if p := d.info.Parameters; p != nil && p.Total > 0 {
		d.line("parameters", "%s (%d), %s", count(p.Total), p.Total, byType(p.ByType))
		return
	}
	if d.info.GGUF != nil {
		return
	}
	w, err := d.client.Weights(ctx, d.repo, d.info.SHA)
	if err != nil {
		return // a model of another kind
	}
	d.line("parameters", "%s (%d), %s, by the headers of %d %s files", count(w.Total), w.Total, byType(w.Parameters), w.Files, w.Format)
	if g := w.GGUF; g != nil {
		d.info.GGUF = &hub.GGUF{Total: w.Total, Architecture: g.Architecture, Context: g.ContextLength}
	}
}

func byType(types map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(types)) {
		parts = append(parts, name+" "+count(types[name]))
	}
	return strings.Join(parts, ", ")
}

func (d *details) tokenizer(ctx context.Context) {
	config := d.readJSON(ctx, "tokenizer_config.json")
	if config == nil {
		return
	}
	d.line("tokenizer", "%s", cardText(config["tokenizer_class"]))
	_, template := config["chat_template"]
	if template || d.has("chat_template.jinja") || d.has("chat_template.json") {
		d.line("chat template", "yes")
	} else {
		d.line("chat template", "no")
	}
}

func (d *details) dataset(ctx context.Context) {
	i := d.info
	d.line("tasks", "%s", cmp.Or(cardText(i.Card["task_categories"]), tagged(i.Tags, "task_categories:")))
	d.line("languages", "%s", cmp.Or(cardText(i.Card["language"]), tagged(i.Tags, "language:")))
	d.line("size", "%s", tagged(i.Tags, "size_categories:"))
	d.line("formats", "%s", tagged(i.Tags, "format:"))
	described, err := d.client.Viewer(d.repo).Info(ctx, "")
	if err != nil {
		d.line("tables", "cannot be shown: %v", err)
		return
	}
	for n, name := range slices.Sorted(maps.Keys(described.Configs)) {
		if n == maxSplits {
			fmt.Fprintf(&d.text, "[%d more configurations]\n", len(described.Configs)-n)
			break
		}
		config := described.Configs[name]
		var splits []string
		for _, split := range slices.Sorted(maps.Keys(config.Splits)) {
			splits = append(splits, fmt.Sprintf("%s %d rows", split, config.Splits[split].Rows))
		}
		d.line("configuration "+name, "%s; columns: %s", strings.Join(splits, ", "), strings.Join(config.Features.Columns(), ", "))
	}
	fmt.Fprintln(&d.text, "types, rows and what it can train: hf_inspect_dataset")
}

func (d *details) space() {
	i := d.info
	d.line("SDK", "%s", i.SDK)
	d.line("state", "%s", i.Run.Stage)
	d.line("hardware", "%s", cmp.Or(i.Run.Hardware.Current, i.Run.Hardware.Requested))
	d.line("uses models", "%s", strings.Join(i.Models, ", "))
	d.line("uses data sets", "%s", strings.Join(i.Datasets, ", "))
}

// maxDetailFiles is how many files are named; of the others the sum is told.
const maxDetailFiles = 30

func (d *details) files() {
	files := d.info.Siblings
	var total int64
	for _, f := range files {
		total += f.Size
	}
	d.line("files", "%d, %s", len(files), bytesOf(total))
	for _, f := range files[:min(len(files), maxDetailFiles)] {
		fmt.Fprintf(&d.text, "  %s (%s)\n", f.Path, bytesOf(f.Size))
	}
	if n := len(files) - maxDetailFiles; n > 0 {
		fmt.Fprintf(&d.text, "  [%d more; list them with hf_repo_files]\n", n)
	}
}

func (d *details) has(path string) bool {
	return slices.ContainsFunc(d.info.Siblings, func(f hub.Sibling) bool { return f.Path == path })
}

// maxConfig bounds the JSON files that are read: tokenizer_config.json may list
// a vocabulary.
const maxConfig = 4 << 20

// readJSON reads an object that a file of the repository holds, nil if it
// cannot be had: details are given without it.
func (d *details) readJSON(ctx context.Context, path string) map[string]any {
	if !d.has(path) {
		return nil
	}
	var b limitedBuffer
	if _, err := d.client.Download(ctx, d.repo, d.info.SHA, path, &b); err != nil {
		return nil
	}
	var object map[string]any
	if json.Unmarshal(b.text, &object) != nil {
		return nil
	}
	return object
}

// limitedBuffer takes maxConfig bytes and refuses more.
type limitedBuffer struct{ text []byte }

var errTooMuch = errors.New("more than is read")

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.text)+len(p) > maxConfig {
		return 0, errTooMuch
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

// cardText is a value of a card or a configuration in words: most of them may
// be one or a list.
func cardText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, cardText(e))
		}
		return strings.Join(parts, ", ")
	case float64:
		return fmt.Sprintf("%.15g", v)
	}
	return fmt.Sprint(v)
}
