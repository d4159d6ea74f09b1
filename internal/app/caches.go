package app

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/caches"
	"ml-intern/internal/config"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
)

// cachesOf are the caches of confined commands and jobs, which are one for all
// workspaces of a person.
func cachesOf(cfg *config.Config) caches.Caches {
	torch := cmp.Or(cfg.Getenv("TORCH_HOME"), filepath.Join(cmp.Or(cfg.Getenv("XDG_CACHE_HOME"), filepath.Join(cfg.Getenv("HOME"), ".cache")), "torch"))
	return caches.Caches{Dir: filepath.Join(cfg.Paths.State, "caches"), Hub: cache.Dir(cfg.Getenv), Torch: torch, HF: hub.Home(cfg.Getenv)}
}

// commandEnv is the environment of this program as commands and jobs get it,
// before what is not theirs is left out: confined ones have caches of their own.
func commandEnv(cfg *config.Config, confined bool) []string {
	if !confined {
		return cfg.Environ()
	}
	return cachesOf(cfg).Environ(cfg.Environ())
}

// commandGetenv looks variables up as commands and jobs find them.
func commandGetenv(cfg *config.Config, confined bool) func(string) string {
	set := make(map[string]string)
	for _, pair := range commandEnv(cfg, confined) {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
	return func(name string) string { return set[name] }
}

// readyCaches makes the caches of commands before the first one, and again once
// the session has downloaded something for the person.
func (a *App) readyCaches() {
	a.makesCaches.Lock()
	defer a.makesCaches.Unlock()
	c, now := cachesOf(a.cfg), time.Now()
	if !a.cachesMade.IsZero() && !(a.downloaded.Load() && c.NewSince(a.cachesMade)) {
		return
	}
	a.cachesMade = now
	_ = c.Make() // a command fetches itself what it does not find
}

// Caches says what confined commands and jobs keep in their caches, and where.
func Caches(cfg *config.Config) (dir string, entries []caches.Entry, err error) {
	c := cachesOf(cfg)
	entries, err = c.Entries()
	return c.Dir, entries, err
}

// ClearCache removes what is kept under a name, or all if it is "".
func ClearCache(cfg *config.Config, name string) error {
	err := cachesOf(cfg).Clear(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w; ml-intern caches lists what there is", ErrUsage, err)
	}
	return err
}

// cachesCheck says where the caches are. How large they are takes a while to see:
// ml-intern caches does that.
func cachesCheck(cfg *config.Config) Check {
	return Check{Name: "caches", State: stateOK, Detail: "of commands and jobs: " + cachesOf(cfg).Dir + "; ml-intern caches shows and empties them; yours are only read"}
}
