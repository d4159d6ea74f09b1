package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// RemoveOptions say what is removed, and whether anybody is asked.
type RemoveOptions struct {
	IDs   []string // jobs; if there are none, what is older than Age
	Age   string   // such as 30d or 12h
	Force bool     // also results that are at risk
	Dry   bool     // only list it
	Yes   bool     // ask nobody
}

// RemoveJobs removes what jobs have left, after it has shown it.
func RemoveJobs(ctx context.Context, cfg *config.Config, o RemoveOptions, std Streams) error {
	age, err := parseAge(o.Age)
	if err != nil {
		return err
	}
	return withJobs(ctx, cfg, func(a *app.App) error {
		all, err := leftovers(ctx, a, o.IDs, age)
		if err != nil && all == nil {
			return err
		}
		if err != nil {
			fmt.Fprintln(std.Err, "not everything could be looked at:", err)
		}
		free := removable(all, o.Force)
		if cfg.Output != "json" {
			showLeftovers(std.Out, all, o.Force)
		}
		if n, bytes := sum(free); n > 0 && !o.Dry {
			if err := agreed(ctx, std, o.Yes, fmt.Sprintf("remove %d of them, %s", n, megabytes(bytes))); err != nil {
				return err
			}
			err = errors.Join(err, remove(ctx, a, free, std))
		}
		if cfg.Output == "json" {
			err = errors.Join(err, printList(std.Out, all))
		}
		return errors.Join(err, unasked(all, o))
	})
}

func leftovers(ctx context.Context, a *app.App, ids []string, age time.Duration) ([]app.Leftover, error) {
	if len(ids) > 0 {
		return a.LeftoversOf(ctx, ids)
	}
	return a.OldLeftovers(ctx, age)
}

// removable are those that may go.
func removable(all []app.Leftover, force bool) (free []*app.Leftover) {
	for i, l := range all {
		if l.Keep == "" || l.AtRisk && force {
			free = append(free, &all[i])
		}
	}
	return free
}

func sum(all []*app.Leftover) (n int, bytes int64) {
	for _, l := range all {
		bytes += max(l.Bytes, 0)
	}
	return len(all), bytes
}

func showLeftovers(out io.Writer, all []app.Leftover, force bool) {
	if len(all) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tBACKEND\tSTATE\tSINCE\tSIZE\tSTAYS BECAUSE")
	for _, l := range all {
		state, since, keep := l.State, "-", l.Keep
		if l.Kind != "job" {
			state = l.Kind
		}
		if !l.Since.IsZero() {
			since = l.Since.Local().Format(time.DateTime)
		}
		if l.AtRisk && force {
			keep = "(forced) " + keep
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, printable(l.Name), l.Backend, state, since, megabytes(l.Bytes), keep)
	}
	_ = w.Flush() // as every other line
}

// megabytes is a size for people, "?" if it is unknown.
func megabytes(bytes int64) string {
	switch {
	case bytes < 0:
		return "?"
	case bytes < 1<<20:
		return fmt.Sprintf("%d KB", (bytes+1023)>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
}

// agreed asks the person at the terminal, unless they have said yes already.
func agreed(ctx context.Context, std Streams, yes bool, what string) error {
	if yes {
		return nil
	}
	p, ok := personAt(std)
	if !ok {
		return fmt.Errorf("%w: nobody can be asked here: --yes says yes beforehand", app.ErrUsage)
	}
	fmt.Fprintf(p.out, "%s? [y/N] ", what)
	line, err := readLine(ctx, bufio.NewScanner(p.in))
	if err != nil {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was done: you said no")
	}
	return nil
}

func remove(ctx context.Context, a *app.App, free []*app.Leftover, std Streams) error {
	var errs []error
	n, bytes := 0, int64(0)
	for _, l := range free {
		if err := a.RemoveLeftover(ctx, *l); err != nil {
			errs = append(errs, err)
			continue
		}
		l.Removed = true
		n, bytes = n+1, bytes+max(l.Bytes, 0)
	}
	fmt.Fprintf(std.Err, "removed %d, %s\n", n, megabytes(bytes))
	return errors.Join(errs...)
}

// unasked are the jobs that were named and stay.
func unasked(all []app.Leftover, o RemoveOptions) error {
	var errs []error
	for _, l := range all {
		if len(o.IDs) > 0 && !l.Removed {
			hint := ""
			if l.AtRisk && !o.Force {
				hint = "; --force removes it all the same"
			}
			errs = append(errs, fmt.Errorf("job %s was not removed: %s%s", l.ID, l.Keep, hint))
		}
	}
	return errors.Join(errs...)
}

// parseAge reads a duration that may count days: 30d.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, fmt.Errorf("%w: %q is no age: write 30d or 12h", app.ErrUsage, text)
	}
	return age, nil
}
