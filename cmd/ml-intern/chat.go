package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/cli"
	"ml-intern/internal/tui"
)

// onTerminal reports whether a person can chat: who reads and who types are at a
// terminal.
func onTerminal(std cli.Streams) bool {
	for _, s := range []any{std.In, std.Out} {
		f, ok := s.(*os.File)
		if !ok || !term.IsTerminal(int(f.Fd())) {
			return false
		}
	}
	return true
}

// openChat opens the chat, line by line where a person wants that or the terminal
// can do no more.
func openChat(cmd *cobra.Command, f *flags, std cli.Streams) error {
	going := f.Continue || f.Resume != ""
	if f.Fork && !going {
		return fmt.Errorf("%w: --fork goes with --resume ID or --continue", app.ErrUsage)
	}
	if cmd.Flags().Changed("output") && f.Output != "text" {
		return fmt.Errorf("%w: --output is for a prompt: a chat shows all as text", app.ErrUsage)
	}
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	opts := chat.Options{Resume: f.Resume, Continue: f.Continue, Fork: f.Fork}
	if f.plain || !onTerminal(std) || os.Getenv("TERM") == "dumb" {
		return cli.Chat(cmd.Context(), cfg, opts, std)
	}
	left, err := tui.Run(cmd.Context(), tui.Options{
		Open: func(ctx context.Context) (*chat.Chat, error) { return chat.Open(ctx, cfg, opts) },
		In:   std.In, Out: std.Out, Env: os.Getenv, Dir: cfg.Dir, Model: cfg.Model, State: cfg.Paths.State, Mouse: cfg.Mouse, Focus: cfg.NotifiesDesktop(),
	})
	for _, line := range left {
		fmt.Fprintln(std.Err, "ml-intern: "+line)
	}
	return err
}
