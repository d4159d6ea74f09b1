package notify

import (
	"context"
	"strings"
)

// The sequences by which terminals show a notification.
const (
	OSC9   = "osc9"   // iTerm2, WezTerm, Ghostty, kitty, Windows Terminal
	OSC777 = "osc777" // urxvt, foot, Ghostty, terminals built on VTE
	Bell   = "bell"
)

// A Desktop has the person's own terminal show messages.
type Desktop struct {
	Show func(title, text string) // nil while there is no terminal
}

// Send implements Sender.
func (d Desktop) Send(_ context.Context, m Message) error {
	if d.Show == nil {
		return &Failure{Text: "there is no terminal"}
	}
	d.Show(oneLine(m.Title), shorten(oneLine(m.Text), 200))
	return nil
}

// TerminalSequence is what a terminal must be sent to show a notification: in
// the given form, or in that which its variables tell; inside of tmux, past it.
func TerminalSequence(form, title, text string, env func(string) string) string {
	if form == "" {
		form = OSC9
		if env("VTE_VERSION") != "" || strings.HasPrefix(env("TERM"), "rxvt") || strings.HasPrefix(env("TERM"), "foot") {
			form = OSC777
		}
	}
	title, text = oneLine("ml-intern: "+title), oneLine(text)
	var seq string
	switch form {
	case Bell:
		return "\a" // tmux passes it on
	case OSC777: // its parts end at a semicolon
		part := strings.NewReplacer(";", ",")
		seq = "\x1b]777;notify;" + part.Replace(title) + ";" + part.Replace(text) + "\a"
	default: // begins with a letter: numbers are commands to some terminals
		if text != "" {
			title += ": " + text
		}
		seq = "\x1b]9;" + title + "\a"
	}
	if env("TMUX") != "" {
		seq = "\x1bPtmux;" + strings.ReplaceAll(seq, "\x1b", "\x1b\x1b") + "\x1b\\"
	}
	return seq
}
