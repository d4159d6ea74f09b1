package app

import (
	"cmp"
	"path/filepath"
	"strings"

	"ml-intern/internal/agent"
	"ml-intern/internal/config"
	"ml-intern/internal/instruction"
	"ml-intern/internal/session"
)

// ownInstructions is the person's own file with instructions.
func ownInstructions(cfg *config.Config) string {
	return filepath.Join(cfg.Paths.Config, "instructions.md")
}

// instructions are what files say to agents in the workspace, without secrets,
// and what was left out, for the person.
func (a *App) instructions() (files []instruction.File, notes []string) {
	files, notes = instruction.Find(instruction.Place{
		Own: ownInstructions(a.cfg), Dir: a.cfg.Dir, Home: cmp.Or(a.cfg.Getenv("HOME"), a.cfg.Getenv("USERPROFILE")), Trusted: a.cfg.Trusts,
	})
	redact := a.Redact()
	for i := range files {
		files[i].Text = redact(files[i].Text)
	}
	return files, notes
}

// news is what has changed in them since the session began.
func (a *App) news(s *session.Session) (news, notice string) {
	files, notes := a.instructions()
	return instruction.News(s.Opened().Instructions, files, agent.ToldInstructions(s)), strings.Join(notes, "; ")
}
