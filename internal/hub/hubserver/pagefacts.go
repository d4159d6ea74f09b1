package hubserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/rows"
	"ml-intern/internal/hub/hubserver/web"
)

// What a page shows of a data set: only what is there at once.
const (
	previewTime    = 2 * time.Second
	previewText    = 16 << 20 // bytes of a split that has to be gone through
	previewRows    = 10
	previewColumns = 20
	previewCell    = 200
)

// ofFiles are the facts that the files of a repository tell, not its card.
func (v *repoView) ofFiles() ([]web.Fact, error) {
	switch v.repo.Type {
	case hub.Space:
		st, src, err := v.s.look(v.repo)
		if err != nil {
			return nil, err
		}
		r := st.Runtime(src, time.Now())
		out := []web.Fact{fact("Stage", r.Stage)}
		if r.Error != "" {
			out = append(out, fact("Why", r.Error))
		}
		if r.Hardware.Requested != nil {
			out = append(out, fact("Hardware", *r.Hardware.Requested))
		}
		return out, nil
	case hub.Model:
		return v.parameters()
	}
	return nil, nil
}

func fact(name string, values ...string) web.Fact {
	f := web.Fact{Name: name}
	for _, value := range values {
		f.Values = append(f.Values, web.Link{Text: value})
	}
	return f
}

// parameters says how large a model is, and of what kind.
func (v *repoView) parameters() ([]web.Fact, error) {
	known := map[string]any{}
	if err := v.s.addFacts(v.Context(), known, v.commit, []string{"safetensors", "gguf"}); err != nil {
		return nil, err
	}
	var out []web.Fact
	if st, ok := known["safetensors"].(map[string]any); ok {
		if n, ok := st["total"].(int64); ok && n > 0 {
			out = append(out, fact("Parameters", amount(n)))
		}
		if kinds, ok := st["parameters"].(map[string]int64); ok && len(kinds) > 0 {
			out = append(out, fact("Tensor types", slices.Sorted(maps.Keys(kinds))...))
		}
	}
	if g, ok := known["gguf"].(map[string]any); ok {
		if n, ok := g["total"].(int64); ok && n > 0 {
			out = append(out, fact("Parameters", amount(n)))
		}
		if name, ok := g["architecture"].(string); ok && name != "" {
			out = append(out, fact("Architecture", name))
		}
		if n := fmt.Sprint(g["context_length"]); g["context_length"] != nil {
			out = append(out, fact("Context", n+" tokens"))
		}
	}
	return out, nil
}

// amount is a large number for people.
func amount(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	v, unit := float64(n)/1000, "K"
	for _, next := range []string{"M", "B", "T"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, next
	}
	return fmt.Sprintf("%.3g%s", v, unit)
}

// preview is the first rows of a data set, nil if they would take long or
// cannot be shown.
func (v *repoView) preview() (*web.Table, error) {
	configs, err := v.s.layout(v.commit)
	if _, odd := errors.AsType[*rows.Error](err); odd {
		return nil, nil //nolint:nilnil // its files are no tables
	}
	if err != nil || len(configs) == 0 {
		return nil, err
	}
	config := configs[0]
	if i := slices.IndexFunc(configs, func(c rows.Config) bool { return c.Default }); i >= 0 {
		config = configs[i]
	}
	if len(config.Splits) == 0 || config.Format != "parquet" && size(config.Splits[0]) > previewText {
		return nil, nil //nolint:nilnil // it would take long
	}
	ctx, cancel := context.WithTimeout(v.Context(), previewTime)
	defer cancel()
	table, err := v.s.tables.Table(ctx, v.commit.ID, config, config.Splits[0])
	var page rows.Page
	if err == nil {
		page, err = table.At(ctx, 0, previewRows)
	}
	_, odd := errors.AsType[*rows.Error](err)
	if odd || err != nil && ctx.Err() != nil {
		return nil, v.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return firstRows(config, table, page), nil
}

func size(split rows.Split) (sum int64) {
	for _, f := range split.Files {
		sum += f.Size
	}
	return sum
}

// firstRows is a page of a table, for people.
func firstRows(config rows.Config, table *rows.Table, page rows.Page) *web.Table {
	out := &web.Table{Name: config.Splits[0].Name, Note: itoa(table.Rows) + " rows"}
	if config.Name != "default" {
		out.Name = config.Name + " / " + out.Name
	}
	if table.Partial {
		out.Note = "more than " + out.Note
	}
	n := min(len(table.Features), previewColumns)
	out.HiddenColumns = len(table.Features) - n
	for _, c := range table.Features[:n] {
		kind := c.Type.String()
		if len(kind) > 60 {
			kind = firstRunes(kind, 60) + "…"
		}
		out.Columns = append(out.Columns, web.Column{Name: c.Name, Type: kind})
	}
	for _, r := range page.Rows {
		out.Rows = append(out.Rows, r.Texts(previewCell)[:n])
	}
	return out
}

func firstRunes(text string, n int) string {
	runes := []rune(text)
	return string(runes[:min(n, len(runes))])
}
