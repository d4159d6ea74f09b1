package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// ringer sends the terminal what shows a notification; it is nil if standard
// error is none.
func ringer(std Streams) func(sequence string) {
	out, ok := std.Err.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return func(sequence string) { fmt.Fprint(out, sequence) }
}

// ListNotifications prints who is told of what happens.
func ListNotifications(cfg *config.Config, std Streams) error {
	all, err := app.Notifications(cfg)
	if err != nil {
		return err
	}
	if cfg.Output == "json" {
		return printList(std.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintf(std.Err, "nobody is told: put destinations under notify in %s, or set SLACK_BOT_TOKEN and SLACK_CHANNEL_ID\n", cfg.File())
		return nil
	}
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTYPE\tWHERE\tMODEL\tEVENTS")
	for _, n := range all {
		agent := "no"
		if n.Agent {
			agent = "may send"
		}
		events := strings.Join(n.Events, ", ")
		if events == "" {
			events = "none"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", n.Name, n.Type, printable(n.Where), agent, events)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	p := printerOf{w: std.Out}
	for _, n := range all {
		for _, l := range n.Lost {
			p.line("%s: %s of %s did not arrive, or may not have: %s", n.Name, cmp.Or(printable(l.Event), "a message"), l.Time.Local().Format("2006-01-02 15:04"), printable(l.Error))
		}
	}
	return p.err
}

// TestNotifications sends a message for a test and prints what became of it.
func TestNotifications(ctx context.Context, cfg *config.Config, name string, std Streams) error {
	all, err := app.TestNotifications(ctx, cfg, name, ringer(std))
	if all == nil {
		return err
	}
	if cfg.Output == "json" {
		return errors.Join(printList(std.Out, all), err)
	}
	p := printerOf{w: std.Out}
	for _, n := range all {
		word := "sent"
		if n.Tested != "sent" {
			word = "failed: " + printable(n.Tested)
		}
		p.line("%s (%s, %s): %s", n.Name, n.Type, printable(n.Where), word)
	}
	return errors.Join(p.err, err)
}
