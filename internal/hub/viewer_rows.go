package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"ml-intern/internal/hub/feature"
)

// MaxRows is the most rows that the viewer gives at once.
const MaxRows = 100

// A Row is one row of a dataset. Its text was written by strangers.
type Row struct {
	Index     int64          `json:"row_idx"`
	Cells     map[string]raw `json:"row"`
	Truncated []string       `json:"truncated_cells"` // columns whose cells are cut
}

// Rows are some rows of a split.
type Rows struct {
	Features feature.Features `json:"features"`
	Rows     []Row            `json:"rows"`
	Total    int64            `json:"num_rows_total"` // of the split, or that were found; 0 with first rows
	Partial  bool             `json:"partial"`        // only the first part of the split was looked at
	Cut      bool             `json:"truncated"`      // first rows: not all that were asked for
	Revision string           `json:"-"`
}

// FirstRows returns up to 100 rows, with long cells cut.
func (v Viewer) FirstRows(ctx context.Context, of Split) (out Rows, err error) {
	out.Revision, err = v.get(ctx, "first-rows", of.query(), &out)
	return out, err
}

// Rows returns up to length rows from offset on.
func (v Viewer) Rows(ctx context.Context, of Split, offset int64, length int) (out Rows, err error) {
	out.Revision, err = v.get(ctx, "rows", of.page(offset, length), &out)
	return out, err
}

// All goes through the rows of a split from offset on.
func (v Viewer) All(ctx context.Context, of Split, offset int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			page, err := v.Rows(ctx, of, offset, MaxRows)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range page.Rows {
				if !yield(row, nil) {
					return
				}
			}
			offset += int64(len(page.Rows))
			if len(page.Rows) == 0 || offset >= page.Total {
				return
			}
		}
	}
}

// Search returns rows in whose texts the words occur.
func (v Viewer) Search(ctx context.Context, of Split, words string, offset int64, length int) (out Rows, err error) {
	q := of.page(offset, length)
	q.Set("query", words)
	out.Revision, err = v.get(ctx, "search", q, &out)
	return out, err
}

// A RowFilter chooses rows. Where is a condition like "score" >= 3 AND "lang" =
// 'en'; OrderBy is a column, "score" DESC. Either may be empty.
type RowFilter struct {
	Where   string
	OrderBy string
}

// Filter returns the rows that a condition holds for.
func (v Viewer) Filter(ctx context.Context, of Split, f RowFilter, offset int64, length int) (out Rows, err error) {
	q := of.page(offset, length)
	if f.Where != "" {
		q.Set("where", f.Where)
	}
	if f.OrderBy != "" {
		q.Set("orderby", f.OrderBy)
	}
	out.Revision, err = v.get(ctx, "filter", q, &out)
	return out, err
}

// SplitInfo is what is known of a split.
type SplitInfo struct {
	Name  string `json:"name"`
	Rows  int64  `json:"num_examples"`
	Bytes int64  `json:"num_bytes"`
}

// ConfigInfo is what is known of a configuration.
type ConfigInfo struct {
	Config       string               `json:"config_name"`
	Builder      string               `json:"builder_name"`
	Features     feature.Features     `json:"features"`
	Splits       map[string]SplitInfo `json:"splits"`
	DownloadSize int64                `json:"download_size"`
	DatasetSize  int64                `json:"dataset_size"`
}

// DatasetInfo describes the configurations of a dataset.
type DatasetInfo struct {
	Configs  map[string]ConfigInfo
	Partial  bool
	Pending  []Split
	Failed   []Failure
	Revision string
}

// Info describes one configuration, or all if config is "".
func (v Viewer) Info(ctx context.Context, config string) (DatasetInfo, error) {
	var answer struct {
		Info    raw       `json:"dataset_info"`
		Partial bool      `json:"partial"`
		Pending []Split   `json:"pending"`
		Failed  []Failure `json:"failed"`
	}
	revision, err := v.get(ctx, "info", configQuery(config), &answer)
	out := DatasetInfo{map[string]ConfigInfo{}, answer.Partial, answer.Pending, answer.Failed, revision}
	if err != nil {
		return out, err
	}
	if config == "" {
		err = json.Unmarshal(answer.Info, &out.Configs)
	} else {
		var one ConfigInfo
		err = json.Unmarshal(answer.Info, &one)
		out.Configs[config] = one
	}
	if err != nil {
		return out, fmt.Errorf("read the dataset viewer's description of %s: %w", v.dataset, err)
	}
	return out, nil
}

// A Size is how large a part of a dataset is.
type Size struct {
	Config        string `json:"config"` // "" for the whole dataset
	Split         string `json:"split"`  // "" for a configuration
	Rows          int64  `json:"num_rows"`
	Columns       int    `json:"num_columns"`
	ParquetBytes  int64  `json:"num_bytes_parquet_files"`
	MemoryBytes   int64  `json:"num_bytes_memory"`
	OriginalBytes int64  `json:"num_bytes_original_files"`
}

// Sizes are the sizes of a dataset and its parts.
type Sizes struct {
	Dataset  Size
	Configs  []Size
	Splits   []Size
	Partial  bool
	Revision string
}

// Size tells how large the dataset and its parts are.
func (v Viewer) Size(ctx context.Context) (Sizes, error) {
	var answer struct {
		Size struct {
			Dataset Size   `json:"dataset"`
			Configs []Size `json:"configs"`
			Splits  []Size `json:"splits"`
		} `json:"size"`
		Partial bool `json:"partial"`
	}
	revision, err := v.get(ctx, "size", nil, &answer)
	s := answer.Size
	return Sizes{s.Dataset, s.Configs, s.Splits, answer.Partial, revision}, err
}

// A Histogram counts values by range. The edges are one more than the counts,
// numbers or times.
type Histogram struct {
	Counts []int64 `json:"hist"`
	Edges  []any   `json:"bin_edges"`
}

// ColumnStatistics are of numbers, of the lengths of texts and lists, or
// counts of labels, by Type. What does not apply is nil.
type ColumnStatistics struct {
	Missing     int64            `json:"nan_count"`
	MissingPart float64          `json:"nan_proportion"`
	Min         any              `json:"min"`
	Max         any              `json:"max"`
	Mean        any              `json:"mean"`
	Median      any              `json:"median"`
	Std         any              `json:"std"`
	Histogram   *Histogram       `json:"histogram"`
	Unique      int64            `json:"n_unique"`
	NoLabel     int64            `json:"no_label_count"`
	Frequencies map[string]int64 `json:"frequencies"`
}

// A ColumnSummary is a column with its statistics.
type ColumnSummary struct {
	Name       string           `json:"column_name"`
	Type       string           `json:"column_type"` // int, float, bool, string_label, string_text, class_label, list, datetime, image, audio
	Statistics ColumnStatistics `json:"column_statistics"`
}

// Statistics describe the columns of a split.
type Statistics struct {
	Rows     int64           `json:"num_examples"`
	Columns  []ColumnSummary `json:"statistics"`
	Partial  bool            `json:"partial"`
	Revision string          `json:"-"`
}

// Statistics describes the columns of a split.
func (v Viewer) Statistics(ctx context.Context, of Split) (out Statistics, err error) {
	out.Revision, err = v.get(ctx, "statistics", of.query(), &out)
	return out, err
}
