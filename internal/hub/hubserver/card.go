package hubserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"ml-intern/internal/hub"
)

// maxCard bounds the YAML before a card's text.
const (
	maxCard      = 64 << 10
	maxCardDepth = 32
)

// A card is a README.md: data about the repository, then text for people.
type card struct {
	data    map[string]any
	text    []byte
	found   bool   // there is a block of data
	problem string // why the data cannot be read, "" if it can
}

// parseCard splits a README.md. It never fails: a card may say anything.
func parseCard(readme []byte) card {
	readme = bytes.ReplaceAll(bytes.TrimPrefix(readme, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	rest, ok := bytes.CutPrefix(readme, []byte("---\n"))
	if !ok {
		return card{text: readme}
	}
	block, text, closed := bytes.Cut(append([]byte("\n"), rest...), []byte("\n---"))
	if !closed {
		return card{text: readme}
	}
	if line, after, ok := bytes.Cut(text, []byte("\n")); ok && len(bytes.TrimSpace(line)) == 0 {
		text = after
	}
	c := card{text: text, found: true}
	c.data, c.problem = parseYAML(block)
	return c
}

// parseYAML reads a block of YAML as values that JSON can hold.
func parseYAML(block []byte) (data map[string]any, problem string) {
	defer func() {
		if v := recover(); v != nil { // a parser of a language this large has odd corners
			data, problem = nil, "the YAML cannot be read"
		}
	}()
	if len(block) > maxCard {
		return nil, fmt.Sprintf("the metadata has more than %d bytes", maxCard)
	}
	if deep(block) {
		return nil, "the metadata is nested too deep"
	}
	file, err := parser.ParseBytes(block, 0)
	if err != nil {
		return nil, yaml.FormatError(err, false, false)
	}
	for _, doc := range file.Docs {
		var v aliasFinder
		ast.Walk(&v, doc)
		if v.found { // a few lines of them can grow to gigabytes
			return nil, "anchors and aliases (& and *) are not allowed in metadata"
		}
	}
	var raw any
	if err := yaml.Unmarshal(block, &raw); err != nil {
		return nil, yaml.FormatError(err, false, false)
	}
	if raw == nil {
		return map[string]any{}, ""
	}
	data, ok := plain(raw).(map[string]any)
	if !ok {
		return nil, "the metadata must be a mapping of names to values"
	}
	return data, ""
}

type aliasFinder struct{ found bool }

func (f *aliasFinder) Visit(n ast.Node) ast.Visitor {
	switch n.(type) {
	case *ast.AliasNode, *ast.AnchorNode:
		f.found = true
	}
	return f
}

// deep guesses, on the safe side, whether values are in values in values …
func deep(block []byte) bool {
	open := 0
	for line := range bytes.Lines(block) {
		dashes := 0
		for _, word := range bytes.Fields(line) {
			if len(word) != 1 || !bytes.ContainsAny(word, "-?:") {
				break
			}
			dashes++
		}
		open += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		open = max(0, open-bytes.Count(line, []byte("]"))-bytes.Count(line, []byte("}")))
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		if dashes > maxCardDepth || open > maxCardDepth || indent > 16*maxCardDepth || nested(line) > maxCardDepth {
			return true
		}
	}
	return false
}

// nested is how deep brackets are within one line.
func nested(line []byte) int {
	now, most := 0, 0
	for _, b := range line {
		switch b {
		case '[', '{':
			now++
			most = max(most, now)
		case ']', '}':
			now--
		}
	}
	return most
}

// plain makes of YAML values what JSON can hold.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = plain(value)
		}
		return v
	case map[any]any:
		out := map[string]any{}
		for key, value := range v {
			out[fmt.Sprint(key)] = plain(value)
		}
		return out
	case []any:
		for i, value := range v {
			v[i] = plain(value)
		}
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		return v
	}
	if _, err := json.Marshal(v); err != nil {
		return fmt.Sprint(v)
	}
	return v
}

// The fields that the Hub reads, by what they must be.
var (
	wordFields = []string{"license_name", "license_link", "library_name", "pipeline_tag", "pretty_name", "sdk", "title", "app_file"}
	listFields = []string{"tags", "license", "language", "datasets", "metrics", "base_model", "task_categories", "size_categories"}
)

// cardErrors lists what is wrong with the data of a card.
func cardErrors(typ hub.RepoType, c card) []string {
	if c.problem != "" {
		return []string{"Invalid YAML metadata in README.md: " + c.problem}
	}
	var errs []string
	for _, key := range wordFields {
		switch v := c.data[key].(type) {
		case nil, string:
		default:
			errs = append(errs, fmt.Sprintf("%q must be a string, not %v", key, v))
		}
	}
	for _, key := range listFields {
		if _, ok := words(c.data[key]); !ok {
			errs = append(errs, fmt.Sprintf("%q must be a string or a list of strings", key))
		}
	}
	if sdk, ok := c.data["sdk"].(string); ok && typ == hub.Space && !slices.Contains([]string{"gradio", "docker", "static", "streamlit"}, sdk) {
		errs = append(errs, `"sdk" must be one of gradio, docker, static`)
	}
	return errs
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

// checkCard refuses a README.md whose data the Hub could not use.
func checkCard(typ hub.RepoType, readme []byte) error {
	if errs := cardErrors(typ, parseCard(readme)); len(errs) > 0 {
		return badRequest(strings.Join(errs, "; "))
	}
	return nil
}

// validateYAML says what is wrong with a README.md before it is sent.
func (s *Server) validateYAML(x *exchange) error {
	var in struct {
		Content string       `json:"content"`
		Type    hub.RepoType `json:"repoType"`
	}
	if err := decode(x, &in); err != nil {
		return err
	}
	c := parseCard([]byte(in.Content))
	errs, warnings := []map[string]string{}, []map[string]string{}
	for _, e := range cardErrors(cmp.Or(in.Type, hub.Model), c) {
		errs = append(errs, map[string]string{"message": e})
	}
	if len(errs) > 0 {
		return &refusal{http.StatusBadRequest, "BadRequest", errs[0]["message"], map[string]any{"errors": errs, "warnings": warnings}}
	}
	if len(c.data) == 0 {
		warnings = append(warnings, map[string]string{"message": "empty or missing yaml metadata in repo card"})
	}
	return s.ok(x, map[string]any{"errors": errs, "warnings": warnings})
}

// tags are what a repository is found by.
func tags(typ hub.RepoType, data map[string]any) []string {
	out := []string{}
	add := func(prefix, key string) {
		list, _ := words(data[key])
		for _, w := range list {
			if tag := prefix + w; !slices.Contains(out, tag) {
				out = append(out, tag)
			}
		}
	}
	add("", "tags")
	add("license:", "license")
	switch typ {
	case hub.Dataset:
		for _, key := range []string{
			"language", "task_categories", "task_ids", "size_categories", "multilinguality", "annotations_creators",
			"language_creators", "source_datasets",
		} {
			add(key+":", key)
		}
		return out
	case hub.Space:
		add("", "sdk")
		return out
	}
	add("", "library_name")
	add("", "pipeline_tag")
	add("", "language")
	add("dataset:", "datasets")
	add("base_model:", "base_model")
	return out
}
