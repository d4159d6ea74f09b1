package tui

import (
	"strings"
	"time"

	"ml-intern/internal/llm"
)

// A kind is what an item of the transcript is.
type kind int

const (
	aPrompt kind = iota
	aReply
	aThought
	aCall
	aRun // a command of the person's own
	aWord
	aFailure
	anAnswer // what a command of the chat brought: Markdown
)

// An item is one thing in the transcript. It is drawn when it is seen, and
// what was drawn is kept until it changes.
type item struct {
	kind  kind
	text  string   // cleaned, but of replies
	label string   // of a word: "note", "plan" …
	steer bool     // a prompt that was said to a turn at work
	shown []string // pictures of a prompt, in words
	open  bool     // what is folded is shown
	chose bool     // it says what the person set: a command's answer or its event
	live  bool     // it still grows
	began time.Time
	ended time.Time
	call  *call

	words strings.Builder // what has come of what is live
	grown *growing        // of a live reply
	drawn *drawing
}

// A drawing is an item's lines as they were drawn.
type drawing struct {
	lines []string
	width int
	look  int // of the canvas
}

// A call is a tool call as it stands.
type call struct {
	llm.ToolCall
	state   callState
	why     string   // it was asked or refused
	logs    []string // the last lines
	lines   int      // that were logged
	summary string
	result  string // cleaned
	full    string // the file with all of it
	seconds float64
	waits   string
	edited  bool   // the person changed its arguments
	child   string // the session of its sub-agent, once it is known
}

type callState int

const (
	isPending callState = iota
	isAsked
	isRunning
	isWaiting
	isDone
	isFailed
	isDenied
)

// What is shown of what is long, folded, in lines.
const (
	liveLines   = 3
	failedLines = 4
	diffLines   = 12
	runLines    = 12
	promptLines = 12
	keptLogs    = 400
	openLines   = 2000 // of an open item; a file has more
)

// changed throws away what was drawn.
func (it *item) changed() { it.drawn = nil }

// ticks reports whether the item looks different as time goes on.
func (it *item) ticks() bool {
	switch it.kind {
	case aCall:
		return it.call.state < isDone // it may be cut off
	case aThought, aRun:
		return it.live
	}
	return false
}

// folds reports whether there is something to open.
func (it *item) folds() bool {
	switch it.kind {
	case aThought:
		return it.live || it.text != ""
	case aCall:
		return it.call.result != "" || it.call.lines > 0 || len(it.call.Args) > 2
	case aRun:
		return it.call.lines > runLines
	case aWord:
		return strings.Contains(it.text, "\n") || it.label != ""
	case aPrompt:
		return strings.Count(it.text, "\n") > promptLines || len(it.text) > promptLines*300
	}
	return false
}

// lines draws the item, or takes what was drawn.
func (it *item) lines(c *canvas) []string {
	if d := it.drawn; d != nil && d.width == c.width && d.look == c.look && !it.ticks() {
		return d.lines
	}
	lines := it.draw(c)
	it.drawn = &drawing{lines, c.width, c.look}
	return lines
}

func (it *item) draw(c *canvas) []string {
	switch it.kind {
	case aPrompt:
		return it.drawPrompt(c)
	case aReply, anAnswer:
		return it.drawReply(c)
	case aThought:
		return it.drawThought(c)
	case aCall:
		return it.drawCall(c)
	case aRun:
		return it.drawRun(c)
	case aFailure:
		return c.hang(2, bad("✗"), c.wrap(it.text, 4), bad(""))
	default:
		return it.drawWord(c)
	}
}

func (it *item) drawPrompt(c *canvas) []string {
	lines := c.wrap(it.text, 2)
	more := 0
	if len(lines) > promptLines+1 && !it.open {
		more = len(lines) - promptLines
		lines = lines[:promptLines]
	}
	out := c.hang(0, bold(accent("❯")), lines, bold(plain("")))
	if more > 0 {
		out = append(out, c.draw(muted("  … "+plural(more, "more line"))))
	}
	for _, words := range it.shown {
		out = append(out, c.hang(0, muted(" "), c.wrap("["+words+"]", 2), muted(""))...)
	}
	if it.steer {
		out = append(out, c.draw(muted("  said while it worked")))
	}
	return out
}

func (it *item) drawThought(c *canvas) []string {
	head := "thought"
	if it.live {
		head = "thinking"
	}
	if d := it.thoughtFor(c.now); d >= time.Second {
		head += " for " + seconds(d)
	}
	if !it.open {
		if last := cleanLine(lastLine(it.words.String())); it.live && last != "" {
			head += " · " + last
		}
		return []string{c.draw(muted("  ∴ " + head))}
	}
	text := it.text
	if it.live {
		text = clean(it.words.String())
	}
	out := []string{c.draw(muted("  ∴ " + head))}
	return append(out, c.hang(2, plain(" "), limited(c.wrap(strings.TrimSpace(text), 4), openLines), italic(muted("")))...)
}

func (it *item) thoughtFor(now time.Time) time.Duration {
	end := it.ended
	if it.live {
		end = now
	}
	if it.began.IsZero() || end.IsZero() {
		return 0
	}
	return end.Sub(it.began)
}

func (it *item) drawWord(c *canvas) []string {
	text := it.text
	if it.label != "" {
		text = it.label + ": " + text
	}
	if it.open {
		return c.hang(2, muted("·"), limited(c.wrap(text, 4), openLines), muted(""))
	}
	first, rest, more := strings.Cut(text, "\n")
	switch {
	case more:
		first = cutTo(first, max(c.width-22, 12)) + " … " + plural(strings.Count(rest, "\n")+1, "more line")
	case it.label != "":
		first = cutTo(first, max(c.width-5, 12))
	}
	return c.hang(2, muted("·"), limited(c.wrap(first, 4), promptLines), muted(""))
}

// drawReply draws Markdown; of a live reply only what is new is drawn again.
// The transcript indents it.
func (it *item) drawReply(c *canvas) []string {
	if !it.live {
		it.grown = nil
		return grow(c).lines(it.text)
	}
	if it.grown == nil || it.grown.width != c.width || it.grown.look != c.look {
		it.grown = grow(c)
	}
	return it.grown.lines(it.words.String())
}

// say adds to what is live.
func (it *item) say(text string) {
	it.words.WriteString(text)
	it.changed()
}

// settle ends what was live.
func (it *item) settle(text string, now time.Time) {
	it.live, it.text, it.ended = false, text, now
	it.words.Reset()
	it.changed()
}

func lastLine(text string) string {
	text = strings.TrimRight(text, " \n")
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
