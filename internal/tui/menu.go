package tui

import (
	"slices"
	"strings"
	"time"

	"ml-intern/internal/chat"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/find"
	"ml-intern/internal/tui/style"
)

// A menu completes the word that is typed: a command after "/", a file or a
// repository after "@".
type menu struct {
	found []find.Choice
	at    int
	start int // of the word in the text
	sort  byte
	shut  string    // the word for which the person closed it
	came  time.Time // when it opened without a key; the zero time for by one
}

// menuRows is how many choices are seen at once.
const menuRows = 8

// wordAt is the word at the cursor and where it begins, if it can be completed.
func wordAt(b *edit.Buffer) (text string, start int, sort byte) {
	start = strings.LastIndexAny(b.Text[:b.Pos], " \n\t") + 1
	text = b.Text[start:b.Pos]
	switch {
	case strings.HasPrefix(text, "/") && start == 0:
		return text, start, '/'
	case strings.HasPrefix(text, "@"):
		return text, start, '@'
	}
	return "", 0, 0
}

// look finds what fits the word at the cursor.
func (m *menu) look(b *edit.Buffer, commands []chat.Command, names []find.Choice) {
	word, start, sort := wordAt(b)
	m.came = time.Time{}
	if sort == 0 || word == m.shut {
		m.found, m.at = nil, 0
		if sort == 0 {
			m.shut = ""
		}
		return
	}
	before := m.chosen()
	m.start, m.sort, m.shut = start, sort, ""
	var all []find.Choice
	if sort == '/' {
		for _, c := range commands {
			title := c.Name
			if c.Args != "" {
				title += " " + c.Args
			}
			all = append(all, find.Choice{ID: c.Name, Title: title, Detail: c.Help})
		}
	} else {
		all = names
	}
	match := find.Fuzzy
	if sort == '/' {
		match = find.Names // Enter runs it: what only its help says must not
	}
	m.found = match(all, word[1:]) // of equals the first stays first
	m.found = m.found[:min(len(m.found), 200)]
	if len(m.found) == 1 && m.found[0].ID == word {
		m.found = nil // there is nothing to add
	}
	m.at = max(slices.IndexFunc(m.found, func(c find.Choice) bool { return c.ID == before }), 0)
	if before == "" || b.Pos-start == 1 {
		m.at = 0
	}
}

func (m *menu) open() bool { return len(m.found) > 0 }

func (m *menu) chosen() string {
	if m.at < len(m.found) {
		return m.found[m.at].ID
	}
	return ""
}

func (m *menu) move(by int) {
	if n := len(m.found); n > 0 {
		m.at = (m.at + by + n) % n
	}
}

// take puts the choice in place of the word. A command that takes arguments
// and a folder leave the person in the middle of it.
func (m *menu) take(b *edit.Buffer, commands []chat.Command) (whole bool) {
	id := m.chosen()
	if id == "" {
		return false
	}
	after := " "
	whole = m.sort == '/'
	if i := slices.IndexFunc(commands, func(c chat.Command) bool { return c.Name == id }); m.sort == '/' && i >= 0 && commands[i].Args != "" {
		whole = strings.HasPrefix(commands[i].Args, "[") // it works without
	}
	if strings.HasSuffix(id, "/") {
		after = ""
	}
	end := b.Pos
	if strings.HasPrefix(b.Text[end:], " ") && after != "" {
		end++
	}
	b.Replace(m.start, end, id+after)
	m.found, m.at = nil, 0
	return whole
}

// lines draws the choices that are seen.
func (m *menu) lines(c *canvas, rows int) []string {
	rows = min(rows, len(m.found))
	if rows <= 0 {
		return nil
	}
	first := min(max(m.at-rows/2, 0), len(m.found)-rows)
	width := 0
	for _, f := range m.found[first : first+rows] {
		width = max(width, cells(f.Title))
	}
	width = min(width, max(c.width/2, 16))
	var out []string
	for i, f := range m.found[first : first+rows] {
		out = append(out, c.choiceLine(f, first+i == m.at, width))
	}
	return out
}

// choiceLine is one line of a list to choose from.
func (c *canvas) choiceLine(f find.Choice, chosen bool, width int) string {
	lead, title := plain("  "), plain(cleanLine(f.Title))
	if chosen {
		lead, title = accent("▸ "), bold(accent(title.Text))
	}
	line := style.Line{lead, title}
	if f.Detail != "" {
		line = append(style.Pad(style.Truncate(line, width+2), width+4, -1), muted(cleanLine(f.Detail)))
	}
	return c.draw(line...)
}

var repoName = lazyregexp.New(`^[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}$`)

// repos lists the repositories that calls of the session named, latest first.
func (r *record) repos() []string {
	var names []string
	for i := len(r.items) - 1; i >= 0 && len(names) < 100; i-- {
		k := r.items[i].call
		if k == nil {
			continue
		}
		for _, f := range fieldsOf(k.Args) {
			if strings.Contains(f.name, "repo") || strings.Contains(f.name, "dataset") || f.name == "model" {
				if repoName.MatchString(f.text) && !slices.Contains(names, f.text) {
					names = append(names, f.text)
				}
			}
		}
	}
	return names
}
