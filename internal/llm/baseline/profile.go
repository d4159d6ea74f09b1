package baseline

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// A profile is what the rules read of inspect_dataset's answer.
type profile struct {
	Path        string   `json:"path"`
	Format      string   `json:"format"`
	Encoding    string   `json:"encoding"`
	Delimiter   string   `json:"delimiter"`
	HasHeader   *bool    `json:"has_header"`
	SkipLines   int      `json:"skip_lines"`
	Decimal     string   `json:"decimal"`
	ColumnCount int      `json:"column_count"`
	Columns     []column `json:"columns"`
	Tokens      []string `json:"missing_tokens"`
	Problems    []string `json:"problems"`
	Target      *target  `json:"target"`
	TargetGuess *guess   `json:"target_guess"`
	Abbreviated bool     `json:"-"` // the answer was cut: Columns and Problems may be incomplete
}

type column struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Missing int64  `json:"missing"`
}

type target struct {
	Name       string   `json:"name"`
	Task       string   `json:"task"`
	Missing    int64    `json:"missing"`
	Imbalanced bool     `json:"imbalanced"`
	Metric     string   `json:"metric"`
	AlsoReport []string `json:"also_report"`
	Reason     string   `json:"reason"`
}

type guess struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// readProfile reads the answer, also one whose middle was left out because it
// was long.
func readProfile(text string) (*profile, bool) {
	p := new(profile)
	if json.Unmarshal([]byte(text), p) == nil {
		return p, p.Format != ""
	}
	*p = profile{Abbreviated: true}
	dec := json.NewDecoder(strings.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			break
		}
		if key == "columns" {
			p.readColumns(dec)
			break
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			break
		}
		// One member at a time, so that those before the cut count.
		_ = json.Unmarshal([]byte(`{`+strconv.Quote(key.(string))+`:`+string(value)+`}`), p)
	}
	if i := strings.LastIndex(text, `"target":{"name":`); i >= 0 {
		_ = json.NewDecoder(strings.NewReader(text[i+len(`"target":`):])).Decode(&p.Target)
	}
	if i := strings.LastIndex(text, `"target_guess":{"name":`); i >= 0 {
		_ = json.NewDecoder(strings.NewReader(text[i+len(`"target_guess":`):])).Decode(&p.TargetGuess)
	}
	return p, p.Format != "" && len(p.Columns) > 0
}

func (p *profile) readColumns(dec *json.Decoder) {
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return
	}
	for dec.More() {
		var c column
		if dec.Decode(&c) != nil {
			return
		}
		p.Columns = append(p.Columns, c)
	}
}

func (p *profile) names() []string {
	var names []string
	for _, c := range p.Columns {
		names = append(names, c.Name)
	}
	return names
}

// missing counts the cells without a value, and the columns that have some.
func (p *profile) missing() (cells int64, columns int) {
	for _, c := range p.Columns {
		if c.Missing > 0 {
			cells += c.Missing
			columns++
		}
	}
	return cells, columns
}

var leak = lazyregexp.New(`^ (is a copy of the target|is the target .* on another scale|determines the target)`)

// leaks are the columns that give the target away, with the reason.
func (p *profile) leaks() map[string]string {
	found := make(map[string]string)
	for _, problem := range p.Problems {
		rest, ok := strings.CutPrefix(problem, "column ")
		if !ok {
			continue
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			continue
		}
		name, err := strconv.Unquote(quoted)
		if m := leak.FindStringSubmatch(rest[len(quoted):]); err == nil && m != nil {
			found[name] = "it " + regexp.MustCompile(` the target ".*" on`).ReplaceAllString(m[1], " the target on") + ", which would not be known when predicting"
		}
	}
	// Something must be left to learn from.
	if len(found) >= p.ColumnCount-1 {
		return nil
	}
	return found
}

// columnsFile is columns.json: what split.py must know of the raw table.
func (p *profile) columnsFile(drop map[string]string) string {
	kinds := make([]map[string]string, len(p.Columns))
	for i, c := range p.Columns {
		kinds[i] = map[string]string{"name": c.Name, "kind": c.Kind}
	}
	also := p.Target.AlsoReport
	if also == nil {
		also = []string{}
	}
	source := map[string]any{
		"path": p.Path, "format": p.Format, "encoding": p.Encoding, "delimiter": p.Delimiter,
		"has_header": p.HasHeader == nil || *p.HasHeader, "skip_lines": p.SkipLines, "decimal": p.Decimal,
	}
	text, err := json.MarshalIndent(map[string]any{
		"source": source, "column_count": p.ColumnCount, "columns": kinds, "drop": drop, "missing_tokens": p.Tokens,
		"target": p.Target.Name, "task": p.Target.Task, "metric": p.Target.Metric, "also_report": also, "imbalanced": p.Target.Imbalanced,
	}, "", " ")
	if err != nil {
		return "{}" // texts and numbers can always be written
	}
	return string(text) + "\n"
}
