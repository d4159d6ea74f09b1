package config

import "strings"

// Nearest returns the word of a list that somebody may have meant who wrote
// another one, "" if none is near: one with few slips, or one that the word
// is the beginning of.
func Nearest(word string, words []string) string {
	best, distance := "", 1<<30
	lower := strings.ToLower(word)
	for _, w := range words {
		d := EditDistance(lower, strings.ToLower(w))
		if len(word) >= 2 && strings.HasPrefix(strings.ToLower(w), lower) {
			d = min(d, 1)
		}
		if d < distance && d <= max(1, min(3, len(word)/3)) && d < len(word) {
			best, distance = w, d
		}
	}
	return best
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
