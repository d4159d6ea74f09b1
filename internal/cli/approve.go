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
	f := form{requests: reqs}
	for !f.full() {
		fmt.Fprint(p.out, f.text(false))
		line, err := readLine(ctx, answers)
		if err != nil {
			return nil, err
		}
		f.take(line)
	}
	return f.decisions, nil
}

// A form is requests that a person decides one after the other.
type form struct {
	requests  []approval.Request
	decisions []approval.Decision
	given     []string // rules that the person has just given
}

// full reports whether all is decided. What rules allow that were just given is.
func (f *form) full() bool {
	for len(f.decisions) < len(f.requests) && covered(f.now().Remember, f.given) {
		f.decisions = append(f.decisions, approval.Decision{Verdict: approval.Allow})
	}
	return len(f.decisions) == len(f.requests)
}

// now is the request to be decided.
func (f *form) now() approval.Request { return f.requests[len(f.decisions)] }

// text asks about the request to be decided.
func (f *form) text(editable bool) string {
	r := f.now()
	text := "\n" + question(r)
	choice := "[y/N]"
	if len(r.Remember) > 0 {
		choice = "[y: this call / s: for this session / a: always / N]"
		for _, u := range r.Remember {
			text += fmt.Sprintf("  s and a: %s\n", revealed(u.String()))
		}
	}
	if editable {
		choice = strings.TrimSuffix(choice, "]") + " / n REASON / e: change it]"
	}
	if len(f.requests)-len(f.decisions) > 1 {
		choice = strings.TrimSuffix(choice, "]") + " / none REASON: no to the rest]"
	}
	return text + fmt.Sprintf("  allow it? %s ", choice)
}

// take notes what the person said: about the request, or with "none" and a reason
// about all that are left. There is no yes to what was not shown yet.
func (f *form) take(line string) {
	if word, reason, _ := strings.Cut(strings.TrimSpace(line), " "); strings.EqualFold(word, "none") {
		d := approval.Decision{Verdict: approval.Deny}
		if reason = strings.TrimSpace(reason); reason != "" {
			d.Reason = "a person said no: " + reason
		}
		for len(f.decisions) < len(f.requests) {
			f.decisions = append(f.decisions, d)
		}
		return
	}
	r := f.now()
	d := answer(line, len(r.Remember) > 0)
	for _, u := range r.Remember {
		if d.For != approval.Once {
			f.given = append(f.given, u.String())
		}
	}
	f.decisions = append(f.decisions, d)
}

// covered reports whether rules that were given allow all that is asked for.
func covered(asked []approval.Rule, given []string) bool {
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(u approval.Rule) bool { return !slices.Contains(given, u.String()) })
}

// answer reads what the person said.
func answer(line string, more bool) approval.Decision {
	yes := approval.Decision{Verdict: approval.Allow}
	word, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
	if reason != "" && (strings.EqualFold(word, "n") || strings.EqualFold(word, "no")) {
		return approval.Decision{Verdict: approval.Deny, Reason: "a person said no: " + strings.TrimSpace(reason)}
	}
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
