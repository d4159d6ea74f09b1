package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/app"
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
	ctx, end := context.WithCancelCause(c.ctx)
	c.mu.Lock()
	c.commands++
	id := c.commands
	if c.shells == nil {
		c.shells = make(map[int]context.CancelCauseFunc)
	}
	c.shells[id] = end
	c.state.CommandsBusy++
	c.mu.Unlock()
	c.tell()
	c.work.Go(func() {
		c.emit(Update{Ran: &Ran{ID: id, Command: line}})
		<-c.started
		done := Ran{ID: id, Command: line, Done: true}
		if err := whole(func() error { return c.runShell(ctx, &done) }); err != nil {
			done.Err = err.Error()
		}
		end(nil)
		c.mu.Lock()
		delete(c.shells, id)
		c.mu.Unlock()
		c.emit(Update{Ran: &done}) // first: who sees that nothing runs has seen how it ended
		c.mu.Lock()
		c.state.CommandsBusy--
		c.mu.Unlock()
		c.tell()
	})
}

// runShell runs the command and shows its lines.
func (c *Chat) runShell(ctx context.Context, done *Ran) error {
	a := c.program()
	if a == nil {
		return errors.New("the program could not be opened")
	}
	say := func(text string) {
		c.emit(Update{Ran: &Ran{ID: done.ID, Command: done.Command, Line: text, Out: true}})
	}
	out, err := a.Shell(ctx, done.Command, say)
	done.Code = out.Code
	more := out.More
	if done.Stopped = errors.Is(err, app.ErrInterrupted) && c.ctx.Err() == nil; done.Stopped {
		more, err = append(slices.Clone(more), "the person stopped it"), nil
	}
	if err != nil {
		more = append(slices.Clone(more), err.Error())
	}
	c.bring(done.Command, out.Text, out.Code, more)
	for _, line := range out.More {
		say("[" + line + "]")
	}
	return err
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
