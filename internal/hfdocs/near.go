package hfdocs

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// plainName is a name without what people vary in it.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// Near returns those of the names that look like the wanted one, the best
// first, n at most.
func Near(wanted string, names []string, n int) []string {
	type scored struct {
		name  string
		score float64
	}
	key := []rune(plainName(cut(wanted, 200)))
	var all []scored
	for _, name := range names {
		other := []rune(plainName(cut(name, 200)))
		if len(key) == 0 || len(other) == 0 {
			continue
		}
		score := 1 - float64(distance(key, other))/float64(max(len(key), len(other)))
		if strings.Contains(string(other), string(key)) || len(other) > 2 && strings.Contains(string(key), string(other)) {
			score = max(score, 0.7)
		}
		if score >= 0.55 {
			all = append(all, scored{name, score})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	near := make([]string, 0, n)
	for _, s := range all[:min(n, len(all))] {
		near = append(near, s.name)
	}
	return near
}

// distance is the number of letters to change, add, leave out or swap with
// their neighbours between two words.
func distance(a, b []rune) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		next[0] = i + 1
		for j, y := range b {
			change := row[j]
			if x != y {
				change++
			}
			next[j+1] = min(change, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && x == b[j-1] && a[i-1] == y {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
