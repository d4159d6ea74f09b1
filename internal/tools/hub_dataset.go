package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/dataset/format"
	"ml-intern/internal/hub"
	"ml-intern/internal/tool"
)

type hubDatasetInput struct {
	Dataset    string `json:"dataset"`
	Config     string `json:"config,omitempty"`
	Split      string `json:"split,omitempty" jsonschema:"default train, else the first"`
	Rows       int    `json:"sample_rows,omitempty" jsonschema:"default 3, at most 10"`
	Statistics bool   `json:"statistics,omitempty"`
}

// InspectHubDataset shows what a data set of the Hub holds, and which ways of
// training it fits, without downloading it.
func InspectHubDataset(connect dialer) tool.Tool {
	return tool.New(spec("hf_inspect_dataset", tool.Reads), func(ctx context.Context, in hubDatasetInput, _ tool.Call) (tool.Output, error) {
		repo, err := repository(in.Dataset, "dataset")
		if err == nil && repo.Type != hub.Dataset {
			err = fmt.Errorf("%s is not a data set", in.Dataset)
		}
		if err != nil {
			return badArgs("%v", err), nil
		}
		c, err := connect(ctx)
		if err != nil {
			return tool.Output{}, err
		}
		return inspectHub(ctx, c, repo, in)
	})
}

func inspectHub(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubDatasetInput) (tool.Output, error) {
	viewer := c.Viewer(repo)
	splits, err := viewer.Splits(ctx)
	if err == nil && len(splits.Splits) == 0 {
		err = fmt.Errorf("%w: it found no table in it", hub.ErrNoViewer)
	}
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrNotFound), errors.Is(err, hub.ErrGated), errors.Is(err, hub.ErrUnauthorized), ctx.Err() != nil:
		return tool.Output{}, explain(ctx, c, repo, err)
	default:
		return withoutViewer(ctx, c, repo, err)
	}
	at, err := choose(splits.Splits, in.Config, in.Split)
	if err != nil {
		return badArgs("%s: %v", repo, err), nil
	}
	r := &datasetReport{repo: repo, splits: splits, at: at, samples: min(max(in.Rows, 0), maxSamples)}
	if in.Rows == 0 {
		r.samples = usualSamples
	}
	r.gather(ctx, viewer, in.Statistics)
	text := r.write(c.RepoURL(repo))
	return tool.Output{Text: fromOutside(c.RepoURL(repo), text), Summary: fmt.Sprintf("%s, %s/%s: %s", repo, at.Config, at.Split, r.rowsText())}, nil
}

// choose finds the split that is meant. A split of another configuration is no
// answer to a question about this one.
func choose(splits []hub.Split, config, split string) (hub.Split, error) {
	of := func(config string) (names []string) {
		for _, s := range splits {
			if s.Config == config {
				names = append(names, s.Split)
			}
		}
		return names
	}
	if config == "" {
		config = splits[0].Config
		if split != "" && !slices.Contains(of(config), split) { // the first that has it
			if i := slices.IndexFunc(splits, func(s hub.Split) bool { return s.Split == split }); i >= 0 {
				config = splits[i].Config
			}
		}
	}
	names := of(config)
	switch {
	case len(names) == 0:
		return hub.Split{}, fmt.Errorf("there is no configuration %q; there are %s", config, strings.Join(configsOf(splits), ", "))
	case split == "" && slices.Contains(names, "train"):
		split = "train"
	case split == "":
		split = names[0]
	case !slices.Contains(names, split):
		return hub.Split{}, fmt.Errorf("the configuration %s has no split %q; it has %s", config, split, strings.Join(names, ", "))
	}
	return hub.Split{Config: config, Split: split}, nil
}

func configsOf(splits []hub.Split) (names []string) {
	for _, s := range splits {
		if !slices.Contains(names, s.Config) {
			names = append(names, s.Config)
		}
	}
	return names
}

const (
	usualSamples = 3
	maxSamples   = 10
	maxCell      = 300 // bytes of a cell that are shown
	maxSplits    = 30
	maxSchema    = 6000 // bytes
	judgedRows   = 50
)

// A datasetReport is what the viewer told, part by part: a part that failed
// says so, the others stand.
type datasetReport struct {
	repo    hub.RepoID
	splits  hub.Splits
	at      hub.Split
	samples int

	sizes      hub.Sizes
	rows       hub.Rows
	files      hub.Parquet
	statistics hub.Statistics
	troubles   []string
}

// gather asks for all parts at once.
func (r *datasetReport) gather(ctx context.Context, v hub.Viewer, statistics bool) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	part := func(what string, ask func() error) {
		wg.Go(func() {
			if err := ask(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				r.troubles = append(r.troubles, fmt.Sprintf("no %s: %v", what, err))
			}
		})
	}
	part("sizes", func() (err error) { r.sizes, err = v.Size(ctx); return err })
	part("rows", func() (err error) { r.rows, err = v.FirstRows(ctx, r.at); return err })
	part("Parquet files", func() (err error) { r.files, err = v.Parquet(ctx, r.at.Config); return err })
	if statistics {
		part("statistics", func() (err error) { r.statistics, err = v.Statistics(ctx, r.at); return err })
	}
	wg.Wait()
	slices.Sort(r.troubles)
}

func (r *datasetReport) write(url string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", r.repo, url)
	if r.splits.Revision != "" {
		fmt.Fprintf(&b, "commit: %s\n", r.splits.Revision)
	}
	r.structure(&b)
	r.columns(&b)
	r.sample(&b)
	r.uses(&b)
	r.stats(&b)
	r.parquet(&b)
	for _, t := range r.troubles {
		fmt.Fprintf(&b, "\nwarning: %s\n", t)
	}
	return b.String()
}

// sizeOf finds the size of a split, nil if it is not known.
func (r *datasetReport) sizeOf(s hub.Split) *hub.Size {
	i := slices.IndexFunc(r.sizes.Splits, func(z hub.Size) bool { return z.Config == s.Config && z.Split == s.Split })
	if i < 0 {
		return nil
	}
	return &r.sizes.Splits[i]
}

func (r *datasetReport) rowsText() string {
	if z := r.sizeOf(r.at); z != nil {
		return fmt.Sprintf("%d rows, %d columns", z.Rows, z.Columns)
	}
	return fmt.Sprintf("%d columns", len(r.rows.Features))
}

func (r *datasetReport) structure(b *strings.Builder) {
	fmt.Fprintf(b, "\nconfigurations and splits:\n")
	for i, s := range r.splits.Splits {
		if i == maxSplits {
			fmt.Fprintf(b, "  [%d more]\n", len(r.splits.Splits)-i)
			break
		}
		fmt.Fprintf(b, "  %s / %s", s.Config, s.Split)
		if z := r.sizeOf(s); z != nil {
			fmt.Fprintf(b, ": %d rows", z.Rows)
			if size := max(z.OriginalBytes, z.ParquetBytes); size > 0 {
				fmt.Fprintf(b, ", %s", bytesOf(size))
			}
		}
		b.WriteByte('\n')
	}
	for _, f := range r.splits.Failed {
		fmt.Fprintf(b, "  %s / %s cannot be read: %s\n", f.Config, f.Split, oneLine(f.Reason))
	}
	if r.sizes.Partial {
		b.WriteString("  the viewer has read only the first part of it: there are more rows\n")
	}
}

func (r *datasetReport) columns(b *strings.Builder) {
	if len(r.rows.Features) > 0 {
		fmt.Fprintf(b, "\ncolumns of %s / %s:\n%s", r.at.Config, r.at.Split, cutText(r.rows.Features.Tree(), maxSchema))
	}
}

func (r *datasetReport) sample(b *strings.Builder) {
	for _, row := range r.rows.Rows[:min(r.samples, len(r.rows.Rows))] {
		fmt.Fprintf(b, "\nrow %d:\n", row.Index)
		for _, name := range r.rows.Features.Columns() {
			cell := oneLine(cutText(string(row.Cells[name]), maxCell))
			if slices.Contains(row.Truncated, name) {
				cell += " [… the viewer has cut this cell]"
			}
			fmt.Fprintf(b, "  %s: %s\n", name, cell)
		}
	}
}

// uses says which ways of training the rows fit, and what is in the way of the
// others.
func (r *datasetReport) uses(b *strings.Builder) {
	if len(r.rows.Rows) == 0 {
		return
	}
	var rows []map[string]any
	for _, row := range r.rows.Rows[:min(judgedRows, len(r.rows.Rows))] {
		values := map[string]any{}
		for name, cell := range row.Cells {
			var v any
			if !slices.Contains(row.Truncated, name) && json.Unmarshal(cell, &v) == nil {
				values[name] = v
			}
		}
		rows = append(rows, values)
	}
	fmt.Fprintf(b, "\nfit for training, by %d rows:\n", len(rows))
	for _, v := range format.Judge(r.rows.Features.Columns(), rows) {
		fmt.Fprintf(b, "  %s: %s\n", v.Method, verdict(v))
	}
	r.conversations(b, rows)
}

// verdict is what a method needs, in a line.
func verdict(v format.Verdict) string {
	if v.Fits {
		return strings.Join(append([]string{"yes, " + v.Format}, v.Notes...), "; ")
	}
	var needs []string
	for _, name := range v.Rename {
		needs = append(needs, fmt.Sprintf("rename %s to %s", name.From, name.To))
	}
	needs = append(needs, v.Convert...)
	if len(v.Missing) > 0 {
		needs = append(needs, "missing: "+strings.Join(v.Missing, ", "))
	}
	return strings.Join(append([]string{"no"}, append(needs, v.Notes...)...), "; ")
}

func (r *datasetReport) conversations(b *strings.Builder, rows []map[string]any) {
	for _, name := range r.rows.Features.Columns() {
		chat := format.Conversation(name, rows)
		if chat == nil {
			continue
		}
		fmt.Fprintf(b, "  %s holds conversations: roles %s; keys %s", name, strings.Join(chat.Roles, ", "), strings.Join(chat.Keys, ", "))
		if chat.Text {
			b.WriteString("; as JSON in a text")
		}
		if chat.Tools {
			b.WriteString("; with tool calls")
		}
		b.WriteByte('\n')
		if example, err := json.Marshal(chat.Example); err == nil && chat.Example != nil {
			fmt.Fprintf(b, "    such as %s\n", cutText(string(example), maxCell))
		}
	}
}

func (r *datasetReport) stats(b *strings.Builder) {
	if len(r.statistics.Columns) == 0 {
		return
	}
	fmt.Fprintf(b, "\nstatistics of %d rows:\n", r.statistics.Rows)
	for _, c := range r.statistics.Columns {
		s := c.Statistics
		fmt.Fprintf(b, "  %s (%s): %d missing", c.Name, c.Type, s.Missing)
		for _, f := range []struct {
			name  string
			value any
		}{{"min", s.Min}, {"max", s.Max}, {"mean", s.Mean}, {"median", s.Median}, {"std", s.Std}} {
			if f.value != nil {
				fmt.Fprintf(b, ", %s %v", f.name, f.value)
			}
		}
		if s.Unique > 0 {
			fmt.Fprintf(b, ", %d different", s.Unique)
		}
		if len(s.Frequencies) > 0 {
			fmt.Fprintf(b, ", %s", cutText(frequencies(s.Frequencies), maxCell))
		}
		b.WriteByte('\n')
	}
}

// frequencies lists values by how often they occur, the most frequent first.
func frequencies(counts map[string]int64) string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return int(counts[b] - counts[a])
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%q %d times", name, counts[name])
	}
	return strings.Join(names, ", ")
}

func (r *datasetReport) parquet(b *strings.Builder) {
	if len(r.files.Files) == 0 {
		return
	}
	var total int64
	for _, f := range r.files.Files {
		total += f.Size
	}
	fmt.Fprintf(b, "\nParquet: %d files, %s, such as %s\n", len(r.files.Files), bytesOf(total), r.files.Files[0].URL)
}

// withoutViewer tells what the Hub itself knows of a data set that the viewer
// cannot show.
func withoutViewer(ctx context.Context, c *hub.Client, repo hub.RepoID, why error) (tool.Output, error) {
	info, err := c.RepoDetails(ctx, repo, hub.InfoOptions{Blobs: true})
	if err != nil {
		return tool.Output{}, explain(ctx, c, repo, err)
	}
	d := &details{client: c, repo: repo, info: info}
	fmt.Fprintf(&d.text, "rows and columns cannot be shown: %v\nread a file with hf_repo_files, or fetch it with hub_download and use inspect_dataset\n\n", why)
	d.write(ctx)
	return tool.Output{Text: fromOutside(c.RepoURL(repo), d.text.String()), Summary: fmt.Sprintf("%s, without the viewer", repo)}, nil
}
