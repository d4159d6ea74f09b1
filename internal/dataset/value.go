package dataset

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// isHardMissing holds for the texts that stand for "no value" in any column.
func isHardMissing(s string) bool {
	switch s {
	case "", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "-NaN", "-nan", "null", "NULL", "Null", "None", "<NA>",
		"#N/A", "#NA", "#N/A N/A", "?", "NaT", "nil", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NULL!", "#NUM!":
		return true
	}
	return false
}

// isSoftMissing holds for texts that stand for "no value" only where the rest
// of the column is numbers or dates; elsewhere they may be values.
func isSoftMissing(s string) bool {
	if len(s) > 12 {
		return false
	}
	switch strings.ToLower(s) {
	case "-", "--", "---", "–", "—", ".", "..", "none", "unknown", "missing", "n.a.", "tbd", "not available", "*":
		return true
	}
	return false
}

// A numberForm is how a number is written; what is not formInteger or
// formFloat needs cleaning before it can be read as a number.
type numberForm uint8

const (
	formInteger numberForm = iota
	formFloat
	formThousands
	formDecimalComma
	formPercent
	formCurrency
	formInfinite
	numberForms
)

var formNames = [numberForms]string{
	formThousands:    "thousands separators",
	formDecimalComma: "decimal commas",
	formPercent:      "percent signs",
	formCurrency:     "currency signs",
	formInfinite:     "infinite values",
}

// parseNumber reads a trimmed number. Where commas separate no fields,
// decimalComma lets one stand for the decimal point.
func parseNumber(b []byte, decimalComma bool) (v float64, form numberForm, ok bool) {
	if len(b) == 0 || len(b) > 64 {
		return 0, 0, false
	}
	if c := b[0]; c > '9' && c < utf8.RuneSelf && strings.IndexByte("iIUEG", c) < 0 {
		return 0, 0, false // no infinity, no currency code: a word
	}
	switch plainShape(b) {
	case shapeInteger:
		v, err := strconv.ParseFloat(string(b), 64)
		return v, formInteger, err == nil
	case shapeFloat:
		v, err := strconv.ParseFloat(string(b), 64)
		return v, formFloat, err == nil
	case shapeCommas:
		return parseCommas(b, decimalComma)
	}
	return parseMarked(b, decimalComma)
}

type shape uint8

const (
	shapeOther shape = iota
	shapeInteger
	shapeFloat
	shapeCommas
)

// plainShape sorts texts by their signs, cheaply, before they are parsed.
func plainShape(b []byte) shape {
	digits, s := 0, shapeInteger
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case (c == '-' || c == '+') && i == 0:
		case c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+':
			s = max(s, shapeFloat)
		case c == ',':
			s = shapeCommas
		default:
			return shapeOther
		}
	}
	if digits == 0 || b[len(b)-1] == '-' {
		return shapeOther
	}
	return s
}

// parseCommas reads 1,234,567.8 and, where allowed, 1.234.567,8 and 3,14.
func parseCommas(b []byte, decimalComma bool) (float64, numberForm, bool) {
	s := string(b)
	group, point := ",", "."
	form := formThousands
	if decimalComma && strings.Count(s, ",") == 1 && strings.LastIndex(s, ".") < strings.Index(s, ",") {
		group, point, form = ".", ",", formDecimalComma
	}
	whole, fraction, _ := strings.Cut(s, point)
	if !grouped(strings.TrimLeft(whole, "+-"), group) || strings.ContainsAny(fraction, ",.") {
		return 0, 0, false
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(whole, group, "")+"."+fraction, 64)
	return v, form, err == nil
}

// grouped holds for digits in groups of three after the first one.
func grouped(s, sep string) bool {
	parts := strings.Split(s, sep)
	if len(parts) == 1 {
		return true
	}
	for i, p := range parts {
		if (i > 0 && len(p) != 3) || len(p) > 3 || len(p) == 0 {
			return false
		}
	}
	return true
}

// parseMarked reads infinities, percentages and amounts of money.
func parseMarked(b []byte, decimalComma bool) (float64, numberForm, bool) {
	s := string(b)
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "inf", "infinity":
		return 0, formInfinite, true
	}
	form := formPercent
	inner, found := strings.CutSuffix(s, "%")
	if !found {
		form = formCurrency
		sign := ""
		if s[0] == '-' || s[0] == '+' {
			sign, s = s[:1], s[1:]
		}
		for _, mark := range [...]string{"$", "€", "£", "¥", "₹", "USD", "EUR", "GBP"} {
			if inner, found = strings.CutPrefix(s, mark); found {
				break
			}
			if inner, found = strings.CutSuffix(s, mark); found {
				break
			}
		}
		if !found {
			return 0, 0, false
		}
		inner = sign + strings.TrimSpace(inner)
	}
	inner = strings.TrimSpace(inner)
	if inner == "" || plainShape([]byte(inner)) == shapeOther {
		return 0, 0, false
	}
	v, _, ok := parseNumber([]byte(inner), decimalComma)
	return v, form, ok
}

// isBoolean holds for the usual words; 0 and 1 are left numbers.
func isBoolean(s []byte) bool {
	if len(s) > 5 {
		return false
	}
	switch strings.ToLower(string(s)) {
	case "true", "false", "yes", "no", "t", "f", "y", "n", "on", "off":
		return true
	}
	return false
}

var dateLayouts = [...]string{
	"2006-01-02", "2006-01-02 15:04:05", time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 MST", "2006/01/02", "2006/01/02 15:04:05", "2006/1/2",
	"2/1/2006", "1/2/2006", "2/1/2006 15:04", "1/2/2006 15:04", "2/1/2006 15:04:05", "1/2/2006 15:04:05", "1/2/06", "2/1/06",
	"2.1.2006", "2.1.2006 15:04", "2.1.2006 15:04:05", "2-1-2006", "2-Jan-2006", "2-Jan-06",
	"Jan 2, 2006", "January 2, 2006", "2 Jan 2006", "2 January 2006", "15:04:05", "15:04", "2006-01",
}

// parseDate tries the layout that fitted last, then the others. It returns
// the layout's index.
func parseDate(b []byte, last int) (time.Time, int, bool) {
	if len(b) < 5 || len(b) > 40 || !dateShape(b) {
		return time.Time{}, 0, false
	}
	s := string(b)
	if t, err := time.Parse(dateLayouts[last], s); err == nil {
		return t, last, true
	}
	for i, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, i, true
		}
	}
	return time.Time{}, 0, false
}

// dateShape rules out almost all other text without parsing.
func dateShape(b []byte) bool {
	digits, marks := 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '-' || c == '/' || c == ':' || c == '.' || c == ' ':
			marks++
		}
	}
	return digits >= 3 && marks >= 1 && (digits+marks >= len(b)-10)
}

// countWords counts runs of anything but blanks.
func countWords(b []byte) int {
	n, inside := 0, false
	for _, c := range b {
		blank := c == ' ' || c == '\t' || c == '\n' || c == '\r'
		if !blank && !inside {
			n++
		}
		inside = !blank
	}
	return n
}

// clip shortens text for showing: one line, no control characters, at most n runes.
func clip(s string, n int) string {
	if len(s) > n*utf8.UTFMax {
		s = s[:n*utf8.UTFMax]
	}
	var b strings.Builder
	count := 0
	for _, r := range s {
		if count == n {
			b.WriteString("…")
			break
		}
		if unicode.IsControl(r) || r == utf8.RuneError {
			r = ' '
		}
		b.WriteRune(r)
		count++
	}
	return b.String()
}

// hash is FNV-1a with a final mixing, so that its low bits can be sampled.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

func trim(b []byte) []byte { return bytes.TrimSpace(b) }
