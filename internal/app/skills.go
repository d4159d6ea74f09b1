package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/session"
	"ml-intern/internal/skill"
)

// addedSkills is where skills lie that were added from repositories.
func addedSkills(cfg *config.Config) *skill.Store {
	return &skill.Store{Dir: filepath.Join(cfg.Paths.Data, "skills")}
}

// ownSkills are the folders of the person's skills: ours, and those that other
// agents read.
func ownSkills(cfg *config.Config) []string {
	dirs := []string{filepath.Join(cfg.Paths.Config, "skills")}
	if home := cfg.Home(); home != "" {
		dirs = append(dirs, filepath.Join(home, ".agents", "skills"), filepath.Join(home, ".claude", "skills"))
	}
	return dirs
}

// skillFinder finds the skills for a workspace.
func skillFinder(cfg *config.Config, dir string) skill.Finder {
	var places []skill.Place
	for _, dir := range skillProjects(cfg, dir) {
		trusted := func() error {
			if cfg.Trusts(dir) {
				return nil
			}
			return fmt.Errorf("you have not trusted %s as it is now; look at it, then: ml-intern config trust %s", dir, dir)
		}
		for _, folder := range cfg.SkillFolders(dir) {
			places = append(places, skill.Place{Dir: folder, Kind: skill.Project, From: folder, Trusted: trusted})
		}
	}
	own := ownSkills(cfg)
	for _, folder := range own {
		places = append(places, skill.Place{Dir: folder, Kind: skill.Own, From: folder})
	}
	shown := append(shown(cfg), resolvedDirs(own)...)
	return skill.Finder{
		Places: places, Store: addedSkills(cfg), Off: cfg.SkillsOff,
		Private: func(dir string) bool { return below(hidden(cfg), dir) && !below(shown, dir) },
	}
}

func resolvedDirs(dirs []string) []string {
	var all []string
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			all = append(all, real)
		}
	}
	return all
}

// skillProjects are the workspace and the folders above it up to the root of its
// repository, the nearest first. Without a repository it is the workspace alone.
func skillProjects(cfg *config.Config, dir string) []string {
	var all []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		all = append(all, at)
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return all
		}
		if at == filepath.Dir(at) || at == filepath.Clean(cfg.Home()) {
			return all[:1]
		}
	}
}

// skills is what the model is told of skills when a session begins, without
// secrets, and what is wrong with them, for the person.
func (a *App) skills() (prompt string, notes []string) {
	all, notes := skillFinder(a.cfg, a.cfg.Dir).Find()
	for _, s := range all {
		if s.State == skill.Untrusted && !below([]string{a.cfg.Dir}, s.Dir) { // of the workspace itself config says it
			if note := "skills in " + s.From + " are left out: " + s.Why; !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	return a.redactor().Text(skill.Prompt(all)), append(notes, skill.Notes(all)...)
}

// A Skill is one as a list shows it.
type Skill struct {
	Name        string   `json:"name"`
	State       string   `json:"state"` // on, off, untrusted, changed, shadowed or broken
	Why         string   `json:"why,omitempty"`
	Kind        string   `json:"kind"` // yours, project or added
	From        string   `json:"from"`
	Commit      string   `json:"commit,omitempty"`
	Dir         string   `json:"dir"`
	Description string   `json:"description"`
	Warnings    []string `json:"warnings,omitempty"`
	Manual      bool     `json:"manual,omitempty"` // only a person uses it
}

// Skills lists the skills for a workspace, those that count first, and says what
// else is wrong.
func Skills(cfg *config.Config, dir string) (all []Skill, notes []string) {
	found, notes := skillFinder(cfg, dir).Find()
	pins, _ := addedSkills(cfg).Pins() // Find has said what is wrong
	for _, s := range found {
		one := Skill{
			Name: s.Name, State: string(s.State), Why: s.Why, Kind: string(s.Kind), From: s.From, Dir: s.Dir,
			Description: s.Description, Warnings: s.Warnings, Manual: s.Manual,
		}
		if s.Kind == skill.Added {
			one.Commit = pins[s.Name].Commit
		}
		all = append(all, one)
	}
	return all, notes
}

// A SkillText is a skill with what it says and has.
type SkillText struct {
	Skill
	License       string   `json:"license,omitempty"`
	Compatibility string   `json:"compatibility,omitempty"`
	AllowedTools  string   `json:"allowed_tools,omitempty"` // that it asks for, which counts nowhere
	Files         []string `json:"files"`
	Text          string   `json:"text"`
}

// ReadSkill reads a skill for a person, also one that is not offered, if it can be
// read at all.
func ReadSkill(cfg *config.Config, dir, name string) (SkillText, error) {
	find := skillFinder(cfg, dir)
	found, _ := find.Find()
	all, _ := Skills(cfg, dir)
	i := slices.IndexFunc(found, func(s skill.Skill) bool { return s.Name == name })
	if i < 0 {
		return SkillText{}, unknownSkill(name, all)
	}
	s := found[i]
	out := SkillText{Skill: all[i], License: s.License, Compatibility: s.Compatibility, AllowedTools: s.AllowedTools, Files: []string{}}
	files, _ := s.Files()
	for _, f := range files {
		out.Files = append(out.Files, f.Path)
	}
	var err error
	out.Text, err = find.Show(s)
	return out, err
}

func unknownSkill(name string, all []Skill) error {
	var names []string
	for _, s := range all {
		if s.Name != "" && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	hint := "; there are none yet: ml-intern skills add ORG/REPO"
	if near := config.Nearest(name, names); near != "" {
		hint = "; did you mean " + near + "?"
	} else if len(names) > 0 {
		hint = "; there are " + strings.Join(names[:min(len(names), maxNames)], ", ")
		if more := len(names) - maxNames; more > 0 {
			hint += fmt.Sprintf(" and %d more", more)
		}
	}
	return fmt.Errorf("%w: there is no skill %q%s", ErrUsage, name, hint)
}

// UseSkill is the prompt by which a person has a skill used, with what it is to be
// used for: the skill's text goes with it.
func UseSkill(cfg *config.Config, dir, name, task string) (session.Prompt, error) {
	text, err := skillFinder(cfg, dir).Read(name, "")
	if errors.Is(err, skill.ErrUnknown) {
		all, _ := Skills(cfg, dir)
		return session.Prompt{}, unknownSkill(name, all)
	}
	if err != nil {
		return session.Prompt{}, err
	}
	words := "Use the skill " + name + "."
	if task = strings.TrimSpace(task); task != "" {
		words = "Use the skill " + name + ": " + task
	}
	return session.Prompt{Text: words, Context: text.String()}, nil
}

// skillsCheck says which skills there are.
func skillsCheck(cfg *config.Config) Check {
	all, notes := Skills(cfg, cfg.Dir)
	c := Check{Name: "skills", State: stateOK, Detail: "none"}
	count := make(map[string]int)
	for _, s := range all {
		count[s.State]++
		if s.State == string(skill.Changed) || s.State == string(skill.Broken) {
			notes = append(notes, s.Name+": "+s.Why)
		}
	}
	var parts []string
	for _, state := range []skill.State{skill.On, skill.Off, skill.Untrusted, skill.Changed, skill.Shadowed, skill.Broken} {
		if n := count[string(state)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) > 0 {
		c.Detail = strings.Join(parts, ", ") + "; ml-intern skills lists them"
	}
	if len(notes) > 0 {
		c.State, c.Mend = stateNote, strings.Join(notes[:min(len(notes), 3)], "; ")
	}
	return c
}
