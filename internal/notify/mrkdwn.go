package notify

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// marks are the marks of Markdown that Slack writes otherwise.
type marks struct {
	fenced, inline, link, entity, quote, heading, boldItalic, bold, italic, strike, held, all *regexp.Regexp
}

// patterns are compiled when they are first needed: that takes longer than the
// program takes to start.
var patterns = sync.OnceValue(func() *marks {
	c := regexp.MustCompile
	return &marks{
		fenced:     c("(?s)```.*?(```|$)"),
		inline:     c("`[^`\n]+`"),
		link:       c(`!?\[([^\[\]\n]*)\]\(<?([a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>)]*)>?\)`),
		entity:     c(`<(@[A-Z0-9]+|#[A-Z0-9]+(\|[^<>\n]*)?|!date\^[^<>\n]*|(https?|mailto):[^<>\s|]*(\|[^<>\n]*)?)>`),
		quote:      c(`(?m)^([ \t]*)((?:>[ \t]?)+)`),
		heading:    c(`(?m)^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$`),
		boldItalic: c(`\*\*\*([^\s*](?:[^*\n]*[^\s*])?)\*\*\*`),
		bold:       c(`\*\*([^\s*](?:[^\n]*?[^\s])?)\*\*`),
		italic:     c(`(^|[^\w*])\*([^\s*](?:[^*\n]*[^\s*])?)\*($|[^\w*])`),
		strike:     c(`~~([^\s~](?:[^~\n]*[^\s~])?)~~`),
		held:       c("\x01([0-9]+)\x02"),
		all:        c(`(^|[^\w.@-])@(everyone|channel|here)\b`),
	}
})

// A held piece stands aside while the rest is rewritten, between letters that no
// text has: clean takes them out.
type held struct{ pieces []string }

func (h *held) keep(piece string) string {
	h.pieces = append(h.pieces, piece)
	return "\x01" + strconv.Itoa(len(h.pieces)-1) + "\x02"
}

// back puts the pieces back, and those that are in them.
func (h *held) back(text string) string {
	return patterns().held.ReplaceAllStringFunc(text, func(s string) string {
		i, _ := strconv.Atoi(s[1 : len(s)-1]) // it is a number
		return h.back(h.pieces[i])
	})
}

const boldMark = "\x03" // until no * is looked for any more

// mrkdwn writes Markdown in Slack's markup. Code stays as it is, but for the
// three letters that Slack wants written otherwise everywhere: in code too they
// would begin a mention. What calls a whole channel is shown and calls nobody.
func mrkdwn(text string) string {
	var h held
	p := patterns()
	text = clean(text)
	hold := func(re *regexp.Regexp, write func(match []string) string) {
		text = re.ReplaceAllStringFunc(text, func(s string) string { return h.keep(write(re.FindStringSubmatch(s))) })
	}
	hold(p.fenced, func(m []string) string { return escape(m[0]) })
	hold(p.inline, func(m []string) string { return escape(m[0]) })
	hold(p.link, func(m []string) string {
		address := target(h.back(m[2]))
		if label := strings.ReplaceAll(h.back(m[1]), "|", "/"); label != "" {
			return "<" + address + "|" + escape(label) + ">"
		}
		return "<" + address + ">"
	})
	hold(p.entity, func(m []string) string { return m[0] })
	hold(p.quote, func(m []string) string { return m[0] })
	text = escape(text)
	text = p.heading.ReplaceAllStringFunc(text, func(s string) string {
		inner := p.heading.FindStringSubmatch(s)[1]
		if inner = strings.TrimSpace(strings.ReplaceAll(inner, "**", "")); inner == "" {
			return ""
		}
		return boldMark + inner + boldMark
	})
	text = p.boldItalic.ReplaceAllString(text, boldMark+"_${1}_"+boldMark)
	text = p.bold.ReplaceAllString(text, boldMark+"${1}"+boldMark)
	for range 2 { // a letter between two of them belongs to both
		text = p.italic.ReplaceAllString(text, "${1}_${2}_${3}")
	}
	text = p.strike.ReplaceAllString(text, "~${1}~")
	return h.back(strings.ReplaceAll(text, boldMark, "*"))
}

// target is the address of a link, without what would end it.
func target(address string) string {
	return strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", "&", "&amp;").Replace(unescape(address))
}

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// escape writes the three letters of Slack's own as it wants them, once.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(unescape(s))
}
