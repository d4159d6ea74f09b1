package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/dataset/format"
)

// A table is what is known of a data set's columns.
type table struct {
	names []string
	open  bool // there may be more
}

// start is the table as it is loaded.
func (c *check) start(v value, sources map[string]*source) table {
	s := sources[v.Path+"@"+v.Revision]
	if v.Kind != "ds" || !v.Sure || v.Files || s == nil || s.configs == nil {
		return table{open: true}
	}
	config, ok := s.config(v.Name)
	if !ok || len(config.Features) == 0 {
		return table{open: true}
	}
	var t table
	for _, f := range config.Features {
		t.names = append(t.names, f.Name)
	}
	return t
}

// after is the table after what was done to it. What is renamed or removed
// without being there is told.
func (t table) after(ops [][]any, lacks func(op, column string)) table {
	t.names = slices.Clone(t.names)
	for _, op := range ops {
		if len(op) == 0 {
			continue
		}
		args := texts(op[1:])
		switch op[0] {
		case "open":
			t.open = true
		case "rename":
			if len(args) == 2 {
				t.drop(args[:1], "rename_column", lacks)
				t.names = append(t.names, args[1])
			}
		case "remove":
			t.drop(args, "remove_columns", lacks)
		case "only":
			t.drop(without(args, t.names), "select_columns", lacks)
			t.names, t.open = args, false
		case "map":
			t.mapped(op, lacks)
		}
	}
	return t
}

// mapped is the table after map: what its function adds, and what is removed.
func (t *table) mapped(op []any, lacks func(op, column string)) {
	if len(op) < 3 {
		t.open = true
		return
	}
	added, known := op[1].([]any)
	switch removed := op[2].(type) {
	case []any:
		t.drop(texts(removed), "map(remove_columns=…)", lacks)
	case string: // all
		t.names, t.open = nil, false
	default:
		t.open = true
	}
	t.names = union(t.names, texts(added))
	t.open = t.open || !known
}

func (t *table) drop(names []string, op string, lacks func(op, column string)) {
	for _, name := range names {
		if !t.open && !slices.Contains(t.names, name) && lacks != nil {
			lacks(op, name)
		}
	}
	t.names = slices.DeleteFunc(t.names, func(n string) bool { return slices.Contains(names, n) })
}

func (t table) has(names ...string) bool {
	return t.open || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(t.names, n) })
}

// without are the names that are not among others.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(others, n) })
}

func texts(all []any) []string {
	var out []string
	for _, v := range all {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// columns checks what reads columns: the trainer, and functions of rows.
func (c *check) columns(sources map[string]*source) {
	for _, use := range c.facts.Columns {
		t := c.start(use.DS, sources).after(use.DS.Ops, nil)
		if !t.has(use.Name) {
			c.fail(Finding{Code: CodeColumns, Line: use.Line, Text: fmt.Sprintf("the column %s of %s is read, which has %s", use.Name, use.DS.label(), few(t.names)), Fix: "read a column that is there"})
		}
	}
	c.picks(sources)
	if c.train == nil {
		return
	}
	v := c.train.dataset("train_dataset")
	if v.Kind != "ds" {
		return
	}
	if v.Whole && !v.Unsure && c.train.way != otherWay {
		c.fail(Finding{Code: CodeColumns, Line: c.train.trainer.Line, Text: "train_dataset is all splits of " + v.label() + ", not one", Fix: `pass one, such as dataset["train"], or load it with split="train"`})
		return
	}
	t := c.start(v, sources).after(v.Ops, func(op, column string) {
		c.fail(Finding{Code: CodeColumns, Line: v.Line, Text: fmt.Sprintf("%s names the column %s, which %s does not have there", op, column, v.label()), Fix: "correct its name"})
	})
	if missing := c.train.missing(t); missing != "" {
		c.fail(Finding{Code: CodeColumns, Line: c.train.trainer.Line, Text: fmt.Sprintf("%s wants %s; the data have %s", c.train.trainer.last(), missing, few(t.names)), Fix: c.train.remedy(t)})
	}
}

// picks checks splits that are taken out of a data set.
func (c *check) picks(sources map[string]*source) {
	for _, use := range c.facts.Picks {
		s := sources[use.DS.Path+"@"+use.DS.Revision]
		changed := slices.ContainsFunc(use.DS.Ops, func(op []any) bool { return len(op) == 0 || op[0] == "open" || op[0] == "tts" })
		if s == nil || !use.DS.Sure || use.DS.Files || changed {
			continue
		}
		config, ok := s.config(use.DS.Name)
		if _, there := config.Splits[use.Name]; ok && !there && len(config.Splits) > 0 {
			c.fail(Finding{Code: CodeDataset, Line: use.Line, Text: fmt.Sprintf("the data set %s has no split %s", use.DS.label(), use.Name), Fix: "it has " + few(slices.Sorted(maps.Keys(config.Splits)))})
		}
	}
}

// label names a data set in a sentence.
func (v value) label() string {
	if v.Path == "" {
		return "the data set"
	}
	return v.Path
}

// missing says what the trainer wants and the table lacks, "" if nothing.
func (t *training) missing(data table) string {
	given := func(name string) bool { v := t.trainer.arg(-1, name); return v.given() && !v.isFalse() }
	if data.open || t.trainer.Star || given("formatting_func") || given("data_collator") {
		return ""
	}
	switch t.way {
	case byExample:
		return t.missingExample(data)
	case byPreference, rewardModel:
		if data.has("chosen", "chosen_ids", "chosen_input_ids", "input_ids_chosen") && data.has("rejected", "rejected_ids", "rejected_input_ids", "input_ids_rejected") {
			return ""
		}
		return "the columns chosen and rejected"
	case byLabel:
		if data.has("chosen") && data.has("rejected") || data.has("prompt") && data.has("completion") && data.has("label") {
			return ""
		}
		return "the columns prompt, completion and label"
	case byReward:
		if !data.has("prompt") {
			return "a column prompt"
		}
	case plain:
		return t.missingLabel(data)
	}
	return ""
}

func (t *training) missingExample(data table) string {
	if _, known := t.setting("dataset_kwargs"); !known || t.config == nil {
		if t.config != nil || t.trainer.arg(-1, "args").given() {
			return "" // what is set cannot be seen
		}
	}
	if v, _ := t.setting("dataset_kwargs"); v.given() {
		return ""
	}
	field, known := t.setting("dataset_text_field")
	if field.given() && !known {
		return ""
	}
	name := "text"
	if field.text() != "" {
		name = field.text()
	}
	if old := t.trainer.arg(-1, "dataset_text_field"); old.text() != "" {
		name = old.text()
	}
	if data.has(name, "messages", "conversations", "input_ids") || data.has("prompt") && data.has("completion") {
		return ""
	}
	return "a column messages, or prompt and completion, or " + name
}

func (t *training) missingLabel(data table) string {
	if !strings.Contains(t.class, "Classification") || t.trainer.arg(-1, "compute_loss_func").given() {
		return ""
	}
	if v, known := t.setting("label_names"); v.given() || !known && t.config != nil {
		return ""
	}
	if !data.has("label", "labels", "label_ids", "ner_tags") {
		return "a column label or labels"
	}
	if !data.has("input_ids", "pixel_values", "input_features", "input_values", "inputs_embeds") {
		return "what a tokenizer or processor made of the data: input_ids, pixel_values or input_values"
	}
	return ""
}

// remedy says how the columns that are there could be used.
func (t *training) remedy(data table) string {
	for _, v := range format.Judge(data.names, nil) {
		if way(v.Method) != t.way || len(v.Rename) == 0 || len(v.Missing) > 0 {
			continue
		}
		var parts []string
		for _, r := range v.Rename {
			parts = append(parts, r.From+" to "+r.To)
		}
		return "rename " + strings.Join(parts, " and ")
	}
	if t.way == byExample {
		return "make such columns with map, or pass a formatting_func"
	}
	if t.way == plain {
		return "make them with map, or pass a data_collator that does"
	}
	return "make such columns with map, or use data that have them"
}
