package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

func sessionsCommand(std cli.Streams) *cobra.Command {
	return group("sessions", "list, find, show, name, copy, bring back, export and remove sessions",
		listSessionsCommand(std), showCommand(std), renameCommand(std), forkCommand(std), exportCommand(std), removeSessionsCommand(std))
}

// listed is how many sessions a list for people has.
const listed = 100

func listSessionsCommand(std cli.Streams) *cobra.Command {
	var q cli.SessionQuery
	asJSON := false
	c := command("ls", "list the sessions, latest first", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		if asJSON {
			cfg.Output = "json"
		}
		if cfg.Output == "json" && !cmd.Flags().Changed("limit") {
			q.Limit = 0
		}
		return cli.ListSessions(cmd.Context(), cfg, q, std)
	})
	c.Flags().StringVar(&q.Text, "search", "", "only those with all these `WORDS` in title, prompts, answers or artifacts")
	c.Flags().StringVar(&q.Dir, "dir", "", "only those of the folder `DIR` and those below")
	c.Flags().StringVar(&q.Model, "model", "", "only those of models with `TEXT` in their id")
	c.Flags().StringVar(&q.Artifact, "artifact", "", "only those that left something with `TEXT` in its URL or path")
	c.Flags().IntVar(&q.Limit, "limit", listed, "the latest `N`; 0 for all, as with JSON")
	c.Flags().BoolVar(&asJSON, "json", false, "the same as --output json")
	return c
}

func renameCommand(std cli.Streams) *cobra.Command {
	return command("rename ID TITLE", "give a session a title", 2, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		return cli.RenameSession(cmd.Context(), cfg, args[0], args[1], std)
	})
}

func exportCommand(std cli.Streams) *cobra.Command {
	var o cli.ExportOptions
	c := command("export ID", "write a session as Markdown, as one HTML page or as its events", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		if cmd.Flags().Changed("format") && o.Format == "" {
			return fmt.Errorf("%w: --format is empty", app.ErrUsage)
		}
		return cli.ExportSession(cmd.Context(), cfg, args[0], o, std)
	})
	c.Flags().StringVar(&o.Format, "format", "", "`FORMAT`: md, html or jsonl (default what the file's name says, else md)")
	c.Flags().StringVarP(&o.File, "file", "o", "", "write to `FILE`; - is standard output (default)")
	c.Flags().BoolVar(&o.Force, "force", false, "overwrite the file")
	return c
}

func removeSessionsCommand(std cli.Streams) *cobra.Command {
	var o cli.RemoveSessionsOptions
	f := &flags{}
	c := &cobra.Command{
		Use: "rm [ID...]", Short: "remove sessions, and what only they kept: long results and checkpoints",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			o.IDs = args
			if cmd.Flags().Changed("older-than") && o.Age == "" {
				return fmt.Errorf("%w: --older-than is empty", app.ErrUsage)
			}
			return cli.RemoveSessions(cmd.Context(), cfg, o, std)
		},
	}
	c.Flags().StringVar(&o.Age, "older-than", "", "without IDs: those that nothing happened in for `AGE`, such as 30d or 12h")
	c.Flags().BoolVar(&o.Dry, "dry-run", false, "list them only")
	c.Flags().BoolVar(&o.Yes, "yes", false, "ask nobody")
	return c
}
