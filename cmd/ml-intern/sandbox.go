package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
)

// sandboxCommand holds what has to do with sandboxes on other machines.
func sandboxCommand(std cli.Streams) *cobra.Command {
	c := group("sandbox", "sandboxes on the Hub: list them, remove what was forgotten", serveSandbox(std))
	c.RunE = func(*cobra.Command, []string) error {
		return fmt.Errorf("%w: say what to do: ml-intern sandbox serve", app.ErrUsage)
	}
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
	c.Flags().StringVar(&opts.Dir, "dir", ".", "the workspace is `DIR`")
	c.Flags().StringVar(&opts.Addr, "addr", "127.0.0.1:7860", "listen on `HOST:PORT`; port 0 takes a free one")
	c.Flags().StringVar(&opts.AddrFile, "addr-file", "", "write the address to `FILE`")
	return c
}
