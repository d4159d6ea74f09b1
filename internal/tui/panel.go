package tui

import (
	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/find"
	"ml-intern/internal/tui/style"
)

// A panel takes the place of the prompt and has the keys until it is closed.
type panel interface {
	// key obeys a key; keep is false when the panel is to be closed.
	key(m *model, k tea.KeyPressMsg) (keep bool, cmd tea.Cmd)

	// lines draws the panel, height lines at most.
	lines(c *canvas, height int) (lines []string, cursor *place)
}

// A place is a cell of the screen.
type place struct{ x, y int }

// heading is a rule with a title and, at the right, the keys.
func (c *canvas) heading(title, keys string) string {
	left := style.Line{style.Of(style.Rule, "── "), bold(accent(title)), plain(" ")}
	right := style.Line{}
	if keys != "" && left.Width()+cells(keys)+4 <= c.width {
		right = style.Line{muted(" " + keys + " ")}
	}
	left = style.Truncate(left, c.width)
	for left.Width()+right.Width() < c.width {
		left = append(left, style.Of(style.Rule, "─"))
	}
	return c.theme.Line(append(left, right...))
}

// A reader shows text that is longer than the screen.
type reader struct {
	title string
	text  string // Markdown
	top   int
	shown *drawing
}

func (p *reader) key(m *model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	if scrolled(&p.top, k.String(), m.height/2) {
		return true, nil
	}
	switch k.String() {
	case "esc", "q", "enter", "?", "ctrl+c":
		return false, nil
	}
	return true, nil
}

// scrolled moves by a key that scrolls and reports whether it was one.
func scrolled(top *int, key string, page int) bool {
	switch key {
	case "up", "k":
		*top--
	case "down", "j":
		*top++
	case "pgup", "ctrl+b":
		*top -= page
	case "pgdown", "space", "ctrl+f":
		*top += page
	case "home", "g":
		*top = 0
	case "end", "G":
		*top = 1 << 30
	default:
		return false
	}
	return true
}

func (p *reader) lines(c *canvas, height int) ([]string, *place) {
	if p.shown == nil || p.shown.width != c.width || p.shown.look != c.look {
		p.shown = &drawing{grow(c).lines(p.text), c.width, c.look}
	}
	body := window(p.shown.lines, &p.top, height-1)
	for i, line := range body {
		body[i] = "  " + line
	}
	return append([]string{c.heading(p.title, "↑↓ scroll · Esc close")}, body...), nil
}

// window is the part of the lines that is seen; it keeps top inside.
func window(lines []string, top *int, height int) []string {
	height = max(height, 0)
	*top = max(min(*top, len(lines)-height), 0)
	return append([]string(nil), lines[*top:min(*top+height, len(lines))]...)
}

// A picker is a list to choose from, with a filter that is typed.
type picker struct {
	title  string
	then   string // the command that the choice is given to
	all    []find.Choice
	found  []find.Choice
	filter edit.Buffer
	at     int
}

func newPicker(title, then string, all []find.Choice) *picker {
	return &picker{title: title, then: then, all: all, found: all}
}

func (p *picker) key(m *model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	switch key := k.String(); key {
	case "esc", "ctrl+c":
		return false, nil
	case "up", "ctrl+p":
		p.at--
	case "down", "ctrl+n":
		p.at++
	case "pgup":
		p.at -= m.height / 3
	case "pgdown":
		p.at += m.height / 3
	case "enter":
		if len(p.found) == 0 {
			return true, nil
		}
		return false, m.command(p.then + " " + p.found[p.at].ID)
	default:
		before := p.filter.Text
		if !p.filter.Key(key, 1000) && k.Text != "" {
			p.filter.Insert(k.Text)
		}
		if p.filter.Text != before {
			p.found, p.at = find.Fuzzy(p.all, p.filter.Text), 0
		}
	}
	p.at = max(min(p.at, len(p.found)-1), 0)
	return true, nil
}

func (p *picker) lines(c *canvas, height int) ([]string, *place) {
	out := []string{c.heading(p.title, "type to filter · Enter choose · Esc leave")}
	out = append(out, c.draw(accent("❯ "), plain(p.filter.Text)))
	x, _ := p.filter.Cursor(1000)
	rows := min(max(height-2, 1), len(p.found))
	first := min(max(p.at-rows/2, 0), len(p.found)-rows)
	width := 0
	for _, f := range p.found[first : first+rows] {
		width = max(width, cells(cleanLine(f.Title)))
	}
	for i, f := range p.found[first : first+rows] {
		out = append(out, c.choiceLine(f, first+i == p.at, min(width, max(c.width*2/3, 16))))
	}
	if len(p.found) == 0 {
		out = append(out, c.draw(muted("  nothing fits")))
	}
	return out, &place{min(2+x, c.width-1), 1}
}
