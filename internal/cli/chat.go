package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"ml-intern/internal/chat"
	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// Chat is a conversation line by line, for screen readers and terminals without
// a cursor: nothing moves and nothing is colored.
func Chat(ctx context.Context, cfg *config.Config, opts chat.Options, std Streams) error {
	c, err := chat.Open(ctx, cfg, opts)
	if err != nil {
		return err
	}
	l := &lineChat{
		Chat: c, ctx: ctx, std: std, lines: make(chan string), ended: make(chan struct{}), interrupts: make(chan struct{}, 1), done: make(chan outcomeOf, 1),
		progress: progress{w: std.Err, quiet: cfg.Quiet, verbose: cfg.Verbose, calls: make(map[string]llm.ToolCall)},
	}
	if in, ok := std.In.(*os.File); ok {
		l.terminal = term.IsTerminal(int(in.Fd()))
	}
	if std.Interrupts != nil {
		restore := std.Interrupts(func() {
			select {
			case l.interrupts <- struct{}{}:
			default:
			}
		})
		defer restore()
	}
	go l.read() // a read of a terminal cannot be stopped: it ends with the process
	l.run()
	unanswered := !l.terminal && (l.state.Interrupted != "" || len(l.state.Queue) > 0) && ctx.Err() == nil // a script must not take that for success
	if err = l.close(); err == nil && unanswered {
		err = errors.New("the last prompt has no answer")
	}
	for _, line := range c.Left() {
		fmt.Fprintln(std.Err, "ml-intern: "+line)
	}
	return err
}

// A lineChat is a conversation on two streams. Everything but reading lines
// happens in one goroutine.
type lineChat struct {
	*chat.Chat
	ctx        context.Context //nolint:containedctx // of the whole
	std        Streams
	terminal   bool
	lines      chan string
	ended      chan struct{} // nobody reads lines any more
	interrupts chan struct{} // Ctrl-C
	done       chan outcomeOf
	progress

	state     chat.State
	begun     bool // the session was named
	midLine   bool // the last line is not over
	running   bool // a command
	last      time.Time
	over      bool // there are no more lines
	asking    *asking
	pick      *chat.Pick
	streaming bool // the answer came piece by piece
}

// outcomeOf is what a command brought.
type outcomeOf struct {
	chat.Result
	err error
}

// read reads lines; one that ends with a backslash goes on in the next.
func (l *lineChat) read() {
	defer close(l.lines)
	r := bufio.NewReader(l.std.In)
	text := ""
	for {
		line, err := r.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if more, ok := strings.CutSuffix(line, `\`); ok && err == nil {
			text += more + "\n"
			continue
		}
		if text += line; text != "" || err == nil {
			select {
			case l.lines <- text:
			case <-l.ended:
				return
			}
		}
		text = ""
		if err != nil {
			return
		}
	}
}

// run shows what happens and obeys, to the end.
func (l *lineChat) run() {
	for {
		lines := l.lines
		if l.over || !l.terminal && l.busy() {
			lines = nil // what is piped in is said when the line before has its answer
		}
		select {
		case u := <-l.Updates():
			l.show(u)
		case o := <-l.done:
			l.running = false
			if l.result(o) {
				return
			}
			l.sign()
		case line, ok := <-lines:
			if l.over = !ok; l.over && l.terminal {
				return
			}
			if ok {
				l.obey(line)
			}
		case <-l.interrupts:
			if l.interrupted() {
				return
			}
		case <-l.ctx.Done():
			return
		}
		if l.over && !l.busy() {
			return
		}
	}
}

// busy reports whether there is something to wait for before the end.
func (l *lineChat) busy() bool {
	return l.asking == nil && l.pick == nil && (l.running || l.Busy() || l.state.Phase != chat.Idle || l.state.CommandsBusy > 0)
}

// close ends the chat and shows what comes until then.
func (l *lineChat) close() error {
	close(l.ended)
	l.unask()
	done := make(chan error, 1)
	go func() { done <- l.Close() }()
	for u := range l.Updates() {
		l.show(u)
	}
	l.endLine()
	return <-done
}

// interrupted is Ctrl-C: it stops the turn, or else the person's own commands, and
// twice it ends the chat.
func (l *lineChat) interrupted() (end bool) {
	again := time.Since(l.last) < 2*time.Second
	l.last = time.Now()
	if again {
		return true
	}
	l.unask()
	l.pick = nil
	if l.state.Phase != chat.Idle || l.state.CommandsBusy > 0 {
		l.Stop()
		return false
	}
	l.printf("\nCtrl-C once more, or Ctrl-D, ends the chat\n")
	l.sign()
	return false
}

// obey does what a line says: it answers a question, chooses, is a command or a
// prompt, or, after ">", words for the turn at work.
func (l *lineChat) obey(line string) {
	command := strings.TrimSpace(line)
	l.last = time.Time{}                 // what was typed meanwhile makes the next Ctrl-C the first again
	l.midLine = l.midLine && !l.terminal // the person's Enter has ended it
	switch {
	case l.asking != nil:
		l.decide(line)
	case l.pick != nil:
		l.choose(command)
	case strings.HasPrefix(command, "/") && !strings.Contains(strings.Fields(command)[0][1:], "/"): // which a path has
		l.command(command)
	case strings.HasPrefix(command, ">") && strings.TrimSpace(command[1:]) != "":
		l.Steer(strings.TrimSpace(command[1:]))
	case command == "!", command == ">":
		l.printf("  say something after the %s\n", command)
		l.sign()
	case command == "" && !l.state.Held:
		l.sign()
	default:
		if l.state.Phase != chat.Idle && command != "" && !strings.HasPrefix(command, "!") {
			l.printf("  queued; > in front of it says it now\n")
		}
		l.Say(line)
	}
}

func (l *lineChat) command(line string) {
	if l.running {
		l.printf("  a command is at work\n")
		return
	}
	l.running = true
	go func() {
		r, err := l.Command(line)
		l.done <- outcomeOf{r, err}
	}()
}

// result shows what a command brought.
func (l *lineChat) result(o outcomeOf) (quit bool) {
	l.endLine()
	if o.err != nil {
		l.printf("  %s\n", revealed(chat.Words(o.err)))
	}
	if o.Text != "" {
		fmt.Fprintln(l.std.Out, strings.TrimRight(cleanText(o.Text), "\n"))
	}
	if o.Pick != nil && len(o.Pick.Items) > 0 {
		l.pick = o.Pick
		fmt.Fprintln(l.std.Out, o.Pick.Title+":")
		for i, item := range o.Pick.Items {
			line := strings.TrimRight(item.Title+"  "+item.Detail, " ")
			if item.ID == o.Pick.Now {
				line += "  (now)"
			}
			fmt.Fprintf(l.std.Out, "%3d  %s\n", i+1, revealed(line))
		}
		fmt.Fprint(l.std.Err, "number, or Enter for none: ")
	}
	switch {
	case o.SubAgent != "":
		l.subAgent(o.SubAgent)
	case o.Edit != "":
		l.printf("  the file is %s: edit it with any editor; it counts from the next session on\n", revealed(o.Edit))
	case o.Fill != "":
		l.printf("  the prompt was: %s\n", cleanText(o.Fill))
	case o.Panel == chat.PanelTheme:
		l.printf("  this mode has no colors\n")
	}
	return o.Quit
}

// subAgent shows what a sub-agent said and did, to where it is now.
func (l *lineChat) subAgent(id string) {
	for after := int64(0); ; {
		events, err := l.SubAgent(id, after)
		if err != nil {
			l.printf("  %s\n", revealed(err.Error()))
		}
		if len(events) == 0 {
			return
		}
		var b strings.Builder
		p := printerOf{w: &b}
		for _, ev := range events {
			p.event(ev)
			after = ev.Seq
		}
		fmt.Fprint(l.std.Out, cleanText(b.String()))
	}
}

// choose takes an item of a list by its number or its id.
func (l *lineChat) choose(text string) {
	pick := l.pick
	l.pick = nil
	if text == "" {
		l.sign()
		return
	}
	for i, item := range pick.Items {
		if text == fmt.Sprint(i+1) || text == item.ID {
			l.command(pick.Then + " " + item.ID)
			return
		}
	}
	l.printf("  there is no %s in the list\n", revealed(text))
	l.sign()
}

// show shows one update.
func (l *lineChat) show(u chat.Update) {
	switch {
	case u.State != nil:
		l.stateNow(*u.State)
	case u.Ask != nil:
		l.asking = &asking{Ask: u.Ask, form: form{requests: slices.Clone(u.Ask.Requests)}, args: make([]string, len(u.Ask.Requests))}
		l.question()
	case u.Opened != nil:
		l.opened(*u.Opened)
	case u.Ran != nil:
		l.ran(*u.Ran)
	case u.Event != nil:
		l.happened(*u.Event)
	case u.Ring != "":
		if ring := ringer(l.std); ring != nil {
			ring(u.Ring)
		}
	case u.Notice != "":
		l.endLine()
		l.printf("  %s\n", strings.ReplaceAll(cleanText(u.Notice), "\n", "\n  "))
	}
}

// stateNow tells of what is worth a line, and asks for the next prompt.
func (l *lineChat) stateNow(s chat.State) {
	before := l.state
	l.state = s
	if s.Phase != chat.Asking {
		l.unask()
	}
	if s.Phase == chat.Waiting && before.Phase != chat.Waiting {
		l.endLine()
		l.printf("  waiting for %s, without any model call\n", strings.Join(s.Waits, "; "))
	}
	if s.Phase == chat.Idle && before.Phase != chat.Idle && len(s.Queue) > 0 && s.Held {
		words := "1 prompt waits; Enter sends it"
		if len(s.Queue) > 1 {
			words = fmt.Sprintf("%d prompts wait; Enter sends them", len(s.Queue))
		}
		l.printf("  %s\n", words)
	}
	if s.Phase == chat.Idle && (before.Phase != chat.Idle || before.CommandsBusy > 0 && s.CommandsBusy == 0) && (len(s.Queue) == 0 || s.Held) {
		l.sign()
	}
}

// sign asks for a prompt, if one would be heard at once.
func (l *lineChat) sign() {
	if l.terminal && l.begun && !l.running && l.pick == nil && l.asking == nil && l.state.Phase == chat.Idle {
		l.endLine()
		fmt.Fprint(l.std.Err, "> ")
		l.midLine = true
	}
}

// maxEarlier is how much of an earlier answer is shown, in bytes.
const maxEarlier = 2000

// opened says which session it is, and how it ended.
func (l *lineChat) opened(o chat.Opened) {
	l.endLine()
	l.begun = true
	defer l.sign()
	clear(l.calls)
	l.plan = nil
	if o.ID == "" {
		model := "no model yet"
		if l.state.Model != "" {
			model = "model " + revealed(l.state.Model)
		}
		l.printf("ml-intern in %s, %s; /help lists commands, Ctrl-D ends\n", revealed(l.state.Dir), model)
		return
	}
	prompt, answer := "", ""
	for _, ev := range o.Events {
		l.remember(ev)
		switch {
		case ev.Prompt != nil:
			prompt, answer = ev.Prompt.Text, ""
		case ev.Reply != nil && len(ev.Reply.Message.Calls()) == 0:
			answer = ev.Reply.Message.Text()
		}
	}
	l.printf("session %s in %s, model %s; /help lists commands, Ctrl-D ends\n", o.ID, revealed(l.state.Dir), revealed(l.state.Model))
	l.printf("> %s\n", cleanText(shorten(prompt, 200)))
	if len(answer) > maxEarlier {
		answer = answer[:session.RuneStart(answer, maxEarlier)] + "…"
	}
	if answer != "" {
		fmt.Fprintln(l.std.Out, strings.TrimRight(cleanText(answer), "\n"))
	}
}

func (l *lineChat) ran(r chat.Ran) {
	l.endLine()
	switch {
	case r.Err != "":
		l.printf("  ! %s\n", revealed(r.Err))
	case r.Stopped:
		l.printf("  stopped\n")
	case r.Done && r.Code != 0:
		l.printf("  exit status %d\n", r.Code)
	case r.Out:
		fmt.Fprintln(l.std.Out, revealed(r.Line))
	}
}

// happened shows an event: the answer as it comes, everything else in a line.
func (l *lineChat) happened(ev session.Event) {
	switch {
	case ev.Chunk != nil && ev.Chunk.Text != "":
		l.streaming = true
		text := cleanText(ev.Chunk.Text)
		fmt.Fprint(l.std.Out, text)
		l.midLine = !strings.HasSuffix(text, "\n")
		return
	case ev.Reply != nil:
		if text := ev.Reply.Message.Text(); !l.streaming && text != "" { // it came in one piece
			fmt.Fprint(l.std.Out, cleanText(text))
			l.midLine = true
		}
		l.streaming = false
		l.endLine()
		l.remember(ev)
		return
	case ev.Prompt != nil && (ev.Prompt.Steer || len(ev.Prompt.Pictures) > 0):
		l.endLine()
		if ev.Prompt.Steer {
			l.printf("  said now: %s\n", cleanText(shorten(ev.Prompt.Text, 150)))
		}
		for _, p := range ev.Prompt.Pictures {
			l.printf("  [%s]\n", revealed(p.String()))
		}
		return
	case ev.Decided != nil && ev.Decided.Args != "":
		if call, ok := l.calls[ev.Decided.CallID]; ok {
			call.Args = ev.Decided.Args
			l.calls[ev.Decided.CallID] = call
		}
		return
	case ev.Waiting != nil, ev.Chunk != nil && ev.Chunk.Reasoning != "":
		return // the state says it
	case ev.Chunk != nil && ev.Chunk.Restart:
		l.streaming = false
	case ev.Log != nil && strings.HasPrefix(ev.Log.Line, "… ") && !l.verbose:
		return // a sign of life, every second: too much to be read aloud
	}
	if ev.Live() || ev.Seq > 0 {
		l.endLine()
		_ = l.event(ev) // it cannot fail
	}
}

// endLine ends the line that the answer is in.
func (l *lineChat) endLine() {
	if l.midLine {
		fmt.Fprintln(l.std.Out)
		l.midLine = false
	}
}

// cleanText is a text of several lines without what a terminal would obey, and
// with what it would not show.
func cleanText(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ' || r >= 0x7f && r < 0xa0:
		case unicode.Is(unicode.Bidi_Control, r):
			fmt.Fprintf(&b, "<%U>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
