package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// Trust makes what the workspace brings with it count, as it is now, and shows
// what that is.
func Trust(cfg *config.Config, std Streams) error {
	if err := cfg.TrustFolder(cfg.Dir); err != nil {
		return err
	}
	p := printerOf{w: std.Out}
	p.line("trusted: %s, as it is now; what changes in it asks again", cfg.Brought(cfg.Dir))
	text, err := os.ReadFile(config.ProjectFile(cfg.Dir))
	if err == nil {
		p.line("%s:\n%s", config.ProjectFile(cfg.Dir), shownText(string(text)))
	}
	others, err := filepath.Glob(filepath.Join(config.ProjectDir(cfg.Dir), "*"))
	if err == nil {
		for _, path := range others {
			if path != config.ProjectFile(cfg.Dir) {
				p.line("with %s", printable(path))
			}
		}
	}
	if text, err := os.ReadFile(config.ServersFile(cfg.Dir)); err == nil {
		p.line("%s, whose servers run outside confinement:\n%s", config.ServersFile(cfg.Dir), shownText(string(text)))
	}
	all, _ := app.Skills(cfg, cfg.Dir)
	for _, s := range all {
		if rel, err := filepath.Rel(cfg.Dir, s.Dir); s.Kind == "project" && err == nil && filepath.IsLocal(rel) {
			p.line("skill %s, %s: %s", printable(s.Name), s.State, shorten(printable(cmp.Or(s.Why, s.Description)), 100))
		}
	}
	p.line("take it back with: ml-intern config untrust")
	return p.err
}

// Untrust takes trust in the workspace back.
func Untrust(cfg *config.Config, std Streams) error {
	was, err := cfg.DistrustFolder(cfg.Dir)
	if err != nil {
		return err
	}
	word := "no longer trusted"
	if !was {
		word = "was not trusted"
	}
	_, err = fmt.Fprintf(std.Out, "%s: %s\n", word, cfg.Dir)
	return err
}
