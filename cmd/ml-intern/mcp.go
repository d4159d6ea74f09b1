package main

import (
	"github.com/spf13/cobra"

	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// mcpCommand is the server, and what there is to do with the servers of others.
func mcpCommand(std cli.Streams) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "mcp",
		Short: "give tools to another agent as an MCP server on stdio",
		Long: "Mcp speaks the Model Context Protocol on standard input and output, until the input ends, and gives\n" +
			"another agent the tools for papers, documentation, datasets, the Hub and jobs. Its calls are judged,\n" +
			"paid and logged as those of a session: what would ask a person is refused with the reason.",
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return cli.ServeMCP(cmd.Context(), cfg, std)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.Approve, "approve", "", "what may run without asking: plan, strict, ask or auto (default auto)")
	fs.Float64Var(&f.MaxCost, "max-cost", config.DefaultMaxCost, "US dollars that all calls may cost; 0 for no cap")
	fs.StringVar(&f.Dir, "cwd", "", "work in the folder `DIR`")
	fs.StringVar(&f.Hub, "hub", "", "Hub `URL`, or local for the embedded one")
	fs.StringVar(&f.Compute, "compute", "", "`BACKEND` for jobs: local, or another that jobs backends lists (default local)")
	fs.BoolVar(&f.NoCache, "no-cache", false, "neither read nor write the cache of the web")
	fs.BoolVar(&f.Quiet, "quiet", false, "say nothing on standard error but what went wrong")
	f.MaxSteps, f.MaxTokens = config.DefaultMaxSteps, config.DefaultMaxTokens

	ls := command("ls", "ask the MCP servers of the configuration for their tools", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		cfg.Verbose, _ = cmd.Flags().GetBool("verbose") // it is there
		return cli.ListMCP(cmd.Context(), cfg, std)
	})
	ls.Flags().Bool("verbose", false, "print the names of the tools too")
	c.AddCommand(ls,
		command("login NAME", "log in to an MCP server in the browser", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
			return cli.LoginMCP(cmd.Context(), cfg, args[0], std)
		}),
		command("logout NAME", "forget the login at an MCP server", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
			return cli.LogoutMCP(cmd.Context(), cfg, args[0], std)
		}))
	return c
}
