package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// opened is the program of the session; one that could not be opened is tried
// again.
func (c *Chat) opened() (*app.App, error) {
	if a := c.program(); a != nil {
		return a, nil
	}
	err := c.alone(func() error {
		if c.app != nil {
			return nil
		}
		return c.open(c.ctx)
	})
	if a := c.program(); a != nil {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoProgram, err)
	}
	return nil, errNoProgram
}

var errNoProgram = errors.New("sessions cannot be kept, so there is nothing to do it in (/doctor says more)")

// choose notes what the person set. What a turn at work cannot take over holds
// from the next prompt on; all of it is recorded at once, or at the next step.
func (c *Chat) choose(chose session.Chose) error {
	if _, err := c.opened(); err != nil {
		return err
	}
	if err := app.CheckChoice(c.newConfig(), chose); err != nil {
		return err
	}
	c.mu.Lock()
	set := c.setMode
	c.mu.Unlock()
	if chose.Mode != "" && set != nil {
		if err := set(chose.Mode); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.over = session.Chose{Model: cmp.Or(chose.Model, c.over.Model), Effort: cmp.Or(chose.Effort, c.over.Effort), Mode: cmp.Or(chose.Mode, c.over.Mode)}
	c.choices = append(c.choices, chose)
	c.state.Mode = cmp.Or(chose.Mode, c.state.Mode)
	c.state.Effort = first(chose.Effort, c.state.Effort)
	c.mu.Unlock()
	err := c.alone(func() error {
		if c.conv == nil { // the session begins with it
			if err := c.app.Close(); err != nil {
				return err
			}
			c.setApp(nil)
			return c.open(c.ctx)
		}
		if err := c.settleChoices(c.ctx); err != nil {
			return err
		}
		return c.saveChoices()
	})
	if err == ErrAtWork { //nolint:errorlint // it is returned as it is
		c.mu.Lock()
		if c.endSleep != nil {
			c.endSleep(errChosen)
		}
		c.mu.Unlock()
		c.tell()
		return nil
	}
	return err
}

func (c *Chat) model(id string) (Result, error) {
	if id != "" {
		if err := c.choose(session.Chose{Model: id}); err != nil {
			return Result{}, err
		}
		return Result{Text: c.said("model", id)}, nil
	}
	return Result{Pick: &Pick{Title: "model", Then: "/model", Items: ModelItems(c.ctx, c.newConfig())}}, nil
}

// ModelItems lists the models that can be chosen. It asks the servers of this
// machine for theirs.
func ModelItems(ctx context.Context, cfg *config.Config) (items []Item) {
	for _, m := range app.LocalModels(ctx, cfg) {
		items = append(items, Item{ID: m.ID, Title: m.ID, Detail: "on this machine, " + m.Where})
	}
	for _, m := range app.Models(ctx, cfg) {
		if m.State == "no key" || m.State == "silent" || strings.HasSuffix(m.ID, "/NAME") { // of a server; its models stand above
			continue
		}
		items = append(items, Item{ID: m.ID, Title: m.ID, Detail: modelWords(m)})
	}
	return items
}

// said confirms a choice.
func (c *Chat) said(what, value string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endTurn != nil {
		return fmt.Sprintf("From the next prompt on: %s `%s`.", what, value)
	}
	return fmt.Sprintf("From now on: %s `%s`.", what, value)
}

func modelWords(m app.ModelLine) string {
	var words []string
	if m.ContextWindow > 0 {
		words = append(words, fmt.Sprintf("%dk window", m.ContextWindow/1000))
	}
	switch {
	case m.Price != nil && *m.Price == (llm.Price{}):
		words = append(words, "free")
	case m.Price != nil:
		words = append(words, fmt.Sprintf("$%g in, $%g out per million", m.Price.Input, m.Price.Output))
	}
	if m.Note != "" {
		words = append(words, m.Note)
	}
	return strings.Join(words, ", ")
}

func (c *Chat) effort(level string) (Result, error) {
	if level != "" {
		if err := c.choose(session.Chose{Effort: level}); err != nil {
			return Result{}, err
		}
		return Result{Text: c.said("effort", level)}, nil
	}
	pick := &Pick{Title: "effort", Then: "/effort", Items: []Item{{session.DefaultEffort, session.DefaultEffort, "the model's own"}}}
	for _, e := range llm.Efforts() {
		pick.Items = append(pick.Items, Item{ID: e, Title: e})
	}
	return Result{Pick: pick}, nil
}

// modeWords say what each mode is.
var modeWords = map[approval.Mode]string{
	approval.Plan:     "only reading runs",
	approval.Strict:   "writing and running ask too",
	approval.AskFirst: "spending, publishing and reaching outside confinement ask",
	approval.Auto:     "nothing asks; what nobody could take back is refused",
}

func (c *Chat) approve(mode string) (Result, error) {
	if mode != "" {
		if err := c.choose(session.Chose{Mode: mode}); err != nil {
			return Result{}, err
		}
		return Result{Text: fmt.Sprintf("From now on: approval `%s`: %s.", mode, modeWords[approval.Mode(mode)])}, nil
	}
	pick := &Pick{Title: "what runs without asking", Then: "/approve"}
	for _, m := range approval.Modes() {
		pick.Items = append(pick.Items, Item{ID: string(m), Title: string(m), Detail: modeWords[m]})
	}
	return Result{Pick: pick}, nil
}

// login shows a code for the browser, and says when the person has entered it.
func (c *Chat) login(string) (Result, error) {
	cfg := *c.cfg
	return c.logIn(func(show func(app.LoginCode)) (app.Login, error) { return app.LoginByBrowser(c.ctx, &cfg, show) })
}

// logIn shows the code that logging in brings, and goes on beside the chat.
func (c *Chat) logIn(byBrowser func(show func(app.LoginCode)) (app.Login, error)) (Result, error) {
	codes, failed := make(chan app.LoginCode, 1), make(chan error, 1)
	var told atomic.Bool // there was a code
	c.work.Go(func() {
		var l app.Login
		err := whole(func() (err error) {
			l, err = byBrowser(func(code app.LoginCode) {
				told.Store(true)
				codes <- code
			})
			return err
		})
		failed <- err
		switch {
		case err != nil && c.ctx.Err() == nil && told.Load(): // else the command has said it
			c.notice("log in: %v", err)
		case err == nil:
			c.notice("logged in to %s as %s", l.Hub, l.Name)
		}
	})
	select {
	case code := <-codes:
		return Result{Text: fmt.Sprintf("Open %s and enter `%s`, within %s. The chat goes on meanwhile.", code.URL, code.Code, code.Life.Round(time.Minute))}, nil
	case err := <-failed:
		return Result{}, err
	}
}

// memory shows the files with instructions that count here, or lets one be
// edited.
func (c *Chat) memory(file string) (Result, error) {
	a, err := c.opened()
	if err != nil {
		return Result{}, err
	}
	files, notes := a.InstructionFiles()
	if file != "" {
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.dir(), file)
		}
		if !slices.ContainsFunc(files, func(f app.InstructionFile) bool { return f.Path == file }) {
			return Result{}, usage("%s is none of the files with instructions; /memory lists them", file)
		}
		return Result{Edit: file}, nil
	}
	pick := &Pick{Title: "files with instructions", Then: "/memory"}
	for _, f := range files {
		detail := "not there yet"
		if f.Bytes > 0 {
			detail = fmt.Sprintf("%d bytes", f.Bytes)
		}
		pick.Items = append(pick.Items, Item{ID: f.Path, Title: f.Path, Detail: detail})
	}
	text := ""
	for _, note := range notes {
		text += "- " + note + "\n"
	}
	return Result{Text: text, Pick: pick}, nil
}

// initPrompt asks for instructions for a folder.
const initPrompt = "Look at this folder and write AGENTS.md in it: what an agent that works here must know and cannot see at a glance. " +
	"What the project is, how to install, run, test and check it (commands that you have seen to work), where data and results are, " +
	"conventions of the code, and what must not be touched. Read what is there first: README, configuration, scripts, and an AGENTS.md or CLAUDE.md that exists, which you improve rather than replace. " +
	"Keep it under 60 lines, without anything that you did not find here."

func (c *Chat) initCommand(string) (Result, error) {
	c.Say(initPrompt)
	return Result{}, nil
}
