package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
)

// RewindFlags are what the command line says beside app.RewindOptions.
type RewindFlags struct {
	app.RewindOptions
	DryRun bool
	Yes    bool
	Force  bool // also what the person changed
}

// Rewind brings a session back, or says what that would do.
func Rewind(ctx context.Context, cfg *config.Config, id string, f RewindFlags, std Streams) error {
	return with(ctx, cfg, func(a *app.App) (err error) {
		r, err := a.Rewind(ctx, id, f.RewindOptions)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		if cfg.Output != "json" || !f.DryRun {
			listChanges(std, r)
		}
		switch {
		case f.DryRun && cfg.Output == "json":
			return printJSON(std.Out, rewindJSON{Changes: append([]app.FileChange{}, r.Changes...), DryRun: true})
		case len(r.Refused()) > 0 && !f.Force:
			return fmt.Errorf("%w: %d of the above, nothing was changed", app.ErrRefused, len(r.Refused()))
		case f.DryRun:
			return nil
		}
		if err := agreed(ctx, std, f.Yes || r.Work() == 0, "bring them back"); err != nil {
			return err
		}
		done, err := r.Apply(ctx, f.Force)
		if err != nil {
			return err
		}
		return tellRewound(cfg, r, done, std)
	})
}

// rewindJSON is what --output json prints.
type rewindJSON struct {
	Session string           `json:"session_id,omitempty"` // the copy
	Undo    int64            `json:"undo_at,omitempty"`
	Changes []app.FileChange `json:"changes"`
	DryRun  bool             `json:"dry_run,omitempty"`
}

// listChanges shows what is about to be done to files.
func listChanges(std Streams, r *app.Rewind) {
	if !r.Opts.Files {
		return
	}
	fmt.Fprintf(std.Err, "files of %s, as they were at %d (%s):\n", r.Session.Opened().Dir, r.Point.Seq, r.Point.Time.Local().Format(time.DateTime))
	if len(r.Changes) == 0 {
		fmt.Fprintln(std.Err, "  they are as they were")
	}
	for _, c := range r.Changes {
		fmt.Fprintf(std.Err, "  %-7s %s%s\n", c.Do, name(c), afterName(c))
	}
}

func name(c app.FileChange) string {
	text := printable(c.Path)
	if c.Folder {
		text += "/"
	}
	return text
}

func afterName(c app.FileChange) string {
	if c.Refused != "" {
		return sizeWords(c) + "  REFUSED: " + printable(c.Refused)
	}
	if c.Do == "keep" {
		return "  (yours)"
	}
	return sizeWords(c)
}

func sizeWords(c app.FileChange) string {
	switch {
	case c.Folder:
		return ""
	case c.Do == "delete":
		return "  " + bytesOf(c.OldSize)
	case c.Do == "add":
		return "  " + bytesOf(c.Size)
	}
	return fmt.Sprintf("  %s, now %s", bytesOf(c.Size), bytesOf(c.OldSize))
}

func bytesOf(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

func tellRewound(cfg *config.Config, r *app.Rewind, done app.Rewound, std Streams) error {
	if cfg.Output == "json" {
		return printJSON(std.Out, rewindJSON{done.Session, done.Undo, append([]app.FileChange{}, r.Changes...), false})
	}
	if done.Undo > 0 {
		fmt.Fprintf(std.Err, "to undo it: ml-intern sessions fork %s --files --at %d\n", r.Session.ID, done.Undo)
	}
	if done.Session == "" {
		return nil
	}
	fmt.Fprintf(std.Err, "go on with: ml-intern --resume %s\n", done.Session)
	_, err := fmt.Fprintln(std.Out, done.Session)
	return err
}

// showPoints lists where the files of a session can be brought back to.
func showPoints(p *printerOf, points []app.RewindPoint) error {
	if len(points) == 0 {
		return nil
	}
	p.line("\nfiles can be brought back: ml-intern sessions fork ID --at SEQ")
	w := tabwriter.NewWriter(p.w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tTIME\tFILES\tSIZE\tAS THEY WERE")
	for _, at := range points {
		c := at.Event.Checkpointed
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\n", at.Seq, at.Event.Time.Local().Format(time.TimeOnly), c.Files+c.Large, bytesOf(c.Bytes), pointWords(at))
	}
	return w.Flush()
}

func pointWords(at app.RewindPoint) string {
	words := "after a turn"
	switch {
	case at.Prompt != "":
		words = "before: " + shorten(at.Prompt, 50)
	case at.Event.Checkpointed.When == session.BeforeWrite:
		words = "before they were brought back, or a turn went on"
	}
	if at.Gone {
		words += " (removed to make room)"
	}
	return words
}

// checkpointWords says what a checkpoint has.
func checkpointWords(c session.Checkpointed) string {
	words := fmt.Sprintf("%d files, %s", c.Files, bytesOf(c.Bytes))
	if c.Large > 0 {
		words += fmt.Sprintf("; %d large ones held", c.Large)
	}
	if c.Unheld > 0 {
		words += fmt.Sprintf("; %d large ones cannot be brought back", c.Unheld)
	}
	var out []string
	for reason, n := range c.LeftOut {
		out = append(out, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(out)
	if len(out) > 0 {
		words += "; left out: " + strings.Join(out, ", ")
	}
	return words
}
