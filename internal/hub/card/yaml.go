package card

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"ml-intern/internal/lazyregexp"
)

const (
	maxMeta  = 64 << 10
	maxDepth = 32
)

func unreadable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnreadable, fmt.Sprintf(format, args...))
}

func unreadableYAML(err error) error { return unreadable("%s", yaml.FormatError(err, false, false)) }

// recoverYAML makes an error of a panic: a parser of a language this large
// has odd corners.
func recoverYAML(err *error) {
	if v := recover(); v != nil {
		*err = unreadable("the YAML is too odd")
	}
}

// parseYAML reads YAML as values that JSON can hold.
func parseYAML(block []byte) (data map[string]any, err error) {
	defer recoverYAML(&err)
	if len(block) > maxMeta {
		return nil, unreadable("the metadata has more than %d bytes", maxMeta)
	}
	if deep(block) {
		return nil, unreadable("the metadata is nested too deep")
	}
	file, err := parser.ParseBytes(block, 0)
	if err != nil {
		return nil, unreadableYAML(err)
	}
	for _, doc := range file.Docs {
		var v aliasFinder
		ast.Walk(&v, doc)
		if v.found { // a few lines of them can grow to gigabytes
			return nil, unreadable("anchors and aliases (& and *) are not allowed in metadata")
		}
	}
	var raw any
	if err := yaml.Unmarshal(block, &raw); err != nil {
		return nil, unreadableYAML(err)
	}
	if raw == nil {
		return map[string]any{}, nil
	}
	data, ok := plain(raw).(map[string]any)
	if !ok {
		return nil, unreadable("the metadata must be a mapping of names to values")
	}
	return data, nil
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
		if dashes > maxDepth || open > maxDepth || indent > 16*maxDepth || nested(line) > maxDepth {
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

// A Pair is a key with its value, for maps whose order matters.
type Pair struct {
	Key   string
	Value any
}

// Pairs are a map in order.
type Pairs []Pair

// entryText writes a key with its value.
func entryText(key string, value any) (string, error) {
	var b strings.Builder
	if err := writePair(&b, key, value, 0); err != nil {
		return "", err
	}
	return b.String(), nil
}

func writePair(b *strings.Builder, key string, value any, indent int) error {
	if !utf8.ValidString(key) {
		return errNotText
	}
	b.WriteString(scalarText(key) + ":")
	return writeValue(b, value, indent)
}

// writeValue writes what follows a key or a dash, from the blank on.
func writeValue(b *strings.Builder, value any, indent int) error {
	if indent > maxDepth {
		return fmt.Errorf("the value is nested too deep")
	}
	switch v := value.(type) {
	case []string:
		return writeList(b, anys(v), indent)
	case []any:
		return writeList(b, v, indent)
	case map[string]any:
		return writeMap(b, sorted(v), indent)
	case Pairs:
		return writeMap(b, v, indent)
	}
	text, err := scalar(value)
	b.WriteString(" " + text + "\n")
	return err
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

func sorted(m map[string]any) Pairs {
	out := Pairs{}
	for key, value := range m {
		out = append(out, Pair{key, value})
	}
	slices.SortFunc(out, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func writeList(b *strings.Builder, list []any, indent int) error {
	if len(list) == 0 {
		b.WriteString(" []\n")
		return nil
	}
	b.WriteString("\n")
	for _, v := range list {
		b.WriteString(strings.Repeat("  ", indent) + "-")
		if err := writeItem(b, v, indent); err != nil {
			return err
		}
	}
	return nil
}

// writeItem writes an item behind its dash. The first key of a map stands on
// the same line.
func writeItem(b *strings.Builder, value any, indent int) error {
	pairs, isMap := value.(Pairs)
	if m, ok := value.(map[string]any); ok {
		pairs, isMap = sorted(m), true
	}
	if !isMap || len(pairs) == 0 {
		return writeValue(b, value, indent+1)
	}
	for i, p := range pairs {
		lead := strings.Repeat("  ", indent+1)
		if i == 0 {
			lead = " "
		}
		b.WriteString(lead)
		if err := writePair(b, p.Key, p.Value, indent+1); err != nil {
			return err
		}
	}
	return nil
}

func writeMap(b *strings.Builder, pairs Pairs, indent int) error {
	if len(pairs) == 0 {
		b.WriteString(" {}\n")
		return nil
	}
	b.WriteString("\n")
	for _, p := range pairs {
		b.WriteString(strings.Repeat("  ", indent+1))
		if err := writePair(b, p.Key, p.Value, indent+1); err != nil {
			return err
		}
	}
	return nil
}

var errNotText = errors.New("the text is not UTF-8")

func scalar(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "null", nil
	case string:
		if !utf8.ValidString(v) {
			return "", errNotText
		}
		return scalarText(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return number(v)
	case float32:
		return number(float64(v))
	case int, int64, int32, uint64, uint, uint32:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("a %T cannot be written into a card", value)
}

// number writes a number so that readers of YAML 1.1 take it for one: with a
// point.
func number(v float64) (string, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "", fmt.Errorf("%v is no number for a card", v)
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if digits, power, ok := strings.Cut(text, "e"); ok && !strings.Contains(digits, ".") {
		text = digits + ".0e" + power
	}
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text, nil
}

var plainText = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+(-][A-Za-z0-9_./+()-]*)*$`)

// scalarText writes a text, in quotes if some reader might take it for
// something else.
func scalarText(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf":
		return `"` + s + `"`
	}
	if plainText.MatchString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
