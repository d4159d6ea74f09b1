package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// ListSandboxes prints the sandboxes of the account on the Hub.
func ListSandboxes(ctx context.Context, cfg *config.Config, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		all, err := a.Sandboxes(ctx)
		switch {
		case err != nil:
			return err
		case cfg.Output == "json":
			return printList(std.Out, all)
		case len(all) == 0:
			fmt.Fprintln(std.Err, "no sandboxes")
			return nil
		}
		return printSandboxes(std, all)
	})
}

func printSandboxes(std Streams, all []app.Sandbox) error {
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tHARDWARE\tSTAGE\tAGE\tSESSION\tMADE BY")
	for _, b := range all {
		by := "another machine"
		switch {
		case b.Here:
			by = "this machine"
		case !b.Ours:
			by = "not ml-intern: it is left alone"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", b.Name, b.Hardware, b.Stage, time.Since(b.Created).Round(time.Minute), b.Session, by)
	}
	return w.Flush()
}

// SweepOptions say which sandboxes to delete.
type SweepOptions struct {
	Names []string      // all if there are none
	Older time.Duration // than this, of those that were not named
	Yes   bool          // do not ask
}

// SweepSandboxes deletes sandboxes that were forgotten, after a person agreed.
// What does not say that it is one of ours is never deleted.
func SweepSandboxes(ctx context.Context, cfg *config.Config, opts SweepOptions, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		all, err := a.Sandboxes(ctx)
		if err != nil {
			return err
		}
		chosen := slices.DeleteFunc(all, func(b app.Sandbox) bool {
			if len(opts.Names) > 0 {
				return !b.Ours || !slices.Contains(opts.Names, b.Name)
			}
			return !b.Ours || time.Since(b.Created) < opts.Older
		})
		for _, name := range opts.Names {
			if !slices.ContainsFunc(chosen, func(b app.Sandbox) bool { return b.Name == name }) {
				return fmt.Errorf("%w: the account has no sandbox %q of ours; nothing was deleted", app.ErrUsage, name)
			}
		}
		if len(chosen) == 0 {
			fmt.Fprintln(std.Err, "nothing to sweep")
			return nil
		}
		if err := printSandboxes(std, chosen); err != nil {
			return err
		}
		if err := agreed(ctx, std, opts.Yes, fmt.Sprintf("delete these %d sandboxes, with what is on them", len(chosen))); err != nil {
			return err
		}
		var errs []error
		for _, b := range chosen {
			if err := a.Sweep(ctx, b.Name); err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(std.Err, "%s is deleted\n", b.Name)
		}
		return errors.Join(errs...)
	})
}
