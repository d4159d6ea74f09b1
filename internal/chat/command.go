package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
)

// A Command is something to do besides saying a prompt: "/model ID".
type Command struct {
	Name string // with the slash
	Args string // as help shows them, "" for none
	Help string // one line
	Own  string // the file of a person's or project's command, "" for a built-in one

	run func(c *Chat, args string) (Result, error)
}

// A Result is what a command brought. What it did is also in the updates.
type Result struct {
	Text  string // Markdown to show, "" for none
	Pick  *Pick  // a list for the person to choose from
	Panel string // a panel of the screen, one of the names below, "" for none
	Edit  string // a file for the person to edit
	Fill  string // text for the editor: a prompt that was taken back
	Quit  bool

	SubAgent string // the session of a sub-agent, to be shown

	Insert string // what the prompt gets at the cursor; Text says it where there is none
}

// Panels that only a screen can open. Result.Text says the same in words.
const (
	PanelJobs  = "jobs"
	PanelHelp  = "help"
	PanelTheme = "theme"
)

// A Pick is a list to choose from. Whoever chose calls Command with Then and
// the item's ID after a space.
type Pick struct {
	Title string
	Items []Item
	Then  string // "/resume"
	Now   string // the ID of what holds now, "" for none
}

// An Item is one line of a list.
type Item struct {
	ID     string
	Title  string
	Detail string
}

// builtins are the commands of the program, as help lists them.
func builtins() []Command {
	return []Command{
		{Name: "/help", Help: "show commands", run: (*Chat).help},
		{Name: "/new", Help: "begin a new session in this folder", run: (*Chat).newSession},
		{Name: "/resume", Args: "[ID]", Help: "go on with another session", run: (*Chat).resume},
		{Name: "/sessions", Args: "[WORDS]", Help: "list sessions, or find them by words", run: (*Chat).sessions},
		{Name: "/fork", Help: "go on in a copy of this session", run: (*Chat).fork},
		{Name: "/rewind", Args: "[SEQ files|conversation|both [force]]", Help: "go back: files, conversation or both", run: (*Chat).rewind},
		{Name: "/undo", Args: "[force]", Help: "bring files back to what they were before the last turn", run: (*Chat).undo},
		{Name: "/retry", Help: "go on where the session's log ends", run: (*Chat).retryCommand},
		{Name: "/rename", Args: "TITLE", Help: "give the session a title", run: (*Chat).rename},
		{Name: "/export", Args: "[md|html|jsonl|trace|sft] [FILE]", Help: "write the session into a file", run: (*Chat).export},
		{Name: "/share", Args: "[private|public|off|delete|preview]", Help: "put the session into a dataset of yours", run: (*Chat).share},
		{Name: "/paste", Help: "take the picture in the clipboard into the prompt", run: (*Chat).paste},
		{Name: "/model", Args: "[ID]", Help: "show or change the model", run: (*Chat).model},
		{Name: "/effort", Args: "[LEVEL]", Help: "show or change how hard the model thinks", run: (*Chat).effort},
		{Name: "/approve", Args: "[MODE]", Help: "show or change what runs without asking", run: (*Chat).approve},
		{Name: "/plan", Help: "show the plan", run: (*Chat).plan},
		{Name: "/jobs", Args: "[logs|cancel ID]", Help: "show jobs", run: (*Chat).jobs},
		{Name: "/agents", Args: "[ID]", Help: "list sub-agents, or show what one did", run: (*Chat).agents},
		{Name: "/diff", Help: "show what this session changed in files", run: (*Chat).diff},
		{Name: "/cost", Help: "show where the money went", run: (*Chat).cost},
		{Name: "/context", Help: "show what fills the model's window", run: (*Chat).contextCommand},
		{Name: "/compact", Help: "summarize the older part of the conversation", run: (*Chat).compact},
		{Name: "/tools", Help: "list the model's tools", run: (*Chat).tools},
		{Name: "/mcp", Help: "ask the MCP servers for their tools", run: (*Chat).mcp},
		{Name: "/skills", Args: "[NAME [WORDS]]", Help: "list skills, or have one used", run: (*Chat).skills},
		{Name: "/memory", Args: "[FILE]", Help: "show or edit the files with instructions", run: (*Chat).memory},
		{Name: "/init", Help: "have the model write AGENTS.md for this folder", run: (*Chat).initCommand},
		{Name: "/login", Help: "log in to the Hugging Face Hub", run: (*Chat).login},
		{Name: "/doctor", Help: "show what works here and how to mend what does not", run: (*Chat).doctor},
		{Name: "/theme", Help: "choose colors", run: func(*Chat, string) (Result, error) { return Result{Panel: PanelTheme}, nil }},
		{Name: "/quit", Help: "end the chat", run: func(*Chat, string) (Result, error) { return Result{Quit: true}, nil }},
	}
}

// Builtins lists the commands of the program alone.
func Builtins() []Command { return builtins() }

// Commands lists what there is here, built-in ones first.
func (c *Chat) Commands() []Command {
	all := builtins()
	for _, own := range append(c.ownCommands(), c.skillCommands()...) {
		if !slices.ContainsFunc(all, func(b Command) bool { return b.Name == own.Name }) {
			all = append(all, own)
		}
	}
	return all
}

// Command does what the line says: "/model anthropic/x". Of an unknown command
// the error names the nearest. It may take a while and waits for the reader of
// Updates, so that reader must not call it.
func (c *Chat) Command(line string) (Result, error) {
	name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
	if n, rest, ok := strings.Cut(name, "\n"); ok {
		name, args = n, rest+" "+args
	}
	select {
	case <-c.started:
	case <-c.closed:
	}
	all := c.Commands()
	i := slices.IndexFunc(all, func(o Command) bool { return o.Name == name })
	if i < 0 {
		return Result{}, c.unknown(name, all)
	}
	if args = strings.TrimSpace(args); args != "" && all[i].Args == "" && all[i].Own == "" {
		return Result{}, usage("%s takes nothing after it", name)
	}
	r, err := all[i].run(c, args)
	if r.Pick != nil {
		r.Pick.Now = c.holds(r.Pick.Then)
	}
	return r, err
}

// holds is the present choice of a setting, "" for what is none.
func (c *Chat) holds(command string) string {
	cfg := c.newConfig()
	switch command {
	case "/model":
		c.mu.Lock()
		defer c.mu.Unlock()
		return cmp.Or(c.over.Model, c.state.Model)
	case "/effort":
		return cmp.Or(cfg.Effort, session.DefaultEffort)
	case "/approve":
		return cfg.Approve
	}
	return ""
}

func (c *Chat) unknown(name string, all []Command) error {
	names := make([]string, len(all))
	for i, o := range all {
		names[i] = o.Name
	}
	hint := "/help lists the commands"
	if near := cmp.Or(elsewhere(name), config.Nearest(name, names)); near != "" {
		hint = "did you mean " + near + "?"
	}
	if err := c.unusable(name); err != nil {
		hint = err.Error()
	}
	return fmt.Errorf("%w: there is no command %s; %s", app.ErrUsage, name, hint)
}

// elsewhere is what other programs call a command of ours, "" for none.
func elsewhere(name string) string {
	switch name {
	case "/exit", "/q", "/bye", "/close":
		return "/quit"
	case "/clear", "/reset":
		return "/new"
	case "/status", "/usage":
		return "/context or /cost"
	case "/permissions":
		return "/approve"
	case "/save":
		return "/export"
	}
	return ""
}

// ErrAtWork says that a command must wait for the turn.
var ErrAtWork = errors.New("a turn is at work: stop it first, or wait for its end")

// alone does what must not happen beside a turn. One that waits for jobs is at
// work too.
func (c *Chat) alone(do func() error) error {
	for free := false; !free; {
		c.mu.Lock()
		working := c.endTurn != nil || c.endWork != nil
		c.mu.Unlock()
		if working {
			return ErrAtWork
		}
		select {
		case c.turn <- struct{}{}:
			free = true
		case <-c.closed:
			return errors.New("the chat is closed")
		case <-time.After(50 * time.Millisecond): // it may be a turn that has just begun
		}
	}
	defer func() {
		<-c.turn
		c.wake()
	}()
	return do()
}

// inSession does it with the session, if there is one.
func (c *Chat) inSession(do func() error) error {
	return c.alone(func() error {
		if c.conv == nil {
			return errNone
		}
		return do()
	})
}

// stoppable does what takes its time as a turn does: it is shown as work, and Stop
// ends it. Whoever holds the turn calls it, in a session.
func (c *Chat) stoppable(do func(ctx context.Context) error) error {
	ctx, end := context.WithCancelCause(c.ctx)
	defer end(nil)
	phase := func(p Phase, end context.CancelCauseFunc) {
		c.mu.Lock()
		c.endWork = end
		c.setPhase(p)
		c.mu.Unlock()
		c.tell()
	}
	phase(Working, end)
	defer phase(Idle, nil)
	err := do(ctx)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	return errors.Join(err, c.saveChoices()) // which were made meanwhile
}

var errNone = errors.New("there is no session yet: say something first")

// usage is the error of a command that was called in a wrong way.
func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", app.ErrUsage, fmt.Sprintf(format, args...))
}

// Words are what went wrong with a command, for a person who gave no flag.
func Words(err error) string { return strings.TrimPrefix(err.Error(), app.ErrUsage.Error()+": ") }

func (c *Chat) help(string) (Result, error) {
	var b strings.Builder
	for _, o := range c.Commands() {
		fmt.Fprintf(&b, "- `%s` — %s\n", strings.TrimSpace(o.Name+" "+o.Args), o.Help)
	}
	b.WriteString("- `!COMMAND` — run a shell command; its output goes with the next prompt\n")
	return Result{Text: b.String(), Panel: PanelHelp}, nil
}

func (c *Chat) retryCommand(string) (Result, error) {
	return Result{}, c.inSession(func() error {
		if c.conv.Session.Answered() {
			return errors.New("the last prompt has its answer: there is nothing to go on with")
		}
		c.mu.Lock()
		c.goOn = true
		c.mu.Unlock()
		return nil
	})
}
