package github

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"unicode"
)

// examplePatterns are names of folders that hold examples, the best first.
var examplePatterns = []string{
	"scripts", "examples", "example", "notebooks", "notebook", "tutorials", "tutorial", "quickstart", "walkthroughs", "walkthrough",
	"cookbook", "cookbooks", "recipes", "recipe", "demos", "demo", "samples", "sample", "guides", "guide", "getting-started", "getting_started",
	"playground", "howto", "how-to", "use-cases", "usecases", "use_cases", "sandbox", "showcase",
}

// readable are the ends of files that someone may read as an example.
var readable = []string{
	".py", ".ipynb", ".md", ".mdx", ".rst", ".sh", ".yaml", ".yml", ".json", ".jsonl", ".toml", ".txt", ".js", ".ts", ".tsx", ".go", ".rs", ".java", ".kt",
	".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".r", ".jl", ".rb", ".swift", ".scala", ".cfg", ".ini", ".sql", ".bat", ".dockerfile", "",
}

// An Example is a file that shows how something is done.
type Example struct {
	Entry
	Score float64 // of the words, 0 without any
}

// Examples are files of a repository, the best first.
type Examples struct {
	Repo      string
	SHA       string
	Files     []Example
	Total     int  // that fit
	Anywhere  bool // no example fits, and these are other files
	Truncated bool // GitHub did not list all files
}

// Examples finds examples in a repository, for some words or all.
func (c *Client) Examples(ctx context.Context, repo, ref, words string, limit int) (*Examples, error) {
	tree, err := c.Tree(ctx, repo, ref)
	if err != nil {
		return nil, err
	}
	files := Rank(tree.Entries, words)
	out := &Examples{Repo: tree.Repo, SHA: tree.SHA, Truncated: tree.Truncated}
	if len(files) == 0 && strings.TrimSpace(words) != "" {
		files, out.Anywhere = rank(tree.Entries, words, false), true
	}
	out.Total = len(files)
	out.Files = files[:min(len(files), limit)]
	return out, nil
}

// Rank sorts those of the files that are examples: by how well the path fits
// the words, then by how likely its folder holds examples.
func Rank(entries []Entry, words string) []Example { return rank(entries, words, true) }

func rank(entries []Entry, words string, examplesOnly bool) []Example {
	wanted := tokens(words)
	var found []Example
	for _, e := range entries {
		if e.Type != "blob" && e.Type != "file" || !slices.Contains(readable, strings.ToLower(path.Ext(e.Path))) {
			continue
		}
		if examplesOnly && patternOf(e.Path) == len(examplePatterns) {
			continue
		}
		score := fits(e.Path, wanted)
		if len(wanted) > 0 && score == 0 {
			continue
		}
		found = append(found, Example{e, score})
	}
	slices.SortStableFunc(found, func(a, b Example) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(rootRank(a.Path), rootRank(b.Path)), cmp.Compare(patternOf(a.Path), patternOf(b.Path)),
			cmp.Compare(strings.Count(a.Path, "/"), strings.Count(b.Path, "/")), cmp.Compare(a.Path, b.Path))
	})
	return found
}

func rootRank(p string) int {
	if first, _, ok := strings.Cut(p, "/"); ok && (strings.EqualFold(first, "examples") || strings.EqualFold(first, "example")) {
		return 0
	}
	return 1
}

// patternOf is the index of the pattern whose folder is deepest in the path,
// or that the file itself is named after; len(examplePatterns) if there is none.
func patternOf(p string) int {
	parts := strings.Split(strings.ToLower(p), "/")
	last := len(parts) - 1
	parts[last] = strings.TrimSuffix(parts[last], path.Ext(parts[last]))
	for i := last - 1; i >= 0; i-- {
		if n := slices.Index(examplePatterns, parts[i]); n >= 0 {
			return n
		}
	}
	if n := slices.Index(examplePatterns, parts[last]); n >= 0 {
		return n
	}
	for _, t := range tokens(parts[last]) { // sft_example.py
		if n := slices.Index(examplePatterns, t); n >= 0 && t != "scripts" && t != "sandbox" && t != "guide" {
			return n
		}
	}
	return len(examplePatterns)
}

// tokens splits a path or words into words of small letters.
func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// fits says how well a path fits words, 0 if one of them is nowhere in it. The
// name of the file weighs most; a word that is the whole of a name's word
// counts more than a part of it.
func fits(p string, wanted []string) float64 {
	dir, file := path.Split(p)
	name := tokens(strings.TrimSuffix(file, path.Ext(file)))
	folders := tokens(dir)
	whole := strings.Join(name, "")
	total := 0.0
	for _, w := range wanted {
		best := 0.0
		switch {
		case slices.Contains(name, w):
			best = 4
		case strings.Contains(whole, w):
			best = 3
		case slices.Contains(folders, w):
			best = 2
		case strings.Contains(strings.Join(folders, ""), w):
			best = 1.5
		case strings.TrimPrefix(strings.ToLower(path.Ext(file)), ".") == w:
			best = 1
		case slices.ContainsFunc(slices.Concat(name, folders), func(t string) bool { return alike(t, w) }):
			best = 1
		}
		if best == 0 {
			return 0
		}
		total += best
	}
	if len(wanted) == 0 {
		return 0
	}
	// A name of few other words is more about them.
	return total/float64(len(wanted)) + 0.5/float64(1+max(len(name)-len(wanted), 0))
}

// alike reports whether two words are one, with a slip or another end.
func alike(a, b string) bool {
	if len(a) < 4 || len(b) < 4 {
		return false
	}
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	shorter, longer := min(len(a), len(b)), max(len(a), len(b))
	return n >= shorter-1 && longer-n <= 3 || distanceOne(a, b)
}

// distanceOne reports whether one letter makes the difference.
func distanceOne(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	}
	return a[i:] == b[i+1:]
}

// nearPaths names files whose path is like the wanted one.
func nearPaths(entries []Entry, wanted string, n int) []string {
	type scored struct {
		path  string
		score float64
	}
	file := strings.ToLower(path.Base(wanted))
	stem := strings.TrimSuffix(file, path.Ext(file))
	words := tokens(stem)
	var all []scored
	for _, e := range entries {
		base := strings.ToLower(path.Base(e.Path))
		score := 0.0
		switch {
		case strings.EqualFold(e.Path, wanted):
			score = 5
		case base == file:
			score = 4
		case strings.TrimSuffix(base, path.Ext(base)) == stem:
			score = 3
		case distanceOne(base, file):
			score = 2.5
		default:
			same := 0
			for _, t := range tokens(strings.TrimSuffix(base, path.Ext(base))) {
				if slices.Contains(words, t) {
					same++
				}
			}
			if 2*same >= len(words) && same > 0 {
				score = 1 + float64(same)/float64(len(words)+1)
			}
		}
		if score > 0 {
			all = append(all, scored{e.Path, score})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	names := make([]string, 0, n)
	for _, s := range all[:min(n, len(all))] {
		names = append(names, s.path)
	}
	return names
}
