package tui

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/app"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/tui/find"
)

// When the Hub is asked for names, and for how long.
const (
	askPause    = 150 * time.Millisecond // after the last key
	askPatience = 3 * time.Second
	askAgain    = 30 * time.Second // after a failure
	mostAnswers = 100              // that are kept
)

var repoStart = lazyregexp.New(`^@[A-Za-z0-9][\w.-]{0,95}/[\w.-]{0,96}$`)

// A hubNames asks the Hub for repositories while a person types "@owner/na".
type hubNames struct {
	wanted  string // beginning of a name, for which the pause runs or the Hub is asked
	asking  bool
	cancel  context.CancelFunc // of the question that is under way; may be nil
	answers map[string]hubAnswer
	order   []string // of answers, oldest first
}

type hubAnswer struct {
	list  []app.Repository
	until time.Time // zero for as long as it is kept
}

// Messages of the pause and of the Hub.
type (
	hubPauseMsg struct{ start string }
	hubNamesMsg struct {
		start string
		list  []app.Repository
		err   error
	}
)

// want notes the word at the cursor, and returns what lets the pause pass if the
// Hub is to be asked. A folder of the workspace is not the name of an owner: what
// lies there is nobody's business.
func (h *hubNames) want(m *model, word string) tea.Cmd {
	start := strings.TrimPrefix(word, "@")
	if !repoStart.MatchString(word) || !m.filesKnown || m.talk == nil || h.isFolder(m.files, start) {
		h.drop("")
		return nil
	}
	if a, ok := h.answers[start]; ok && (a.until.IsZero() || m.c.now.Before(a.until)) {
		h.drop("")
		return nil
	}
	if h.wanted == start {
		return nil
	}
	h.drop(start)
	return m.after(askPause, func(time.Time) tea.Msg { return hubPauseMsg{start} })
}

func (h *hubNames) isFolder(files []string, start string) bool {
	owner, _, _ := strings.Cut(start, "/")
	return slices.Contains(files, owner+"/")
}

// drop leaves the question that was asked before.
func (h *hubNames) drop(wanted string) {
	if h.cancel != nil {
		h.cancel()
	}
	h.wanted, h.cancel, h.asking = wanted, nil, false
}

// ask asks, unless another key came in the pause.
func (h *hubNames) ask(m *model, start string) tea.Cmd {
	if h.wanted != start || h.asking {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, askPatience)
	h.cancel, h.asking = cancel, true
	talk := m.talk
	owner, _, _ := strings.Cut(start, "/")
	folder := filepath.Join(m.state.Dir, owner)
	return func() tea.Msg {
		defer cancel()
		if info, err := os.Stat(folder); err == nil && info.IsDir() { // one that .gitignore names, or that is beyond what was listed
			return hubNamesMsg{start, nil, nil}
		}
		list, err := talk.Repositories(ctx, start)
		return hubNamesMsg{start, list, err}
	}
}

// take keeps an answer. That of a question that was dropped is no answer.
func (h *hubNames) take(now time.Time, msg hubNamesMsg) (wanted bool) {
	if h.wanted != msg.start {
		return false
	}
	h.drop("")
	a := hubAnswer{list: msg.list}
	if msg.err != nil {
		a.until = now.Add(askAgain)
	}
	if h.answers == nil {
		h.answers = map[string]hubAnswer{}
	}
	if _, again := h.answers[msg.start]; !again {
		h.order = append(h.order, msg.start)
	}
	h.answers[msg.start] = a
	if len(h.order) > mostAnswers {
		delete(h.answers, h.order[0])
		h.order = h.order[1:]
	}
	return true
}

// offered are the names for a word, as far as they are known: those for a shorter
// beginning until the answer is there.
func (h *hubNames) offered(word string) []find.Choice {
	start := strings.TrimPrefix(word, "@")
	for ; strings.Contains(start, "/"); start = start[:len(start)-1] {
		a, ok := h.answers[start]
		if !ok {
			continue
		}
		var all []find.Choice
		for _, r := range a.list {
			if repoName.MatchString(r.Name) {
				all = append(all, find.Choice{ID: "@" + r.Name, Title: r.Name, Detail: strings.Join(r.Kinds, ", ") + " of the Hub"})
			}
		}
		return all
	}
	return nil
}
