package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A text in a notebook is a string or a list of them.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = text(one)
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return nil //nolint:nilerr // another kind of thing is no text
	}
	*t = text(strings.Join(many, ""))
	return nil
}

type cell struct {
	Type     string   `json:"cell_type"`
	Source   text     `json:"source"`
	Input    text     `json:"input"` // of code, in format 3
	Language string   `json:"language"`
	Level    int      `json:"level"` // of a heading, in format 3
	Outputs  []output `json:"outputs"`
	Metadata struct {
		Tags []string `json:"tags"`
	} `json:"metadata"`
}

type output struct {
	Type  string                     `json:"output_type"`
	Text  text                       `json:"text"`
	Data  map[string]json.RawMessage `json:"data"`
	Name  string                     `json:"ename"`
	Value string                     `json:"evalue"`
}

type notebook struct {
	Cells  []cell `json:"cells"`
	Sheets []struct {
		Cells []cell `json:"cells"`
	} `json:"worksheets"` // format 3
	Metadata struct {
		Kernel struct {
			Language string `json:"language"`
		} `json:"kernelspec"`
		Language struct {
			Name string `json:"name"`
		} `json:"language_info"`
	} `json:"metadata"`
}

const maxOutput = 300 // bytes of an output that are shown

// Notebook writes a Jupyter notebook as Markdown, a cell after the other.
// Outputs that are text are cut short, others named only.
func Notebook(data []byte) (string, error) {
	var n notebook
	if err := json.Unmarshal(data, &n); err != nil {
		return "", fmt.Errorf("read notebook: %w", err)
	}
	cells := n.Cells
	for _, s := range n.Sheets {
		cells = append(cells, s.Cells...)
	}
	if len(cells) == 0 {
		return "", errors.New("read notebook: it has no cells")
	}
	language := "python"
	for _, l := range []string{n.Metadata.Kernel.Language, n.Metadata.Language.Name} {
		if l != "" {
			language = strings.ToLower(strings.Join(strings.Fields(l), " "))
		}
	}
	var b strings.Builder
	for i, c := range cells {
		if !hidden(c) {
			c.write(&b, i+1, language)
		}
	}
	if b.Len() == 0 {
		return "", errors.New("read notebook: all its cells are empty or hidden")
	}
	return b.String(), nil
}

// hidden reports whether the author does not show the cell.
func hidden(c cell) bool {
	return slices.ContainsFunc(c.Metadata.Tags, func(tag string) bool {
		switch strings.ToLower(tag) {
		case "hide", "hidden", "remove", "hide-cell", "hide_cell", "remove-cell", "remove_cell":
			return true
		}
		return false
	})
}

func (c cell) write(b *strings.Builder, number int, language string) {
	source := strings.TrimRight(string(c.Source), "\n")
	if c.Type == "code" && source == "" {
		source = strings.TrimRight(string(c.Input), "\n")
	}
	if strings.TrimSpace(source) == "" && len(c.Outputs) == 0 {
		return
	}
	switch c.Type {
	case "code":
		if c.Language != "" {
			language = c.Language
		}
		mark := fence(source)
		fmt.Fprintf(b, "[cell %d]\n%s%s\n%s\n%s\n", number, mark, language, source, mark)
		c.results(b)
	case "heading":
		fmt.Fprintf(b, "%s %s\n", strings.Repeat("#", min(max(c.Level, 1), 6)), source)
	default:
		b.WriteString(source + "\n")
	}
	b.WriteByte('\n')
}

// results writes what a cell put out, in short.
func (c cell) results(b *strings.Builder) {
	const most = 3
	for i, o := range c.Outputs {
		if i == most {
			fmt.Fprintf(b, "[%d more outputs]\n", len(c.Outputs)-i)
			return
		}
		shown := string(o.Text)
		var plain text
		if raw, ok := o.Data["text/plain"]; ok && shown == "" && json.Unmarshal(raw, &plain) == nil {
			shown = string(plain)
		}
		if o.Name != "" {
			shown = o.Name + ": " + o.Value
		}
		switch shown = strings.TrimSpace(shown); {
		case shown == "" && len(o.Data) > 0:
			kinds := make([]string, 0, len(o.Data))
			for kind := range o.Data {
				kinds = append(kinds, strings.Join(strings.Fields(kind), ""))
			}
			slices.Sort(kinds)
			fmt.Fprintf(b, "[output: %s]\n", strings.Join(kinds, ", "))
		case shown != "":
			cut := shown
			if len(cut) > maxOutput {
				cut = strings.ToValidUTF8(cut[:maxOutput], "") + fmt.Sprintf(" […%d bytes more]", len(shown)-maxOutput)
			}
			fmt.Fprintf(b, "output: %s\n", strings.ReplaceAll(cut, "\n", "\n  "))
		}
	}
}

// fence is a mark for code that does not occur in it.
func fence(source string) string {
	mark := "```"
	for strings.Contains(source, mark) {
		mark += "`"
	}
	return mark
}
