package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/chat"
	"ml-intern/internal/picture"
	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/find"
)

// twice is how long after the first a key counts as pressed twice.
const twice = 1500 * time.Millisecond

// key gives a key to whoever has the keys: what is asked, a panel, the list of
// completions, and last the prompt.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	now := m.c.now
	key := k.String()
	if m.leaving {
		m.leaving = false
		if key == "y" || key == "ctrl+c" {
			return tea.Quit
		}
		m.toastEnd = now
		return nil
	}
	m.toastEnd = now // what it says is answered, or overtaken
	if key != "ctrl+c" {
		m.lastC = time.Time{}
	}
	if key != "esc" {
		m.lastEsc = time.Time{}
	}
	switch key {
	case "ctrl+z":
		return tea.Suspend
	case "ctrl+l":
		return tea.ClearScreen
	}
	if m.panel != nil {
		keep, cmd := m.panel.key(m, k)
		if !keep {
			m.panel = nil
		}
		return cmd
	}
	if q := m.ask; q != nil && !q.away {
		if q.armed(now) || q.reason != nil || q.editor != nil {
			return m.askKey(k)
		}
		q.last = now // somebody types: wait until they pause
	}
	return m.promptKey(k)
}

func (m *model) askKey(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "ctrl+c" && m.ask.reason == nil && m.ask.editor == nil {
		m.ask.away = true
		return m.interrupt()
	}
	keep, cmd := m.ask.key(m, k)
	if !keep {
		m.ask = nil
		m.nextAsk()
	}
	return cmd
}

// promptKey obeys a key at the prompt.
func (m *model) promptKey(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	if m.chord {
		m.chord = false
		if key == "ctrl+e" || key == "e" {
			return m.editPrompt()
		}
	}
	if m.menu.open() {
		if cmd, done := m.menuKey(key); done {
			return cmd
		}
	}
	if cmd, done := m.viewKey(key); done {
		return cmd
	}
	if cmd, done := m.actKey(key); done {
		return cmd
	}
	if m.older(key, true) || m.prompt.Key(key, m.promptWidth()) || m.older(key, false) {
		return m.complete()
	}
	if k.Text != "" && !strings.HasPrefix(key, "alt+") {
		m.prompt.Insert(k.Text)
		return m.complete()
	}
	return nil
}

// menuKey obeys a key while completions are shown.
func (m *model) menuKey(key string) (cmd tea.Cmd, done bool) {
	if key == "enter" && m.c.now.Sub(m.menu.came) < calm {
		return nil, false // it has just opened by itself: the person meant what they typed
	}
	switch key {
	case "up", "ctrl+p":
		m.menu.move(-1)
	case "down", "ctrl+n":
		m.menu.move(1)
	case "esc":
		m.menu.shut, _, _ = wordAt(&m.prompt)
		m.menu.found = nil
	case "tab":
		m.menu.take(&m.prompt, m.commands)
		return m.complete(), true
	case "enter":
		if word, _, sort := wordAt(&m.prompt); sort == '/' && word == m.menu.chosen() || m.menu.take(&m.prompt, m.commands) {
			return m.send(), true
		}
		return m.complete(), true
	default:
		return nil, false
	}
	return nil, true
}

// viewKey obeys a key that looks around.
func (m *model) viewKey(key string) (cmd tea.Cmd, done bool) {
	t := m.page()
	switch key {
	case "pgup":
		t.scroll(&m.c, -max(m.rows()-2, 1), m.rows())
	case "pgdown":
		t.scroll(&m.c, max(m.rows()-2, 1), m.rows())
	case "shift+up", "ctrl+up":
		t.scroll(&m.c, -1, m.rows())
	case "shift+down", "ctrl+down":
		t.scroll(&m.c, 1, m.rows())
	case "ctrl+home", "alt+home":
		t.toStart()
	case "ctrl+end", "alt+end":
		t.away = false
	case "alt+up":
		m.chooseItem(-1)
	case "alt+down":
		m.chooseItem(1)
	case "ctrl+t":
		m.planOpen = !m.planOpen
	case "ctrl+o":
		return m.openPanel(chat.PanelJobs, ""), true
	case "tab":
		return m.tab(), true
	default:
		return m.emptyKey(key)
	}
	return nil, true
}

func (m *model) chooseItem(by int) {
	t := m.page()
	if t.choose(by); t.at >= 0 {
		t.reveal(&m.c, t.at, m.rows())
	}
}

// tab goes to what is asked, or opens what is chosen or latest.
func (m *model) tab() tea.Cmd {
	switch t := m.page(); {
	case m.ask != nil:
		m.ask.away, m.ask.last = false, m.c.now.Add(-calm)
	case t.at >= 0:
		return m.open(t.at)
	case m.prompt.Empty():
		return m.open(t.latest())
	}
	return nil
}

// emptyKey obeys keys that mean something else in a prompt with text.
func (m *model) emptyKey(key string) (cmd tea.Cmd, done bool) {
	if !m.prompt.Empty() {
		return nil, false
	}
	switch t := m.page(); {
	case key == "?":
		m.panel = m.help()
	case key == "end" && t.away:
		t.away = false
	case key == "home" && t.away:
		t.toStart()
	case key == "enter" && t.at >= 0:
		return m.open(t.at), true
	case key == "ctrl+d":
		return m.leave(), true
	case key == "up" && len(m.state.Queue) > 0:
		talk := m.talk
		m.later(func() tea.Msg { return unqueuedMsg{talk.Unqueue()} })
	default:
		return nil, false
	}
	return nil, true
}

// actKey obeys a key that does something with the prompt or the turn.
func (m *model) actKey(key string) (cmd tea.Cmd, done bool) {
	switch key {
	case "enter":
		return m.send(), true
	case "ctrl+s":
		m.steer()
	case "esc":
		return m.escape(), true
	case "ctrl+c":
		return m.interrupt(), true
	case "ctrl+g":
		return m.editPrompt(), true
	case "ctrl+v":
		return m.copied(), true
	case "ctrl+x":
		m.chord = true
	default:
		return nil, false
	}
	return nil, true
}

// older goes through the history: again is for when the prompt still is what
// the history gave.
func (m *model) older(key string, again bool) bool {
	by := map[string]int{"up": -1, "ctrl+p": -1, "down": 1, "ctrl+n": 1}[key]
	if by == 0 || again && !m.hist.Shows(m.prompt.Text) {
		return false
	}
	text, ok := m.hist.Move(by, m.prompt.Text)
	if ok {
		m.prompt.Set(text)
	}
	return ok
}

// later does something with the conversation, in order, once it is open.
func (m *model) later(f func() tea.Msg) {
	if m.talk == nil {
		m.early = append(m.early, f)
		return
	}
	m.do(f)
}

// send gives the prompt to the conversation, which keeps it for later if a
// turn works.
func (m *model) send() tea.Cmd {
	text := strings.TrimSpace(m.prompt.Expanded())
	if text == "" {
		if m.state.Held {
			m.later(func() tea.Msg { m.talk.Say(""); return nil })
		}
		return nil
	}
	m.taken()
	if strings.HasPrefix(text, "/") && !strings.Contains(strings.Fields(text)[0][1:], "/") {
		return m.command(text)
	}
	m.later(func() tea.Msg { m.talk.Say(text); return nil })
	return nil
}

// steer says the prompt to the turn at work, or with an empty prompt the last
// one that waits.
func (m *model) steer() {
	text := strings.TrimSpace(m.prompt.Expanded())
	if text == "" && len(m.state.Queue) == 0 {
		return
	}
	if text != "" {
		m.taken()
	}
	m.later(func() tea.Msg {
		if text == "" {
			text = m.talk.Unqueue()
		}
		if text != "" {
			m.talk.Steer(text)
		}
		return nil
	})
}

// taken empties the prompt and remembers it.
func (m *model) taken() {
	m.hist.Load()
	m.hist.Add(m.prompt.Expanded())
	m.prompt.Clear()
	m.menu = menu{}
	m.sub, m.rec.away, m.rec.at = nil, false, -1
}

// escape goes back from a sub-agent, or stops the turn; with none it leaves what is chosen, stops the person's own
// commands, and pressed twice clears the prompt.
func (m *model) escape() tea.Cmd {
	switch {
	case m.sub != nil:
		m.sub = nil
		return nil
	case m.talk != nil && (m.busy() || len(m.state.Queue) > 0 && !m.state.Held): // a turn, or one that is about to begin
		m.state.Phase = chat.Stopping
		stop := m.talk.Stop
		return func() tea.Msg { stop(); return nil } // it waits for nothing that was said before
	case m.rec.at >= 0:
		m.rec.at = -1
	case m.talk != nil && m.state.CommandsBusy > 0:
		stop := m.talk.Stop
		return func() tea.Msg { stop(); return nil }
	case m.rec.away:
		m.rec.away = false
	case m.prompt.Empty():
	case m.c.now.Sub(m.lastEsc) < twice:
		m.prompt.Set("") // undo brings it back
		m.lastEsc = time.Time{}
		return nil
	default:
		m.hintFor("Esc again clears the prompt", twice)
	}
	m.lastEsc = m.c.now
	return nil
}

// interrupt clears the prompt; pressed twice it leaves.
func (m *model) interrupt() tea.Cmd {
	if m.c.now.Sub(m.lastC) < twice {
		return m.leave()
	}
	m.lastC = m.c.now
	m.prompt.Set("")
	m.menu = menu{}
	m.hintFor("Ctrl+C again quits", twice)
	return nil
}

// leave quits; where a turn works, only after a word.
func (m *model) leave() tea.Cmd {
	if m.leaveAsks() {
		m.leaving = true
		m.toast, m.toastEnd = "a turn is at work: y stops it and quits, any other key stays", m.c.now.Add(time.Hour)
		return nil
	}
	return tea.Quit
}

// leaveAsks reports whether quitting would stop something.
func (m *model) leaveAsks() bool {
	p := m.state.Phase
	return p == chat.Working || p == chat.Asking || p == chat.Stopping || len(m.rec.runs) > 0
}

// A copier has the picture that the person has copied.
type copier interface {
	Copied() (mention string, err error)
}

// copied takes the picture in the clipboard into the prompt.
func (m *model) copied() tea.Cmd {
	talk, ok := m.talk.(copier)
	if !ok {
		m.hint("still opening")
		return nil
	}
	return func() tea.Msg {
		mention, err := talk.Copied()
		return copiedMsg{mention, err}
	}
}

// paste puts text from outside where text is typed. It never decides.
func (m *model) paste(text string) tea.Cmd {
	switch p := m.panel.(type) {
	case nil:
	case *picker:
		p.filter.Insert(cleanLine(cutBytes(text, 200)))
		p.found, p.at = find.Fuzzy(p.all, p.filter.Text), 0
		return nil
	default:
		return nil
	}
	if q := m.ask; q != nil && !q.away {
		if q.reason != nil {
			q.reason.Insert(cleanLine(text))
			return nil
		}
		if q.editor != nil {
			q.editor.text.Insert(edit.Typed(text))
			return nil
		}
		q.last = m.c.now
	}
	switch mention := (picture.Finder{Dir: m.state.Dir, Home: m.env("HOME")}).Pasted(text); {
	case text == "": // what terminals send when there is only a picture
		return m.copied()
	case picture.Raw(text):
		m.say("that is the data of a file and no text: write @ and its name, or copy the picture and press Ctrl+V")
		return nil
	case mention != "":
		m.mention(mention)
	default:
		m.prompt.Paste(text)
	}
	return m.complete()
}

// mention puts the name of a picture into the prompt. An @ within a word is none.
func (m *model) mention(name string) {
	if before := m.prompt.Text[:m.prompt.Pos]; before != "" && !strings.HasSuffix(before, " ") && !strings.HasSuffix(before, "\n") {
		name = " " + name
	}
	m.prompt.Insert(name + " ")
}

// wheel scrolls.
func (m *model) wheel(msg tea.MouseWheelMsg) {
	switch msg.Button {
	case tea.MouseWheelUp:
		m.page().scroll(&m.c, -3, m.rows())
	case tea.MouseWheelDown:
		m.page().scroll(&m.c, 3, m.rows())
	}
}
