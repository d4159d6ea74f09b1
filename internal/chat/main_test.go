package chat_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/config"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// TestMain lets the test program be a cell for commands, and the shim of a job.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case app.ConfinedCommand:
			if err := app.RunConfined(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case app.ShimCommand:
			if err := app.RunShim(context.Background(), os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// A room is a person's machine: a home, a workspace, and a model's server.
type room struct {
	t      *testing.T
	home   string
	dir    string
	server *llmtest.Server
}

func newRoom(t *testing.T, turns ...llmtest.Turn) *room {
	t.Helper()
	return newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		if n >= len(turns) {
			return llmtest.Turn{}, false
		}
		return turns[n], true
	})
}

func newRoomFunc(t *testing.T, script func(int) (llmtest.Turn, bool)) *room {
	t.Helper()
	r := &room{t: t, home: t.TempDir(), dir: t.TempDir(), server: llmtest.NewServerFunc(script)}
	t.Cleanup(r.server.Close)
	return r
}

// config is what the program would read there.
func (r *room) config(more ...string) *config.Config {
	r.t.Helper()
	env := append([]string{
		"ML_INTERN_HOME=" + r.home, "HOME=" + r.home, "PATH=" + os.Getenv("PATH"),
		"OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL=" + r.server.URL,
	}, more...)
	cfg, err := config.Load(env, r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg.Model = "openai/test"
	cfg.FromFlag("model")
	return cfg
}

// A guest is a person in a chat: what they were shown, as it comes.
type guest struct {
	t *testing.T
	*chat.Chat
	updates <-chan chat.Update
	seen    []chat.Update
	state   chat.State
	log     []session.Event
}

func (r *room) enter(opts chat.Options) *guest {
	r.t.Helper()
	g, err := r.tryEnter(r.config(), opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

func (r *room) tryEnter(cfg *config.Config, opts chat.Options) (*guest, error) {
	c, err := chat.Open(r.t.Context(), cfg, opts)
	if err != nil {
		return nil, err
	}
	g := &guest{t: r.t, Chat: c, updates: c.Updates()}
	r.t.Cleanup(func() { g.close() })
	return g, nil
}

// close reads on until the chat is closed.
func (g *guest) close() {
	done := make(chan error, 1)
	go func() { done <- g.Close() }()
	for u := range g.updates {
		g.note(u)
	}
	if err := <-done; err != nil {
		g.t.Errorf("close: %v", err)
	}
}

func (g *guest) note(u chat.Update) {
	g.seen = append(g.seen, u)
	switch {
	case u.State != nil:
		g.state = *u.State
	case u.Event != nil && u.Event.Seq > 0:
		g.log = append(g.log, *u.Event)
	case u.Opened != nil:
		g.log = append([]session.Event(nil), u.Opened.Events...)
	}
}

// until reads until the update that is asked for.
func (g *guest) until(what string, found func(chat.Update) bool) chat.Update {
	g.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case u, ok := <-g.updates:
			if !ok {
				g.t.Fatalf("the chat ended before %s", what)
			}
			g.note(u)
			if found(u) {
				return u
			}
		case <-late:
			g.t.Fatalf("no %s; the last state is %+v; seen:\n%s", what, g.state, g.story())
		}
	}
}

func (g *guest) phase(p chat.Phase) chat.State {
	g.t.Helper()
	if g.state.Phase == p {
		return g.state
	}
	return *g.until("phase "+string(p), func(u chat.Update) bool { return u.State != nil && u.State.Phase == p }).State
}

// answered reads to the end of a turn that begins.
func (g *guest) answered() {
	g.t.Helper()
	g.phase(chat.Working)
	g.phase(chat.Idle)
}

// idle reads until the chat is at rest and its words end like that.
func (g *guest) idle(end string) {
	g.t.Helper()
	for g.state.Phase != chat.Idle || !strings.HasSuffix(g.words(), end) {
		g.until("rest after "+end, func(chat.Update) bool { return true })
	}
}

// asked reads until the model was asked so many times.
func (g *guest) asked(r *room, n int) {
	g.t.Helper()
	late := time.After(time.Minute)
	for len(r.server.Seen()) < n {
		select {
		case u, ok := <-g.updates:
			if ok {
				g.note(u)
			}
		case <-time.After(10 * time.Millisecond):
		case <-late:
			g.t.Fatalf("the model was asked %d times, not %d", len(r.server.Seen()), n)
		}
	}
}

func (g *guest) say(text string) {
	g.t.Helper()
	g.Say(text)
	g.answered()
}

// do gives a command while the updates are read.
func (g *guest) do(line string) (chat.Result, error) {
	g.t.Helper()
	type outcome struct {
		chat.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := g.Command(line)
		done <- outcome{r, err}
	}()
	for {
		select {
		case u, ok := <-g.updates:
			if ok {
				g.note(u)
			}
		case o := <-done:
			return o.Result, o.err
		case <-time.After(time.Minute):
			g.t.Fatalf("%s does not end", line)
		}
	}
}

// start gives a command that begins a turn.
func (g *guest) start(line string) {
	g.t.Helper()
	if _, err := g.do(line); err != nil {
		g.t.Fatalf("%s: %v", line, err)
	}
}

func (g *guest) must(line string) chat.Result {
	g.t.Helper()
	r, err := g.do(line)
	if err != nil {
		g.t.Fatalf("%s: %v", line, err)
	}
	g.rest()
	return r
}

// rest reads what is on its way.
func (g *guest) rest() {
	for {
		select {
		case u, ok := <-g.updates:
			if ok {
				g.note(u)
			}
		case <-time.After(50 * time.Millisecond):
			return
		}
	}
}

// story is what was shown, in short.
func (g *guest) story() string {
	var b strings.Builder
	for _, u := range g.seen {
		switch {
		case u.Event != nil:
			fmt.Fprintln(&b, word(*u.Event))
		case u.Ask != nil:
			fmt.Fprintln(&b, "ask", u.Ask.Requests[0].Call.Name)
		case u.State != nil:
			fmt.Fprintf(&b, "state %s queue %v steers %v\n", u.State.Phase, u.State.Queue, u.State.Steers)
		case u.Opened != nil:
			fmt.Fprintf(&b, "opened %s with %d events\n", u.Opened.ID, len(u.Opened.Events))
		case u.Ran != nil:
			fmt.Fprintf(&b, "ran %+v\n", *u.Ran)
		default:
			fmt.Fprintln(&b, "notice", u.Notice)
		}
	}
	return b.String()
}

func word(ev session.Event) string {
	switch {
	case ev.Prompt != nil && ev.Prompt.Steer:
		return "steer:" + ev.Prompt.Text
	case ev.Prompt != nil:
		return "prompt:" + ev.Prompt.Text
	case ev.Reply != nil && len(ev.Reply.Message.Calls()) == 0:
		return "answer:" + ev.Reply.Message.Text()
	case ev.Reply != nil:
		return "calls"
	case ev.Result != nil:
		return "result"
	case ev.Failed != nil:
		return "failed:" + ev.Failed.Reason
	case ev.Asked != nil:
		return "asked"
	case ev.Decided != nil:
		return "decided:" + ev.Decided.Verdict
	case ev.Chose != nil:
		return "chose:" + ev.Chose.Model + ev.Chose.Effort + ev.Chose.Mode
	case ev.Compact != nil:
		return "compact"
	case ev.Opened != nil, ev.Reserved != nil, ev.Settled != nil, ev.Started != nil, ev.Checkpointed != nil, ev.Notice != nil, ev.Charged != nil:
		return ""
	}
	return "?"
}

// words are the saved events that were shown, in short.
func (g *guest) words() string {
	var all []string
	for _, ev := range g.log {
		if w := word(ev); w != "" {
			all = append(all, w)
		}
	}
	return strings.Join(all, " ")
}

// told are the user messages of the model's request number n.
func (r *room) told(n int) string {
	r.t.Helper()
	seen := r.server.Seen()
	if n >= len(seen) {
		r.t.Fatalf("the model was asked %d times", len(seen))
	}
	return string(seen[n].Body)
}

func (r *room) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		return ""
	}
	return string(text)
}

func call(name, args string) llmtest.Turn {
	return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: name, Args: args}}}
}

// gated is a call that runs until the room's gate is open.
func gated(then string) llmtest.Turn {
	return call("bash", `{"command": "until [ -e gate ]; do sleep 0.05; done; `+then+`"}`)
}

func (r *room) openGate() { r.t.Helper(); r.write("gate", "") }

func say(text string) llmtest.Turn { return llmtest.Turn{Text: text} }

var (
	yes = approval.Decision{Verdict: approval.Allow}
	no  = approval.Decision{Verdict: approval.Deny, Reason: "not today"}
)
