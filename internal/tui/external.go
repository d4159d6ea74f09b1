package tui

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// largestEdit is how much an editor may give back.
const largestEdit = 8 << 20

// editorProgram is the person's own editor, nil if they named none.
func (m *model) editorProgram() []string {
	return strings.Fields(firstNotEmpty(m.env("VISUAL"), m.env("EDITOR")))
}

// external gives text to the person's own editor; nil if they named none. The
// file is theirs alone and goes away with the editor.
func (m *model) external(text, suffix string, done func(string, error) tea.Msg) tea.Cmd {
	program := m.editorProgram()
	if len(program) == 0 {
		return nil
	}
	fail := func(err error) tea.Cmd { return func() tea.Msg { return done("", err) } }
	dir, err := os.MkdirTemp("", "ml-intern-")
	if err != nil {
		return fail(fmt.Errorf("make a folder for the editor: %w", err))
	}
	file := filepath.Join(dir, "text"+suffix)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		os.RemoveAll(dir)
		return fail(fmt.Errorf("write for the editor: %w", err))
	}
	cmd := exec.CommandContext(m.ctx, program[0], append(program[1:], file)...)
	return tea.ExecProcess(cmd, func(err error) tea.Msg {
		defer os.RemoveAll(dir)
		if err != nil {
			return done("", fmt.Errorf("%s: %w; nothing was changed", program[0], err))
		}
		text, err := readFile(file)
		return done(text, err)
	})
}

func readFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read what was edited: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestEdit+1))
	if err == nil && len(data) > largestEdit {
		err = errors.New("it is too large")
	}
	if err != nil {
		return "", fmt.Errorf("read what was edited: %w", err)
	}
	return string(data), nil
}

// editPrompt opens the prompt in the person's own editor.
func (m *model) editPrompt() tea.Cmd {
	cmd := m.external(m.prompt.Expanded(), ".md", func(text string, err error) tea.Msg {
		return editedMsg{strings.TrimRight(text, "\n"), err}
	})
	if cmd == nil {
		m.hint("set $EDITOR to edit there")
	}
	return cmd
}

// editFile opens a file in the person's own editor.
func (m *model) editFile(name string) tea.Cmd {
	program := m.editorProgram()
	if len(program) == 0 {
		m.say("set $EDITOR to edit " + name)
		return nil
	}
	cmd := exec.CommandContext(m.ctx, program[0], append(program[1:], name)...)
	return tea.ExecProcess(cmd, func(err error) tea.Msg {
		if err != nil {
			return resultMsg{err: fmt.Errorf("%s: %w", program[0], err)}
		}
		return nil
	})
}
