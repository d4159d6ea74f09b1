package diff

import (
	"slices"
	"unicode"

	"ml-intern/internal/tui/style"
)

// most is how many words of a line are compared; the work grows with its
// square.
const most = 200

// words styles two lines by the words that they do not have in common. They
// are alike if they share at least half of what they have.
func words(a, b string) (minus, plus style.Line, alike bool) {
	x, y := split(a), split(b)
	if len(x) > most || len(y) > most || a == b {
		return nil, nil, false
	}
	inA, inB := common(x, y)
	shared, all := 0, 0
	for i, w := range x {
		all += len(w)
		if inA[i] {
			shared += len(w)
		}
	}
	for _, w := range y {
		all += len(w)
	}
	if 4*shared < all {
		return nil, nil, false
	}
	return styled(x, inA, style.Bad, style.Removed), styled(y, inB, style.Good, style.Added), true
}

func styled(words []string, kept []bool, same, changed style.Role) style.Line {
	var l style.Line
	for i, w := range words {
		if kept[i] {
			l = append(l, style.Of(same, w))
		} else {
			l = append(l, style.Of(changed, w))
		}
	}
	return l
}

// split cuts a line into words, spaces and single signs.
func split(s string) []string {
	var out []string
	last := 0
	for _, r := range s {
		kind := 3
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || unicode.IsMark(r):
			kind = 1
		case r == ' ':
			kind = 2
		}
		if kind == last && kind != 3 {
			out[len(out)-1] += string(r)
		} else {
			out = append(out, string(r))
		}
		last = kind
	}
	return out
}

// common marks the words of the longest common subsequence.
func common(x, y []string) (inX, inY []bool) {
	inX, inY = make([]bool, len(x)), make([]bool, len(y))
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
	}
	for i, a := range slices.Backward(x) {
		for j, b := range slices.Backward(y) {
			if a == b {
				rows[i][j] = rows[i+1][j+1] + 1
			} else {
				rows[i][j] = max(rows[i+1][j], rows[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] == y[j]:
			inX[i], inY[j] = true, true
			i, j = i+1, j+1
		case rows[i+1][j] >= rows[i][j+1]:
			i++
		default:
			j++
		}
	}
	return inX, inY
}
