package tui

import (
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/ledger"
	"ml-intern/internal/tui/style"
)

// A part is one word of the status line. Those of the highest number go first
// when there is no room.
type part struct {
	rank  int
	span  style.Span
	short string // instead, where there is little room
}

// status is the last line: how things stand, as much of it as fits.
func (m *model) status() string {
	c := &m.c
	parts := m.parts()
	line := joined(parts)
	for line.Width() > c.width-2 {
		worst := 0
		for i, p := range parts {
			if p.rank >= parts[worst].rank {
				worst = i
			}
		}
		if i := slices.IndexFunc(parts, func(p part) bool { return p.short != "" }); i >= 0 && parts[worst].rank < 8 {
			parts[i].span.Text, parts[i].short = parts[i].short, ""
		} else if len(parts) > 1 {
			parts = slices.Delete(parts, worst, worst+1)
		} else {
			break
		}
		line = joined(parts)
	}
	return c.draw(append(style.Line{plain("  ")}, line...)...)
}

func joined(parts []part) style.Line {
	var line style.Line
	for i, p := range parts {
		if i > 0 {
			line = append(line, muted(" · "))
		}
		line = append(line, p.span)
	}
	return line
}

func (m *model) parts() []part {
	s := m.state
	var all []part
	add := func(rank int, span style.Span, short string) {
		if span.Text = cleanLine(span.Text); span.Text != "" {
			all = append(all, part{rank, span, cleanLine(short)})
		}
	}
	if strings.Contains(s.Confinement, "UNCONFINED") {
		loud := bad(" UNCONFINED ")
		loud.Attr |= style.Bold | style.Reverse
		all = append(all, part{0, loud, ""})
	}
	add(1, plain(s.Model), s.Model[strings.LastIndexByte(s.Model, '/')+1:])
	add(6, muted(s.Effort), "")
	add(2, m.window(), "")
	add(3, m.money(), "")
	mode := muted(s.Mode)
	if s.Mode == "auto" {
		mode = warn(s.Mode)
	}
	add(4, mode, "")
	if !strings.Contains(s.Confinement, "UNCONFINED") {
		add(7, muted(s.Confinement), "")
	}
	if s.Hub != "" {
		hub := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s.Hub, "https://"), "http://"), "/")
		if hub == "local" {
			hub = "local Hub"
		}
		add(8, muted(hub), "")
	}
	if s.CommandsBusy > 0 {
		add(5, accent("! "+plural(s.CommandsBusy, "command")), "")
	}
	return all
}

// window is how full the model's window is.
func (m *model) window() style.Span {
	s := m.state
	switch {
	case s.Context <= 0:
		return muted("")
	case s.Window <= 0:
		return muted(tokens(s.Context) + " tokens")
	}
	share := 100 * s.Context / s.Window
	text := fmt.Sprintf("%d%% of %s", share, tokens(s.Window))
	if m.c.width < 60 {
		text = fmt.Sprintf("%d%%", share)
	}
	if share >= 80 {
		return warn(text)
	}
	return muted(text)
}

// money is what was spent, of how much, and what of it still runs.
func (m *model) money() style.Span {
	s := m.state
	text := amount(s.Spent)
	if s.Cap.USD > 0 {
		text += fmt.Sprintf(" of $%.2f", s.Cap.USD)
	}
	if s.Running > 0 {
		text += fmt.Sprintf(", $%.2f at work", s.Running)
	}
	if s.Cap.USD > 0 && s.Spent.USD >= 0.8*s.Cap.USD {
		return warn(text)
	}
	return muted(text)
}

func amount(a ledger.Amount) string {
	text := fmt.Sprintf("$%.2f", a.USD)
	switch {
	case a.Tokens > 0 && a.USD == 0:
		return tokens(a.Tokens) + " tokens spent"
	case a.Tokens > 0:
		return text + " + " + tokens(a.Tokens) + " tokens"
	}
	return text
}
