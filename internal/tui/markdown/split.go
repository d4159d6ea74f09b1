package markdown

import (
	"strconv"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// limit is how long a piece may grow, and a line. The parser's time grows with
// the square of some texts, and an open piece is parsed for every chunk.
const limit = 8 << 10

// A kind is what a piece of the text is to the drawer.
type kind uint8

const (
	flow     kind = iota // paragraphs, quotes, and what else is in no list
	heading              // one line
	item                 // of a list
	itemMore             // the rest of an item that was too long
	table                // its head and some rows
	codeOpen             // a fence, its language is the text
	code                 // one line of code
	codeEnd
	verbatim // lines that mean what they are: formulas, HTML
	letters  // nobody knows yet what they will be
)

// A piece is text that no later text changes.
type piece struct {
	kind   kind
	text   string
	gap    bool // an empty line stood before it
	indent int  // of what an item holds
	number int  // of an item of an ordered list; -1 in others
	more   bool // goes on where the piece before was cut
}

// A splitter cuts lines into pieces. It knows as much of Markdown as decides
// where the parser would begin a new block at the top.
type splitter struct {
	open    piece
	has     bool // there is an open piece
	blank   bool // the last line was empty
	fence   string
	fenceIn int    // how far the fence is from the left
	until   string // what ends an open verbatim piece
	last    int    // number of the item before, -1 without one
	marker  byte   // of that item
	done    []piece
	refs    []reference
}

// A reference is [label]: address.
type reference struct{ label, address string }

var (
	fencePattern = lazyregexp.New("^ {0,3}(`{3,}|~{3,})([^`]*)$")
	headPattern  = lazyregexp.New(`^ {0,3}#{1,6}([ \t]|$)`)
	rulePattern  = lazyregexp.New(`^ {0,3}(\*[ \t]*){3,}$|^ {0,3}(-[ \t]*){3,}$|^ {0,3}(_[ \t]*){3,}$`)
	itemPattern  = lazyregexp.New(`^( {0,3})([-+*]|[0-9]{1,9}[.)])([ \t]+|$)`)
	alignPattern = lazyregexp.New(`^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$`)
	refPattern   = lazyregexp.New(`^ {0,3}\[([^\]\[^][^\]\[]*)\]:[ \t]*(\S+)`)
	setext       = lazyregexp.New(`^ {0,3}(-+|=+)[ \t]*$`)
)

// take returns the pieces that are finished and forgets them.
func (s *splitter) take() []piece {
	done := s.done
	s.done = nil
	return done
}

// undecided reports whether the begin of a line should not be taken for what
// it looks like yet: the underline of a heading may become a list.
func (s *splitter) undecided(tail string) bool {
	if s.fence != "" || s.until != "" || !s.has || s.open.kind == item {
		return false
	}
	return strings.Trim(tail, " ") != "" && (strings.Trim(tail, "- ") == "" || strings.Trim(tail, "= ") == "" || strings.Trim(tail, "`") == "")
}

// line takes the next line, without its end.
func (s *splitter) line(l string) {
	switch {
	case s.fence != "":
		s.inFence(l)
	case s.until != "":
		s.append(l)
		if strings.Contains(strings.ToLower(l), s.until) {
			s.finish()
		}
	case strings.TrimSpace(l) == "":
		s.empty(l)
	case s.has && s.inItem(l):
		s.append(l)
	default:
		s.start(l)
	}
	if s.has && len(s.open.text) > limit {
		s.cut()
	}
	s.blank = strings.TrimSpace(l) == "" && s.fence == ""
}

func (s *splitter) inFence(l string) {
	end := strings.TrimSpace(l)
	if strings.HasPrefix(end, s.fence) && strings.Trim(end, s.fence[:1]) == "" && column(l) <= 3 {
		s.done = append(s.done, piece{kind: codeEnd})
		s.fence, s.blank = "", false
		return
	}
	for n := 0; n < s.fenceIn && strings.HasPrefix(l, " "); n++ {
		l = l[1:]
	}
	s.done = append(s.done, piece{kind: code, text: l})
}

// empty ends what is open, but an item of a list, which may go on.
func (s *splitter) empty(l string) {
	if s.has && (s.open.kind == item || s.open.kind == itemMore) {
		s.append(l)
		return
	}
	s.finish()
}

// inItem reports whether the line belongs to the open item of a list.
func (s *splitter) inItem(l string) bool {
	if s.open.kind != item && s.open.kind != itemMore {
		return false
	}
	if column(l) >= s.open.indent {
		return true
	}
	return !s.blank && !fencePattern.MatchString(l) && !headPattern.MatchString(l) && !rulePattern.MatchString(l) &&
		!itemPattern.MatchString(l) && !strings.HasPrefix(strings.TrimSpace(l), ">")
}

// start takes a line that may begin something.
func (s *splitter) start(l string) {
	if m := fencePattern.FindStringSubmatch(l); m != nil {
		s.finish()
		s.done = append(s.done, piece{kind: codeOpen, text: strings.TrimSpace(m[2]), gap: true})
		s.fence, s.fenceIn, s.last = m[1], column(l), -1
		return
	}
	paragraph := s.has && s.open.kind == flow
	switch m := itemPattern.FindStringSubmatch(l); {
	case headPattern.MatchString(l):
		s.begin(heading, l)
		s.finish()
	case paragraph && setext.MatchString(l) && !strings.HasPrefix(strings.TrimSpace(s.open.text), ">"):
		s.append(l)
		s.finish()
	case rulePattern.MatchString(l):
		s.begin(flow, l)
		s.finish()
	case m != nil && (!paragraph || interrupts(m[2], l[len(m[0]):])):
		s.item(l, m)
	case strings.HasPrefix(l, "$$") || strings.HasPrefix(l, `\[`) || verbatimHTML(l) != "":
		s.verbatim(l)
	case s.has && s.open.kind == table && strings.Contains(l, "|"):
		s.append(l)
	case paragraph && quoted(l) == quoted(s.open.text):
		s.append(l)
	case paragraph && quoted(s.open.text): // a quote goes on without its sign
		s.append(l)
	default:
		s.begin(flow, l)
	}
	s.table(l)
	if m := refPattern.FindStringSubmatch(l); m != nil && len(s.refs) < 200 {
		s.refs = append(s.refs, reference{m[1], strings.Trim(m[2], "<>")})
	}
}

func quoted(text string) bool { return strings.HasPrefix(strings.TrimLeft(text, " "), ">") }

// interrupts reports whether an item may end a paragraph without an empty line.
func interrupts(marker, rest string) bool {
	return strings.TrimSpace(rest) != "" && (len(marker) == 1 || marker == "1." || marker == "1)")
}

func (s *splitter) item(l string, m []string) {
	last, marker := s.last, s.marker
	s.begin(item, l)
	s.open.indent = len(m[1]) + len(m[2]) + 1
	if n := len(m[3]); n > 1 && n <= 4 && !strings.Contains(m[3], "\t") && len(l) > len(m[0]) {
		s.open.indent += n - 1
	}
	s.open.number = -1
	s.marker = m[2][len(m[2])-1]
	if len(m[2]) > 1 {
		s.open.number, _ = strconv.Atoi(m[2][:len(m[2])-1])
		if last >= 0 && marker == s.marker {
			s.open.number = last + 1
		}
	}
	s.last = s.open.number
}

// verbatim takes formulas and the HTML that empty lines do not end.
func (s *splitter) verbatim(l string) {
	s.begin(verbatim, l)
	open, end := 2, map[bool]string{true: "$$", false: `\]`}[strings.HasPrefix(l, "$$")]
	if html := verbatimHTML(l); html != "" {
		open, end = 1, html
	}
	if strings.Contains(strings.ToLower(l[open:]), end) {
		s.finish()
		return
	}
	s.until = end
}

func verbatimHTML(l string) string {
	l = strings.ToLower(l)
	for start, end := range map[string]string{"<!--": "-->", "<pre": "</pre>", "<script": "</script>", "<style": "</style>", "<textarea": "</textarea>"} {
		if strings.HasPrefix(l, start) {
			return end
		}
	}
	return ""
}

// table makes the end of a paragraph a table when the line under its head
// comes.
func (s *splitter) table(l string) {
	if !s.has || s.open.kind != flow || !strings.Contains(l, "|") || !alignPattern.MatchString(l) || quoted(s.open.text) {
		return
	}
	lines := strings.Split(s.open.text, "\n")
	n := len(lines) - 2
	if n < 0 || strings.Count(lines[n], "|") == 0 {
		return
	}
	head := lines[n] + "\n" + lines[n+1]
	if n > 0 {
		s.open.text = strings.Join(lines[:n], "\n")
		s.finish()
		s.open, s.has = piece{}, true
	}
	s.open.kind, s.open.text = table, head
}

func (s *splitter) begin(k kind, l string) {
	s.finish()
	if k != item {
		s.last = -1
	}
	s.open, s.has = piece{kind: k, text: l, gap: s.blank}, true
}

func (s *splitter) append(l string) { s.open.text += "\n" + l }

// finish ends what is open.
func (s *splitter) finish() {
	if s.has {
		s.open.text = strings.TrimRight(s.open.text, "\n")
		s.done = append(s.done, s.open)
	}
	s.open, s.has, s.until = piece{}, false, ""
}

// cut ends a piece that became too long; what follows goes on with it.
func (s *splitter) cut() {
	if !s.has {
		return
	}
	before, until := s.open, s.until
	s.finish()
	switch before.kind {
	case item, itemMore:
		s.open = piece{kind: itemMore, indent: before.indent, more: true}
		s.has = true
	case table:
		lines := strings.SplitN(before.text, "\n", 3)
		s.open = piece{kind: table, text: strings.Join(lines[:2], "\n"), more: true}
		s.has = true
	case verbatim:
		s.open = piece{kind: verbatim, more: true}
		s.has, s.until = until != "", until
	}
}

// column is how far the first letter is from the left.
func column(l string) int {
	n := 0
	for i := range len(l) {
		switch l[i] {
		case ' ':
			n++
		case '\t':
			n += 4 - n%4
		default:
			return n
		}
	}
	return n
}
