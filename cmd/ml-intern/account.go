package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// onHub returns a command about the account on a Hub.
func onHub(use, short string, most int, do action) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > most {
				return fmt.Errorf("%w: %s takes at most %d arguments, not %d", app.ErrUsage, cmd.CommandPath(), most, len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return do(cmd, cfg, args)
		},
	}
	c.Flags().StringVar(&f.Hub, "hub", "", "the Hub's `URL` (default HF_ENDPOINT, else huggingface.co)")
	c.Flags().StringVar(&f.Output, "output", "", "text or json (default text)")
	f.forms = []string{"text", "json"}
	return c
}

func loginCommand(std cli.Streams) *cobra.Command {
	token := ""
	c := onHub("login", "log in to the Hugging Face Hub", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		if cmd.Flags().Changed("token") && token == "" {
			return fmt.Errorf("%w: --token is empty; --token - reads it from standard input", app.ErrUsage)
		}
		return cli.Login(cmd.Context(), cfg, token, std)
	})
	c.Long = "Login shows a code to enter in a browser, here or on another machine, and keeps the token\n" +
		"where `hf auth login` keeps it: either program knows what the other did."
	c.Flags().StringVar(&token, "token", "", "take this access `TOKEN` instead; - reads it from standard input")
	return c
}

func logoutCommand(std cli.Streams) *cobra.Command {
	return onHub("logout [NAME]", "remove the stored token of that name, or all", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		name := ""
		if len(args) == 1 {
			if name = args[0]; name == "" {
				return fmt.Errorf("%w: the name is empty", app.ErrUsage)
			}
		}
		return cli.Logout(cmd.Context(), cfg, name, std)
	})
}

func whoamiCommand(std cli.Streams) *cobra.Command {
	asJSON := false
	c := onHub("whoami", "show whose token is used and what it may do", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		if asJSON {
			cfg.Output = "json"
		}
		return cli.WhoAmI(cmd.Context(), cfg, std)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "the same as --output json")
	return c
}
