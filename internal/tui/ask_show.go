package tui

import (
	"fmt"
	"strings"

	"ml-intern/internal/approval"
	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/highlight"
	"ml-intern/internal/tui/style"
)

// head is the call in one line.
func (a *asked) head(c *canvas, line bool) string {
	head := style.Line{warn("? "), bold(plain(cleanLine(a.Call.Name)))}
	if line || a.Show == "" {
		head = append(head, plain("  "+headline(firstNotEmpty(a.args, a.Call.Args))))
	}
	if a.args != "" {
		head = append(head, accent("  changed by you"))
	}
	return c.sides(head, costOf(a.Request))
}

// facts are why a person is asked, and what the call reaches.
func (a *asked) facts(c *canvas) []string {
	var out []string
	add := func(name string, like style.Span, words ...string) {
		text := cleanLine(strings.Join(words, ", "))
		if text == "" {
			return
		}
		lines := c.wrap(text, 12)
		if len(lines) > 3 {
			lines = append(lines[:3], "…")
		}
		for i, line := range lines {
			label := strings.Repeat(" ", 10)
			if i == 0 {
				label = fmt.Sprintf("%-10s", name)
			}
			like.Text = line
			out = append(out, c.draw(muted("  "+label), like))
		}
	}
	i := a.Impact
	add("why", plain(""), a.Reason)
	add("files", plain(""), i.Paths...)
	add("reaches", plain(""), i.Hosts...)
	add("repo", plain(""), i.Repo)
	add("is given", warn(""), i.Secrets...)
	add("opens", warn(""), append(append([]string{}, i.Grants.Paths...), i.Grants.Hosts...)...)
	switch {
	case i.Deletes:
		add("beware", bad(""), "it deletes what nobody can bring back")
	case i.Public:
		add("beware", warn(""), "everyone will see it")
	case i.Recurring:
		add("beware", warn(""), "it goes on by itself")
	}
	return out
}

func ruleWords(rules []approval.Rule) string {
	words := make([]string, len(rules))
	for i, u := range rules {
		words[i] = u.String()
	}
	return strings.Join(words, "; ")
}

// scroll is as much as fits, and where it is in the whole.
func (q *question) scroll(c *canvas, all []string, height int) []string {
	if len(all) <= height {
		q.top = 0
		return all
	}
	seen := window(all, &q.top, height-1)
	return append(seen, c.draw(muted(fmt.Sprintf("  lines %s–%s of %s · Space, PgUp scroll", edit.Thousands(q.top+1), edit.Thousands(q.top+len(seen)), edit.Thousands(len(all))))))
}

// details is the script, the change or the arguments in full.
func (a *asked) details(c *canvas) []string {
	text := a.Show
	switch {
	case text == "":
		return c.arguments(firstNotEmpty(a.args, a.Call.Args), 2)
	case isDiff(text):
		return c.diff(text, 2)
	}
	first, _, _ := strings.Cut(text, "\n")
	name, _ := strings.CutPrefix(strings.TrimSuffix(first, ":"), "new file ")
	return c.code(clean(text), highlight.Language(name), 2)
}

func isDiff(text string) bool {
	return strings.HasPrefix(text, "--- ") && strings.Contains(text, "\n@@ ")
}

// foot is what can be done, dim until keys count.
func (q *question) foot(c *canvas) []string {
	var out []string
	if q.note != "" {
		out = append(out, c.draw(warn("  "+cleanLine(q.note))))
	}
	switch {
	case q.editor != nil:
		return append(out, c.draw(muted("  Ctrl+S take it · Esc leave it as it was")))
	case q.reason != nil:
		return append(out,
			c.draw(bad(q.because()), plain(cutLeft(q.reason.Text, max(c.width-cells(q.because())-3, 4)))),
			c.draw(muted("  Enter refuse · Esc back")))
	}
	more := len(q.all[q.at].Remember) > 0
	if more {
		out = append(out, c.hang(2, muted("s, a:"), c.wrap(cleanLine(ruleWords(q.all[q.at].Remember)), 8), muted(""))...)
	}
	for _, line := range c.keys(q.keyNames(more, c.width < 60)) {
		out = append(out, c.keyLine(line, c.now.Sub(q.last) >= calm))
	}
	return out
}

// because begins a no whose reason is typed.
func (q *question) because() string {
	left := 0
	for _, a := range q.all {
		if a.decision == nil {
			left++
		}
	}
	if q.toAll && left > 1 {
		return fmt.Sprintf("  no to %d, because: ", left)
	}
	return "  no, because: "
}

func (q *question) keyNames(more, narrow bool) []string {
	keys := []string{"y yes", "n no", "r no, because…"}
	if narrow {
		keys[2] = "r why"
	}
	if more {
		keys = append(keys, "s session", "a always")
	}
	keys = append(keys, "e edit")
	if len(q.all) > 1 {
		keys = append(keys, "A all", "N none", "R none, because…", "↑↓ next")
	}
	if narrow {
		for i, k := range keys {
			keys[i] = strings.Replace(k, "R none, because…", "R none, why", 1)
		}
	}
	return append(keys, "Esc prompt")
}

// keys puts the keys on as many lines as they need.
func (c *canvas) keys(keys []string) [][]string {
	var lines [][]string
	used := 0
	for _, k := range keys {
		if n := len(lines); n == 0 || used+cells(k)+3 > c.width-2 {
			lines, used = append(lines, nil), 0
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], k)
		used += cells(k) + 3
	}
	return lines
}

// keyLine draws keys, each with its first word bright if it counts.
func (c *canvas) keyLine(keys []string, bright bool) string {
	line := style.Line{plain("  ")}
	for i, k := range keys {
		if i > 0 {
			line = append(line, muted(" · "))
		}
		name, does, _ := strings.Cut(k, " ")
		if bright {
			line = append(line, bold(accent(name)), plain(" "+does))
		} else {
			line = append(line, muted(name+" "+does))
		}
	}
	return c.draw(line...)
}
