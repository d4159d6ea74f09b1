package edit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// A History is the prompts that were said before, in a file that only its
// owner may read. One that cannot be read or written is no reason to stop.
type History struct {
	Path    string // "" keeps nothing beyond the process
	entries []string
	loaded  bool
	at      int    // entry that is shown, len(entries) for none
	draft   string // what was there before
}

// What a history keeps at most.
const (
	keptPrompts     = 1000
	longestPrompt   = 32 << 10 // bytes of one; longer ones are known until the process ends
	largestHistory  = 4 << 20
	historyFileMode = 0o600
)

// Load reads the file, once.
func (h *History) Load() {
	if h.loaded {
		return
	}
	h.loaded = true
	defer func() { h.at = len(h.entries) }()
	if h.Path == "" {
		return
	}
	info, err := os.Stat(h.Path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 4*largestHistory {
		return
	}
	data, err := os.ReadFile(h.Path)
	if err != nil {
		return
	}
	var old []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 8*longestPrompt)
	for lines.Scan() {
		var text string
		if json.Unmarshal(lines.Bytes(), &text) == nil && text != "" {
			old = append(old, Typed(text))
		}
	}
	if len(old) > 2*keptPrompts || len(data) > largestHistory {
		old = old[max(len(old)-keptPrompts, 0):]
		h.rewrite(old)
	}
	h.entries = append(old[max(len(old)-keptPrompts, 0):], h.entries...)
}

// rewrite shortens the file.
func (h *History) rewrite(entries []string) {
	var b bytes.Buffer
	for _, text := range entries {
		b.Write(entryOf(text))
	}
	temp := h.Path + ".new"
	if os.WriteFile(temp, b.Bytes(), historyFileMode) == nil {
		_ = os.Rename(temp, h.Path)
	}
}

func entryOf(text string) []byte {
	line, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return append(line, '\n')
}

// Add remembers a prompt.
func (h *History) Add(text string) {
	if strings.TrimSpace(text) == "" || len(h.entries) > 0 && h.entries[len(h.entries)-1] == text {
		h.at = len(h.entries)
		return
	}
	h.entries = append(h.entries, text)
	h.at = len(h.entries)
	if h.Path == "" || len(text) > longestPrompt {
		return
	}
	if os.MkdirAll(filepath.Dir(h.Path), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(h.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, historyFileMode)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.Write(entryOf(text)) // one write, so that two processes do not mix
}

// Move goes to an older or newer prompt; ok is false at the end.
func (h *History) Move(by int, draft string) (text string, ok bool) {
	h.Load()
	to := h.at + by
	if to < 0 || to > len(h.entries) {
		return "", false
	}
	if h.at == len(h.entries) {
		h.draft = draft
	}
	h.at = to
	if to == len(h.entries) {
		return h.draft, true
	}
	return h.entries[to], true
}

// Shows reports whether the text is the prompt that Move gave last.
func (h *History) Shows(text string) bool { return h.at < len(h.entries) && h.entries[h.at] == text }
