package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ml-intern/internal/chat"
	"ml-intern/internal/cli"
	"ml-intern/internal/tui"
)

// onTerminal reports whether a person sits at both ends.
func onTerminal(std cli.Streams) bool {
	in, ok := std.In.(*os.File)
	out, also := std.Out.(*os.File)
	return ok && also && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// runScreen opens the full-screen chat.
func runScreen(cmd *cobra.Command, f *flags, std cli.Streams) error {
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	left, err := tui.Run(cmd.Context(), tui.Options{
		Open: func(ctx context.Context) (*chat.Chat, error) {
			return chat.Open(ctx, cfg, chat.Options{Resume: f.Resume, Continue: f.Continue, Fork: f.Fork})
		},
		In: std.In, Out: std.Out, Env: os.Getenv, Dir: cfg.Dir, Model: cfg.Model, State: cfg.Paths.State,
	})
	for _, line := range left {
		fmt.Fprintln(std.Err, "ml-intern: "+line)
	}
	return err
}
