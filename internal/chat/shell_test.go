package chat_test

import (
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/chat"
)

// ranOut runs a command of the person's own to its end and returns its lines.
func (g *guest) ranOut(line string) (lines []string, end chat.Ran) {
	g.t.Helper()
	g.Say("!" + line)
	g.until("the end of "+line, func(u chat.Update) bool {
		if u.Ran == nil {
			return false
		}
		if u.Ran.Out {
			lines = append(lines, u.Ran.Line)
		}
		end = *u.Ran
		return end.Done
	})
	return lines, end
}

// A person sees what their command printed as it stands: indented, with empty
// lines, and with a last line that has no end.
func TestOwnCommandAsItStands(t *testing.T) {
	t.Parallel()
	g := newRoom(t).enter(chat.Options{})
	for command, want := range map[string][]string{
		`printf '  a\n\n\tb  \nlast'`:             {"  a", "", "\tb  ", "last"},
		`printf 'a\r\n\r\nb\r\n'`:                 {"a", "", "b"},
		`printf '10%%\r20%%\r\n'; printf '\r\rx'`: {"10%", "20%", "x"},
		`printf '\033[31mred'`:                    {`\x1b[31mred`},
		`true`:                                    nil,
		`printf '%5000s' ä`:                       {strings.Repeat(" ", 4096) + "…"},
		`printf '%4094s漢' x`:                      {strings.Repeat(" ", 4093) + "x…"},
	} {
		if lines, end := g.ranOut(command); !slices.Equal(lines, want) || end.Code != 0 || end.Err != "" {
			t.Errorf("%s: %q, %+v\nwant %q", command, lines, end, want)
		}
	}
}

// A stop while no turn works ends the person's own commands, and the next prompt
// says so to the model.
func TestStopOwnCommand(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("I see"))
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	g.Say("!trap '' INT TERM; echo begun; sleep 600; echo over")
	g.until("its line", func(u chat.Update) bool { return u.Ran != nil && u.Ran.Line == "begun" })
	g.Stop()
	end := g.until("its end", func(u chat.Update) bool { return u.Ran != nil && u.Ran.Done }).Ran
	if !end.Stopped || end.Err != "" {
		t.Errorf("it ended with %+v", end)
	}
	if lines, end := g.ranOut("echo next"); !slices.Equal(lines, []string{"next"}) || end.Stopped {
		t.Errorf("the next one: %q %+v", lines, end)
	}
	g.say("what was that?")
	if told := r.told(0); !strings.Contains(told, `begun\n[the person stopped it]`) {
		t.Errorf("the model was told %.2000s", told[strings.Index(told, `"messages"`):])
	}
}
