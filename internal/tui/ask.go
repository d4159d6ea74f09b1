package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/style"
)

// calm is how long no key may have been pressed before a key decides: what was
// typed for the prompt approves nothing.
const calm = 300 * time.Millisecond

// A question is the panel of calls that a person must decide.
type question struct {
	answer func([]approval.Decision)
	edited func(i int, args string) (approval.Request, error)

	all  []*asked
	at   int
	top  int       // of what is shown of the call
	last time.Time // of the latest key, or when the panel came
	away bool      // the person went back to the prompt
	note string    // why something did not work

	reason *edit.Buffer // of a no, while it is typed
	toAll  bool         // it is for all that are not decided
	editor *argsEditor
	shown  *drawing
	rows   int // of the details that fit
}

// An asked is one call and what the person has decided.
type asked struct {
	approval.Request
	args     string // as the person changed them, "" if they did not
	decision *approval.Decision
}

func newQuestion(ask *chat.Ask, now time.Time) *question {
	q := &question{answer: ask.Answer, edited: ask.Edited, last: now}
	for _, r := range ask.Requests {
		q.all = append(q.all, &asked{Request: r})
	}
	return q
}

// armed reports whether a key would decide. Until then keys go to the prompt.
func (q *question) armed(now time.Time) bool { return !q.away && now.Sub(q.last) >= calm }

func (q *question) key(m *model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	q.note = ""
	switch {
	case q.editor != nil:
		q.editor.key(q, k)
		return true, nil
	case q.reason != nil:
		return q.reasonKey(k), nil
	}
	if scrolled(&q.top, k.String(), max(q.rows-1, 1)) && !isMove(k.String()) {
		return true, nil
	}
	switch k.String() {
	case "up", "k", "shift+tab":
		q.move(-1)
	case "down", "j", "tab":
		q.move(1)
	case "esc":
		q.away = true
	case "r", "R":
		q.reason, q.toAll = &edit.Buffer{}, k.String() == "R"
	case "e":
		return true, q.edit(m, false)
	case "E":
		return true, q.edit(m, true)
	default:
		return q.decideKey(k.String()), nil
	}
	return true, nil
}

// isMove reports whether the key goes to another call, not to another line.
func isMove(key string) bool { return key == "up" || key == "down" || key == "k" || key == "j" }

func (q *question) move(by int) {
	q.at, q.top, q.shown = (q.at+by+len(q.all))%len(q.all), 0, nil
}

// decideKey obeys a key that decides, and reports whether questions are left.
func (q *question) decideKey(key string) bool {
	yes := approval.Decision{Verdict: approval.Allow}
	no := approval.Decision{Verdict: approval.Deny}
	switch key {
	case "y":
		return q.decide(yes)
	case "n":
		return q.decide(no)
	case "s", "a":
		if len(q.all[q.at].Remember) == 0 {
			q.note = "there is no rule for such a call: y allows this one"
			return true
		}
		if yes.For = approval.Session; key == "a" {
			yes.For = approval.Always
		}
		return q.decide(yes)
	case "A":
		return q.rest(yes)
	case "N":
		return q.rest(no)
	}
	return true
}

// decide takes the decision on the call that is shown, goes to the next and
// answers after the last.
func (q *question) decide(d approval.Decision) bool {
	a := q.all[q.at]
	if d.Verdict == approval.Allow {
		d.Args = a.args
	}
	a.decision = &d
	for i := range q.all {
		if next := (q.at + 1 + i) % len(q.all); q.all[next].decision == nil {
			q.at, q.top, q.shown = next, 0, nil
			return true
		}
	}
	q.done()
	return false
}

// rest decides on all calls that are not decided.
func (q *question) rest(d approval.Decision) bool {
	for _, a := range q.all {
		if a.decision == nil {
			one := d
			if d.Verdict == approval.Allow {
				one.Args = a.args
			}
			a.decision = &one
		}
	}
	q.done()
	return false
}

func (q *question) done() {
	decisions := make([]approval.Decision, len(q.all))
	for i, a := range q.all {
		decisions[i] = *a.decision
	}
	q.answer(decisions)
}

// reasonKey types the reason of a no.
func (q *question) reasonKey(k tea.KeyPressMsg) bool {
	switch key := k.String(); key {
	case "esc", "ctrl+c":
		q.reason = nil
	case "enter":
		no := approval.Decision{Verdict: approval.Deny, Reason: strings.TrimSpace(q.reason.Expanded())}
		q.reason = nil
		if q.toAll {
			return q.rest(no)
		}
		return q.decide(no)
	default:
		if !q.reason.Key(key, 1000) && k.Text != "" {
			q.reason.Insert(k.Text)
		}
	}
	return true
}

// edit lets the person change the arguments: what is long in them as text, or
// all of them as JSON.
func (q *question) edit(m *model, whole bool) tea.Cmd {
	a := q.all[q.at]
	e := newArgsEditor(firstNotEmpty(a.args, a.Call.Args), whole)
	e.at = q.at
	if cmd := m.external(e.before, e.suffix(a.Call.Name), func(text string, err error) tea.Msg {
		return argsEdited{q, e, text, err}
	}); cmd != nil {
		return cmd
	}
	e.text.Set(e.before)
	if strings.Contains(e.before, "\n") {
		e.text.Pos = 0
	}
	q.editor = e
	return nil
}

// take puts changed arguments in place, if the tool and the policy would have
// them.
func (q *question) take(e *argsEditor, text string) {
	q.editor, q.shown = nil, nil
	if strings.TrimRight(text, "\n") == strings.TrimRight(e.before, "\n") {
		q.note = "nothing was changed"
		return
	}
	args, err := e.put(text)
	if err != nil {
		q.note = err.Error()
		return
	}
	r, err := q.edited(e.at, args)
	if err != nil {
		q.note = err.Error()
		return
	}
	q.at = e.at
	q.all[e.at] = &asked{Request: r, args: args}
	q.note = "changed; nothing runs before you say y"
}

func (q *question) lines(c *canvas, height int) ([]string, *place) {
	a := q.all[q.at]
	title := "allow this?"
	if len(q.all) > 1 {
		title = fmt.Sprintf("allow these? %d of %d", q.at+1, len(q.all))
	}
	out := []string{c.heading(title, q.marks())}
	if height >= 16 {
		out = append(out, q.list(c, height)...)
	}
	out = append(out, a.head(c, len(q.all) == 1 || height < 16))
	facts, foot := a.facts(c), q.foot(c)
	together := height-len(out)-len(foot)-len(facts) < 4
	if !together {
		out = append(out, facts...)
	}
	q.rows = max(height-len(out)-len(foot), 1)
	if q.editor != nil {
		body, at := q.editor.lines(c, q.rows)
		at.y += len(out)
		return append(append(out, body...), foot...), at
	}
	if q.shown == nil || q.shown.width != c.width || q.shown.look != c.look {
		q.shown = &drawing{a.details(c), c.width, c.look}
	}
	body := q.shown.lines
	if together {
		body = append(facts, body...)
	}
	out = append(out, q.scroll(c, body, q.rows)...)
	var at *place
	if q.reason != nil {
		x, _ := q.reason.Cursor(1000)
		at = &place{min(x+cells(q.because()), c.width-1), len(out) + len(foot) - 2}
	}
	return append(out, foot...), at
}

// marks says in few letters what was decided, where there is no list.
func (q *question) marks() string {
	if len(q.all) == 1 {
		return ""
	}
	text := ""
	for i, a := range q.all {
		switch {
		case a.decision == nil && i == q.at:
			text += "▸"
		case a.decision == nil:
			text += "·"
		case a.decision.Verdict == approval.Deny:
			text += "✗"
		default:
			text += "✓"
		}
	}
	return text
}

// list names the calls if there are several.
func (q *question) list(c *canvas, height int) []string {
	if len(q.all) == 1 {
		return nil
	}
	rows := min(len(q.all), max(height/4, 2))
	first := min(max(q.at-rows/2, 0), len(q.all)-rows)
	var out []string
	for i := first; i < first+rows; i++ {
		a := q.all[i]
		lead, mark := plain("  "), muted("·")
		if i == q.at {
			lead = accent("▸ ")
		}
		if d := a.decision; d != nil {
			if mark = good("✓"); d.Verdict == approval.Deny {
				mark = bad("✗")
			}
		}
		name := plain(cleanLine(a.Call.Name))
		if i == q.at {
			name = bold(name)
		}
		out = append(out, c.sides(style.Line{lead, mark, plain(" "), name, plain("  " + headline(a.Call.Args))}, costOf(a.Request)))
	}
	return append(out, c.draw(style.Of(style.Rule, strings.Repeat("┈", c.width))))
}

func costOf(r approval.Request) style.Span {
	if r.Impact.CostUSD > 0 {
		return warn(fmt.Sprintf("up to $%.2f ", r.Impact.CostUSD))
	}
	return muted("")
}
