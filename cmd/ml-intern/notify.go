package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// notifyCommand shows who is told of what happens, and tries it.
func notifyCommand(std cli.Streams) *cobra.Command {
	ls := command("ls", "list who is told of what happens in sessions", 0, func(_ *cobra.Command, cfg *config.Config, _ []string) error {
		return cli.ListNotifications(cfg, std)
	})
	test := command("test [NAME]", "send a message for a test, to all or to one", 0, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		return cli.TestNotifications(cmd.Context(), cfg, append(args, "")[0], std)
	})
	test.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%w: %s takes one name at most, not %d", app.ErrUsage, cmd.CommandPath(), len(args))
		}
		return nil
	}
	test.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		cfg, err := (&flags{silent: true}).config(cmd)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.Sorted(maps.Keys(cfg.NotifyDestinations())), cobra.ShellCompDirectiveNoFileComp
	}
	return group("notify", "who is told of what happens, and a test of it", ls, test)
}
