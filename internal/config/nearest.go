package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Words are those that a setting may have; none for a setting that takes others.
func Words(setting string) []string {
	return map[string][]string{
		"effort":  {"none", "minimal", "low", "medium", "high", "xhigh", "max"},
		"approve": {"plan", "strict", "ask", "auto"},
		"output":  {"text", "json", "stream-json", "events"},
	}[setting]
}

// CheckWords finds the word that is none of those that a setting may have, and
// names the nearest one.
func (c *Config) CheckWords() error {
	for _, s := range []struct {
		value, what, all string
		words            []string
	}{
		{c.Effort, "effort", "levels", Words("effort")},
		{c.Approve, "approval mode", "modes", Words("approve")},
		{c.Output, "output format", "formats", Words("output")},
	} {
		if s.value == "" && s.what == "effort" || slices.Contains(s.words, s.value) {
			continue
		}
		return fmt.Errorf("there is no %s %q%s; the %s are %s", s.what, s.value, DidYouMean(Nearest(s.value, s.words)), s.all, strings.Join(s.words, ", "))
	}
	if u, err := url.Parse(c.Hub); c.Hub != "" && c.Hub != "local" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%q is no Hub%s; write its URL, such as https://huggingface.co, or local", c.Hub, DidYouMean(Nearest(c.Hub, []string{"local"})))
	}
	return nil
}

// DidYouMean names what is nearest to a word that does not exist; "" says
// nothing.
func DidYouMean(nearest string) string {
	if nearest == "" {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// Nearest returns the word of a list that somebody may have meant who wrote
// another one, "" if none is near: one with few slips, or one that the word
// is the beginning of.
func Nearest(word string, words []string) string {
	best, distance := "", 1<<30
	lower := strings.ToLower(word)
	for _, w := range words {
		d := EditDistance(lower, strings.ToLower(w))
		if len(word) >= 2 && strings.HasPrefix(strings.ToLower(w), lower) || swapped(lower, strings.ToLower(w)) {
			d = min(d, 1)
		}
		if d < distance && d <= max(1, min(3, len(word)/3)) && d < len(word) {
			best, distance = w, d
		}
	}
	return best
}

// swapped reports whether two neighbors in one word stand the other way round in
// the other.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// EditDistance is the Levenshtein distance of two words, in bytes.
func EditDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
