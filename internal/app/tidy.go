package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/config"
	"ml-intern/internal/job"
	"ml-intern/internal/session"
)

const gigabyte = 1 << 30

// What is kept of what commands made in protected places.
const (
	asideFor = 30 * 24 * time.Hour
	maxAside = gigabyte
)

// tidyEvery is how often the caches are looked through.
const tidyEvery = 24 * time.Hour

// A tidier works beside a session, until that ends.
type tidier struct {
	mu   sync.Mutex
	stop context.CancelFunc
	work sync.WaitGroup
}

func (t *tidier) close() {
	t.mu.Lock()
	stop := t.stop
	t.mu.Unlock()
	if stop != nil {
		stop()
	}
	t.work.Wait()
}

// tidy keeps what commands leave among our state within its bounds, once a day and
// while nobody waits for it. What cannot be removed stays until the next time.
func (a *App) tidy(ctx context.Context) {
	a.tidier.mu.Lock()
	defer a.tidier.mu.Unlock()
	stamp := filepath.Join(a.cfg.Paths.State, "tidied")
	if info, err := os.Stat(stamp); a.tidier.stop != nil || err == nil && time.Since(info.ModTime()) < tidyEvery {
		return
	}
	ctx, a.tidier.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.tidier.work.Go(func() {
		_ = tidyAside(filepath.Join(a.cfg.Paths.State, "aside"), maxAside)
		err := trimCaches(ctx, a.cfg, func() bool {
			jobs, err := a.here.List(ctx)
			return err != nil || slices.ContainsFunc(jobs, func(j job.Status) bool { return !j.Done() })
		})
		if err == nil {
			_ = os.WriteFile(stamp, nil, 0o600)
		}
	})
}

// trimCaches keeps the caches of commands within their bound.
func trimCaches(ctx context.Context, cfg *config.Config, busy func() bool) error {
	if cfg.CachesGB == 0 {
		return nil
	}
	_, err := cachesOf(cfg).Trim(ctx, int64(cfg.CachesGB*gigabyte), busy)
	return err
}

// journals is the folder with what commands that run may leave.
func journals(cfg *config.Config) string { return filepath.Join(cfg.Paths.State, "unfinished") }

// recovered says in the log what was put right of commands whose program was killed,
// once, when a turn of this agent begins.
func (a *App) recovered(ag *agent.Agent) {
	notes, look := a.undone, ag.Refresh
	if a.undone = nil; len(notes) == 0 {
		return
	}
	ag.Refresh = func(ctx context.Context, begins bool) []session.Notice {
		var all []session.Notice
		for _, n := range notes {
			text := "a command was running when the program was killed: " + n
			all = append(all, session.Notice{Kind: "recovered: " + n, Text: text})
		}
		if notes = nil; look != nil {
			all = append(all, look(ctx, begins)...)
		}
		return all
	}
}

// tidyAside removes what is old, and of the rest the oldest until it is no more
// than that many bytes.
func tidyAside(dir string, most int64) error {
	if err := removeOld(dir, asideFor); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir) // by name, which is the time
	if err != nil {
		return fmt.Errorf("list what is kept aside: %w", err)
	}
	for _, e := range slices.Backward(entries) {
		path := filepath.Join(dir, e.Name())
		if most -= sizeBelow(path); most < 0 {
			_ = os.RemoveAll(path)
		}
	}
	return nil
}

func sizeBelow(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}
