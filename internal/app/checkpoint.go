package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ml-intern/internal/checkpoint"
	"ml-intern/internal/config"
	"ml-intern/internal/notify"
	"ml-intern/internal/session"
)

// checkpointsOf is the folder of all stores of checkpoints.
func checkpointsOf(cfg *config.Config) string { return filepath.Join(cfg.Paths.State, "checkpoints") }

// checkpoints opens the store for a workspace's files.
func (a *App) checkpoints(ctx context.Context, dir string) (checkpoint.Store, error) {
	s, err := checkpoint.Open(checkpointsOf(a.cfg), dir)
	if err != nil {
		return s, err
	}
	s.Quota = int64(a.cfg.CheckpointsGB * gigabyte)
	s.Spare = 3 * s.Quota
	paths := a.cfg.Paths
	s.Skip = func(ctx context.Context) []string {
		return append(a.writtenByJobs(ctx), paths.State, paths.Data, paths.Cache, paths.Config)
	}
	s.Live = func(id string) bool { return a.inUse(ctx, id) }
	s.Elsewhere = a.vault(dir).Find
	return s, nil
}

// inUse reports whether a process works in the session.
func (a *App) inUse(ctx context.Context, id string) bool {
	release, err := a.store.Lease(ctx, id)
	if err != nil {
		return errors.Is(err, session.ErrBusy)
	}
	return release() != nil
}

// checkpointer keeps the files of a session's workspace.
func (a *App) checkpointer(opened session.Opened) func(context.Context, string) (session.Checkpointed, error) {
	return func(ctx context.Context, when string) (session.Checkpointed, error) {
		s, err := a.checkpoints(ctx, opened.Dir)
		if err != nil {
			return session.Checkpointed{}, err
		}
		return keep(ctx, s, opened.ID, when)
	}
}

// keep makes a checkpoint for a session, and the event that says so.
func keep(ctx context.Context, s checkpoint.Store, id, when string) (session.Checkpointed, error) {
	taken, err := s.Take(ctx, id, when)
	if err != nil {
		return session.Checkpointed{}, err
	}
	c := taken.Counts
	return session.Checkpointed{
		When: when, ID: taken.ID.String(), Files: c.Files, Bytes: c.Bytes,
		Large: c.Large, Unheld: c.Unheld, LeftOut: c.LeftOut, Seconds: taken.Seconds,
	}, nil
}

// A RewindPoint is where a session's files can be brought back to.
type RewindPoint struct {
	Seq    int64 // for --at
	Event  session.Event
	Prompt string // that the checkpoint is from before, "" for one made later
	Gone   bool   // it was removed to make room
}

// RewindPoints lists where a session's files can be brought back to, oldest
// first.
func (a *App) RewindPoints(ctx context.Context, s *session.Session) ([]RewindPoint, error) {
	var points []RewindPoint
	var prompt session.Event
	for _, ev := range s.Events() {
		switch {
		case ev.Prompt != nil:
			prompt = ev
		case ev.Checkpointed == nil:
		case ev.Checkpointed.When == session.BeforeWrite && prompt.Prompt != nil:
			points = append(points, RewindPoint{Seq: prompt.Seq - 1, Event: ev, Prompt: prompt.Prompt.Text})
			prompt = session.Event{} // of the next in this turn the files are not those of its beginning
		default:
			points = append(points, RewindPoint{Seq: ev.Seq, Event: ev})
		}
	}
	if len(points) == 0 {
		return nil, nil
	}
	store, err := a.checkpoints(ctx, s.Opened().Dir)
	if err != nil {
		return points, nil //nolint:nilerr // the folder is gone, and what was kept may still be wanted for another
	}
	for i, p := range points {
		id, err := checkpoint.ParseHash(p.Event.Checkpointed.ID)
		points[i].Gone = err != nil || !store.Has(s.ID, id)
	}
	return points, nil
}

// Delete removes a session, those that worked for it, and what only they kept:
// long results and checkpoints.
func (a *App) Delete(ctx context.Context, id string) (string, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return "", err
	}
	release, err := a.store.Lease(ctx, id)
	if err != nil {
		return id, err
	}
	defer func() { _ = release() }() // nothing is left that it protects
	family, err := a.family(ctx, id)
	if err != nil {
		return id, err
	}
	for _, s := range family {
		if err := errors.Join(a.forget(ctx, s), os.RemoveAll(filepath.Join(a.cfg.Paths.State, "results", s.ID)), os.RemoveAll(notify.File(a.cfg.Paths.State, s.ID)), os.RemoveAll(a.shareFile(s.ID))); err != nil {
			return id, fmt.Errorf("remove session %s: %w", s.ID, err)
		}
		if err := a.store.Delete(ctx, s.ID); err != nil {
			return id, err
		}
	}
	return id, nil
}

// forget removes a session's checkpoints. Without its folder they can be found
// only if that had no symbolic link in its name.
func (a *App) forget(ctx context.Context, s session.Summary) error {
	store, err := checkpoint.Find(checkpointsOf(a.cfg), s.Dir)
	if err != nil {
		return nil //nolint:nilerr // there are none
	}
	return store.Forget(ctx, s.ID)
}
