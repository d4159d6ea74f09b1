package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
)

// with opens the program for one command.
func with(ctx context.Context, cfg *config.Config, do func(*app.App) error) error {
	return withApp(ctx, cfg, app.New, do)
}

// withJobs is with for what needs no sessions.
func withJobs(ctx context.Context, cfg *config.Config, do func(*app.App) error) error {
	return withApp(ctx, cfg, app.ForJobs, do)
}

func withApp(ctx context.Context, cfg *config.Config, open func(context.Context, *config.Config) (*app.App, error), do func(*app.App) error) (err error) {
	a, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return do(a)
}

// ShowSession prints a session's log for people, or its events as JSON lines.
func ShowSession(ctx context.Context, cfg *config.Config, id string, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		s, err := a.Log(ctx, id)
		if err != nil {
			return err
		}
		if cfg.Output == "json" || cfg.Output == "events" {
			for _, ev := range s.Events() {
				if err := printJSON(std.Out, ev.Bare()); err != nil {
					return err
				}
			}
			return nil
		}
		points, err := a.RewindPoints(ctx, s)
		if err != nil {
			return err
		}
		return showLog(std.Out, s, points)
	})
}

func showLog(w io.Writer, s *session.Session, points []app.RewindPoint) error {
	o := s.Opened()
	p := printerOf{w: w}
	p.line("session %s\nfolder  %s\nmodel   %s\nhub     %s\n", o.ID, o.Dir, o.Model, o.Hub)
	for _, ev := range s.Events() {
		p.event(ev)
	}
	bill := s.Bill()
	p.line("\n%d events; tokens: %d in, %d out; cost: %s", len(s.Events()), bill.Usage.Input, bill.Usage.Output, bill.Words())
	for _, a := range s.Artifacts() {
		if a.URL != "" {
			p.line("%s  %s", a.Kind, a.URL)
		}
	}
	return errors.Join(showPoints(&p, points), p.err)
}

// ShowCost prints where a session's money went: a line for each model and
// tool, and the sum.
func ShowCost(ctx context.Context, cfg *config.Config, id string, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		s, err := a.Log(ctx, id)
		if err != nil {
			return err
		}
		bill, err := a.Bill(ctx, s)
		if err != nil {
			return err
		}
		if cfg.Output == "json" {
			return printJSON(std.Out, struct {
				SessionID string             `json:"session_id"`
				Lines     []session.BillLine `json:"lines"`
				CostUSD   float64            `json:"cost_usd"`
				Unpriced  int                `json:"unpriced_tokens"`
				Usage     usageJSON          `json:"usage"`
			}{s.ID, append([]session.BillLine{}, bill.Lines...), bill.Cost.USD, bill.Cost.Tokens, newUsage(bill.Usage)})
		}
		w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "FOR\tNAME\tCALLS\tIN\tCACHED\tOUT\tUSD\tUNPRICED\t")
		for _, l := range bill.Lines {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%.4f\t%d\t\n", l.For, l.Name, l.Calls, l.Usage.Input, l.Usage.CacheRead, l.Usage.Output, l.Cost.USD, l.Cost.Tokens)
		}
		u := bill.Usage
		fmt.Fprintf(w, "sum\t\t\t%d\t%d\t%d\t%.4f\t%d\t\n", u.Input, u.CacheRead, u.Output, bill.Cost.USD, bill.Cost.Tokens)
		if err := w.Flush(); err != nil {
			return err
		}
		for _, l := range bill.Lines {
			switch {
			case l.Open.USD > 0 && l.For == "job":
				fmt.Fprintf(std.Out, "of job %s, $%.2f is counted as if it ran to its limit: it was running when last seen\n", l.Name, l.Open.USD)
			case l.Open.USD > 0 || l.Open.Tokens > 0:
				fmt.Fprintf(std.Out, "of %s %s, %s is counted at its worst: the program was stopped before the cost was known\n", l.For, l.Name, session.Bill{Cost: l.Open}.Words())
			}
		}
		return nil
	})
}

// printerOf prints lines and keeps the first error.
type printerOf struct {
	w   io.Writer
	err error
}

func (p *printerOf) line(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format+"\n", args...); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *printerOf) event(ev session.Event) {
	clock := ev.Time.Local().Format(time.TimeOnly)
	switch {
	case ev.Prompt != nil:
		p.line("%s  prompt   %s", clock, indent(ev.Prompt.Text))
		for _, i := range ev.Prompt.Pictures {
			p.line("%s           [%s]", strings.Repeat(" ", len(clock)), i)
		}
	case ev.Renamed != nil:
		p.line("%s  renamed  %s", clock, ev.Renamed.Title)
	case ev.Note != nil:
		p.line("%s  note     %s", clock, indent(ev.Note.Text))
	case ev.Reply != nil:
		if text := strings.TrimSpace(ev.Reply.Message.Text()); text != "" {
			p.line("%s  model    %s", clock, indent(text))
		}
		for _, call := range ev.Reply.Message.Calls() {
			p.line("%s  call     %s %s", clock, call.Name, argsLine(call.Args))
		}
	case ev.Asked != nil:
		p.line("%s  asked    %s", clock, ev.Asked.Reason)
	case ev.Decided != nil:
		p.line("%s  decided  %s by %s", clock, ev.Decided.Verdict, ev.Decided.By)
	case ev.Waiting != nil:
		p.line("%s  waiting  for %s", clock, waitingFor(*ev.Waiting))
	case ev.Result != nil:
		summary := ev.Result.Summary
		if summary == "" {
			summary = ev.Result.Text
		}
		p.line("%s  result   %s%s", clock, shorten(summary, 150), took(ev.Result.Seconds))
	case ev.Compact != nil:
		p.line("%s  compact  the conversation was summarized", clock)
	case ev.Cleared != nil:
		p.line("%s  clear    %s", clock, ev.Cleared.Words())
	case ev.Switched != nil:
		p.line("%s  switch   %s takes over: %s", clock, ev.Switched.To, ev.Switched.Reason)
	case ev.Notice != nil:
		p.line("%s  notice   %s", clock, ev.Notice.Text)
	case ev.Checkpointed != nil:
		p.line("%s  files    kept %s the turn: %s", clock, ev.Checkpointed.When, checkpointWords(*ev.Checkpointed))
	case ev.Charged != nil:
		for _, c := range ev.Charged.Charges {
			p.line("%s  cost     %s", clock, chargeWords(c))
		}
	case ev.Failed != nil:
		p.line("%s  failed   %s: %s", clock, ev.Failed.Reason, ev.Failed.Text)
	}
}

// indent sets the lines of a text below the first one in line with it.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", 19))
}

// Doctor prints what works here and how to mend what does not.
func Doctor(ctx context.Context, cfg *config.Config, std Streams) error {
	p := printerOf{w: std.Out}
	for _, c := range app.Doctor(ctx, cfg) {
		p.line("%-8s %-25s %s", c.State, c.Name, c.Detail)
		if c.Mend != "" && c.State != "ok" {
			p.line("%-8s %-25s mend: %s", "", "", c.Mend)
		}
	}
	return p.err
}
