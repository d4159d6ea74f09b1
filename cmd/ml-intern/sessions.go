package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

func sessionsCommand(std cli.Streams) *cobra.Command {
	return group("sessions", "list, find, show, name, copy, bring back, export, share and remove sessions",
		listSessionsCommand(std), showCommand(std), renameCommand(std), forkCommand(std), exportCommand(std), shareCommand(std), removeSessionsCommand(std))
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
	c := command("export ID...", "write a session as Markdown, as one HTML page, as its events or its trace; or sessions to train on", 0, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		for _, name := range []string{"format", "outcome", "model", "since"} {
			if given := cmd.Flags().Lookup(name); given.Changed && given.Value.String() == "" {
				return fmt.Errorf("%w: --%s is empty", app.ErrUsage, name)
			}
		}
		o.IDs = args
		return cli.ExportSessions(cmd.Context(), cfg, o, std)
	})
	c.Args = cobra.ArbitraryArgs
	c.Flags().StringVar(&o.Format, "format", "", "`FORMAT`: md, html, jsonl, trace or sft (default what the file's name says, else md)")
	c.Flags().StringVarP(&o.File, "file", "o", "", "write to `FILE`; - is standard output (default)")
	c.Flags().BoolVar(&o.Force, "force", false, "overwrite the file")
	c.Flags().BoolVar(&o.All, "all", false, "with --format sft: all sessions, in place of IDs")
	c.Flags().StringVar(&o.Outcome, "outcome", "", "with --format sft: only those that `ENDED` so: answered (default), failed, unfinished, published, any")
	c.Flags().StringVar(&o.Model, "model", "", "with --format sft: only those of models with `TEXT` in their id")
	c.Flags().StringVar(&o.Since, "since", "", "with --format sft: only those of the last `AGE`, such as 30d, or since a day")
	c.Flags().Float64Var(&o.MaxUSD, "max-usd", 0, "with --format sft: only those that cost no more; 0 for all")
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

func shareCommand(std cli.Streams) *cobra.Command {
	var o cli.ShareOptions
	f := &flags{forms: []string{"text", "json"}}
	c := &cobra.Command{
		Use: "share ID", Short: "put a session, without its secrets, into a private dataset of yours", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			for _, name := range []string{"visibility", "repo"} {
				if given := cmd.Flags().Lookup(name); given.Changed && given.Value.String() == "" {
					return fmt.Errorf("%w: --%s is empty", app.ErrUsage, name)
				}
			}
			return cli.ShareSession(cmd.Context(), cfg, args[0], o, std)
		},
	}
	c.Flags().StringVar(&o.Visibility, "visibility", "", "`WHO` sees it: private, public, or off to share it by itself no more (default what share.visibility says, else private)")
	c.Flags().StringVar(&o.Repo, "repo", "", "dataset `NAME`, or OWNER/NAME (default what share.repo says, else ml-intern-sessions)")
	c.Flags().BoolVar(&o.Dry, "dry-run", false, "show what would leave, and send nothing")
	c.Flags().BoolVar(&o.Delete, "delete", false, "take out of the dataset what was shared")
	c.Flags().BoolVar(&o.Yes, "yes", false, "ask nobody; not for what is public or deleted")
	c.Flags().StringVar(&f.Approve, "approve", "", "what may be done without asking: plan, strict, ask or auto (default ask at a terminal, else auto)")
	c.Flags().StringVar(&f.Hub, "hub", "", "Hub `URL`, or local for the embedded one")
	c.Flags().StringVar(&f.Output, "output", "", "text or json (default text)")
	return c
}
