package app

import (
	"cmp"
	"path/filepath"
	"slices"

	"ml-intern/internal/config"
	"ml-intern/internal/confine"
	"ml-intern/internal/hub"
	"ml-intern/internal/sandbox"
)

// hidden are the files and folders that no tool may look into: people's keys,
// and what this program keeps for itself.
func hidden(cfg *config.Config) []string {
	all := []string{cfg.Paths.State, cfg.Paths.Config, filepath.Join(cfg.Paths.Cache, "accounts"), filepath.Join(cfg.Dir, ".env")}
	if home := cmp.Or(cfg.Getenv("HOME"), cfg.Getenv("USERPROFILE")); home != "" {
		all = slices.Concat(all, sandbox.Keys(home), sandbox.OthersKeys(home))
		all = append(all, sandbox.NamedKeys(cfg.Getenv, home, cfg.Dir)...)
	}
	if token := hub.TokenFile(cfg.Getenv); token != "" {
		all = append(all, token, filepath.Join(filepath.Dir(token), "stored_tokens"))
	}
	machine, _ := confine.Machine()
	return append(all, machine...)
}

// shown are the folders of the state that the model is told of.
func shown(cfg *config.Config) []string {
	var all []string
	for _, name := range []string{"results", "jobs", "computes", "kept", "caches"} {
		all = append(all, filepath.Join(cfg.Paths.State, name))
	}
	_, machine := confine.Machine()
	return slices.Concat(all, []string{addedSkills(cfg).Dir}, ownSkills(cfg), machine)
}
