package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/cli"
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
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	return cli.Chat(cmd.Context(), cfg, chat.Options{Resume: f.Resume, Continue: f.Continue, Fork: f.Fork}, std)
}
