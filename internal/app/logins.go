package app

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/mcp"
	"ml-intern/internal/strongbox"
)

// logins are those at MCP servers. A keyring is asked for their values only when
// one of them has changed.
type logins struct {
	mcp.Logins
	read func() []string

	mu     sync.Mutex
	at     time.Time
	values []string
}

// newLogins asks nothing yet.
func newLogins(ctx context.Context, cfg *config.Config) *logins {
	l := &logins{Logins: mcp.Logins{Box: box(cfg, "mcp-logins.json")}}
	ctx = context.WithoutCancel(ctx)
	l.read = func() []string { return l.Secrets(ctx) }
	return l
}

// box is where this program keeps secrets of its own under that name. Which
// keyring that is a folder's .env has no say in.
func box(cfg *config.Config, file string) strongbox.Box {
	return strongbox.Box{File: filepath.Join(cfg.Paths.State, file), Ring: strongbox.Find(cfg.ProcessGetenv), Use: strongbox.Use(cfg.Keep.Store)}
}

// secrets are the values that nobody may see, with those that were before.
func (l *logins) secrets() []string {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := os.Stat(l.File)
	if err == nil && !info.ModTime().Equal(l.at) {
		l.at, l.values = info.ModTime(), append(l.values, l.read()...)
	}
	return l.values
}

// place says in words where something is kept.
func place(p strongbox.Place, file string) string {
	switch {
	case p.Keyring:
		return "in the keyring"
	case p.Why != nil:
		return "in " + file + ", since " + p.Why.Error()
	}
	return "in " + file
}

// keyringCheck says where logins are kept, and tries the keyring.
func keyringCheck(ctx context.Context, cfg *config.Config) Check {
	c := Check{Name: "keyring", State: stateOK}
	b := box(cfg, "")
	switch {
	case b.Use == strongbox.FileOnly:
		c.Detail = "not used, as the configuration has it: logins at MCP servers are in files of " + cfg.Paths.State
		return c
	case b.Ring == nil:
		c.Detail = "none on this desktop"
	default:
		err := strongbox.Check(ctx, b.Ring)
		if err == nil {
			c.Detail = "answers: logins at MCP servers are kept there"
			return c
		}
		c.Detail = err.Error()
	}
	if b.Use == strongbox.KeyringOnly {
		c.State, c.Mend = stateMissing, "unlock or start one, or set secrets: {store: file}"
	} else {
		c.Detail += ": logins at MCP servers are in files of " + cfg.Paths.State + " that only you can read"
	}
	return c
}
