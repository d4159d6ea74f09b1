package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
)

// action is what a command without flags of its own does.
type action func(cmd *cobra.Command, cfg *config.Config, args []string) error

// command returns a command that takes exactly n arguments and may print JSON.
func command(use, short string, n int, do action) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly(n),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return do(cmd, cfg, args)
		},
	}
	c.Flags().StringVar(&f.Output, "output", "", "text or json (default text)")
	f.forms = []string{"text", "json"}
	return c
}

// exactly checks the number of arguments: another one is wrong usage.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%w: %s takes %d arguments, not %d", app.ErrUsage, cmd.CommandPath(), n, len(args))
		}
		return nil
	}
}

// onlyCommands takes a word after a group of commands for a slip in one's name.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: there is no command %q in %s%s", app.ErrUsage, args[0], cmd.CommandPath(), nearestCommand(cmd, args[0]))
	}
	return nil
}

// alone is the note in a group of the command that it does without another word.
const alone = "alone"

// group returns a command that is only a name for others; alone it does what
// its first child does, and takes the same flags.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: onlyCommands, Annotations: map[string]string{alone: children[0].Name()}}
	c.RunE = children[0].RunE
	c.Flags().AddFlagSet(children[0].Flags())
	c.AddCommand(children...)
	return c
}

func demoCommand(std cli.Streams) *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "the whole job offline: no key, no account",
		Long: "Demo trains, compares, publishes and checks a real model on this machine, in a new\n" +
			"folder below ./ml-intern-demo, with the built-in model and the embedded Hub.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return cli.Demo(cmd.Context(), cfg, std)
		},
	}
	c.Flags().StringVar(&f.Dir, "cwd", "", "make the demo's folder in `DIR`")
	c.Flags().StringVar(&f.Output, "output", "", "text, json, stream-json or events (default text)")
	c.Flags().BoolVar(&f.Quiet, "quiet", false, "print the answer only")
	c.Flags().BoolVar(&f.Verbose, "verbose", false, "print every line of progress")
	return c
}

func forkCommand(std cli.Streams) *cobra.Command {
	var f cli.RewindFlags
	var files, conversation, both bool
	c := command("fork ID", "copy a session as it was at an event, and bring its files back", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		f.Files, f.Conversation = files || !conversation || both, conversation || !files || both
		f.Whole = !cmd.Flags().Changed("at")
		if f.Whole && (files || both) {
			return fmt.Errorf("%w: say to where: --at SEQ; ml-intern sessions show %s lists what there is", app.ErrUsage, args[0])
		}
		return cli.Rewind(cmd.Context(), cfg, args[0], f, std)
	})
	c.Aliases = []string{"rewind"}
	c.Long = "Fork makes a copy of the conversation as it was after the event SEQ, and brings the workspace's\n" +
		"files back to what they were then; sessions show ID lists where to. Without --at the whole\n" +
		"conversation is copied and no file touched. The list of changes is shown first. What somebody else\n" +
		"changed since is not overwritten without --force, and all of it can be undone."
	c.Flags().Int64Var(&f.At, "at", 0, "as it was after the event `SEQ`")
	c.Flags().BoolVar(&files, "files", false, "the files only")
	c.Flags().BoolVar(&conversation, "conversation", false, "the conversation only")
	c.Flags().BoolVar(&both, "both", false, "the conversation and the files (default)")
	c.Flags().BoolVar(&f.DryRun, "dry-run", false, "show what would be done, and do nothing")
	c.Flags().BoolVar(&f.Yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&f.Force, "force", false, "also overwrite what was changed since by others")
	return c
}

func showCommand(std cli.Streams) *cobra.Command {
	var cost bool
	c := command("show ID", "show what happened in a session, or what it cost", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		if cost {
			return cli.ShowCost(cmd.Context(), cfg, args[0], std)
		}
		return cli.ShowSession(cmd.Context(), cfg, args[0], std)
	})
	c.Flags().BoolVar(&cost, "cost", false, "print where the money went, by model and tool")
	return c
}

func jobsCommand(std cli.Streams) *cobra.Command {
	return group("jobs", "list, follow and stop jobs",
		command("ls", "list the jobs, latest first", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ListJobs(cmd.Context(), cfg, std)
		}),
		command("backends", "list where jobs can run: hardware, what is free, price", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ListBackends(cmd.Context(), cfg, std)
		}),
		command("logs ID", "print the log of a job", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
			return cli.JobLogs(cmd.Context(), cfg, args[0], std)
		}),
		command("wait ID", "wait until a job has ended; fails unless it succeeded", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
			return cli.WaitJob(cmd.Context(), cfg, args[0], std)
		}),
		command("cancel ID", "stop a job", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
			return cli.CancelJob(cmd.Context(), cfg, args[0], std)
		}),
		removeCommand(std), cleanCommand(std))
}

func removeCommand(std cli.Streams) *cobra.Command {
	var o cli.RemoveOptions
	c := command("rm ID...", "remove what finished jobs have left where they ran", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
		o.IDs = args
		return cli.RemoveJobs(cmd.Context(), cfg, o, std)
	})
	c.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%w: %s takes the ID of a job, or several", app.ErrUsage, cmd.CommandPath())
		}
		return nil
	}
	removeFlags(c, &o)
	return c
}

func cleanCommand(std cli.Streams) *cobra.Command {
	var o cli.RemoveOptions
	c := command("clean", "remove what old jobs have left, and environments that none uses", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		return cli.RemoveJobs(cmd.Context(), cfg, o, std)
	})
	removeFlags(c, &o)
	c.Flags().StringVar(&o.Age, "older-than", "30d", "only what was not needed for `AGE`, such as 30d or 12h")
	c.Flags().BoolVar(&o.Dry, "dry-run", false, "list it only")
	return c
}

func removeFlags(c *cobra.Command, o *cli.RemoveOptions) {
	c.Flags().BoolVar(&o.Yes, "yes", false, "ask nobody")
	c.Flags().BoolVar(&o.Force, "force", false, "remove results too that are nowhere else")
}

func hubCommand(std cli.Streams) *cobra.Command {
	var opts app.ServeOptions
	serve := command("serve", "serve a Hub-compatible server from a folder", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		if opts.PartSize < 0 {
			return fmt.Errorf("%w: --part-size cannot be negative", app.ErrUsage)
		}
		if opts.Auth {
			opts.Token = cfg.Getenv("HF_TOKEN")
		}
		return app.ServeHub(cmd.Context(), cfg, opts, func(url string) {
			fmt.Fprintf(std.Err, "the Hub is at %s; stop it with Ctrl-C\n", url)
		})
	})
	serve.Flags().StringVar(&opts.Dir, "dir", "", "keep the repositories in `DIR` (default the embedded Hub's folder)")
	serve.Flags().StringVar(&opts.Addr, "addr", app.DefaultHubAddr, "listen on `HOST:PORT`; port 0 takes a free one")
	serve.Flags().StringVar(&opts.AddrFile, "addr-file", "", "write the address to `FILE`")
	serve.Flags().BoolVar(&opts.Auth, "auth", false, "ask for a token: of the folder's users (hub user add), or the one in the variable HF_TOKEN")
	serve.Flags().StringVar(&opts.Router, "router", "", "answer /v1 by the model's endpoint at `URL` (default the local server that is configured)")
	serve.Flags().BoolVar(&opts.RunJobs, "run-jobs", false, "let who may write to a namespace run jobs on this machine, as you")
	serve.Flags().BoolVar(&opts.Spaces, "run-spaces", false, "let who may write to a namespace run sandboxes on this machine, as you")
	serve.Flags().Int64Var(&opts.PartSize, "part-size", 0, "let clients send files larger than `BYTES` in parts (default 64 MiB)")
	c := group("hub", "the Hub-compatible server", serve, hubUserCommand(std))
	c.Annotations = nil // alone it says what there is to do
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return fmt.Errorf("%w: say what to do: ml-intern hub serve", app.ErrUsage)
	}
	return c
}

func hubUserCommand(std cli.Streams) *cobra.Command {
	var dir string
	var orgs []string
	var readOnly bool
	add := command("add NAME", "let somebody use the Hub, and print their token, once", 1, func(_ *cobra.Command, cfg *config.Config, args []string) error {
		token, err := app.AddHubUser(cfg, dir, args[0], orgs, readOnly)
		if err != nil {
			return err
		}
		fmt.Fprintln(std.Out, token)
		fmt.Fprintln(std.Err, "this is the only time that the token is shown; to take it back, remove it from users.yaml in the Hub's folder")
		return nil
	})
	add.Flags().StringVar(&dir, "dir", "", "of the Hub in `DIR` (default the embedded Hub's folder)")
	add.Flags().StringArrayVar(&orgs, "org", nil, "let them write to the namespace `ORG` too; may be given again")
	add.Flags().BoolVar(&readOnly, "read-only", false, "let them read only")
	c := group("user", "who may use a Hub that is served with --auth", add)
	c.Annotations = nil // alone it says what there is to do
	c.RunE = func(*cobra.Command, []string) error {
		return fmt.Errorf("%w: say what to do: ml-intern hub user add NAME", app.ErrUsage)
	}
	return c
}

func replayCommand(std cli.Streams) *cobra.Command {
	f := &flags{}
	tools := ""
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "play a recorded session again, offline",
		Long: "Replay plays what --record wrote: the models' replies come from FILE. Calls are answered\n" +
			"as they were, and nothing is run; with --tools live they are run again, in this folder.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: replay takes the recording's FILE", app.ErrUsage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if tools != "live" && tools != "recorded" {
				return fmt.Errorf("%w: --tools is live or recorded, not %q%s", app.ErrUsage, tools, config.DidYouMean(config.Nearest(tools, []string{"live", "recorded"})))
			}
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return cli.Replay(cmd.Context(), cfg, args[0], tools == "live", std)
		},
	}
	c.Flags().StringVar(&tools, "tools", "recorded", "recorded answers calls from FILE, live runs them again")
	c.Flags().StringVar(&f.Approve, "approve", "", "what may run without asking: plan, strict, ask or auto (default auto)")
	c.Flags().StringVar(&f.Output, "output", "", "text, json, stream-json or events (default text)")
	c.Flags().StringVar(&f.Dir, "cwd", "", "work in the folder `DIR`")
	c.Flags().BoolVar(&f.Quiet, "quiet", false, "print the answer only")
	c.Flags().BoolVar(&f.Verbose, "verbose", false, "print every line of progress")
	return c
}

func modelsCommand(std cli.Streams) *cobra.Command {
	list := command("ls", "list the models and say what answers from here", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		return cli.ListModels(cmd.Context(), cfg, std)
	})
	return group("models", "the models: what there is, what answers from here, and what it can do",
		list,
		command("check ID", "prove with five tiny calls what a model can do", 1, func(cmd *cobra.Command, cfg *config.Config, args []string) error {
			return cli.CheckModel(cmd.Context(), cfg, args[0], std)
		}),
		command("refresh", "ask the Hugging Face router for its models and prices", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.RefreshModels(cmd.Context(), cfg, std)
		}))
}

func configCommand(std cli.Streams) *cobra.Command {
	return group("config", "the configuration: what is in effect, where it is, what it may hold",
		command("show", "show the settings in effect and where each comes from", 0, func(_ *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ShowConfig(cfg, std)
		}),
		command("path", "print the files that are read", 0, func(_ *cobra.Command, cfg *config.Config, _ []string) error {
			return cli.ConfigPath(cfg, std)
		}),
		trustCommand("trust [DIR]", "let the rules, hooks and settings that a folder brings count, as they are now", std, cli.Trust),
		trustCommand("untrust [DIR]", "take that back", std, cli.Untrust),
		&cobra.Command{
			Use: "schema", Short: "print the JSON Schema of the file", Args: exactly(0),
			RunE: func(*cobra.Command, []string) error { return cli.ConfigSchema(std) },
		})
}

// trustCommand is about a folder: the one that is named, or this one.
func trustCommand(use, short string, std cli.Streams, do func(*config.Config, cli.Streams) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%w: %s takes one folder", app.ErrUsage, cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f := &flags{silent: true}
			if len(args) == 1 {
				f.Dir = args[0]
			}
			cfg, err := f.config(cmd)
			if err != nil {
				return err
			}
			return do(cfg, std)
		},
	}
}

func doctorCommand(std cli.Streams) *cobra.Command {
	return command("doctor", "show what works here and how to mend what does not", 0, func(cmd *cobra.Command, cfg *config.Config, _ []string) error {
		return cli.Doctor(cmd.Context(), cfg, std)
	})
}

func versionCommand(std cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version, and what it was built from", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.Out, "ml-intern "+app.ThisBuild().String())
			return err
		},
	}
}

// shimCommand runs one local job; the local backend starts it.
func shimCommand() *cobra.Command {
	return &cobra.Command{
		Use: app.ShimCommand + " FOLDER", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return app.RunShim(cmd.Context(), args[0]) },
	}
}

// confinedCommand is a cell for commands, or what becomes a job; the sandbox and
// the shim start it.
func confinedCommand() *cobra.Command {
	return &cobra.Command{
		Use: app.ConfinedCommand + " [RULES PROGRAM...]", Hidden: true, Args: cobra.ArbitraryArgs, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return app.RunConfined(args) },
	}
}
