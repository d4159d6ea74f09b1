package chat

import (
	"fmt"
	"strings"

	"ml-intern/internal/app"
)

// skills lists the skills there are, or has one used: NAME, and what for.
func (c *Chat) skills(args string) (Result, error) {
	if args != "" {
		name, task, _ := strings.Cut(args, " ")
		return Result{}, c.useSkill(name, task)
	}
	all, notes := app.Skills(c.cfg, c.dir())
	if len(all) == 0 && len(notes) == 0 {
		return Result{Text: "There are no skills: put folders with a SKILL.md into `" + c.cfg.Paths.Config + "/skills`, or add those of a repository with `ml-intern skills add`."}, nil
	}
	var b strings.Builder
	b.WriteString("| skill | state | from | what it is for |\n|---|---|---|---|\n")
	for _, s := range all {
		what := firstWords(s.Description)
		if s.Why != "" {
			what = s.Why
		}
		from := s.From
		if s.Commit != "" {
			from += "@" + s.Commit[:min(len(s.Commit), 10)]
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(s.Name), s.State, cell(from), cell(what))
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	b.WriteString("\n`/NAME` or `/skills NAME` has one used, with what to use it for behind it.")
	return Result{Text: b.String()}, nil
}

// skillCommands are the skills by their names.
func (c *Chat) skillCommands() []Command {
	all, _ := app.Skills(c.cfg, c.dir())
	var commands []Command
	for _, s := range all {
		if s.State != "on" {
			continue
		}
		name := s.Name
		commands = append(commands, Command{Name: "/" + name, Args: "[WORDS]", Help: "skill: " + firstWords(s.Description), Own: s.Dir, run: func(c *Chat, args string) (Result, error) {
			return Result{}, c.useSkill(name, args)
		}})
	}
	return commands
}

// useSkill says a prompt that has the skill used, with the skill's text for the
// model.
func (c *Chat) useSkill(name, task string) error {
	prompt, err := app.UseSkill(c.cfg, c.dir(), name, task)
	if err != nil {
		return err
	}
	c.Give(c.withPictures(prompt))
	return nil
}
