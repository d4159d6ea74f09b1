package tui

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/charmbracelet/x/ansi"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/tui/style"
)

// drawCall draws one line with the state, what is called, what came of it and
// how long it took; below it the last live lines, a change, or all if open.
func (it *item) drawCall(c *canvas) []string {
	k := it.call
	left := style.Line{plain("  "), it.mark(c), plain(" "), bold(plain(cleanLine(k.Name)))}
	if line := headline(k.Args); line != "" {
		left = append(left, plain("  "+line))
	}
	if k.edited {
		left = append(left, muted("  (changed by you)"))
	}
	right := ""
	if k.state == isDone || k.state == isFailed {
		right = took(k.seconds)
	} else if it.runs(c) && !it.began.IsZero() {
		right = seconds(c.now.Sub(it.began))
	}
	more := it.outcome(c)
	if right != "" {
		more = timeAtEnd.ReplaceAllString(more, "") // the line has it already
	}
	if room := c.width - left.Width() - cells(right) - 4; more != "" && k.state == isDone && cells(more) <= room {
		left, more = append(left, muted("  "+more)), ""
	}
	if right != "" {
		right += " "
	}
	out := []string{c.sides(left, muted(right))}
	if more != "" {
		like := muted("")
		if k.state == isFailed || k.state == isDenied {
			like = bad("")
		}
		out = append(out, c.hang(3, plain(""), limited(c.wrap(more, 5), failedLines), like)...)
	}
	return append(out, it.below(c)...)
}

// timeAtEnd is how long a command ran, as its summary ends.
var timeAtEnd = lazyregexp.New(`, \d+(\.\d+)? s$`)

// runs reports whether the call is at work, which nothing is when the turn is
// over.
func (it *item) runs(c *canvas) bool {
	return c.busy && (it.call.state == isRunning || it.call.state == isWaiting)
}

// below is what stands under a call's line.
func (it *item) below(c *canvas) []string {
	k := it.call
	if it.open {
		return it.opened(c)
	}
	switch k.state {
	case isRunning, isWaiting:
		return c.block(k.logs[max(len(k.logs)-liveLines, 0):])
	case isDone, isPending, isAsked:
		return c.change(k.Name, k.Args, diffLines)
	}
	return nil
}

// opened is all there is of a call: its arguments, and its output.
func (it *item) opened(c *canvas) []string {
	k := it.call
	out := c.change(k.Name, k.Args, openLines)
	if out == nil {
		out = c.arguments(k.Args, 4)
	}
	text := k.result
	if text == "" {
		text = strings.Join(k.logs, "\n")
	}
	if text != "" {
		lines := limited(strings.Split(strings.TrimRight(text, "\n"), "\n"), openLines)
		out = append(out, c.block(c.foldAll(lines, 6))...)
	}
	if k.full != "" {
		out = append(out, c.draw(muted("    all of it is in "+k.full)))
	}
	return out
}

// foldAll wraps each line.
func (c *canvas) foldAll(lines []string, indent int) []string {
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		if cells(line)+indent < c.width {
			out = append(out, line)
			continue
		}
		for _, l := range style.Cut(style.Line{plain(line)}, max(c.width-indent-1, 8)) {
			out = append(out, l.Plain())
		}
	}
	return out
}

// change draws the change of a call that edits a file; nil for others.
func (c *canvas) change(name, args string, most int) []string {
	text := changeOf(name, args)
	if text == "" {
		return nil
	}
	if _, hunks, ok := strings.Cut(text, "\n@@"); ok {
		text = "@@" + hunks // the call's own line names the file
	}
	lines := c.diff(text, 4)
	if len(lines) > 1 && strings.HasSuffix(ansi.Strip(lines[0]), "⋯") {
		lines = lines[1:]
	}
	return limitedLike(c, lines, most)
}

// limitedLike is limited for lines that are drawn already.
func limitedLike(c *canvas, lines []string, n int) []string {
	if len(lines) <= n+1 {
		return lines
	}
	return append(lines[:n:n], c.draw(muted("    … "+plural(len(lines)-n, "more line"))))
}

// arguments draws what a call is given, a line for each.
func (c *canvas) arguments(args string, indent int) []string {
	lead := plain(strings.Repeat(" ", indent))
	var out []string
	for _, f := range fieldsOf(args) {
		name := fmt.Sprintf("%-9s ", f.name)
		if !strings.Contains(f.text, "\n") && cells(f.text)+cells(name)+indent < c.width {
			out = append(out, c.draw(lead, muted(name), plain(f.text)))
			continue
		}
		out = append(out, c.draw(lead, muted(f.name)))
		switch {
		case f.name == "command":
			out = append(out, c.code(f.text, "bash", indent+2)...)
		case f.nested:
			out = append(out, c.outlined(f.text, indent+2)...)
		default:
			out = append(out, c.code(f.text, "", indent+2)...)
		}
	}
	return out
}

// outcome is what came of the call, in a line or few.
func (it *item) outcome(c *canvas) string {
	k := it.call
	switch k.state {
	case isFailed:
		if it.open {
			return ""
		}
		return firstNotEmpty(k.summary, lastLine(k.result))
	case isDenied:
		return "not run: " + firstNotEmpty(k.why, "it was refused")
	case isPending:
		if !c.busy {
			return "not run"
		}
		return ""
	case isAsked:
		if !c.busy {
			return "not run"
		}
		return "waits for your word"
	case isWaiting:
		return k.waits
	case isRunning:
		if !c.busy {
			return "cut off"
		}
		return ""
	}
	if k.state == isDone && changeOf(k.Name, k.Args) != "" {
		return ""
	}
	return withoutEcho(k.summary, k.Name, headline(k.Args))
}

// withoutEcho leaves out of a summary what the line says already.
func withoutEcho(summary, name, line string) string {
	s := summary
	for _, echo := range []string{": " + line, name + " " + line} {
		if line != "" {
			s = strings.Replace(s, echo, "", 1)
		}
	}
	if head, rest, ok := strings.Cut(s, ": "); ok && strings.HasSuffix(rest, "…") && strings.HasPrefix(line, strings.TrimSuffix(rest, "…")) {
		s = head // the line, cut
	}
	s = strings.Trim(strings.TrimSpace(s), ":, ")
	if s == "exit status 0" {
		return ""
	}
	return s
}

func firstNotEmpty(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (it *item) mark(c *canvas) style.Span {
	switch it.call.state {
	case isRunning:
		if c.busy {
			return accent(c.spinner())
		}
		return muted("–")
	case isWaiting:
		return accent("◷")
	case isDone:
		return good("✓")
	case isFailed:
		return bad("✗")
	case isDenied:
		return bad("⊘")
	case isAsked:
		if c.busy {
			return warn("?")
		}
		return muted("–")
	}
	return muted("·")
}

// took is how long a call ran, where that is worth a word.
func took(secs float64) string {
	if secs < 1 {
		return ""
	}
	return span(time.Duration(secs * float64(time.Second)))
}

// headline shows the arguments of a call in one line: the values that tell
// most.
func headline(args string) string {
	var fields map[string]any
	if json.Unmarshal([]byte(args), &fields) != nil {
		return cleanLine(cutBytes(args, 400))
	}
	var words []string
	operation, several := fields["operation"].(string)
	for _, key := range []string{"command", "repo_id", "arxiv_id", "path", "name", "repo", "job", "jobs", "dataset", "page", "section", "query", "url", "task"} {
		if v, ok := fields[key]; ok && (several || words == nil) {
			words = append(words, strings.Trim(cutBytes(fmt.Sprint(v), 400), "[]"))
		}
	}
	if several {
		words = append([]string{operation}, words...)
	}
	if words == nil {
		keys := slices.Sorted(maps.Keys(fields))
		for _, key := range keys[:min(len(keys), 3)] {
			words = append(words, key+"="+cutBytes(fmt.Sprint(fields[key]), 60))
		}
	}
	return cleanLine(strings.Join(words, " "))
}

func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// changeOf is the change that the arguments of edit or write ask for, as a
// unified diff; "" for other calls.
func changeOf(name, args string) string {
	var a struct{ Path, Old, New, Content string }
	if name != "edit" && name != "write" || len(args) > 256<<10 || json.Unmarshal([]byte(args), &a) != nil {
		return ""
	}
	line := func(s string) string {
		if s != "" && !strings.HasSuffix(s, "\n") {
			return s + "\n"
		}
		return s
	}
	if name == "edit" {
		return udiff.Unified(a.Path, a.Path, line(a.Old), line(a.New))
	}
	return udiff.Unified("/dev/null", a.Path, "", line(a.Content))
}

func (it *item) drawRun(c *canvas) []string {
	k := it.call
	mark, right := accent("!"), muted("")
	switch {
	case it.live:
		mark, right = accent(c.spinner()), muted(seconds(c.now.Sub(it.began))+" ")
	case k.state == isFailed:
		right = bad(k.summary + " ")
	}
	out := []string{c.sides(style.Line{mark, plain(" "), bold(plain(cleanLine(it.text)))}, right)}
	if k.why != "" {
		out = append(out, c.hang(3, plain(""), c.wrap(k.why, 5), bad(""))...)
	}
	lines := k.logs
	if more := k.lines - runLines; more > 0 && !it.open {
		out = append(out, c.draw(muted("    … "+plural(more, "line")+" above")))
		lines = lines[max(len(lines)-runLines, 0):]
	}
	return append(out, c.block(c.foldAll(lines, 6))...)
}

// A field is one argument of a call, as a person reads it.
type field struct {
	name, text string
	nested     bool // the text is an outline
}

// fieldsOf lists the arguments in order of their names; the whole text where
// it is no JSON object.
func fieldsOf(args string) []field {
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(args), &raw) != nil {
		return []field{{name: "arguments", text: clean(args)}}
	}
	fields := make([]field, 0, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		var text string
		nested := json.Unmarshal(raw[name], &text) != nil
		if nested {
			text = outline(raw[name])
		}
		fields = append(fields, field{cleanLine(name), clean(text), nested})
	}
	return fields
}
