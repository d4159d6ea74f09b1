package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/find"
	"ml-intern/internal/tui/style"
)

// A talker is what the screen says to a conversation.
type talker interface {
	Say(text string)
	Steer(text string)
	Unqueue() string
	Stop()
}

// A conversation is what the screen needs of a chat.
type conversation interface {
	talker
	Updates() <-chan chat.Update
	Commands() []chat.Command
	Command(line string) (chat.Result, error)
	Repositories(ctx context.Context, start string) ([]app.Repository, error)
}

// A model is the screen: what is known, and what the person types. It belongs
// to the program's one loop.
type model struct {
	ctx   context.Context
	talk  conversation // nil until it is open
	begin func() tea.Msg
	do    func(func() tea.Msg) // in order, beside the loop; what it brings comes back as a message
	env   func(string) string
	rec   *record
	c     canvas
	state chat.State

	height   int
	seen     int // lines of the transcript on the screen
	mouse    bool
	focus    bool     // the terminal is asked whether the person looks at it
	looks    bool     // they do, as it has said
	rings    []string // what it is to be sent, to show notifications
	dark     bool
	look     string // "dark", "light" or "none" if the person chose; "auto" else
	lookFile string

	prompt   edit.Buffer
	top      int // first row of the prompt that is seen
	hist     edit.History
	menu     menu
	commands []chat.Command
	files    []string
	walked   bool
	known    []string // repositories, for knownAt items
	knownAt  int
	hub      hubNames
	after    func(time.Duration, func(time.Time) tea.Msg) tea.Cmd // tea.Tick

	filesKnown bool // the walk for them has ended

	ask      *question
	asks     []*chat.Ask // that come after it
	panel    panel
	sub      *subView // in place of the conversation
	planOpen bool
	early    []func() tea.Msg // said before the conversation was open

	toast    string
	toastEnd time.Time
	lastEsc  time.Time
	lastC    time.Time
	leaving  bool // the person is asked whether to quit
	chord    bool // Ctrl+X was pressed
	ticking  bool
	fatal    error
	closed   bool // there are no more updates
}

func newModel(ctx context.Context, now func() time.Time) *model {
	m := &model{ctx: ctx, rec: newRecord(now), look: "auto", dark: true, after: tea.Tick}
	m.c.width, m.height = 80, 24
	m.c.now = now()
	m.c.theme = style.Dark()
	m.env = func(string) string { return "" }
	m.state.Phase = chat.Idle
	return m
}

// Messages of the screen to itself.
type (
	openedMsg  struct{ talk conversation }
	brokenMsg  struct{ err error }
	updatesMsg struct {
		updates []chat.Update
		over    bool
	}
	resultMsg struct {
		line   string
		result chat.Result
		err    error
	}
	unqueuedMsg struct{ text string }
	copiedMsg   struct {
		mention string
		err     error
	}
	filesMsg  struct{ files []string }
	editedMsg struct {
		text string
		err  error
	}
	tickMsg struct{}
)

// Init implements tea.Model.
func (m *model) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, m.begin)
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.c.now = m.rec.now()
	cmd := m.receive(msg)
	return m, tea.Batch(cmd, m.tick())
}

func (m *model) receive(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		return m.paste(msg.Content)
	case tea.WindowSizeMsg:
		m.c.width, m.height = max(msg.Width, 1), max(msg.Height, 1)
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.repaint()
	case tea.FocusMsg:
		m.looks = true
	case tea.BlurMsg:
		m.looks = false
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case updatesMsg:
		return m.updates(msg)
	case tickMsg:
		m.ticking = false
		m.c.frame++
	default:
		return m.answer(msg)
	}
	return nil
}

// answer takes what the screen had asked for.
func (m *model) answer(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case openedMsg:
		m.talk = msg.talk
		m.commands = m.talk.Commands()
		for _, f := range m.early {
			m.do(f)
		}
		m.early = nil
		return m.wait()
	case brokenMsg:
		m.fatal = msg.err
		return tea.Quit
	case resultMsg:
		return m.result(msg)
	case unqueuedMsg:
		if msg.text != "" {
			if !m.prompt.Empty() {
				msg.text += "\n" + m.prompt.Text
			}
			m.prompt.Set(msg.text)
		}
	case copiedMsg:
		if msg.err != nil {
			m.say(msg.err.Error())
			return nil
		}
		m.mention(msg.mention)
	case filesMsg:
		m.files, m.filesKnown = msg.files, true
		return m.complete()
	case hubPauseMsg:
		return m.hub.ask(m, msg.start)
	case hubNamesMsg:
		if m.hub.take(m.c.now, msg) {
			before := m.menu.open()
			cmd := m.complete()
			if !before && m.menu.open() {
				m.menu.came = m.c.now
			}
			return cmd
		}
	case editedMsg:
		if msg.err != nil {
			m.say("the editor: " + msg.err.Error())
		} else {
			m.prompt.Set("")
			m.prompt.Paste(msg.text)
		}
	case jobsMsg:
		return msg.panel.take(m, msg)
	case subMsg:
		return m.tookSub(msg)
	case argsEdited:
		if msg.err != nil {
			msg.q.note = "the editor: " + msg.err.Error()
		} else {
			msg.q.take(msg.e, msg.text)
		}
	}
	return nil
}

// wait reads the next updates: all that are there, so that a fast stream draws
// no screen for each of its pieces.
func (m *model) wait() tea.Cmd {
	if m.talk == nil || m.closed {
		return nil
	}
	updates := m.talk.Updates()
	return func() tea.Msg {
		u, ok := <-updates
		if !ok {
			return updatesMsg{over: true}
		}
		got := []chat.Update{u}
		for len(got) < 512 {
			select {
			case u, ok := <-updates:
				if !ok {
					return updatesMsg{got, true}
				}
				got = append(got, u)
			default:
				return updatesMsg{got, false}
			}
		}
		return updatesMsg{got, false}
	}
}

func (m *model) updates(msg updatesMsg) tea.Cmd {
	for _, u := range msg.updates {
		m.update(u)
	}
	m.closed = msg.over
	return tea.Batch(m.wait(), m.ring())
}

// ring has the terminal show the notifications that came, beside the frame,
// unless the person looks at it.
func (m *model) ring() tea.Cmd {
	all := strings.Join(m.rings, "")
	if m.rings = nil; all == "" || m.looks {
		return nil
	}
	return tea.Raw(all)
}

// update takes one update of the conversation.
func (m *model) update(u chat.Update) {
	switch {
	case u.Event != nil:
		m.rec.event(*u.Event)
	case u.State != nil:
		m.state = *u.State
		if m.state.Phase == chat.Idle && m.ask != nil { // the turn was stopped
			m.ask, m.asks = nil, nil
		}
		if m.state.Phase == chat.Idle {
			m.rec.settle()
			if m.leaving && !m.leaveAsks() { // the turn has ended meanwhile
				m.leaving, m.toastEnd = false, m.c.now
			}
		}
	case u.Ask != nil:
		m.asks = append(m.asks, u.Ask)
		m.nextAsk()
	case u.Opened != nil:
		m.opened(*u.Opened)
	case u.Ran != nil:
		m.rec.ran(*u.Ran)
	case u.Ring != "":
		m.rings = append(m.rings, u.Ring)
	case u.Notice != "":
		m.rec.notice(u.Notice)
	}
}

// nextAsk shows the next question. While the person types they are only told:
// what they type must not decide.
func (m *model) nextAsk() {
	if m.ask != nil || len(m.asks) == 0 {
		return
	}
	m.ask = newQuestion(m.asks[0], m.c.now)
	m.asks = m.asks[1:]
	m.ask.away = !m.prompt.Empty() || m.panel != nil
}

// opened shows another session.
func (m *model) opened(o chat.Opened) {
	rec := newRecord(m.rec.now)
	for _, ev := range o.Events {
		rec.event(ev)
	}
	rec.settle()
	m.rec, m.sub, m.ask, m.asks = rec, nil, nil, nil
	m.commands = m.talk.Commands() // another folder may have its own
}

// say puts a word of the program into the transcript.
func (m *model) say(text string) {
	m.rec.add(&item{kind: aWord, text: clean(text)})
}

// hint shows a word for a moment, or until the next key.
func (m *model) hint(text string) { m.hintFor(text, 2*time.Second) }

func (m *model) hintFor(text string, d time.Duration) {
	m.toast, m.toastEnd = text, m.c.now.Add(d)
}

// tick lets time pass on the screen while something moves.
func (m *model) tick() tea.Cmd {
	if m.ticking || !m.moves() {
		return nil
	}
	m.ticking = true
	return tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return tickMsg{} })
}

func (m *model) moves() bool {
	return m.busy() || m.panel != nil || len(m.rec.runs) > 0 || m.c.now.Before(m.toastEnd) || m.ask != nil && !m.ask.away && !m.ask.armed(m.c.now)
}

func (m *model) busy() bool { return m.state.Phase != chat.Idle }

// command runs a line that begins with a slash.
func (m *model) command(line string) tea.Cmd {
	talk := m.talk
	if talk == nil {
		m.hint("still opening")
		return nil
	}
	return func() tea.Msg {
		r, err := talk.Command(line)
		return resultMsg{line, r, err}
	}
}

// result shows what a command brought.
func (m *model) result(msg resultMsg) tea.Cmd {
	r := msg.result
	if msg.err != nil {
		m.rec.add(&item{kind: aFailure, text: clean(chat.Words(msg.err))})
		return nil
	}
	switch {
	case r.Quit:
		return tea.Quit
	case r.Pick != nil:
		all := make([]find.Choice, len(r.Pick.Items))
		for i, it := range r.Pick.Items {
			all[i] = find.Choice{ID: it.ID, Title: firstNotEmpty(it.Title, it.ID), Detail: it.Detail}
		}
		p := newPicker(r.Pick.Title, r.Pick.Then, all)
		p.at = max(slices.IndexFunc(all, func(c find.Choice) bool { return c.ID == r.Pick.Now }), 0)
		m.panel = p
		if r.Text != "" { // what the choice is about
			m.rec.answered(r.Text, false)
			m.rec.away = false
		}
	case r.Edit != "":
		return m.editFile(r.Edit)
	case r.Panel != "":
		return m.openPanel(r.Panel, r.Text)
	case r.SubAgent != "":
		return m.openSub(r.SubAgent)
	case r.Insert != "":
		m.mention(strings.TrimSuffix(r.Insert, " "))
	case r.Text != "":
		m.rec.answered(r.Text, sets(msg.line))
		m.rec.away = false
	}
	m.commands = m.talk.Commands()
	return nil
}

// openPanel opens what the screen has by that name.
func (m *model) openPanel(name, text string) tea.Cmd {
	switch name {
	case chat.PanelHelp:
		m.panel = m.help()
	case chat.PanelTheme:
		m.panel = m.themes()
	case chat.PanelJobs:
		p := &jobsPanel{}
		m.panel = p
		return p.lookAt(m, 0)
	default:
		m.panel = &reader{title: name, text: text}
	}
	return nil
}

// complete looks for what fits the word at the cursor.
func (m *model) complete() tea.Cmd {
	word, _, sort := wordAt(&m.prompt)
	var walk tea.Cmd
	ask := m.hub.want(m, word)
	var offered []find.Choice
	if sort == '@' {
		offered = m.hub.offered(word)
		if !m.walked {
			m.walked = true
			ctx, dir := m.ctx, m.state.Dir
			walk = func() tea.Msg { return filesMsg{find.Files(ctx, dir)} }
		}
		if n := len(m.rec.items); m.known == nil || m.knownAt != n {
			m.known, m.knownAt = m.rec.repos(), n
		}
	}
	m.menu.look(&m.prompt, m.commands, m.names(offered))
	return tea.Batch(walk, ask)
}

// names are what "@" offers: repositories that the session named, files, and the
// Hub's.
func (m *model) names(offered []find.Choice) []find.Choice {
	var all []find.Choice
	for _, name := range slices.Concat(m.known, m.files) {
		id := "@" + name
		if strings.ContainsAny(name, " \t") && !strings.HasSuffix(name, "/") && !strings.Contains(name, `"`) {
			id = `@"` + name + `"` // else the name would end at the blank
		}
		all = append(all, find.Choice{ID: id, Title: name})
	}
	for _, c := range offered {
		if !slices.Contains(m.known, c.Title) {
			all = append(all, c)
		}
	}
	return all
}

// themes is the list of looks.
func (m *model) themes() panel {
	all := []find.Choice{
		{ID: "auto", Title: "auto", Detail: "as the terminal says it is"},
		{ID: "dark", Title: "dark", Detail: "light letters on dark"},
		{ID: "light", Title: "light", Detail: "dark letters on light"},
		{ID: "none", Title: "none", Detail: "no colours"},
	}
	i := max(slices.IndexFunc(all, func(c find.Choice) bool { return c.ID == m.look }), 0)
	return &themePicker{picker: *newPicker("theme", "", all), before: m.look, first: i}
}
