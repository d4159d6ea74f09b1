package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ml-intern/internal/acp"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// acpCommand is the agent that an editor starts.
func acpCommand(std cli.Streams) *cobra.Command {
	f := &flags{silent: true}
	login := false
	c := &cobra.Command{
		Use:   "acp",
		Short: "be the agent of an editor, by the Agent Client Protocol on stdio",
		Long: "Acp speaks the Agent Client Protocol on standard input and output, until the input ends, so that Zed,\n" +
			"JetBrains' IDEs and others drive sessions: with streaming, plans, changes to look at, questions and modes.\n" +
			"Its sessions are those of the terminal: either goes on where the other stopped.",
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			load := func(dir string) (*config.Config, error) {
				g := *f
				g.Dir = dir
				return g.config(cmd)
			}
			if login {
				cfg, err := load("")
				if err != nil {
					return err
				}
				return cli.Login(cmd.Context(), cfg, "", std)
			}
			if onTerminal(std) && !f.Quiet {
				fmt.Fprintln(std.Err, "ml-intern: this speaks with an editor, which starts it: docs/acp.md has the settings; Ctrl-D ends it, and ml-intern alone is the chat")
			}
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // an editor that is gone is an error of the write, not a death
			return acp.Serve(cmd.Context(), acp.Options{
				In: std.In, Out: std.Out, For: load,
				Log: func(line string) {
					if !f.Quiet {
						fmt.Fprintln(std.Err, "ml-intern: "+line)
					}
				},
			})
		},
	}
	fs := c.Flags()
	f.addKept(fs, "the editor")
	fs.BoolVar(&f.Quiet, "quiet", false, "say nothing on standard error")
	fs.BoolVar(&login, "login", false, "log in to the Hugging Face Hub in this terminal instead, as editors offer it")
	return c
}

// addKept adds the flags of a program that keeps sessions for somebody who can
// choose for each of them.
func (f *flags) addKept(fs *pflag.FlagSet, who string) {
	fs.StringVar(&f.Model, "model", "", "model `ID` of new sessions; "+who+" can choose another")
	fs.StringSliceVar(&f.Fallback, "fallback", nil, "model `ID` that takes over when the one before is out of reach or credit; may be repeated")
	fs.StringVar(&f.Effort, "effort", "", "how hard the model thinks: none, minimal, low, medium, high, xhigh or max")
	fs.StringVar(&f.Approve, "approve", "", "what may run without asking: plan, strict, ask or auto (default ask)")
	fs.IntVar(&f.MaxSteps, "max-steps", config.DefaultMaxSteps, "model calls a turn may take")
	fs.Float64Var(&f.MaxCost, "max-cost", config.DefaultMaxCost, "US dollars that each session may cost; none if it is not given")
	fs.Lookup("max-cost").DefValue = "0" // which help does not show
	fs.IntVar(&f.MaxTokens, "max-tokens", config.DefaultMaxTokens, "tokens each session may take of models whose price is unknown")
	fs.DurationVar(&f.TimeBudget, "time-budget", 0, "stop a prompt's work after this `DURATION`, such as 90m (default none)")
	fs.StringVar(&f.Hub, "hub", "", "Hub `URL`, or local for the embedded one")
	fs.StringVar(&f.Compute, "compute", "", "`BACKEND` for jobs: local, or another that jobs backends lists (default local)")
	fs.BoolVar(&f.Unconfined, "unconfined", false, "run commands without confinement, in this run only")
	fs.BoolVar(&f.NoCache, "no-cache", false, "neither read nor write the cache of the web")
}
