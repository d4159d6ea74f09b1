package rows

import (
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"ml-intern/internal/hub/card"
	"ml-intern/internal/hub/feature"
	"ml-intern/internal/lazyregexp"
)

// A Config is a configuration of a dataset: a set of splits.
type Config struct {
	Name      string
	Default   bool
	Format    string // csv, json, parquet or text
	Delimiter string // of csv, "" for its own
	Splits    []Split
	Features  feature.Features // as the card says; nil if it does not
}

// A Split is a part of a configuration.
type Split struct {
	Name  string
	Files []File
}

// Split finds a split.
func (c Config) Split(name string) (Split, bool) {
	i := slices.IndexFunc(c.Splits, func(s Split) bool { return s.Name == name })
	if i < 0 {
		return Split{}, false
	}
	return c.Splits[i], true
}

const maxConfigs = 3000

func invalidLayout(format string, args ...any) *Error {
	return &Error{http.StatusInternalServerError, "ConfigNamesError", "Cannot get the config names for the dataset.", fmt.Sprintf(format, args...)}
}

// Layout finds the configurations that the card names, or else those that the
// names of the files tell.
func Layout(files []File, meta map[string]any) ([]Config, error) {
	files = slices.DeleteFunc(slices.Clone(files), func(f File) bool { return !IsTable(f.Path) })
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	named, err := card.Configs(meta)
	if err != nil {
		return nil, invalidLayout("%v", err)
	}
	if len(named) == 0 {
		named = []card.Config{{Name: "default", Default: true}}
	}
	if len(named) > maxConfigs {
		return nil, &Error{http.StatusNotImplemented, "DatasetWithTooManyConfigsError", fmt.Sprintf("The maximum number of configs allowed is %d, dataset has %d configs.", maxConfigs, len(named)), ""}
	}
	var out []Config
	for _, c := range named {
		config, err := arrange(files, c)
		if err != nil {
			return nil, err
		}
		config.Features = card.Features(meta, c.Name)
		if len(config.Splits) > 0 {
			out = append(out, config)
		}
	}
	if len(out) == 0 {
		return nil, &Error{http.StatusInternalServerError, "EmptyDatasetError", "The dataset is empty.", "there is no CSV, JSON, Parquet or text file"}
	}
	return out, nil
}

// arrange sorts files into the splits of a configuration.
func arrange(files []File, c card.Config) (Config, error) {
	out := Config{Name: c.Name, Default: c.Default, Delimiter: c.Delimiter}
	if c.Dir != "" {
		dir := strings.Trim(strings.TrimPrefix(c.Dir, "./"), "/") + "/"
		files = slices.DeleteFunc(slices.Clone(files), func(f File) bool { return dir != "/" && dir != "./" && !strings.HasPrefix(f.Path, dir) })
	}
	if len(c.Files) == 0 {
		out.Splits = byName(files, strings.Trim(c.Dir, "/"))
	}
	for _, part := range c.Files {
		split := Split{Name: part.Split}
		for _, pattern := range part.Patterns {
			if c.Dir != "" {
				pattern = path.Join(c.Dir, pattern)
			}
			re, err := glob(pattern)
			if err != nil {
				return out, err
			}
			for _, f := range files {
				if re.MatchString(f.Path) && !slices.ContainsFunc(split.Files, func(have File) bool { return have.Path == f.Path }) {
					split.Files = append(split.Files, f)
				}
			}
		}
		out.Splits = append(out.Splits, split)
	}
	return out.oneFormat()
}

// oneFormat leaves the files of the format that most files have.
func (c Config) oneFormat() (Config, error) {
	count := map[string]int{}
	for _, s := range c.Splits {
		if len(s.Files) > maxFiles {
			return c, invalidLayout("split %s has more than %d files", s.Name, maxFiles)
		}
		for _, f := range s.Files {
			count[formatOf(f.Path)]++
		}
	}
	for _, name := range []string{"parquet", "json", "csv", "text"} {
		if count[name] > count[c.Format] {
			c.Format = name
		}
	}
	splits := c.Splits
	c.Splits = nil
	for _, s := range splits {
		s.Files = slices.DeleteFunc(s.Files, func(f File) bool { return formatOf(f.Path) != c.Format })
		if len(s.Files) > 0 {
			c.Splits = append(c.Splits, s)
		}
	}
	return c, nil
}

// IsTable reports whether a file may be a part of the data, by its name.
func IsTable(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "__") {
			return false
		}
	}
	switch path.Base(name) {
	case "README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "LICENSE.txt", "requirements.txt":
		return false
	}
	return formatOf(name) != ""
}

// formatOf tells a file's format by its name, "" if it is none of ours.
func formatOf(name string) string {
	name = strings.ToLower(path.Base(name))
	packed := compression(name)
	switch path.Ext(strings.TrimSuffix(name, packed)) {
	case ".csv", ".tsv":
		return "csv"
	case ".json", ".jsonl", ".ndjson":
		return "json"
	case ".parquet":
		if packed == "" {
			return "parquet"
		}
	case ".txt":
		return "text"
	}
	return ""
}

// compression is the ending of a compressed file.
func compression(name string) string {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".gz", ".zst":
		return ext
	}
	return ""
}

// keywords are the words in names of files and folders that tell a split.
var keywords = []struct {
	split string
	re    *regexp.Regexp
}{
	{"train", word("train|training")},
	{"validation", word("validation|valid|dev|val")},
	{"test", word("test|testing|eval|evaluation")},
}

// word matches one of the words between things that are no letters.
func word(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[-._ 0-9/])(?:` + words + `)(?:[-._ 0-9/]|$)`)
}

// numbered are the files that push_to_hub writes: any word can be a split.
var numbered = lazyregexp.New(`^data/([^/]+?)-\d{5}-of-\d{5}(?:-[^/]*)?\.[^/]+$`)

// byName finds splits by what files are called: as push_to_hub calls them, by
// the names of folders, by those of files. Else all is train.
func byName(files []File, dir string) []Split {
	rel := func(f File) string { return strings.TrimPrefix(strings.TrimPrefix(f.Path, dir), "/") }
	if splits := group(files, func(f File) string {
		if m := numbered.FindStringSubmatch(rel(f)); m != nil {
			return m[1]
		}
		return ""
	}); len(splits) > 0 {
		return splits
	}
	for _, part := range []func(string) string{folder, path.Base} {
		splits := group(files, func(f File) string {
			for _, k := range keywords {
				if k.re.MatchString(part(rel(f))) {
					return k.split
				}
			}
			return ""
		})
		if len(splits) > 0 {
			return splits
		}
	}
	return group(files, func(File) string { return "train" })
}

func folder(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// group sorts files into splits, the usual ones first.
func group(files []File, of func(File) string) []Split {
	var splits []Split
	for _, f := range files {
		name := of(f)
		if name == "" {
			continue
		}
		i := slices.IndexFunc(splits, func(s Split) bool { return s.Name == name })
		if i < 0 {
			i, splits = len(splits), append(splits, Split{Name: name})
		}
		splits[i].Files = append(splits[i].Files, f)
	}
	rank := func(s Split) int { return slices.Index([]string{"test", "validation", "train"}, s.Name) }
	slices.SortStableFunc(splits, func(a, b Split) int { return rank(b) - rank(a) })
	return splits
}
