package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// skillsCommand lists Agent Skills and adds those of repositories.
func skillsCommand(std cli.Streams) *cobra.Command {
	f := &flags{}
	var o app.SkillOptions
	add := &cobra.Command{
		Use: "add SOURCE[@REVISION]", Short: "add skills of a repository, pinned to a commit",
		Long: "Add fetches skills of a repository of the Hub, ORG/REPO, datasets/ORG/REPO or spaces/ORG/REPO, or of\n" +
			"github:OWNER/REPO. It runs nothing of it. What was fetched stays as it is until skills update shows\n" +
			"you what has changed.",
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.All && len(o.Names) > 0 {
				return fmt.Errorf("%w: --skill and --all do not go together", app.ErrUsage)
			}
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return cli.AddSkills(cmd.Context(), cfg, args[0], o, std)
		},
	}
	add.Flags().StringVar(&f.Output, "output", "", "text or json (default text)")
	add.Flags().StringVar(&f.Hub, "hub", "", "Hub `URL`, or local for the embedded one (default the one of your account, else the public one)")
	add.Flags().StringSliceVar(&o.Names, "skill", nil, "add the skill `NAME` only; may be repeated")
	add.Flags().BoolVar(&o.All, "all", false, "add all skills of the repository")
	f.forms = []string{"text", "json"}

	var yes bool
	update := command("update [NAME...]", "show what has changed in skills that were added, and take it over", -1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		return cli.UpdateSkills(cmd.Context(), cfg, args, yes, std)
	})
	update.Args = cobra.ArbitraryArgs
	update.Flags().BoolVar(&yes, "yes", false, "do not ask")
	rm := command("rm NAME...", "remove skills that were added", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		var errs []error
		for _, name := range args {
			errs = append(errs, cli.RemoveSkill(cmd.Context(), cfg, name, std))
		}
		return errors.Join(errs...)
	})
	rm.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%w: %s takes the name of a skill", app.ErrUsage, cmd.CommandPath())
		}
		return nil
	}
	show := command("show NAME", "print what a skill says, and which files it has", 1, func(_ *cobra.Command, cfg *config.Config, args []string) error {
		return cli.ShowSkill(cfg, args[0], std)
	})
	for _, c := range []*cobra.Command{show, update, rm} {
		c.ValidArgsFunction = skillNames(c != show)
	}
	return group("skills", "list Agent Skills, and add those of a repository",
		command("ls", "list the skills of this folder, of yours, and those that were added", 0, func(_ *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ListSkills(cfg, std)
		}), show, add, update, rm)
}

// skillNames completes names of skills.
func skillNames(added bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		cfg, err := (&flags{silent: true}).config(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, _ := app.Skills(cfg, cfg.Dir)
		var names []cobra.Completion
		for _, s := range all {
			if s.Name != "" && (!added || s.Kind == "added") {
				names = append(names, cobra.CompletionWithDesc(s.Name, s.Description))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
