package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxContext is how much of a command's output goes with the next prompt, in
// bytes: head and tail.
const maxContext = 8000

// shell runs a command of the person's own beside whatever works, and keeps its
// output for the next prompt.
func (c *Chat) shell(line string) {
	if c.ctx.Err() != nil {
		return // the chat is over
	}
	c.mu.Lock()
	c.commands++
	id := c.commands
	c.state.CommandsBusy++
	c.mu.Unlock()
	c.tell()
	c.work.Go(func() {
		c.emit(Update{Ran: &Ran{ID: id, Command: line}})
		<-c.started
		done := Ran{ID: id, Command: line, Done: true}
		a := c.program()
		if a == nil {
			done.Err = "the program could not be opened"
		} else {
			out, err := a.Shell(c.ctx, line, func(text string) { c.emit(Update{Ran: &Ran{ID: id, Command: line, Line: text}}) })
			done.Code = out.Code
			if err != nil {
				done.Err = err.Error()
			}
			c.bring(line, out.Text, out.Code, append(out.More, done.Err))
			for _, more := range out.More {
				c.emit(Update{Ran: &Ran{ID: id, Command: line, Line: "[" + more + "]"}})
			}
		}
		c.mu.Lock()
		c.state.CommandsBusy--
		c.mu.Unlock()
		c.emit(Update{Ran: &done})
		c.tell()
	})
}

// bring keeps what a command printed for the next prompt.
func (c *Chat) bring(line, output string, code int, more []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "The person ran this command, exit status %d:\n$ %s\n%s", code, line, strings.TrimRight(middle(output, maxContext), "\n"))
	for _, m := range more {
		if m != "" {
			fmt.Fprintf(&b, "\n[%s]", m)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.context = append(c.context, b.String())
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
