package dataset

// A Profile is what one pass over a table found. It is written for a model to
// read: compact, bounded, and plain about what was estimated or left out.
type Profile struct {
	Path        string `json:"path"`
	Format      string `json:"format"` // csv, tsv, jsonl, json, parquet
	Compression string `json:"compression,omitempty"`
	Encoding    string `json:"encoding,omitempty"`
	Delimiter   string `json:"delimiter,omitempty"`
	HasHeader   *bool  `json:"has_header,omitempty"` // of delimited files only
	SkipLines   int    `json:"skip_lines,omitempty"` // lines before the header or the first row
	Decimal     string `json:"decimal,omitempty"`    // "," where numbers are written so
	Bytes       int64  `json:"bytes"`

	Rows          int64 `json:"rows"`
	RowsEstimated bool  `json:"rows_estimated,omitempty"`
	RowsRead      int64 `json:"rows_read,omitempty"` // set when the counts below cover only so many

	ColumnCount    int          `json:"column_count"`
	Kinds          map[Kind]int `json:"kinds"`
	Columns        []Column     `json:"columns"`
	ColumnsOmitted int          `json:"columns_omitted,omitempty"` // in the table but not in Columns
	MissingTokens  []string     `json:"missing_tokens,omitempty"`  // texts that stand for "no value" in any column
	Sample         [][]string   `json:"sample_rows,omitempty"`     // cells in the order of Columns
	DuplicateRows  int64        `json:"duplicate_rows"`
	DuplicatesIn   int64        `json:"duplicate_rows_checked,omitempty"` // set when only so many rows were compared
	Problems       []string     `json:"problems,omitempty"`
	Target         *Target      `json:"target,omitempty"`
	TargetGuess    *Guess       `json:"target_guess,omitempty"`
}

// A Kind is what a column holds.
type Kind string

// The kinds of columns.
const (
	KindNumber   Kind = "number"
	KindInteger  Kind = "integer"
	KindBoolean  Kind = "boolean"
	KindCategory Kind = "category"
	KindText     Kind = "text"
	KindDatetime Kind = "datetime"
	KindID       Kind = "id"
	KindConstant Kind = "constant"
	KindEmpty    Kind = "empty"
	KindNested   Kind = "nested"
)

// A Column is one column's profile.
type Column struct {
	Name         string  `json:"name"`
	OriginalName *string `json:"original_name,omitempty"` // as in the file, where Name was cleaned
	Kind         Kind    `json:"kind"`
	Missing      int64   `json:"missing"`
	MissingPct   float64 `json:"missing_pct"`
	// MissingTokens are texts that stand for "no value" in this column only;
	// elsewhere the same text may be a value.
	MissingTokens []string `json:"missing_tokens,omitempty"`
	Distinct      int64    `json:"distinct"`
	Estimated     bool     `json:"distinct_estimated,omitempty"`

	*Numbers
	*Texts
	Earliest string   `json:"earliest,omitempty"`
	Latest   string   `json:"latest,omitempty"`
	Top      []Count  `json:"top,omitempty"`      // most frequent first
	Examples []string `json:"examples,omitempty"` // first ones met, where Top is absent
}

// Numbers sums up a numeric column, infinities left out.
type Numbers struct {
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
}

// Texts sums up a column of free text.
type Texts struct {
	AvgWords float64 `json:"avg_words"`
	AvgChars float64 `json:"avg_chars"`
}

// A Count is a value and how often it occurs.
type Count struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// A Task is what predicting the target amounts to.
type Task string

// The tasks.
const (
	TaskBinary     Task = "binary"
	TaskMulticlass Task = "multiclass"
	TaskRegression Task = "regression"
)

// A Target is the column to predict, and how to judge a prediction of it.
type Target struct {
	Name           string   `json:"name"`
	Matched        string   `json:"matched"` // exact, case_insensitive, trimmed or normalized
	Task           Task     `json:"task"`
	Classes        []Count  `json:"classes,omitempty"` // most frequent first
	ClassCount     int      `json:"class_count,omitempty"`
	Labelled       int64    `json:"labelled_rows"`
	Missing        int64    `json:"missing"`
	ImbalanceRatio float64  `json:"imbalance_ratio,omitempty"` // largest class to smallest
	Imbalanced     bool     `json:"imbalanced"`
	Metric         string   `json:"metric"`
	AlsoReport     []string `json:"also_report,omitempty"`
	Reason         string   `json:"reason"`
}

// A Guess is the column that looks like the target when none was named.
type Guess struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}
