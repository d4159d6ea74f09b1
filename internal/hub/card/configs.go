package card

import (
	"fmt"
	"strings"

	"ml-intern/internal/hub/feature"
)

// A Config is a configuration of a dataset as its card names it.
type Config struct {
	Name      string
	Default   bool
	Dir       string // data_dir: where the files are, "" for the whole repository
	Files     []Part // data_files; empty to go by the names of the files
	Delimiter string // of CSV files, "" for the usual one
}

// A Part are the files of a split.
type Part struct {
	Split    string
	Patterns []string
}

// Configs reads the configurations that the metadata of a dataset name.
func Configs(data map[string]any) ([]Config, error) {
	if data["configs"] == nil {
		return nil, nil
	}
	list, ok := data["configs"].([]any)
	if !ok {
		return nil, fmt.Errorf(`"configs" must be a list`)
	}
	seen := map[string]bool{}
	var out []Config
	for i, item := range list {
		c, err := config(item)
		if err != nil {
			return nil, fmt.Errorf(`"configs[%d]%w`, i, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf(`"configs[%d].config_name": there are two of the name %q`, i, c.Name)
		}
		seen[c.Name] = true
		out = append(out, c)
	}
	return out, nil
}

func config(item any) (Config, error) {
	m, ok := item.(map[string]any)
	if !ok {
		return Config{}, fmt.Errorf(`" must be a mapping`)
	}
	c := Config{Name: "default"}
	for key, into := range map[string]*string{"config_name": &c.Name, "data_dir": &c.Dir} {
		switch v := m[key].(type) {
		case nil:
		case string:
			*into = v
		default:
			return c, fmt.Errorf(`.%s" must be a string`, key)
		}
	}
	if c.Name == "" {
		return c, fmt.Errorf(`.config_name" must not be empty`)
	}
	c.Default, _ = m["default"].(bool)
	for _, key := range []string{"sep", "delimiter"} {
		if s, _ := m[key].(string); len(s) == 1 {
			c.Delimiter = s
		}
	}
	var err error
	c.Files, err = parts(m["data_files"])
	return c, err
}

// parts reads data_files: a pattern, a list of patterns, patterns by split, or
// a list of splits with theirs.
func parts(v any) ([]Part, error) {
	wrong := fmt.Errorf(`.data_files" must be a path, a list of paths, or a list of {split, path}`)
	switch v := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		var out []Part
		for _, p := range sorted(v) {
			patterns, ok := words(p.Value)
			if !ok {
				return nil, wrong
			}
			out = append(out, Part{p.Key, patterns})
		}
		return out, nil
	case []any:
		if len(v) > 0 {
			if _, named := v[0].(map[string]any); named {
				return namedParts(v, wrong)
			}
		}
	}
	patterns, ok := words(v)
	if !ok {
		return nil, wrong
	}
	return []Part{{"train", patterns}}, nil
}

func namedParts(list []any, wrong error) ([]Part, error) {
	var out []Part
	for _, item := range list {
		m, ok := item.(map[string]any)
		split, isText := m["split"].(string)
		patterns, ok2 := words(m["path"])
		if !ok || !isText || !ok2 || len(patterns) == 0 {
			return nil, wrong
		}
		out = append(out, Part{split, patterns})
	}
	return out, nil
}

// words reads a string or a list of strings.
func words(v any) ([]string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case bool: // the language "no", as YAML reads it
		return []string{fmt.Sprint(v)}, true
	case []any:
		var out []string
		for _, item := range v {
			switch item := item.(type) {
			case string:
				out = append(out, item)
			case bool:
				out = append(out, fmt.Sprint(item))
			default:
				return nil, false
			}
		}
		return out, true
	}
	return nil, false
}

// Words reads what a key says as words: a string, or a list of strings. It
// reports whether it is one of the two; a key that says nothing has no words.
func Words(data map[string]any, key string) ([]string, bool) { return words(data[key]) }

// infos are the descriptions of configurations: one, or a list.
func infos(data map[string]any) []map[string]any {
	list, ok := data["dataset_info"].([]any)
	if !ok {
		list = []any{data["dataset_info"]}
	}
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Features are the columns that the metadata of a dataset give to a
// configuration, nil if they give none.
func Features(data map[string]any, config string) feature.Features {
	for _, info := range infos(data) {
		name, _ := info["config_name"].(string)
		if name == "" {
			name = "default"
		}
		if list, ok := info["features"].([]any); ok && name == config {
			return columns(list, 0)
		}
	}
	return nil
}

// columns reads the list of columns that dataset_info has.
func columns(list []any, depth int) feature.Features {
	out := feature.Features{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, ok := m["name"].(string)
		if !ok || depth > maxDepth {
			continue
		}
		out = append(out, feature.Column{Name: name, Type: columnType(m, depth)})
	}
	return out
}

func columnType(m map[string]any, depth int) feature.Type {
	for _, key := range []string{"list", "sequence", "large_list"} {
		if v, ok := m[key]; ok {
			return listType(key, v, depth)
		}
	}
	if fields, ok := m["struct"].([]any); ok {
		return feature.StructOf(columns(fields, depth+1))
	}
	switch v := m["dtype"].(type) {
	case string:
		switch v {
		case "image", "audio", "video":
			return feature.Type{Kind: strings.ToUpper(v[:1]) + v[1:]}
		}
		return feature.Scalar(v)
	case map[string]any:
		if label, ok := v["class_label"].(map[string]any); ok {
			return feature.Type{Kind: feature.ClassLabel, Names: labels(label["names"])}
		}
		if in, ok := v["translation"].(map[string]any); ok {
			languages, _ := words(in["languages"])
			return feature.Type{Kind: feature.Translation, Languages: languages}
		}
	}
	return feature.Scalar("string")
}

// listType reads the items of a list. The older word sequence makes of a
// struct one of lists.
func listType(key string, v any, depth int) feature.Type {
	var item feature.Type
	switch v := v.(type) {
	case string:
		item = columnType(map[string]any{"dtype": v}, depth+1)
	case []any:
		item = feature.StructOf(columns(v, depth+1))
		if key == "sequence" {
			for i, f := range item.Fields {
				item.Fields[i].Type = feature.ListOf(f.Type)
			}
			return item
		}
	case map[string]any:
		if depth < maxDepth {
			item = columnType(v, depth+1)
		}
	}
	return feature.ListOf(item)
}

// labels reads names by number, or in order.
func labels(v any) []string {
	if m, ok := v.(map[string]any); ok {
		out := make([]string, 0, len(m))
		for i := range len(m) {
			name, ok := m[fmt.Sprint(i)]
			if !ok {
				return out
			}
			out = append(out, fmt.Sprint(name))
		}
		return out
	}
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, name := range list {
		out = append(out, fmt.Sprint(name))
	}
	return out
}
