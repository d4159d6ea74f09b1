package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Code says why a file cannot be used, for callers that branch on it.
type Code string

// The reasons a file cannot be used.
const (
	CodeNotFound          Code = "not_found"
	CodeIsDirectory       Code = "is_directory"
	CodeEmpty             Code = "empty"
	CodeHeaderOnly        Code = "header_only"
	CodeOneColumn         Code = "one_column"
	CodeTargetAbsent      Code = "target_absent"
	CodeTargetConstant    Code = "target_constant"
	CodeTargetMissing     Code = "target_missing_mostly"
	CodeTargetUnusable    Code = "target_unusable" // free text, dates or one value per row
	CodeTooFewRows        Code = "too_few_rows"
	CodeTooLarge          Code = "too_large"
	CodeUnsupportedFormat Code = "unsupported_format"
	CodeMalformed         Code = "malformed"
)

// An Error is a table that cannot be used. Message is one sentence that says
// what is wrong; Hint is one that says what to do next.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " " + e.Hint
}

// located puts the file's name before a message that was made without it.
func located(err error, name string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		if !strings.Contains(e.Message, name) {
			return &Error{e.Code, name + ": " + e.Message, e.Hint}
		}
		return e
	}
	return err
}

func malformed(hint, format string, args ...any) *Error {
	return &Error{CodeMalformed, fmt.Sprintf(format, args...), hint}
}

func notFound(path string) error {
	hint := "Check the spelling and the folder you are in."
	if wd, err := os.Getwd(); err == nil && !filepath.IsAbs(path) {
		hint = fmt.Sprintf("Check the spelling; the path is looked up in %s.", wd)
	}
	if near := nearest(filepath.Base(path), tablesIn(filepath.Dir(path)), 3); len(near) > 0 {
		hint = fmt.Sprintf("Did you mean %s?", quotedList(near))
	}
	return &Error{CodeNotFound, fmt.Sprintf("There is no file %s.", path), hint}
}

func isDirectory(path string) error {
	hint := "Name one file in it."
	if found := tablesIn(path); len(found) > 0 {
		hint = fmt.Sprintf("Name one file in it, such as %s.", quotedList(found[:min(3, len(found))]))
	}
	return &Error{CodeIsDirectory, fmt.Sprintf("%s is a folder, not a file.", path), hint}
}

// tablesIn lists files of a folder that look like tables, at most 200.
func tablesIn(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, _ := f.ReadDir(1000)
	var names []string
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(e.Name(), ".gz")))
		if !e.IsDir() && slices.Contains(tableExtensions, ext) && len(names) < 200 {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

var tableExtensions = []string{".csv", ".tsv", ".txt", ".tab", ".psv", ".data", ".json", ".jsonl", ".ndjson", ".parquet", ".pq"}

// nearest returns up to n of the names that could have been meant, best first.
func nearest(want string, names []string, n int) []string {
	type scored struct {
		name  string
		score int
	}
	var found []scored
	w := fold(want)
	for _, name := range names {
		f := fold(name)
		d := editDistance(w, f)
		within := max(2, min(len(w), len(f))/3)
		contains := len(w) >= 3 && len(f) >= 3 && (strings.Contains(f, w) || strings.Contains(w, f))
		if d <= within || contains {
			found = append(found, scored{name, d})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int { return a.score - b.score })
	var out []string
	for _, s := range found[:min(n, len(found))] {
		out = append(out, s.name)
	}
	return out
}

// fold drops what people vary in a column's name: case, blanks, punctuation.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '_', '-', '.', '(', ')', '[', ']', '"', '\'', '/':
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// editDistance is Levenshtein's, over bytes, of names cut to a sane length.
func editDistance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// quotedList writes `"a", "b" and "c"`.
func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", clip(n, 60))
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " and " + quoted[len(quoted)-1]
}
