package find

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Choice is a line that a person may choose.
type Choice struct {
	ID     string // what it stands for
	Title  string
	Detail string
}

// Fuzzy lists the choices that have all letters of the query in order, the
// best first: those where they begin words and stand together.
func Fuzzy(all []Choice, query string) []Choice { return fuzzy(all, query, false) }

// Names is Fuzzy by what choices stand for alone, not by what is said of them.
func Names(all []Choice, query string) []Choice { return fuzzy(all, query, true) }

func fuzzy(all []Choice, query string, names bool) []Choice {
	query = strings.ToLower(strings.TrimSpace(query))
	if query == "" {
		return all
	}
	type scored struct {
		Choice
		score int
	}
	var found []scored
	for _, c := range all {
		best, ok := score(c.ID, query)
		if s, also := score(c.Title, query); !names && also && (!ok || s > best) {
			best, ok = s, true
		}
		if !names && !ok && strings.Contains(strings.ToLower(c.Detail), query) {
			best, ok = -1000, true
		}
		if ok {
			found = append(found, scored{c, best})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	out := make([]Choice, len(found))
	for i, f := range found {
		out[i] = f.Choice
	}
	return out
}

// score says how well the text matches; ok is false if it does not. The query
// is in lower case.
func score(text, query string) (points int, ok bool) {
	if i := strings.Index(strings.ToLower(text), query); i >= 0 {
		points = 200 - min(i, 50)
		if i == 0 || !isWord(rune(text[min(i-1, len(text)-1)])) {
			points += 100
		}
		return points - min(len(text), 100), true
	}
	want, rest := utf8.DecodeRuneInString(query)
	query = query[rest:]
	before, together := ' ', false
	for _, r := range text {
		if unicode.ToLower(r) == want {
			points += 2
			if together {
				points += 5
			}
			if !isWord(before) {
				points += 10
			}
			together = true
			if query == "" {
				return points - min(len(text), 100)/4, true
			}
			want, rest = utf8.DecodeRuneInString(query)
			query = query[rest:]
		} else {
			together = false
		}
		before = r
	}
	return 0, false
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
