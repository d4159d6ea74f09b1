package rows

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/hub/feature"
)

// A truth is what a condition is of a row: with missing values it may be
// neither.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// A condition judges a row.
type condition func(row []any) truth

const (
	maxWhere = 16 << 10
	maxNest  = 100
)

// A token is a word of a condition.
type token struct {
	kind byte // n name, s string, d number, o operator or word, e end
	text string
	at   int
}

// whereParser reads conditions:
//
//	or    = and { OR and }      and = not { AND not }
//	not   = NOT not | "(" or ")" | test
//	test  = operand ( op operand | IS [NOT] NULL )
//	operand = "column" | 'text' | number | TRUE | FALSE | NULL
type whereParser struct {
	table  *Table
	tokens []token
	pos    int
	depth  int
}

// parseWhere reads a condition on the columns of a table.
func parseWhere(text string, t *Table) (condition, error) {
	p := &whereParser{table: t}
	var err error
	if p.tokens, err = lex(text, "where"); err != nil {
		return nil, err
	}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != 'e' {
		return nil, p.unexpected("AND, OR or the end")
	}
	return c, nil
}

func (p *whereParser) peek() token { return p.tokens[p.pos] }

func (p *whereParser) next() token {
	t := p.tokens[p.pos]
	if t.kind != 'e' {
		p.pos++
	}
	return t
}

// word passes over a word if it comes next.
func (p *whereParser) word(w string) bool {
	if t := p.peek(); t.kind == 'o' && t.text == w {
		p.pos++
		return true
	}
	return false
}

func (p *whereParser) unexpected(want string) error {
	t := p.peek()
	got := "the end"
	if t.kind != 'e' {
		got = strconv.Quote(t.text)
	}
	return invalid("Parameter 'where' is invalid: at character %d: expected %s, not %s", t.at+1, want, got)
}

func (p *whereParser) or() (condition, error) {
	if p.depth++; p.depth > maxNest {
		return nil, invalid("Parameter 'where' is invalid: it is nested too deep")
	}
	defer func() { p.depth-- }()
	return p.chain("OR", p.and, func(a, b truth) truth { return max(a, b) })
}

func (p *whereParser) and() (condition, error) {
	return p.chain("AND", p.not, func(a, b truth) truth { return min(a, b) })
}

// chain reads conditions that a word connects.
func (p *whereParser) chain(word string, part func() (condition, error), connect func(a, b truth) truth) (condition, error) {
	all := []condition{}
	for {
		c, err := part()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		if !p.word(word) {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return func(row []any) truth {
		out := all[0](row)
		for _, c := range all[1:] {
			out = connect(out, c(row))
		}
		return out
	}, nil
}

func (p *whereParser) not() (condition, error) {
	turned := false
	for p.word("NOT") {
		turned = !turned
	}
	c, err := p.test()
	if err != nil || !turned {
		return c, err
	}
	return func(row []any) truth { return yes - c(row) }, nil
}

func (p *whereParser) test() (condition, error) {
	if p.word("(") {
		c, err := p.or()
		if err == nil && !p.word(")") {
			err = p.unexpected(")")
		}
		return c, err
	}
	left, typ, err := p.operand()
	if err != nil {
		return nil, err
	}
	if p.word("IS") {
		want := yes
		if p.word("NOT") {
			want = no
		}
		if !p.word("NULL") {
			return nil, p.unexpected("NULL")
		}
		return func(row []any) truth {
			if (left(row) == nil) == (want == yes) {
				return yes
			}
			return no
		}, nil
	}
	op := p.peek()
	test, known := comparisons[op.text]
	if op.kind != 'o' || !known {
		return nil, p.unexpected("= <> > >= < <= or IS")
	}
	p.pos++
	right, other, err := p.operand()
	if err != nil {
		return nil, err
	}
	return compare(fitting(left, other), fitting(right, typ), test), nil
}

var comparisons = map[string]func(c int) bool{
	"=": func(c int) bool { return c == 0 }, "<>": func(c int) bool { return c != 0 }, "!=": func(c int) bool { return c != 0 },
	">": func(c int) bool { return c > 0 }, ">=": func(c int) bool { return c >= 0 },
	"<": func(c int) bool { return c < 0 }, "<=": func(c int) bool { return c <= 0 },
}

// A valueFunc is an operand.
type valueFunc func(row []any) any

func compare(left, right valueFunc, test func(int) bool) condition {
	return func(row []any) truth {
		a, b := left(row), right(row)
		if a == nil || b == nil {
			return unknown
		}
		c, ok := compareValues(a, b)
		switch {
		case !ok:
			return unknown
		case test(c):
			return yes
		}
		return no
	}
}

// operand reads a column or a constant. The type is a column's.
func (p *whereParser) operand() (valueFunc, feature.Type, error) {
	t := p.next()
	constant := func(v any) (valueFunc, feature.Type, error) {
		return func([]any) any { return v }, feature.Type{}, nil
	}
	switch {
	case t.kind == 'n':
		i := p.table.column(t.text)
		if i < 0 {
			p.pos--
			return nil, feature.Type{}, invalid("Parameter 'where' is invalid: there is no column %q; columns are %s", t.text, quoted(p.table.Features.Columns()))
		}
		return func(row []any) any { return comparable(row[i]) }, p.table.Features[i].Type, nil
	case t.kind == 's':
		return constant(t.text)
	case t.kind == 'd':
		if n, err := strconv.ParseInt(t.text, 10, 64); err == nil {
			return constant(n)
		}
		if n, err := strconv.ParseFloat(t.text, 64); err == nil {
			return constant(n)
		}
	case t.kind == 'o' && (t.text == "TRUE" || t.text == "FALSE"):
		return constant(t.text == "TRUE")
	case t.kind == 'o' && t.text == "NULL":
		return constant(nil)
	}
	if t.kind != 'e' {
		p.pos--
	}
	return nil, feature.Type{}, p.unexpected(`a "column", a 'text' or a number`)
}

// comparable is a value that can be compared, nil for lists and structs.
func comparable(v any) any {
	switch v := v.(type) {
	case string, bool, int64, float64:
		return v
	}
	return sortable(v)
}

// fitting reads a constant text the way the column on the other side is: as a
// time, a number, or the number of a label.
func fitting(value valueFunc, other feature.Type) valueFunc {
	if other.Kind == "" {
		return value
	}
	return func(row []any) any {
		text, ok := value(row).(string)
		if !ok || other.IsText() {
			return value(row)
		}
		v := csvValue(text, other)
		if at, ok := parseTime(text); ok && strings.HasPrefix(other.DType, "date") {
			return at
		}
		if v, ok := v.(string); ok {
			return v
		}
		return sortable(v)
	}
}

func quoted(names []string) string {
	out := make([]string, 0, len(names))
	for i, name := range names {
		if i == 20 {
			out = append(out, "…")
			break
		}
		out = append(out, strconv.Quote(name))
	}
	return strings.Join(out, ", ")
}

// lex cuts a condition into words.
func lex(text, parameter string) ([]token, error) {
	if len(text) > maxWhere || !utf8.ValidString(text) {
		return nil, invalid("Parameter '%s' is invalid: it is too long or no UTF-8", parameter)
	}
	var out []token
	for i := 0; i < len(text); {
		n, t, err := lexOne(text[i:])
		if err != "" {
			return nil, invalid("Parameter '%s' is invalid: at character %d: %s", parameter, i+1, err)
		}
		if t.kind != 0 {
			t.at = i
			out = append(out, t)
		}
		i += n
	}
	return append(out, token{kind: 'e', at: len(text)}), nil
}

// lexOne reads the word that a text begins with, and how long it is.
func lexOne(text string) (n int, t token, wrong string) {
	switch c := text[0]; {
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return 1, token{}, ""
	case c == '"' || c == '\'':
		return lexQuoted(text, c)
	case strings.IndexByte("()=", c) >= 0:
		return 1, token{kind: 'o', text: text[:1]}, ""
	case strings.IndexByte("<>!", c) >= 0:
		for _, op := range []string{"<>", "<=", ">=", "!=", "<", ">"} {
			if strings.HasPrefix(text, op) {
				return len(op), token{kind: 'o', text: op}, ""
			}
		}
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		n := 1
		for n < len(text) && (strings.IndexByte("0123456789.eE", text[n]) >= 0 || strings.IndexByte("+-", text[n]) >= 0 && strings.IndexByte("eE", text[n-1]) >= 0) {
			n++
		}
		return n, token{kind: 'd', text: text[:n]}, ""
	case isLetter(c):
		n := 1
		for n < len(text) && (isLetter(text[n]) || text[n] >= '0' && text[n] <= '9') {
			n++
		}
		word := strings.ToUpper(text[:n])
		switch word {
		case "AND", "OR", "NOT", "IS", "NULL", "TRUE", "FALSE", "ASC", "DESC":
			return n, token{kind: 'o', text: word}, ""
		}
		return n, token{kind: 'n', text: text[:n]}, "" // DuckDB allows plain names without quotes
	}
	return 0, token{}, "unexpected " + strconv.Quote(text[:1])
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// lexQuoted reads a quoted name or text; a quote within is doubled.
func lexQuoted(text string, quote byte) (int, token, string) {
	kind := byte('n')
	if quote == '\'' {
		kind = 's'
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != quote {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return i + 1, token{kind: kind, text: b.String()}, ""
	}
	return 0, token{}, "a quote is never closed"
}

// An order is a column to order by.
type order struct {
	column int
	down   bool
}

// parseOrder reads "column", with ASC or DESC behind it. It returns nil for "".
func parseOrder(text string, t *Table) (*order, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil //nolint:nilnil // no order is no error
	}
	tokens, err := lex(text, "orderby")
	if err != nil {
		return nil, err
	}
	o := &order{column: t.column(tokens[0].text)}
	if tokens[0].kind != 'n' || o.column < 0 {
		return nil, invalid("Parameter 'orderby' is invalid: there is no column %q; columns are %s", tokens[0].text, quoted(t.Features.Columns()))
	}
	rest := tokens[1:]
	if rest[0].kind == 'o' && (rest[0].text == "ASC" || rest[0].text == "DESC") {
		o.down, rest = rest[0].text == "DESC", rest[1:]
	}
	if rest[0].kind != 'e' {
		return nil, invalid("Parameter 'orderby' is invalid: expected ASC, DESC or the end, not %q", rest[0].text)
	}
	return o, nil
}
