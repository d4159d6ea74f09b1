package app

import (
	"cmp"
	"path/filepath"
	"slices"
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
	notes = append(notes, a.skillNotes...)
	return instruction.News(s.Opened().Instructions, files, agent.ToldInstructions(s)), strings.Join(notes, "; ")
}

// An InstructionFile is a file with instructions, as a list shows it.
type InstructionFile struct {
	Path  string
	Bytes int // that count; 0 if it is not there
}

// InstructionFiles lists the files with instructions that count in the
// workspace, and where the person's own and the workspace's would be. The notes
// say what is left out.
func (a *App) InstructionFiles() (all []InstructionFile, notes []string) {
	files, notes := a.instructions()
	for _, f := range files {
		all = append(all, InstructionFile{f.Path, len(f.Text)})
	}
	for _, path := range []string{filepath.Join(a.cfg.Dir, "AGENTS.md"), ownInstructions(a.cfg)} {
		if !slices.ContainsFunc(all, func(f InstructionFile) bool { return f.Path == path }) {
			all = append(all, InstructionFile{Path: path})
		}
	}
	return all, notes
}
