package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// sandboxCommand holds what has to do with sandboxes on other machines.
func sandboxCommand(std cli.Streams) *cobra.Command {
	return group("sandbox", "sandboxes on the Hub: list them, delete what was forgotten",
		command("ls", "list the sandboxes of the account", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ListSandboxes(cmd.Context(), cfg, std)
		}),
		sweepSandboxes(std), serveSandbox(std))
}

func sweepSandboxes(std cli.Streams) *cobra.Command {
	f, opts := &flags{}, cli.SweepOptions{}
	c := &cobra.Command{
		Use: "sweep [NAME...]", Short: "delete sandboxes that were forgotten",
		Long: "Sweep lists the account's sandboxes, of every machine, and deletes them once you agree.\n" +
			"A Space that does not say which session of ml-intern made it is left alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			opts.Names = args
			return cli.SweepSandboxes(cmd.Context(), cfg, opts, std)
		},
	}
	c.Flags().DurationVar(&opts.Older, "older-than", 24*time.Hour, "without names: those that are older than this `DURATION`")
	c.Flags().BoolVar(&opts.Yes, "yes", false, "do not ask")
	return c
}

func serveSandbox(std cli.Streams) *cobra.Command {
	opts := app.SandboxServing{}
	c := &cobra.Command{
		Use: "serve", Short: "open a folder of this machine as a sandbox",
		Long: "Serve opens a folder to who shows the secret in the variable ML_INTERN_SANDBOX_SECRET:\n" +
			"it runs commands as you, and reads and writes files. It is what runs in a sandbox's Space.\n" +
			"It does not encrypt: something before it has to.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Environ = os.Environ()
			return app.ServeSandbox(cmd.Context(), opts, func(addr string) {
				fmt.Fprintf(std.Err, "the sandbox of %s listens on %s; stop it with Ctrl-C\n", opts.Dir, addr)
			})
		},
	}
	c.Flags().BoolVar(&opts.Parent, "with-parent", false, "end when the process that started this one does")
	c.Flags().StringVar(&opts.Dir, "dir", ".", "the workspace is `DIR`")
	c.Flags().StringVar(&opts.Addr, "addr", "127.0.0.1:7860", "listen on `HOST:PORT`; port 0 takes a free one")
	c.Flags().StringVar(&opts.AddrFile, "addr-file", "", "write the address to `FILE`")
	return c
}
