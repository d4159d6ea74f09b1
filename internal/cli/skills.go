package cli

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// ListSkills prints the skills there are for the workspace.
func ListSkills(cfg *config.Config, std Streams) error {
	all, notes := app.Skills(cfg, cfg.Dir)
	for _, n := range notes {
		fmt.Fprintln(std.Err, "ml-intern: "+printable(n))
	}
	if cfg.Output == "json" {
		return printList(std.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintf(std.Err, "no skills: put folders with a SKILL.md into %s, or: ml-intern skills add ORG/REPO\n", filepath.Join(cfg.Paths.Config, "skills"))
		return nil
	}
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SKILL\tSTATE\tFROM\tWHAT IT IS FOR")
	for _, s := range all {
		what := s.Description
		if s.Why != "" {
			what = s.Why
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(s.Name), s.State, printable(fromWords(s)), shorten(printable(what), 100))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	p := printerOf{w: std.Out}
	for _, s := range all {
		for _, warning := range s.Warnings {
			p.line("%s: %s", printable(s.Name), printable(warning))
		}
	}
	return p.err
}

// fromWords says where a skill comes from, and at which commit.
func fromWords(s app.Skill) string {
	if s.Commit != "" {
		return s.From + "@" + s.Commit[:min(len(s.Commit), 10)]
	}
	return s.From
}

// ShowSkill prints what a skill says and has.
func ShowSkill(cfg *config.Config, name string, std Streams) error {
	s, err := app.ReadSkill(cfg, cfg.Dir, name)
	if err != nil && s.Name == "" {
		return err
	}
	if cfg.Output == "json" && err == nil {
		return printJSON(std.Out, s)
	}
	p := printerOf{w: std.Out}
	p.line("skill          %s", printable(s.Name))
	state := s.State
	if s.Why != "" {
		state += ": " + s.Why
	}
	for _, pair := range [][2]string{
		{"state", state},
		{"from", fromWords(s.Skill)},
		{"folder", s.Dir},
		{"for", s.Description},
		{"license", s.License},
		{"needs", s.Compatibility},
		{"files", strings.Join(s.Files, ", ")},
		{"asks for", s.AllowedTools},
	} {
		if pair[1] != "" {
			p.line("%-14s %s", pair[0], printable(pair[1]))
		}
	}
	if s.AllowedTools != "" {
		p.line("%-14s a skill allows nothing: what it asks for is asked about as ever", "")
	}
	for _, warning := range s.Warnings {
		p.line("%-14s %s", "wrong in it", printable(warning))
	}
	p.line("\n%s", shownText(s.Text))
	return cmp.Or(err, p.err)
}

// AddSkills adds skills of a repository, and says which.
func AddSkills(ctx context.Context, cfg *config.Config, source string, o app.SkillOptions, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		added, err := a.AddSkills(ctx, source, o)
		if cfg.Output == "json" {
			return cmp.Or(err, printList(std.Out, added))
		}
		p := printerOf{w: std.Out}
		for _, s := range added {
			p.line("%s, from %s: %s", s.Name, printable(fromWords(s)), shorten(printable(s.Description), 100))
			for _, warning := range s.Warnings {
				p.line("  %s", printable(warning))
			}
			if s.Why != "" {
				p.line("  %s: %s", s.State, printable(s.Why))
			}
		}
		if len(added) > 0 {
			fmt.Fprintf(std.Err, "read what you added: ml-intern skills show %s; new sessions know of it\n", added[0].Name)
		}
		return cmp.Or(err, p.err)
	})
}

// UpdateSkills shows what has changed in skills that were added, and puts it in
// their place if the person says so.
func UpdateSkills(ctx context.Context, cfg *config.Config, names []string, yes bool, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		done, err := a.UpdateSkills(ctx, names, func(u app.SkillUpdate) (bool, error) {
			showUpdate(u, std)
			err := agreed(ctx, std, yes, "take it over")
			return err == nil, err
		})
		if cfg.Output == "json" {
			return cmp.Or(err, printList(std.Out, done))
		}
		p := printerOf{w: std.Out}
		for _, u := range done {
			switch {
			case u.Done:
				p.line("%s is now at %.10s", u.Name, u.New)
			case u.Error == "" && u.Old == u.New && len(u.Changes) == 0:
				p.line("%s is what %s has, at %.10s", u.Name, printable(u.From), u.Old)
			}
		}
		return cmp.Or(err, p.err)
	})
}

func showUpdate(u app.SkillUpdate, std Streams) {
	fmt.Fprintf(std.Err, "%s of %s, from %.10s to %.10s:\n", u.Name, printable(u.From), u.Old, u.New)
	if len(u.Changes) == 0 {
		fmt.Fprintln(std.Err, "  its files are the same")
	}
	for _, c := range u.Changes {
		fmt.Fprintf(std.Err, "  %-7s %s\n", c.Do, printable(c.Path))
		if c.Diff != "" {
			fmt.Fprint(std.Err, shownText(c.Diff))
		}
	}
}

// RemoveSkill removes a skill that was added.
func RemoveSkill(ctx context.Context, cfg *config.Config, name string, std Streams) error {
	return with(ctx, cfg, func(a *app.App) error {
		if err := a.RemoveSkill(ctx, name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(std.Out, "removed: %s\n", name)
		return err
	})
}
