package acp

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/chat"
	"ml-intern/internal/session"
)

// Bounds of a prompt, in bytes.
const (
	maxPrompt = 1 << 20
	maxGiven  = 64 << 10 // of what the editor gives with it
)

// spoken is a prompt as the chat takes it: what the person wrote, with names in
// place of what they linked to, and the texts that the editor gave with it.
func spoken(blocks []sdk.ContentBlock, dir string) (session.Prompt, error) {
	var text, given strings.Builder
	for _, b := range blocks {
		switch {
		case b.Text != nil:
			text.WriteString(b.Text.Text)
		case b.ResourceLink != nil:
			text.WriteString(named(b.ResourceLink.Uri, dir))
		case b.Resource != nil && b.Resource.Resource.TextResourceContents != nil:
			r := b.Resource.Resource.TextResourceContents
			text.WriteString(named(r.Uri, dir))
			fmt.Fprintf(&given, "The editor gave %s with this prompt, as it has it there, perhaps unsaved:\n%s\n\n", named(r.Uri, dir), fenced(r.Text, ""))
		case b.Resource != nil && b.Resource.Resource.BlobResourceContents != nil:
			r := b.Resource.Resource.BlobResourceContents
			fmt.Fprintf(&text, "%s (no text: it was not given)", named(r.Uri, dir))
		case b.Image != nil, b.Audio != nil:
			return session.Prompt{}, invalid("pictures and sound cannot be given here: save it in the workspace and name the file")
		}
	}
	p := session.Prompt{Text: strings.ToValidUTF8(text.String(), "?"), Context: middle(strings.ToValidUTF8(given.String(), "?"), maxGiven)}
	switch {
	case strings.TrimSpace(p.Text) == "":
		return p, invalid("the prompt is empty")
	case len(p.Text) > maxPrompt:
		return p, invalid("the prompt has %d bytes, more than %d: put long text into a file of the workspace", len(p.Text), maxPrompt)
	}
	return p, nil
}

// named is what stands in a prompt for a link: the path of a file, as the tools
// take it, or the address.
func named(uri, dir string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return "`" + strings.ReplaceAll(uri, "`", "%60") + "`"
	}
	path := filepath.FromSlash(u.Path)
	if filepath.VolumeName(path[1:]) != "" { // file:///C:/x
		path = path[1:]
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		path = rel
	}
	if u.Fragment != "" { // #L10:20, a part of it
		path += "#" + u.Fragment
	}
	return "`" + strings.ReplaceAll(path, "`", "'") + "`"
}

// fenced is a text as a block of Markdown.
func fenced(text, language string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence
}

// middle leaves out the middle of a text that is longer than n bytes.
func middle(s string, n int) string {
	if len(s) <= n {
		return s
	}
	head, tail := n*2/3, len(s)-n/3
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", s[:head], tail-head, s[tail:])
}

// say says a prompt to the chat, or does what it commands.
func (t *thread) say(p *turn, what session.Prompt) {
	text := strings.TrimSpace(what.Text)
	switch {
	case strings.HasPrefix(text, "!") && strings.TrimSpace(text[1:]) != "":
		t.begin(p, func() {
			p.shell = true
			t.chat.Say(text)
		})
	case strings.HasPrefix(text, "/") && !strings.Contains(strings.Fields(text)[0][1:], "/"): // which a path has
		t.command(p, text)
	default:
		t.begin(p, func() { t.chat.Give(what) })
	}
}

// begin says it, unless it is cancelled already.
func (t *thread) begin(p *turn, say func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open != p || p.canceled {
		return false
	}
	p.given = true
	say()
	return true
}

// command does what the line says. One that says a prompt, or goes on with one,
// is answered by the end of that turn.
func (t *thread) command(p *turn, line string) {
	name := strings.Fields(line)[0]
	done := func(text string) {
		if text != "" {
			t.update(said(text))
		}
		t.finish(p, ended{stop: sdk.StopReasonEndTurn})
	}
	if slices.Contains(elsewhere(), name) {
		done(fmt.Sprintf("`%s` is for a terminal: the editor has sessions and settings of its own.", name))
		return
	}
	if words := strings.Fields(line); name == "/rewind" && len(words) > 2 && words[2] != "files" {
		done("Here only files are brought back: `/rewind NUMBER files`. The conversation would go on in a copy, which this thread is not; in a terminal: `ml-intern --resume " + string(t.id) + "`.")
		return
	}
	turns := name == "/init" || name == "/retry" || slices.ContainsFunc(t.chat.Commands(), func(c chat.Command) bool { return c.Name == name && c.Own != "" })
	busy := t.chat.Busy()
	if !t.begin(p, func() {
		if p.unsure = !turns; name == "/retry" {
			p.after = t.chat.Now().Turn + 1
		}
	}) {
		return
	}
	r, err := t.chat.Command(line)
	turns = err == nil && (turns || !busy && t.chat.Busy())
	t.mu.Lock()
	p.unsure = p.unsure && !turns
	late := turns && p.canceled && t.open != p // it was cancelled before it said anything
	t.mu.Unlock()
	switch {
	case late:
		t.chat.Unqueue()
		t.chat.Stop()
	case err != nil:
		done(quoted(failure(err).Message))
	case !turns:
		done(result(r))
	case r.Text != "":
		t.update(said(r.Text))
	}
}

// result is what a command brought, as Markdown.
func result(r chat.Result) string {
	var b strings.Builder
	b.WriteString(r.Text)
	if r.Pick == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "\n%s:\n\n", r.Pick.Title)
	for _, i := range r.Pick.Items {
		if r.Pick.Then == "/rewind" && (strings.Contains(i.ID, " conversation") || strings.Contains(i.ID, " both")) {
			continue
		}
		fmt.Fprintf(&b, "- `%s %s`", r.Pick.Then, i.ID)
		for _, more := range []string{i.Title, i.Detail} {
			if more != "" && more != i.ID {
				b.WriteString(" — " + more)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
