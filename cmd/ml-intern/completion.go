package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// completionCommand prints what a shell needs to complete command lines.
func completionCommand(std cli.Streams) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print a script that completes command lines: of bash, zsh, fish or powershell",
		Long: "Completion prints a script for your shell. Load it where the shell starts:\n\n" +
			"  bash        source <(ml-intern completion bash)          in ~/.bashrc; needs bash-completion\n" +
			"  zsh         source <(ml-intern completion zsh)           in ~/.zshrc, after compinit\n" +
			"  fish        ml-intern completion fish | source           in ~/.config/fish/config.fish\n" +
			"  powershell  ml-intern completion powershell | Out-String | Invoke-Expression    in $PROFILE",
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: completion takes the name of a shell: %s", app.ErrUsage, strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			write, ok := map[string]func(io.Writer) error{
				"bash":       func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
				"zsh":        root.GenZshCompletion,
				"fish":       func(w io.Writer) error { return root.GenFishCompletion(w, true) },
				"powershell": root.GenPowerShellCompletionWithDesc,
			}[args[0]]
			if !ok {
				return fmt.Errorf("%w: there is no completion for the shell %q%s; there is for %s", app.ErrUsage, args[0], config.DidYouMean(config.Nearest(args[0], shells)), strings.Join(shells, ", "))
			}
			return write(std.Out)
		},
	}
}

// completeWords has a shell offer the words that flags of these names take, and
// no files where none is meant.
func completeWords(c *cobra.Command) {
	words := map[string][]string{
		"approve": config.Words("approve"), "effort": config.Words("effort"), "format": {"md", "html", "jsonl"}, "tools": {"live", "recorded"}, "older-than": {},
		"model": {}, "fallback": {}, "resume": {}, "hub": {}, "compute": {}, "max-steps": {}, "max-cost": {}, "max-tokens": {}, "time-budget": {}, "limit": {},
	}
	for name, list := range words {
		if c.Flags().Lookup(name) != nil {
			// Registered twice where a group shares the flags of its first child, which changes nothing.
			_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	for _, child := range c.Commands() {
		completeWords(child)
	}
}
