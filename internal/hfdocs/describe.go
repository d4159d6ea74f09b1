package hfdocs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	maxFields  = 60  // of a schema that are shown
	maxAbout   = 600 // bytes of a description
	maxAnswers = 6
	maxDepth   = 3 // of a schema that is shown
)

// Line is an endpoint in one line.
func (e Endpoint) Line() string {
	line := e.Method + " " + e.Path
	if about := first(e.Summary, e.Description); about != "" {
		line += " — " + oneLine(about, 150)
	}
	return line
}

func first(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		return cut(s, most) + "…"
	}
	return s
}

// Describe says all of an endpoint that one who calls it must know. The
// example has a variable where a token is needed.
func (a *API) Describe(e Endpoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", e.Method, e.Path)
	if e.Deprecated {
		b.WriteString("DEPRECATED\n")
	}
	for _, about := range []string{e.Summary, e.Description} {
		if about != "" {
			b.WriteString(oneLine(about, maxAbout) + "\n")
		}
	}
	if len(e.Tags) > 0 {
		fmt.Fprintf(&b, "tags: %s\n", strings.Join(e.Tags, ", "))
	}
	a.parameters(&b, e)
	if e.Body != nil {
		fmt.Fprintf(&b, "body (%s%s):\n", e.BodyType, optional(!e.BodyNeeded))
		a.fields(&b, e.Body, "  ")
	}
	b.WriteString("example:\n  " + a.Curl(e) + "\n")
	if len(e.Answers) > 0 {
		b.WriteString("answers:\n")
	}
	for i, r := range e.Answers {
		if i == maxAnswers {
			fmt.Fprintf(&b, "  [%d more]\n", len(e.Answers)-i)
			break
		}
		fmt.Fprintf(&b, "  %s %s", r.Status, oneLine(r.About, 200))
		if r.Schema != nil {
			fmt.Fprintf(&b, " (%s): %s", r.Type, a.typeOf(r.Schema, 1))
		}
		b.WriteByte('\n')
		if strings.HasPrefix(r.Status, "2") && r.Schema != nil {
			a.fields(&b, r.Schema, "    ")
		}
	}
	return b.String()
}

func optional(yes bool) string {
	if yes {
		return ", optional"
	}
	return ""
}

func (a *API) parameters(b *strings.Builder, e Endpoint) {
	for _, in := range []string{"path", "query", "header", "cookie"} {
		for _, p := range e.Parameters {
			if p.In != in {
				continue
			}
			need := "optional"
			if p.Required {
				need = "required"
			}
			fmt.Fprintf(b, "%s %s (%s, %s)", in, p.Name, p.Type, need)
			if p.About != "" {
				b.WriteString(": " + oneLine(p.About, 250))
			}
			if p.Example != nil {
				b.WriteString(" [such as " + oneLine(encode(p.Example), 100) + "]")
			}
			b.WriteByte('\n')
		}
	}
}

// fields lists what an object has, or the items of an array of objects.
func (a *API) fields(b *strings.Builder, schema map[string]any, indent string) {
	left := budget{lines: maxFields, steps: 20 * maxFields}
	a.fieldsOf(b, schema, indent, maxDepth, &left)
	if left.lines < 0 || left.steps < 0 {
		b.WriteString(indent + "[more fields]\n")
	}
}

// A budget bounds a walk through schemas, which may be wide and lead in circles.
type budget struct{ lines, steps int }

func (a *API) fieldsOf(b *strings.Builder, schema map[string]any, indent string, depth int, left *budget) {
	schema = a.object(schema)
	if left.steps--; schema == nil || depth == 0 || left.steps < 0 {
		return
	}
	if items := a.object(schema["items"]); items != nil {
		a.fieldsOf(b, items, indent, depth, left)
		return
	}
	for _, word := range []string{"allOf", "oneOf", "anyOf"} {
		for i, s := range list(schema[word]) {
			if word != "allOf" && left.lines > 0 && left.steps > 0 && a.object(a.object(s)["properties"]) != nil {
				fmt.Fprintf(b, "%sform %d:\n", indent, i+1)
			}
			a.fieldsOf(b, a.object(s), indent, depth-1, left)
		}
	}
	required := map[string]bool{}
	for _, r := range list(schema["required"]) {
		required[text(r)] = true
	}
	props := a.object(schema["properties"])
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if left.lines--; left.lines < 0 || left.steps < 0 {
			return
		}
		p := a.object(props[name])
		fmt.Fprintf(b, "%s%s: %s", indent, name, a.typeOf(p, 1))
		if required[name] {
			b.WriteString(", required")
		}
		if about := text(p["description"]); about != "" {
			b.WriteString(" — " + oneLine(about, 160))
		}
		b.WriteByte('\n')
		a.fieldsOf(b, p, indent+"  ", depth-1, left)
	}
}

// typeOf is a schema's type in a few words.
func (a *API) typeOf(schema map[string]any, depth int) string {
	schema = a.object(schema)
	if schema == nil {
		return "any"
	}
	if values := list(schema["enum"]); len(values) > 0 {
		words := make([]string, 0, len(values))
		for _, v := range values[:min(len(values), 20)] {
			words = append(words, encode(v))
		}
		if len(values) > 20 {
			words = append(words, "…")
		}
		return oneLine(strings.Join(words, "|"), 300)
	}
	if v, ok := schema["const"]; ok {
		return oneLine(encode(v), 100)
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		if forms := list(schema[word]); len(forms) > 0 && depth > 0 {
			var words []string
			for _, f := range forms[:min(len(forms), 8)] {
				if w := a.typeOf(a.object(f), depth-1); !slices.Contains(words, w) {
					words = append(words, w)
				}
			}
			return strings.Join(words, " or ")
		}
	}
	switch t := schema["type"].(type) {
	case []any:
		words := make([]string, len(t))
		for i, v := range t {
			words[i] = text(v)
		}
		return oneLine(strings.Join(words, "|"), 100)
	case string:
		if t == "array" && depth > 0 {
			return "array of " + a.typeOf(a.object(schema["items"]), depth-1)
		}
		if format := text(schema["format"]); format != "" {
			return oneLine(t+" ("+format+")", 100)
		}
		return oneLine(t, 100)
	}
	if schema["properties"] != nil || schema["allOf"] != nil {
		return "object"
	}
	return "any"
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// Curl is a line for a shell in which HF_TOKEN is set.
func (a *API) Curl(e Endpoint) string {
	path := e.Path
	query := url.Values{}
	for _, p := range e.Parameters {
		value := "<" + p.Name + ">"
		if s, ok := p.Example.(string); ok && s != "" {
			value = url.PathEscape(s)
		} else if p.Example != nil && !ok {
			value = url.PathEscape(encode(p.Example))
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
		case p.In == "query" && p.Required:
			if p.Example == nil {
				query.Set(p.Name, "<"+p.Name+">")
			} else {
				query.Set(p.Name, strings.Trim(encode(p.Example), `"`))
			}
		}
	}
	address := a.Server + path
	if len(query) > 0 {
		address += "?" + strings.NewReplacer("%3C", "<", "%3E", ">").Replace(query.Encode())
	}
	line := "curl"
	if e.Method != http.MethodGet {
		line += " -X " + e.Method
	}
	line += ` -H "Authorization: Bearer $HF_TOKEN"`
	if e.Body != nil {
		body := encode(a.example(e.Body, maxDepth, &budget{steps: 500}))
		if e.BodyType != "" {
			line += " -H " + shellQuote("Content-Type: "+e.BodyType)
		}
		line += " -d " + shellQuote(body)
	}
	return line + " " + shellQuote(address)
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// example makes a value that fits a schema: its own example, or what is
// required.
func (a *API) example(schema map[string]any, depth int, left *budget) any {
	schema = a.object(schema)
	if left.steps--; schema == nil || depth == 0 || left.steps < 0 {
		return nil
	}
	for _, word := range []string{"example", "default", "const"} {
		if v, ok := schema[word]; ok {
			return v
		}
	}
	for _, word := range []string{"enum", "examples"} {
		if values := list(schema[word]); len(values) > 0 {
			return values[0]
		}
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		if forms := list(schema[word]); len(forms) > 0 {
			return a.example(a.object(forms[0]), depth-1, left)
		}
	}
	kind := text(schema["type"])
	if kinds := list(schema["type"]); len(kinds) > 0 {
		kind = text(kinds[0])
	}
	switch {
	case kind == "object" || schema["properties"] != nil || schema["allOf"] != nil:
		return a.exampleObject(schema, depth, left)
	case kind == "array":
		if item := a.example(a.object(schema["items"]), depth-1, left); item != nil {
			return []any{item}
		}
		return []any{}
	case kind == "integer", kind == "number":
		return 0
	case kind == "boolean":
		return false
	}
	return "string"
}

func (a *API) exampleObject(schema map[string]any, depth int, left *budget) any {
	object := map[string]any{}
	all := list(schema["allOf"])
	for _, s := range all[:min(len(all), 20)] {
		if part, ok := a.example(a.object(s), depth-1, left).(map[string]any); ok {
			maps.Copy(object, part)
		}
	}
	props := a.object(schema["properties"])
	for _, r := range list(schema["required"]) {
		if p := a.object(props[text(r)]); p != nil && len(object) < 30 {
			object[text(r)] = a.example(p, depth-1, left)
		}
	}
	return object
}
