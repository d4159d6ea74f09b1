package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
	"ml-intern/internal/lazyregexp"
)

const (
	short = "an agent that does machine-learning engineering by itself"
	long  = `ml-intern does machine-learning engineering by itself: it inspects data, writes
and tests training code, runs it as jobs, compares the results honestly and
publishes the model to a Hugging Face Hub.

  ml-intern demo                    the whole job on this machine: no key, no account
  ml-intern --model ID "PROMPT"     one prompt; "-" reads it from standard input,
                                    @plot.png in it shows a picture to the model
  ml-intern                         chat, on a terminal; --plain line by line
  ml-intern --continue              go on where the latest session of this folder stopped`
)

// newRoot returns the command tree.
func newRoot(std cli.Streams) *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:           "ml-intern [flags] PROMPT",
		Short:         short,
		Long:          long,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, args []string) error { return runPrompt(cmd, f, args, std) },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(std.Out)
	root.SetErr(std.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, err) })
	f.add(root.Flags())
	root.Flags().BoolVar(&f.plain, "plain", false, "chat line by line: nothing moves and nothing is colored")
	run := &cobra.Command{
		Use:   "run [flags] PROMPT",
		Short: "answer one prompt",
		Args:  cobra.ArbitraryArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return runPrompt(cmd, f, args, std) },
	}
	f.add(run.Flags())
	root.AddCommand(run, demoCommand(std), sessionsCommand(std), jobsCommand(std), sandboxCommand(std), cachesCommand(std), hubCommand(std), mcpCommand(std), acpCommand(std), serveCommand(std), skillsCommand(std), notifyCommand(std),
		loginCommand(std), logoutCommand(std), whoamiCommand(std),
		replayCommand(std), modelsCommand(std), configCommand(std), doctorCommand(std), versionCommand(std), completionCommand(std), manualCommand(std), shimCommand(), confinedCommand())
	completeWords(root)
	root.SetHelpCommand(helpCommand())
	return root
}

// helpCommand is cobra's, but for a command that does not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "show what a command does and takes",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if at, _, err := cmd.Root().Find(args); err == nil {
				for _, c := range at.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for _, word := range args {
				next := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == word || c.HasAlias(word) })
				if next < 0 {
					return fmt.Errorf("%w: there is no command %q in %s%s", app.ErrUsage, word, at.CommandPath(), nearestCommand(at, word))
				}
				at = at.Commands()[next]
			}
			return at.Help()
		},
	}
}

// flags are the flags of run and of the bare prompt.
type flags struct {
	config.Config
	cli.RunOptions

	plain  bool     // chat line by line
	forms  []string // of output that the command has; nil for all
	silent bool     // what of the configuration is ignored is not said
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.Model, "model", "", "model `ID`, such as anthropic/NAME, openai/NAME, ollama/NAME or builtin/baseline")
	fs.StringSliceVar(&f.Fallback, "fallback", nil, "model `ID` that takes over when the one before is out of reach or credit; may be repeated")
	fs.StringVar(&f.Effort, "effort", "", "how hard the model thinks: none, minimal, low, medium, high, xhigh or max")
	fs.StringVar(&f.Approve, "approve", "", "what may run without asking: plan, strict, ask or auto (default auto, in a chat ask)")
	fs.StringVar(&f.Output, "output", "", "text, json, stream-json or events (default text)")
	fs.StringVar(&f.Resume, "resume", "", "go on with the session `ID`")
	fs.BoolVar(&f.Continue, "continue", false, "go on with the latest session of this folder")
	fs.BoolVar(&f.Fork, "fork", false, "with --resume or --continue: work on a copy of the session")
	fs.IntVar(&f.MaxSteps, "max-steps", config.DefaultMaxSteps, "model calls a turn may take")
	fs.Float64Var(&f.MaxCost, "max-cost", config.DefaultMaxCost, "US dollars the session may cost; 0 for no cap, as in a chat")
	fs.IntVar(&f.MaxTokens, "max-tokens", config.DefaultMaxTokens, "tokens the session may take of models whose price is unknown")
	fs.DurationVar(&f.TimeBudget, "time-budget", 0, "stop after this `DURATION`, such as 90m (default none)")
	fs.StringVar(&f.Dir, "cwd", "", "work in the folder `DIR`")
	fs.StringVar(&f.Hub, "hub", "", "Hub `URL`, or local for the embedded one")
	fs.StringVar(&f.Compute, "compute", "", "`BACKEND` for jobs: local, or another that jobs backends lists (default local)")
	fs.StringVar(&f.Record, "record", "", "write all model traffic to `FILE`, without secrets")
	fs.StringVar(&f.SystemAppend, "system-append", "", "`TEXT` to add to the system prompt, or @FILE")
	fs.BoolVar(&f.Unconfined, "unconfined", false, "run commands without confinement, in this run only")
	fs.BoolVar(&f.NoCache, "no-cache", false, "neither read nor write the cache of the web")
	fs.BoolVar(&f.Quiet, "quiet", false, "print the answer only")
	fs.BoolVar(&f.Verbose, "verbose", false, "print every line of progress")
}

// config loads the configuration and puts the flags over it.
func (f *flags) config(cmd *cobra.Command) (*config.Config, error) {
	for _, name := range []string{"resume", "record", "cwd", "model"} { // a script's variable that is not set must not begin another session, elsewhere, or with a model that costs more
		if given := cmd.Flags().Lookup(name); given != nil && given.Changed && given.Value.String() == "" {
			return nil, fmt.Errorf("%w: --%s is empty", app.ErrUsage, name)
		}
	}
	cfg, err := config.Load(os.Environ(), f.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", app.ErrUsage, err)
	}
	if !f.silent {
		for _, note := range cfg.Notes() {
			fmt.Fprintln(cmd.ErrOrStderr(), "ml-intern: "+note)
		}
	}
	f.over(cfg, cmd.Flags())
	if cmd.Flags().Changed("output") && f.forms != nil && !slices.Contains(f.forms, f.Output) && cmd.Name() != "show" { // which has the events
		return nil, fmt.Errorf("%w: there is no output format %q here%s; the formats are %s", app.ErrUsage, f.Output, config.DidYouMean(config.Nearest(f.Output, f.forms)), strings.Join(f.forms, ", "))
	}
	if err := cfg.CheckWords(); err != nil {
		return nil, fmt.Errorf("%w: %w", app.ErrUsage, err)
	}
	if math.IsNaN(cfg.MaxCost) || math.IsInf(cfg.MaxCost, 0) {
		return nil, fmt.Errorf("%w: --max-cost must be a number of US dollars; 0 is no cap", app.ErrUsage)
	}
	if cfg.MaxSteps < 1 || cfg.MaxCost < 0 || cfg.MaxTokens < 0 || cfg.TimeBudget < 0 {
		return nil, fmt.Errorf("%w: limits cannot be negative, and --max-steps must be at least 1", app.ErrUsage)
	}
	if file, ok := strings.CutPrefix(f.SystemAppend, "@"); ok { // of the flag alone: a project's file must not send others away
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%w: --system-append: %w", app.ErrUsage, err)
		}
		cfg.SystemAppend = string(text)
	}
	return cfg, nil
}

// over puts the flags that were given over the configuration.
func (f *flags) over(cfg *config.Config, fs *pflag.FlagSet) {
	given := func(flag, key string) bool {
		if !fs.Changed(flag) { // or there is none of that name
			return false
		}
		cfg.FromFlag(key)
		return true
	}
	for _, s := range []struct {
		to         *string
		from       string
		flag, name string
	}{
		{&cfg.Model, f.Model, "model", "model"},
		{&cfg.Effort, f.Effort, "effort", "effort"},
		{&cfg.Approve, f.Approve, "approve", "approve"},
		{&cfg.Output, f.Output, "output", "output"},
		{&cfg.Hub, f.Hub, "hub", "hub"},
		{&cfg.Compute, f.Compute, "compute", "compute"},
		{&cfg.SystemAppend, f.SystemAppend, "system-append", "system_append"},
	} {
		if given(s.flag, s.name) && s.from != "" {
			*s.to = s.from
		}
	}
	if given("fallback", "fallback") {
		cfg.Fallback = f.Fallback
	}
	if given("max-steps", "max_steps") {
		cfg.MaxSteps = f.MaxSteps
	}
	if given("max-cost", "max_cost") {
		cfg.MaxCost = f.MaxCost
	}
	if given("max-tokens", "max_tokens") {
		cfg.MaxTokens = f.MaxTokens
	}
	if given("time-budget", "time_budget") {
		cfg.TimeBudget = f.TimeBudget
	}
	cfg.Quiet, cfg.Verbose, cfg.Record, cfg.NoCache, cfg.Unconfined = f.Quiet, f.Verbose, f.Record, f.NoCache, f.Unconfined
}

func runPrompt(cmd *cobra.Command, f *flags, args []string, std cli.Streams) error {
	opts := f.RunOptions
	going := opts.Continue || opts.Resume != ""
	switch {
	case len(args) == 0 && cmd.Name() != "run" && (f.plain || onTerminal(std)):
		return openChat(cmd, f, std)
	case f.plain:
		return fmt.Errorf("%w: --plain is for a chat: leave the prompt out", app.ErrUsage)
	case len(args) == 0 && !going && cmd.Name() != "run":
		return bare(cmd, std)
	case len(args) == 0 && !going:
		return fmt.Errorf("%w: run needs a prompt", app.ErrUsage)
	case len(args) > 1:
		hint := ""
		if cmd.Name() != "run" && !strings.ContainsAny(args[0], " \n\t") {
			hint = nearestCommand(cmd, args[0])
		}
		return fmt.Errorf("%w: the prompt must be one argument: put it in quotes%s", app.ErrUsage, hint)
	case opts.Fork && !going:
		return fmt.Errorf("%w: --fork goes with --resume ID or --continue", app.ErrUsage)
	case len(args) == 1 && going && strings.TrimSpace(args[0]) == "": // as with none: it goes on
	case len(args) == 1:
		prompt, err := readPrompt(cmd, args[0], std.In)
		if err != nil {
			return err
		}
		opts.Prompt, opts.Piped = prompt, args[0] == "-"
	}
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	return cli.Run(cmd.Context(), cfg, opts, std)
}

// bare is the program without a prompt.
func bare(cmd *cobra.Command, std cli.Streams) error {
	cmd.SetOut(std.Err)
	if err := cmd.Help(); err != nil {
		return err
	}
	return fmt.Errorf("%w: no prompt, and no terminal to chat on", app.ErrUsage)
}

// maxPrompt bounds a prompt, in bytes.
const maxPrompt = 1 << 20

// readPrompt reads "-" from standard input. A single word close to a command
// is a slip, not a prompt worth money.
func readPrompt(cmd *cobra.Command, arg string, stdin io.Reader) (string, error) {
	if arg == "-" {
		text, err := io.ReadAll(io.LimitReader(stdin, maxPrompt+1))
		if err != nil {
			return "", fmt.Errorf("read prompt: %w", err)
		}
		arg = string(text)
	}
	switch {
	case strings.TrimSpace(arg) == "":
		return "", fmt.Errorf("%w: the prompt is empty", app.ErrUsage)
	case !utf8.ValidString(arg):
		return "", fmt.Errorf("%w: the prompt is not UTF-8 text", app.ErrUsage)
	case len(arg) > maxPrompt:
		return "", fmt.Errorf("%w: the prompt has %d bytes, more than %d; put long text into a file of the workspace", app.ErrUsage, len(arg), maxPrompt)
	}
	if cmd.Name() != "run" && !strings.ContainsAny(arg, " \n\t") {
		cmd.SuggestionsMinimumDistance = 2
		if near := cmd.SuggestionsFor(arg); len(near) > 0 {
			return "", fmt.Errorf("%w: there is no command %q; did you mean %s? A prompt of one word goes with: ml-intern run", app.ErrUsage, arg, strings.Join(near, " or "))
		}
	}
	return arg, nil
}

// nearestCommand names the command that may be meant, "" if none is near.
func nearestCommand(cmd *cobra.Command, word string) string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(append(names, c.Name()), c.Aliases...)
		}
	}
	return config.DidYouMean(config.Nearest(word, names))
}

// wrongValue is what the flags' package says of a value of another type.
var wrongValue = lazyregexp.New(`(?s)^invalid argument "(.*)" for "(?:-., )?(--[a-z-]+)" flag: .*$`)

// flagError says what is wrong with a flag, and names the nearest one to one that
// does not exist.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if best := config.Nearest(name, names); best != "" {
			text += "; did you mean --" + best + "?"
		}
	}
	if m := wrongValue.FindStringSubmatch(text); m != nil {
		f := cmd.Flags().Lookup(m[2][2:])
		takes := map[string]string{
			"int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false",
			"duration": "a duration such as 90m or 2h30m", "stringSlice": "words with commas between them",
		}
		if f != nil && takes[f.Value.Type()] != "" {
			text = fmt.Sprintf("%s takes %s, not %q", m[2], takes[f.Value.Type()], m[1])
		}
	}
	return fmt.Errorf("%w: %s", app.ErrUsage, text)
}
