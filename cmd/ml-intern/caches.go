package main

import (
	"github.com/spf13/cobra"

	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// cachesCommand shows and empties the caches of confined commands and jobs.
func cachesCommand(std cli.Streams) *cobra.Command {
	f := &flags{}
	clear := &cobra.Command{
		Use: "clear [NAME...]", Short: "empty caches of commands and jobs: those of the names, or all",
		Long: "Clear removes what commands and jobs keep in their caches. Your own caches are not touched, and\n" +
			"links to weights that are there are made again. What runs at the moment may fetch something twice, or fail.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return cli.ClearCaches(cmd.Context(), cfg, args, std)
		},
	}
	return group("caches", "what commands and jobs keep in caches: list and empty it",
		command("ls", "list the caches of commands and jobs", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ListCaches(cmd.Context(), cfg, std)
		}), clear)
}
