package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// textPrinter prints the answer, and on standard error what is being done.
type textPrinter struct {
	out         io.Writer
	showSession bool // name the session below the answer
	progress
}

func (p *textPrinter) end(o outcome) error {
	if o.err != nil && (o.exit.Reason != "gave_up" || o.answer == "") {
		return nil // main prints the error
	}
	if _, err := fmt.Fprintln(p.out, strings.TrimRight(o.answer, "\n")); err != nil {
		return err
	}
	if p.showSession {
		if _, err := fmt.Fprintf(p.out, "Session: %s (ml-intern sessions show %s)\n", o.session, o.session); err != nil {
			return err
		}
	}
	if o.localHub && slices.ContainsFunc(o.arts, func(a tool.Artifact) bool { return a.URL != "" }) {
		p.printf("pages of the embedded Hub are there while it runs: ml-intern hub serve\n")
	}
	return nil
}

// progress tells a person what is being done, one line for each thing.
type progress struct {
	w       io.Writer
	quiet   bool
	verbose bool

	calls   map[string]llm.ToolCall
	plan    []tool.PlanItem
	lastLog time.Time
}

// logEvery keeps a chatty tool from flooding the screen.
const logEvery = time.Second

// begin names the session. It is part of two printers, which may fail where
// this does not.
//
//nolint:unparam
func (p *progress) begin(c *app.Conversation) error {
	p.calls = make(map[string]llm.ToolCall)
	for _, ev := range c.Session.Events() {
		p.remember(ev)
	}
	o := c.Session.Opened()
	p.printf("session %s in %s, model %s\n", o.ID, o.Dir, c.Agent.Models[0].Info().ID)
	return nil
}

func (p *progress) printf(format string, args ...any) {
	if !p.quiet {
		fmt.Fprintf(p.w, format, args...) // progress that cannot be shown stops nothing
	}
}

func (p *progress) remember(ev session.Event) {
	if ev.Reply == nil {
		return
	}
	for _, call := range ev.Reply.Message.Calls() {
		p.calls[call.ID] = call
	}
}

// event shows what is worth a line.
//
//nolint:unparam
func (p *progress) event(ev session.Event) error {
	p.remember(ev)
	switch {
	case ev.Reply != nil && len(ev.Reply.Message.Calls()) > 0:
		if text := strings.TrimSpace(ev.Reply.Message.Text()); text != "" {
			p.printf("%s\n", text)
		}
	case ev.Started != nil:
		p.started(p.calls[ev.Started.CallID], ev.Started.Again)
	case ev.Log != nil && (p.verbose || time.Since(p.lastLog) >= logEvery):
		p.lastLog = time.Now()
		p.printf("    %s\n", shorten(ev.Log.Line, 150))
	case ev.Waiting != nil:
		p.printf("  waiting for %s, without any model call\n", waitingFor(*ev.Waiting))
	case ev.Result != nil:
		p.result(*ev.Result)
	case ev.Note != nil && p.verbose:
		p.printf("  note (%s): %s\n", ev.Note.Guard, ev.Note.Text)
	case ev.Compact != nil:
		p.printf("  the conversation was summarized to fit the model's window\n")
	case ev.Cleared != nil:
		p.printf("  %s to fit the model's window\n", ev.Cleared.Words())
	case ev.Switched != nil:
		p.printf("  %s takes over from %s: %s\n", ev.Switched.To, ev.Switched.From, shorten(ev.Switched.Reason, 200))
	case ev.Notice != nil:
		p.printf("  %s\n", ev.Notice.Text)
	case ev.Charged != nil:
		for _, c := range ev.Charged.Charges {
			p.printf("  %s\n", chargeWords(c))
		}
	case ev.Chunk != nil && ev.Chunk.Notice != "":
		p.printf("  %s\n", shorten(ev.Chunk.Notice, 200))
	case ev.Chunk != nil && ev.Chunk.Restart:
		p.printf("  the model did not answer in full; asking again\n")
	}
	return nil
}

func (p *progress) started(call llm.ToolCall, again bool) {
	p.lastLog = time.Now()
	if call.Name == "plan" {
		return // its result shows the plan
	}
	verb := ">"
	if again {
		verb = "> (going on)"
	}
	p.printf("%s %s %s\n", verb, call.Name, argsLine(call.Args))
}

// waitingFor names the jobs, and when the waiting ends.
func waitingFor(w session.Waiting) string {
	text := "job "
	if len(w.Jobs) > 1 {
		text = "jobs "
	}
	text += shorten(strings.Join(w.Jobs, ", "), 100)
	if !w.Until.IsZero() {
		text += " until " + w.Until.Local().Format("15:04:05")
	}
	return text
}

// argsLine shows the arguments of a call in one line: the values that tell
// most, long ones cut.
func argsLine(args string) string {
	var fields map[string]any
	if json.Unmarshal([]byte(args), &fields) != nil {
		return shorten(args, 100)
	}
	var words []string
	operation, several := fields["operation"].(string)
	for _, main := range []string{"command", "repo_id", "arxiv_id", "path", "name", "repo", "job", "jobs", "dataset", "page", "section", "query", "url", "task"} {
		if v, ok := fields[main]; ok && (several || words == nil) {
			words = append(words, strings.Trim(fmt.Sprint(v), "[]"))
		}
	}
	switch {
	case several:
		return shorten(strings.Join(append([]string{operation}, words...), " "), 120)
	case words != nil:
		return shorten(words[0], 120)
	}
	return shorten(args, 100)
}

func (p *progress) result(r session.Result) {
	if r.Plan != nil {
		p.showPlan(r.Plan)
		return
	}
	summary := r.Summary
	if summary == "" {
		summary = r.Text
	}
	mark := "  "
	if r.IsError {
		mark = "  ! "
	}
	p.printf("%s%s%s\n", mark, shorten(summary, 150), took(r.Seconds))
}

func took(seconds float64) string {
	if seconds < 1 {
		return ""
	}
	return fmt.Sprintf(" (%.1f s)", seconds)
}

// showPlan prints the whole plan when its points change, else the points
// whose state did.
func (p *progress) showPlan(plan []tool.PlanItem) {
	same := len(p.plan) == len(plan)
	for i := range plan {
		same = same && p.plan[i].Text == plan[i].Text
	}
	for i, item := range plan {
		if !same || p.plan[i].Status != item.Status {
			p.printf("  [%s] %s\n", statusMark(item.Status), item.Text)
		}
	}
	p.plan = plan
}

func statusMark(status string) string {
	switch status {
	case "done":
		return "x"
	case "doing":
		return ">"
	case "dropped":
		return "-"
	}
	return " "
}

// shorten returns the first line of s, n characters at most.
func shorten(s string, n int) string {
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if runes := []rune(line); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	if more {
		return line + " …"
	}
	return line
}

// chargeWords says what a job costs.
func chargeWords(c tool.Charge) string {
	if c.Final {
		return fmt.Sprintf("job %s is over: it cost $%.2f", c.Job, c.USD)
	}
	return fmt.Sprintf("job %s may cost $%.2f", c.Job, c.USD)
}
