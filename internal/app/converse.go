package app

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// chosen puts what holds in a session in place of what the configuration says,
// where the command line says nothing.
func (a *App) chosen(opened session.Opened, c session.Chose) {
	if !a.cfg.IsFlag("model") {
		a.cfg.Model = cmp.Or(c.Model, opened.Model)
	}
	if !a.cfg.IsFlag("effort") && c.Effort != "" {
		a.cfg.Effort = effort(c.Effort)
	}
	if !a.cfg.IsFlag("approve") && c.Mode != "" {
		a.cfg.Approve = c.Mode
	}
}

// effort is the setting for what a person chose.
func effort(name string) string {
	if name == session.DefaultEffort {
		return ""
	}
	return name
}

// Listen has the turns hear what the inbox says while they work; see
// agent.Agent. A recording notes what was said.
func (c *Conversation) Listen(inbox func() []session.Event) {
	c.Agent.Inbox = func() []session.Event {
		heard := inbox()
		for _, ev := range heard {
			if ev.Prompt != nil && c.app.recording != nil {
				c.app.recording.Steer(ev.Prompt.Text)
			}
		}
		return heard
	}
}

// steers are words that were said to a turn at work.
func steers(texts []string) []session.Event {
	all := make([]session.Event, len(texts))
	for i, text := range texts {
		all[i].Prompt = &session.Prompt{Text: text, Steer: true}
	}
	return all
}

// Say answers one more prompt, or goes on with an empty one, to the end of the
// turn; see agent.Run. A recording notes the prompt.
func (c *Conversation) Say(ctx context.Context, prompt session.Prompt) iter.Seq2[session.Event, error] {
	c.app.cfg.Approve = c.Mode()
	c.Agent.Hooks = hooks(c.app.cfg)
	if prompt.Text != "" && c.app.recording != nil {
		c.app.recording.Prompt(c.Session.ID, prompt.Text)
	}
	return c.rests(c.working(c.clean(c.Agent.RunPrompt(ctx, c.Session, prompt))))
}

// Mode is the mode of approval.
func (c *Conversation) Mode() string {
	mode, _ := c.Agent.Policy.(*switched).get()
	return mode
}

// SetMode changes the mode of approval, also while a turn works. The caller
// records that: see session.Chose.
func (c *Conversation) SetMode(mode string) error {
	return c.Agent.Policy.(*switched).to(c.app.cfg, mode)
}

// Set changes the model, and how hard it thinks, between turns. The caller
// records that: see session.Chose.
func (c *Conversation) Set(ctx context.Context, chose session.Chose) error {
	cfg := c.app.cfg
	model, hard := cfg.Model, cfg.Effort
	cfg.Model = cmp.Or(chose.Model, cfg.Model)
	if chose.Effort != "" {
		cfg.Effort = effort(chose.Effort)
	}
	renewLogin(ctx, cfg, cfg.Model)
	models, err := c.app.models(c.Session.Opened().Model)
	if err != nil {
		cfg.Model, cfg.Effort = model, hard
		return err
	}
	c.Agent.Models, c.Agent.Effort = models, cfg.Effort
	return nil
}

// CheckChoice fails if there is no such model, effort or mode, or no key for
// the model.
func CheckChoice(now *config.Config, c session.Chose) error {
	cfg := *now
	cfg.Model, cfg.Effort = cmp.Or(c.Model, cfg.Model), effort(cmp.Or(c.Effort, cfg.Effort))
	if c.Mode != "" {
		if words := config.Words("approve"); !slices.Contains(words, c.Mode) {
			return fmt.Errorf("%w: there is no approval mode %q%s; the modes are %s", ErrUsage, c.Mode, config.DidYouMean(config.Nearest(c.Mode, words)), strings.Join(words, ", "))
		}
		if _, err := policy(&cfg, c.Mode); err != nil {
			return err
		}
	}
	if c.Effort != "" && cfg.Effort != "" && !slices.Contains(llm.Efforts(), cfg.Effort) {
		return fmt.Errorf("%w: there is no effort %q%s; the levels are %s", ErrUsage, cfg.Effort, config.DidYouMean(config.Nearest(cfg.Effort, llm.Efforts())), strings.Join(llm.Efforts(), ", "))
	}
	if c.Model != "" {
		_, err := model(&cfg, cfg.Model)
		return err
	}
	return nil
}

// ReadFile reads a file of the workspace where the session's tools read it, by
// the same rules.
func (a *App) ReadFile(ctx context.Context, path string, most int64) ([]byte, error) {
	return a.sandbox().ReadFile(ctx, path, most)
}

// Confinement says in a word what holds commands back.
func Confinement(cfg *config.Config) string {
	if cfg.Unconfined {
		return "UNCONFINED"
	}
	return "confined"
}

// HubName is the chosen Hub: its address, or "local".
func (a *App) HubName() string { return a.hubChoice() }

// DefaultModel is the id of the model that a session takes when none is named,
// "" if there is no key for any.
func (a *App) DefaultModel() string { return catalog.Default(withToken(a.cfg)) }

// Left says what of a session goes on although nobody is there: its jobs and
// sandboxes.
func (a *App) Left(ctx context.Context, s *session.Session) []string {
	var lines []string
	if slices.ContainsFunc(s.Artifacts(), func(a tool.Artifact) bool { return a.Kind == "job" }) { // else nobody is asked
		jobs, err := a.RunningJobs(ctx, s.ID)
		if err != nil {
			lines = append(lines, fmt.Sprintf("list running jobs: %v", err))
		}
		for _, id := range jobs {
			lines = append(lines, fmt.Sprintf("job %s goes on; stop it with: ml-intern jobs cancel %s", id, id))
		}
	}
	boxes, err := a.RunningSandboxes(s.ID)
	if err != nil {
		lines = append(lines, fmt.Sprintf("list sandboxes: %v", err))
	}
	for _, name := range boxes {
		lines = append(lines, fmt.Sprintf("sandbox %s goes on until it sleeps; end it with: ml-intern sandbox sweep %s", name, name))
	}
	return lines
}
