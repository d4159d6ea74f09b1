package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/term"

	"ml-intern/internal/agent"
	"ml-intern/internal/approval"
)

// A person at a terminal is asked about each call, one after the other.
type person struct {
	in  io.Reader
	out io.Writer
}

// personAt is the person at the terminal of the streams, if there is one. Where
// standard error goes elsewhere, the terminal itself shows the question.
func personAt(std Streams) (person, bool) {
	in, ok := std.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return person{}, false
	}
	if out, ok := std.Err.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		return person{in, out}, true
	}
	return person{in, in}, true
}

// Approve implements agent.Approver. No answer is a no.
func (p person) Approve(ctx context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	answers := bufio.NewScanner(p.in)
	decisions := make([]approval.Decision, len(reqs))
	var given []string // rules that the person has just given
	for i, r := range reqs {
		if covered(r.Remember, given) {
			decisions[i] = approval.Decision{Verdict: approval.Allow}
			continue
		}
		fmt.Fprint(p.out, "\n"+question(r))
		choice := "[y/N]"
		if len(r.Remember) > 0 {
			choice = "[y: this call / s: for this session / a: always / N]"
			for _, u := range r.Remember {
				fmt.Fprintf(p.out, "  s and a: %s\n", revealed(u.String()))
			}
		}
		fmt.Fprintf(p.out, "  allow it? %s ", choice)
		line, err := readLine(ctx, answers)
		if err != nil {
			return nil, err
		}
		decisions[i] = answer(line, len(r.Remember) > 0)
		for _, u := range r.Remember {
			if decisions[i].For != approval.Once {
				given = append(given, u.String())
			}
		}
	}
	return decisions, nil
}

// covered reports whether rules that were given allow all that is asked for.
func covered(asked []approval.Rule, given []string) bool {
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(u approval.Rule) bool { return !slices.Contains(given, u.String()) })
}

// answer reads what the person said.
func answer(line string, more bool) approval.Decision {
	yes := approval.Decision{Verdict: approval.Allow}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return yes
	case "s", "session":
		yes.For = approval.Session
	case "a", "always":
		yes.For = approval.Always
	default:
		return approval.Decision{Verdict: approval.Deny}
	}
	if !more {
		return approval.Decision{Verdict: approval.Deny, Reason: "a person gave an answer that is not for this call"}
	}
	return yes
}

// maxShown is how much of a call's arguments is shown, where nothing is there
// to be shown in full.
const maxShown = 600

// question is all that a person needs to decide: the call, what it does in
// full, what it costs and reaches, and why they are asked.
func question(r approval.Request) string {
	var b strings.Builder
	if r.Show == "" {
		args := strings.Join(strings.Fields(r.Call.Args), " ")
		fmt.Fprintf(&b, "? %s %s\n", revealed(r.Call.Name), revealed(shorten(args, maxShown)))
	} else {
		fmt.Fprintf(&b, "? %s\n", revealed(r.Call.Name))
		b.WriteString(shownText(r.Show))
	}
	line := func(what string, words ...string) {
		if text := strings.Join(words, ", "); text != "" {
			fmt.Fprintf(&b, "  %s: %s\n", what, revealed(text))
		}
	}
	i := r.Impact
	if i.CostUSD > 0 {
		line("costs", fmt.Sprintf("up to $%.2f", i.CostUSD))
	}
	line("files", i.Paths...)
	line("reaches", i.Hosts...)
	line("repository", i.Repo)
	line("is given", i.Secrets...)
	line("asked because", r.Reason)
	return b.String()
}

// shownText is a text of several lines for a person to judge.
func shownText(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "  | %s\n", revealed(strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), "\r\n")))
	}
	return b.String()
}

// revealed is a line without what a terminal would obey, and with what it would
// not show: marks of direction and of no width.
func revealed(line string) string {
	var b strings.Builder
	for _, r := range printable(line) {
		if unicode.Is(unicode.Cf, r) {
			fmt.Fprintf(&b, "<%U>", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A bystander is nobody who could be asked: the questions are printed, so that
// whoever goes on with the session knows what waits for them.
type bystander struct{ out io.Writer }

// Approve implements agent.Approver.
func (b bystander) Approve(_ context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	for _, r := range reqs {
		fmt.Fprint(b.out, question(r))
	}
	return nil, agent.ErrApproval
}

// readLine waits for a line, or for the end of ctx. A read of a terminal cannot
// be stopped: it ends with the process.
func readLine(ctx context.Context, lines *bufio.Scanner) (string, error) {
	line := make(chan string, 1)
	go func() {
		text := ""
		if lines.Scan() {
			text = lines.Text()
		}
		line <- text
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
