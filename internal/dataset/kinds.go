package dataset

import "strings"

// kind decides what the column holds. first says it is the table's first one.
func (c *column) kind(s shares, first bool) Kind {
	distinct, _ := c.differing(s)
	switch {
	case s.values == 0:
		return KindEmpty
	case c.nested*2 > s.values:
		return KindNested
	case distinct == 1:
		return KindConstant
	case s.numeric && c.isCode():
		return c.wordKind(s, distinct)
	case s.numeric && c.integral == c.numbers.n && c.forms[formInfinite] == 0:
		if c.isCounter(s, distinct, first) {
			return KindID
		}
		return KindInteger
	case s.numeric:
		return KindNumber
	case c.booleans == s.values && distinct <= 4:
		return KindBoolean
	case s.dated:
		return KindDatetime
	}
	return c.wordKind(s, distinct)
}

// isCode spots digits that are no quantity: leading zeros, as in postcodes.
func (c *column) isCode() bool {
	return c.leadingZeros > 0 && c.forms[formInteger] == c.numbers.n
}

// isCounter spots whole numbers that only tell rows apart.
func (c *column) isCounter(s shares, distinct int64, first bool) bool {
	unique := distinct*100 >= s.values*99
	if !unique || s.values < 10 {
		return false
	}
	if idName(c.original) {
		return true
	}
	counts := c.ascending >= s.numbers-2 && (c.numbers.min == 0 || c.numbers.min == 1)
	return counts && (c.original == "" || (first && s.values >= 20))
}

// wordKind tells identifiers, categories and free text apart.
func (c *column) wordKind(s shares, distinct int64) Kind {
	words, chars := c.averages(s)
	unique := distinct*100 >= s.values*99
	switch {
	case unique && words <= 1.2 && chars <= 40 && (s.values >= 20 || (s.values >= 10 && idName(c.original))):
		return KindID
	case unique && words >= 4 && s.values >= 10, words > 8 && distinct > 20:
		return KindText
	case distinct <= 20, distinct <= 1000 && distinct*5 <= s.values*2:
		return KindCategory
	}
	return KindText
}

// averages are words and characters per value of text.
func (c *column) averages(s shares) (words, chars float64) {
	if s.wordCells > 0 {
		words = float64(c.words) / float64(s.wordCells)
	}
	if n := s.wordCells + s.numbers; n > 0 {
		chars = float64(c.chars) / float64(n)
	}
	return words, chars
}

// idName holds for names people give to identifiers.
func idName(name string) bool {
	lower := strings.ToLower(strings.TrimSpace(name))
	switch fold(lower) {
	case "", "id", "ids", "index", "idx", "uuid", "guid", "key", "rowid", "rownum", "rownumber", "rownames", "no", "nr", "#",
		"unnamed:0", "recordid", "identifier", "passengerid", "customerid", "userid", "orderid", "sampleid":
		return true
	}
	return strings.HasSuffix(lower, "_id") || strings.HasSuffix(lower, " id") || strings.HasSuffix(lower, "-id") ||
		strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "ID") || strings.HasPrefix(lower, "id_")
}

// guessNames are what people call the column to predict, the surer first.
var guessNames = []string{
	"target", "label", "labels", "class", "y", "outcome", "species", "diagnosis", "survived", "churn",
	"response", "category", "sentiment", "quality", "default", "fraud", "isfraud", "price", "saleprice", "medv", "result", "income",
}

// surelyTargets is how many of the names are hardly ever a feature's.
const surelyTargets = 10

// guessTarget finds a column with a telling name. Where the name is common
// among features too, it must be the last column.
func guessTarget(names []string) (int, *Guess) {
	for rank, want := range guessNames {
		for i := len(names) - 1; i >= 0; i-- {
			if fold(names[i]) != want || (rank >= surelyTargets && i != len(names)-1) {
				continue
			}
			reason := "its name says so"
			if i == len(names)-1 {
				reason = "its name says so, and it is the last column"
			}
			return i, &Guess{names[i], reason}
		}
	}
	return -1, nil
}
