package tui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// keysHelp is what "?" shows above the commands.
const keysHelp = `**Prompt**

- **Enter** send; while a turn works: queue
- **Ctrl+S** say it now, to the turn at work
- **Alt+Enter**, **Shift+Enter**, **Ctrl+J** new line
- **Up** at the first line: what you said before; with an empty prompt: take the queued one back
- **/** commands, **@** files, pictures and repositories, **!** run a command
- **Ctrl+V** the picture that you have copied
- **Ctrl+G** or **Ctrl+X Ctrl+E** your own editor
- **Ctrl+A E W U K Y**, **Alt+B F D** edit; **Ctrl+_** undo

**Turn**

- **Esc** stop within a second; with nothing at work, twice: clear the prompt
- **Ctrl+C** clear the prompt, twice: quit; **Ctrl+D** at an empty prompt: quit
- **Tab** go to what is asked, and back with **Esc**

**Screen**

- **PgUp PgDn**, **Shift+Up Down** scroll; **End** the latest
- **Tab** at an empty prompt: open or fold the latest; **Alt+Up Down** choose another
- **Ctrl+T** the plan, **Ctrl+O** the jobs, **Ctrl+L** draw again, **Ctrl+Z** suspend
`

// help is the panel of keys and commands.
func (m *model) help() panel {
	var b strings.Builder
	b.WriteString(keysHelp)
	if len(m.commands) > 0 {
		b.WriteString("\n**Commands**\n\n")
	}
	for _, c := range m.commands {
		name := c.Name
		if c.Args != "" {
			name += " " + c.Args
		}
		fmt.Fprintf(&b, "- **%s** %s\n", name, c.Help)
	}
	return &reader{title: "keys and commands", text: b.String()}
}

// A themePicker shows a look as soon as it is chosen.
type themePicker struct {
	picker
	before string
	first  int
	set    bool
}

func (p *themePicker) key(m *model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	p.start()
	if k.String() == "enter" && len(p.found) > 0 {
		m.keepLook()
		return false, nil
	}
	keep, _ := p.picker.key(m, k)
	look := p.before
	if keep && len(p.found) > 0 {
		look = p.found[p.at].ID
	}
	if look != m.look {
		m.look = look
		m.repaint()
	}
	return keep, nil
}

func (p *themePicker) lines(c *canvas, height int) ([]string, *place) {
	p.start()
	return p.picker.lines(c, height)
}

func (p *themePicker) start() {
	if !p.set {
		p.at, p.set = p.first, true
	}
}

// keepLook remembers the look for the next time, where that can be written.
func (m *model) keepLook() {
	if m.lookFile == "" || os.MkdirAll(filepath.Dir(m.lookFile), 0o700) != nil {
		return
	}
	_ = os.WriteFile(m.lookFile, []byte(m.look+"\n"), 0o600)
}

// readLook is what keepLook wrote.
func readLook(file string) string {
	data, err := os.ReadFile(file)
	if look := strings.TrimSpace(string(data)); err == nil && (look == "dark" || look == "light" || look == "none") {
		return look
	}
	return "auto"
}
