package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

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

// maxShown is how much of a call's arguments is shown.
const maxShown = 600

// Approve implements agent.Approver. No answer is a no.
func (p person) Approve(ctx context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	answers := bufio.NewScanner(p.in)
	decisions := make([]approval.Decision, len(reqs))
	for i, r := range reqs {
		args := strings.Join(strings.Fields(r.Call.Args), " ")
		fmt.Fprintf(p.out, "\n? %s %s\n  %s\n  allow it? [y/N] ", printable(r.Call.Name), printable(shorten(args, maxShown)), printable(r.Reason))
		line, err := readLine(ctx, answers)
		if err != nil {
			return nil, err
		}
		decisions[i] = approval.Decision{Verdict: approval.Deny}
		if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
			decisions[i].Verdict = approval.Allow
		}
	}
	return decisions, nil
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
