// Package cli is the program without a screen: one prompt from the command
// line or a script, and the commands that list and show.
//
// Its one rule: results go to standard output, everything else to standard
// error; nothing is colored and nothing moves.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/picture"
	"ml-intern/internal/session"
)

// Streams are the standard streams of the process.
type Streams struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // everything else

	// Interrupts has a function called when the person presses Ctrl-C, in place of
	// the end of the program, until restore is called. It may be nil.
	Interrupts func(handle func()) (restore func())
}

// RunOptions say which session a prompt goes to.
type RunOptions struct {
	Prompt   string // "" goes on where the session's log ends
	Piped    bool   // the prompt came from standard input: others may have written it
	Resume   string // id of a session, or the beginning of one
	Continue bool   // the latest session of the workspace
	Fork     bool   // work on a copy of the resumed session

	ShowSession bool // name the session below a text answer
}

// Run answers one prompt and prints what happens in the configured format. Its
// error says why the turn ended without an answer; app.Classify knows them.
func Run(ctx context.Context, cfg *config.Config, opts RunOptions, std Streams) (err error) {
	if opts.Prompt == "" && opts.Resume == "" && !opts.Continue {
		return fmt.Errorf("%w: the prompt is empty", app.ErrUsage)
	}
	prompt, err := withPictures(cfg, opts, std.Err)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	defer endTelemetry(a, std)
	if cfg.Unconfined {
		fmt.Fprintln(std.Err, "ml-intern: "+app.Unconfined)
	}
	p, err := newPrinter(cfg, opts, std)
	if err != nil {
		return err
	}
	c, begun, err := converse(ctx, a, opts, prompt)
	if begun {
		prompt = session.Prompt{}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	c.OnNotify(ringer(std), func(text string) { fmt.Fprintln(std.Err, "ml-intern: "+text) }, false)
	c.Agent.Approver = bystander{std.Err}
	if who, here := personAt(std); here {
		c.Agent.Approver = who
	}
	if cfg.TimeBudget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cfg.TimeBudget, app.ErrTimeBudget)
		defer cancel()
	}
	err = show(ctx, c, prompt, p, func() {
		if err := a.End(ctx, c.Session); err != nil {
			fmt.Fprintf(std.Err, "ml-intern: end the session's sandboxes: %v\n", err)
		}
	})
	if err != nil || !cfg.Quiet && sentJobs(c.Session) {
		reportRunning(context.WithoutCancel(ctx), a, c.Session.ID, std.Err)
	}
	if !errors.Is(err, app.ErrInterrupted) { // they want it to end
		shareByItself(context.WithoutCancel(ctx), a, c.Session.ID, std)
	}
	return err
}

// endTelemetry sends what is left of it and says what went wrong.
func endTelemetry(a *app.App, std Streams) {
	for _, text := range a.EndTelemetry() {
		fmt.Fprintln(std.Err, "ml-intern: "+text)
	}
}

// sentJobs reports whether the session has submitted any: else nobody is asked
// what runs.
func sentJobs(s *session.Session) bool {
	for _, a := range s.Artifacts() {
		if a.Kind == "job" {
			return true
		}
	}
	return false
}

// Replay plays a recorded session again, prompt by prompt, in the workspace.
func Replay(ctx context.Context, cfg *config.Config, path string, live bool, std Streams) error {
	prompts, err := app.Replay(cfg, path, live, func(text string) { fmt.Fprintln(std.Err, "ml-intern: "+text) })
	if err != nil {
		return err
	}
	for i, p := range prompts {
		if err := Run(ctx, cfg, RunOptions{Prompt: p.Text, Continue: i > 0 && !p.New}, std); err != nil {
			return err
		}
	}
	return nil
}

// withPictures is the prompt with the pictures that it names with an @, as they
// are now, before anything is spent. Names are relative to the working folder.
func withPictures(cfg *config.Config, opts RunOptions, w io.Writer) (session.Prompt, error) {
	prompt := session.Prompt{Text: opts.Prompt}
	var errs []error
	prompt.Pictures, errs = picture.Finder{Dir: cfg.Dir, Home: cfg.Getenv("HOME"), Inside: opts.Piped}.Find(prompt.Text)
	var wrong []error
	for _, err := range errs {
		if errors.Is(err, picture.ErrNone) || errors.Is(err, picture.ErrMissing) || errors.Is(err, picture.ErrOutside) { // it may be the name of something else
			fmt.Fprintf(w, "ml-intern: not sent as a picture: %v\n", err)
			continue
		}
		wrong = append(wrong, err)
	}
	if len(wrong) > 0 {
		return prompt, fmt.Errorf("%w: %w", app.ErrUsage, errors.Join(wrong...))
	}
	return prompt, nil
}

// converse opens or begins the session, and reports whether it began with the
// prompt: else that is still to be given.
func converse(ctx context.Context, a *app.App, opts RunOptions, prompt session.Prompt) (c *app.Conversation, begun bool, err error) {
	id := opts.Resume
	if opts.Continue && id == "" {
		if id, err = a.Latest(ctx); err != nil {
			return nil, false, err
		}
	}
	switch {
	case id == "":
		c, err = a.Begin(ctx, app.NewID(), prompt)
		return c, true, err
	case opts.Fork:
		c, err = a.Fork(ctx, id, opts.Prompt)
	default:
		c, err = a.Resume(ctx, id, opts.Prompt)
	}
	return c, false, err
}

// show prints the turn's events as they come, and its outcome; answered is
// called before that, if there is an answer.
func show(ctx context.Context, c *app.Conversation, prompt session.Prompt, p printer, answered func()) error {
	start := time.Now()
	if err := p.begin(c); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	var failure error
	for ev, err := range c.Run(ctx, prompt) {
		if err != nil {
			failure = err
		}
		if err := p.event(ev); err != nil { // a closed pipe: nobody reads any more
			return fmt.Errorf("print: %w", err)
		}
	}
	if failure == nil && c.Session.Answered() {
		answered()
	}
	if err := p.end(newOutcome(c, failure, time.Since(start))); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return failure
}

// reportRunning names the session's jobs that go on although the turn ended.
func reportRunning(ctx context.Context, a *app.App, sessionID string, w io.Writer) {
	jobs, err := a.RunningJobs(ctx, sessionID)
	if err != nil {
		fmt.Fprintf(w, "ml-intern: list running jobs: %v\n", err)
	}
	for _, id := range jobs {
		fmt.Fprintf(w, "ml-intern: job %s goes on; stop it with: ml-intern jobs cancel %s\n", id, id)
	}
	boxes, err := a.RunningSandboxes(sessionID)
	if err != nil {
		fmt.Fprintf(w, "ml-intern: list sandboxes: %v\n", err)
	}
	for _, name := range boxes {
		fmt.Fprintf(w, "ml-intern: sandbox %s goes on until it sleeps; end it with: ml-intern sandbox sweep %s\n", name, name)
	}
}

// A printer shows a turn in one output format.
type printer interface {
	begin(c *app.Conversation) error
	event(ev session.Event) error
	end(o outcome) error
}

func newPrinter(cfg *config.Config, opts RunOptions, std Streams) (printer, error) {
	switch cfg.Output {
	case "text":
		return &textPrinter{out: std.Out, showSession: opts.ShowSession, progress: progress{w: std.Err, quiet: cfg.Quiet, verbose: cfg.Verbose}}, nil
	case "json":
		return &jsonPrinter{out: std.Out, progress: progress{w: std.Err, quiet: cfg.Quiet, verbose: cfg.Verbose}}, nil
	case "stream-json":
		return &streamPrinter{out: std.Out}, nil
	case "events":
		return eventsPrinter{std.Out}, nil
	}
	return nil, fmt.Errorf("%w: there is no output format %q; the formats are text, json, stream-json, events", app.ErrUsage, cfg.Output)
}
