package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/chat"
	"ml-intern/internal/session"
)

// A subReader has the sessions of sub-agents. It may take a while.
type subReader interface {
	SubAgentID(callID string) string
	SubAgent(id string, after int64) ([]session.Event, error)
}

// subEvery is how often it is looked for what a sub-agent did, while the turn
// works.
const subEvery = time.Second

// A subView shows what a sub-agent said and did, in place of the conversation.
type subView struct {
	id    string // its session
	title string
	rec   *record
	after int64 // the last event that is shown
	read  bool
	over  bool // its report is shown, or nothing will follow
	err   error
}

// subMsg is what a sub-agent did since it was read last.
type subMsg struct {
	view   *subView
	events []session.Event
	err    error
}

// page is the transcript that is seen.
func (m *model) page() *transcript {
	if m.sub != nil {
		return &m.sub.rec.transcript
	}
	return &m.rec.transcript
}

// rows is how many lines of it are seen.
func (m *model) rows() int {
	if m.sub != nil {
		return max(m.seen-1, 0)
	}
	return m.seen
}

// open opens or folds an item; of a call that has a sub-agent, what that did.
func (m *model) open(i int) tea.Cmd {
	t := m.page()
	if i < 0 || i >= len(t.items) {
		return nil
	}
	it := t.items[i]
	reader, ok := m.talk.(subReader)
	if m.sub != nil || !ok || it.kind != aCall || it.call.Name != chat.ResearchTool || it.call.state < isRunning || it.call.state == isDenied {
		t.toggle(&m.c, i, m.rows())
		return nil
	}
	id := it.call.child
	if id == "" {
		id = reader.SubAgentID(it.call.ID)
	}
	return m.openSub(id)
}

// openSub shows a sub-agent's session.
func (m *model) openSub(id string) tea.Cmd {
	m.sub = &subView{id: id, title: id, rec: newRecord(m.rec.now)}
	return m.readSub(m.sub, 0)
}

// readSub reads on after a while.
func (m *model) readSub(v *subView, wait time.Duration) tea.Cmd {
	reader, ok := m.talk.(subReader)
	if !ok {
		return nil
	}
	ctx, after := m.ctx, v.after
	return func() tea.Msg {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		events, err := reader.SubAgent(v.id, after)
		return subMsg{v, events, err}
	}
}

// tookSub shows what was read, and reads on: at once while there is more, and
// while the turn works once in a while. Last comes what the sub-agent reported.
func (m *model) tookSub(msg subMsg) tea.Cmd {
	v := msg.view
	if m.sub != v {
		return nil
	}
	v.read, v.err = true, msg.err
	for _, ev := range msg.events {
		if ev.Prompt != nil && v.title == v.id {
			v.title = session.Title(ev.Prompt.Text)
		}
		v.rec.event(ev)
		v.after = ev.Seq
	}
	call := m.callOf(v.id)
	switch {
	case msg.err != nil:
		return nil
	case len(msg.events) > 0:
		return m.readSub(v, 0)
	case m.busy() && (call == nil || call.state < isDone):
		return m.readSub(v, subEvery)
	}
	v.over = true
	v.rec.settle()
	if call != nil && call.result != "" {
		v.rec.add(&item{kind: aWord, label: "what it told the model", text: call.result, open: true})
	}
	return nil
}

// callOf is the call that a sub-agent works for, if it is in the transcript.
func (m *model) callOf(id string) *call {
	reader, ok := m.talk.(subReader)
	if !ok {
		return nil
	}
	for i := len(m.rec.items) - 1; i >= 0; i-- {
		it := m.rec.items[i]
		if it.kind == aCall && it.call.Name == chat.ResearchTool && (it.call.child == id || it.call.child == "" && reader.SubAgentID(it.call.ID) == id) {
			return it.call
		}
	}
	return nil
}

// subLines draws the sub-agent's session, height lines at most.
func (m *model) subLines(height int) []string {
	v, c := m.sub, &m.c
	if height < 1 {
		return nil
	}
	busy := c.busy
	defer func() { c.busy = busy }()
	c.busy = busy && !v.over
	lines := []string{c.heading("sub-agent · "+cleanLine(v.title), "Esc back")}
	switch {
	case v.err != nil:
		return append(lines, c.draw(bad("  "+cleanLine(v.err.Error()))))
	case !v.read:
		return append(lines, c.draw(muted("  reading…")))
	case len(v.rec.items) == 0 && v.over:
		return append(lines, c.draw(muted("  its session is not there: it had not begun, or was removed")))
	case len(v.rec.items) == 0:
		return append(lines, c.draw(muted("  it has not begun yet")))
	}
	return append(lines, v.rec.view(c, height-1)...)
}
