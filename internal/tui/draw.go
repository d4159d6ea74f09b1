package tui

import (
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"ml-intern/internal/chat"
	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/style"
)

// View implements tea.Model: the transcript above, and below it what is done,
// what waits, the prompt and the state.
func (m *model) View() tea.View {
	lines, cursor := m.screen()
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	v.ReportFocus = m.focus
	v.WindowTitle = m.windowTitle()
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if cursor != nil {
		v.Cursor = tea.NewCursor(cursor.x, cursor.y)
	}
	return v
}

func (m *model) windowTitle() string {
	title := "ml-intern"
	if m.state.Title != "" {
		title += " · " + cutTo(cleanLine(m.state.Title), 60)
	}
	switch m.state.Phase {
	case chat.Asking:
		return "? " + title
	case chat.Working, chat.Stopping:
		return "• " + title
	}
	return title
}

// screen is every line of the screen, and where the cursor is.
func (m *model) screen() ([]string, *place) {
	m.c.busy = m.busy()
	dock, cursor := m.dock()
	if over := len(dock) - m.height; over > 0 {
		dock = dock[over:]
		if cursor != nil {
			cursor.y -= over
		}
	}
	m.seen = m.height - len(dock)
	if cursor != nil {
		cursor.y += m.seen
	}
	lines := make([]string, 0, m.height)
	lines = append(lines, m.above()...)
	for len(lines) < m.seen {
		lines = append(lines, "")
	}
	lines = append(lines, dock...)
	for i, line := range lines {
		if len(line) > m.c.width && ansi.StringWidth(line) > m.c.width { // a letter that is wider than it said
			lines[i] = ansi.Truncate(line, m.c.width, "")
		}
	}
	return lines, cursor
}

// above is the transcript; before there is one, a word of welcome.
func (m *model) above() []string {
	if m.sub != nil {
		return m.marked(m.subLines(m.seen))
	}
	if len(m.rec.items) == 0 {
		return m.welcome(m.seen)
	}
	return m.marked(m.rec.view(&m.c, m.seen))
}

// marked says in the last line how much there is below.
func (m *model) marked(lines []string) []string {
	if below := m.page().below(&m.c, m.rows()); below > 0 && len(lines) > 0 {
		lines[len(lines)-1] = m.c.sides(nil, accent("↓ "), muted(edit.Thousands(below)+" more · End "))
	}
	return lines
}

func (m *model) welcome(height int) []string {
	if height < 4 {
		return nil
	}
	c := &m.c
	lines := []string{"", c.draw(plain("  "), bold(accent("ml-intern"))), c.draw(muted("  " + cutLeft(cleanLine(homed(m.state.Dir, m.env("HOME"))), max(c.width-4, 4))))}
	if height > 8 {
		lines = append(lines, "",
			c.draw(muted("  say what to train, or ask about data, models and papers")),
			c.draw(muted("  / commands · @ files · ! runs a command · ? keys")))
	}
	return lines
}

// dock is what stays at the bottom.
func (m *model) dock() ([]string, *place) {
	c := &m.c
	most := m.height * 3 / 4
	if m.height < 24 {
		most = m.height // where there is little room, what is asked has all of it
	}
	var out []string
	if m.height >= 20 {
		out = append(out, "")
	}
	if m.panel == nil && (m.ask == nil || m.ask.away) && m.height > 8 {
		out = append(out, m.planLines()...)
	}
	out = append(out, m.doing()...)
	var cursor *place
	switch {
	case m.panel != nil:
		body, at := m.panel.lines(c, most-len(out)-1)
		out, cursor = append(out, body...), below(at, len(out))
	case m.ask != nil && !m.ask.away:
		body, at := m.ask.lines(c, most-len(out)-1)
		out, cursor = append(out, body...), below(at, len(out))
	default:
		out = append(out, m.waiting()...)
		out = append(out, m.menu.lines(c, min(menuRows, max(m.height-len(out)-6, 2)))...)
		body, at := m.promptLines()
		out, cursor = append(out, body...), below(at, len(out))
	}
	return append(out, m.status()), cursor
}

func below(at *place, lines int) *place {
	if at != nil {
		at.y += lines
	}
	return at
}

// planLines is the plan, folded to one line.
func (m *model) planLines() []string {
	plan := m.rec.plan
	if len(plan) == 0 {
		return nil
	}
	done, now := 0, ""
	for _, p := range plan {
		switch p.Status {
		case "done", "dropped":
			done++
		case "doing":
			if now == "" {
				now = cleanLine(p.Text)
			}
		}
	}
	c := &m.c
	head := "plan " + strconv.Itoa(done) + "/" + strconv.Itoa(len(plan))
	if !m.planOpen {
		if now == "" && done == len(plan) {
			return nil // nothing of it is left
		}
		line := style.Line{accent("▸ "), muted(head + "  "), plain(now)}
		return []string{c.sides(line, muted("Ctrl+T "))}
	}
	out := []string{c.heading(head, "Ctrl+T fold")}
	rows := max(m.height/3, 3)
	for i, p := range plan {
		if i == rows-1 && len(plan) > rows {
			return append(out, c.draw(muted("    … "+plural(len(plan)-i, "more point"))))
		}
		mark, text := muted("○ "), plain(cleanLine(p.Text))
		switch p.Status {
		case "done":
			mark, text = good("✓ "), muted(text.Text)
		case "doing":
			mark, text = accent("▸ "), bold(text)
		case "dropped":
			mark, text = muted("– "), muted(text.Text)
		}
		out = append(out, c.draw(plain("  "), mark, text))
	}
	return out
}

// doing is one line that says what is done right now; an empty one is there
// where the screen is high enough, so that nothing jumps.
func (m *model) doing() []string {
	c := &m.c
	if c.now.Before(m.toastEnd) {
		return []string{c.draw(warn("  " + m.toast))}
	}
	since := ""
	if !m.state.Since.IsZero() {
		since = " " + seconds(c.now.Sub(m.state.Since))
	}
	stop := "Esc stop "
	if m.sub != nil {
		stop = "Esc Esc stop " // the first goes back
	}
	switch m.state.Phase {
	case chat.Working:
		if m.state.Retry != "" {
			return []string{c.sides(style.Line{warn("  ↻ " + cleanLine(m.state.Retry))}, muted(stop))}
		}
		return []string{c.sides(style.Line{accent("  " + c.spinner()), muted(" working" + since)}, muted(stop))}
	case chat.Stopping:
		return []string{c.draw(muted("  " + c.spinner() + " stopping"))}
	case chat.Waiting:
		text := cleanLine(strings.Join(m.state.Waits, ", "))
		return []string{c.sides(style.Line{accent("  ◷ "), plain(firstNotEmpty(text, "waiting")), muted(since + ", no model call")}, muted(stop))}
	case chat.Asking:
		if m.ask != nil && m.ask.away {
			return []string{c.sides(style.Line{warn("  ? " + plural(len(m.ask.all), "call")), plain(" wait for your word")}, accent("Tab "), muted("decide "))}
		}
		return nil
	}
	if m.state.CommandsBusy > 0 {
		return []string{c.sides(style.Line{accent("  " + c.spinner()), muted(" " + plural(m.state.CommandsBusy, "command") + " of yours")}, muted(stop))}
	}
	if m.state.Interrupted != "" && !m.state.Held { // what is held says itself what to do
		return []string{c.draw(muted("  the last turn has no answer: /retry goes on with it"))}
	}
	if m.height > 14 {
		return []string{""}
	}
	return nil
}

// waiting is what was said and is not yet heard.
func (m *model) waiting() []string {
	c := &m.c
	var out []string
	for _, s := range m.state.Steers {
		out = append(out, c.sides(style.Line{accent("  ↳ "), plain(cleanLine(cutBytes(s, 400)))}, muted("said now ")))
	}
	for i, q := range m.state.Queue {
		if i == 3 {
			out = append(out, c.draw(muted("    … "+plural(len(m.state.Queue)-3, "more prompt"))))
			break
		}
		keys := ""
		if i == 0 {
			if keys = "Up take back · Ctrl+S say now "; m.state.Held {
				keys = "held: Enter sends · Up take back "
			}
		}
		out = append(out, c.sides(style.Line{muted("  ⏎ next: " + cleanLine(cutBytes(q, 400)))}, muted(keys)))
	}
	return out
}

func (m *model) promptWidth() int { return max(m.c.width-3, 4) }

// promptLines is the prompt below a rule.
func (m *model) promptLines() ([]string, *place) {
	c, b := &m.c, &m.prompt
	var out []string
	if m.height > 8 {
		out = append(out, c.draw(style.Of(style.Rule, strings.Repeat("─", c.width))))
	}
	width := m.promptWidth()
	rows := b.Wrap(width)
	x, y := b.Cursor(width)
	most := max(m.height/3, 1)
	m.top = max(min(m.top, y, len(rows)-1), y-most+1, 0)
	end := min(m.top+most, len(rows))
	for i, r := range rows[m.top:end] {
		lead := plain("  ")
		switch {
		case i == 0 && m.top > 0:
			lead = muted("↑ ")
		case i == 0:
			lead = bold(accent("❯ "))
		case m.top+i == end-1 && end < len(rows):
			lead = muted("↓ ")
		}
		out = append(out, c.draw(append(style.Line{lead}, rowSpans(b, r)...)...))
	}
	if b.Empty() {
		out[len(out)-1] = c.draw(bold(accent("❯ ")), muted(m.placeholder()))
	}
	return out, &place{min(x+2, c.width-1), len(out) - (end - m.top) + y - m.top}
}

func (m *model) placeholder() string {
	switch {
	case m.talk == nil:
		return "opening…"
	case m.busy() && m.c.width >= 60:
		return "Enter queues · Ctrl+S says it now"
	case m.busy():
		return "Enter queues, Ctrl+S says now"
	}
	return ""
}

// rowSpans draws a row: labels of what was pasted stand out.
func rowSpans(b *edit.Buffer, r edit.Row) []style.Span {
	text := strings.ReplaceAll(b.Text[r.Start:r.End], "\t", "    ")
	labels := b.Labels()
	var out []style.Span
	for {
		at, label := -1, ""
		for _, l := range labels {
			if i := strings.Index(text, l); i >= 0 && (at < 0 || i < at) {
				at, label = i, l
			}
		}
		if at < 0 {
			return append(out, plain(text))
		}
		out = append(out, plain(text[:at]), accent(label))
		text = text[at+len(label):]
	}
}

// repaint draws everything again, in the look that was chosen or found.
func (m *model) repaint() {
	m.c.look++
	switch {
	case m.look == "none":
		m.c.theme = style.Mono()
	case m.look == "light" || m.look == "auto" && !m.dark:
		m.c.theme = style.Light()
	default:
		m.c.theme = style.Dark()
	}
}
