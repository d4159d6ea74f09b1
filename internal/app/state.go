package app

import (
	"context"
	"errors"

	"ml-intern/internal/session"
)

// Keep writes a file of a front end's own, whole or not at all, for the person
// alone. It is there after a power cut.
func Keep(path string, data []byte) error { return replaceFile(path, data) }

// Alone does something while no process has the session, and keeps it from others
// meanwhile. It is session.ErrBusy if one has it.
func (a *App) Alone(ctx context.Context, id string, do func() error) error {
	release, err := a.store.Lease(ctx, id)
	if err != nil {
		return err
	}
	return errors.Join(do(), release())
}

// Summary is a session as a list has it, a sub-agent's too.
func (a *App) Summary(ctx context.Context, id string) (session.Summary, error) {
	return a.store.Summary(ctx, id)
}

// SubAgent reads what the sub-agent of a call said and did after the event of that
// number. There is nothing of one that has not begun.
func (a *App) SubAgent(ctx context.Context, id, callID string, after int64, most int) ([]session.Event, error) {
	log, err := a.Log(ctx, id)
	if err != nil {
		return nil, err
	}
	child := session.ChildID(log.ID, log.ID+"/"+callID)
	for _, ev := range log.Events() {
		if ev.Result != nil && ev.Result.CallID == callID && ev.Result.Spent != nil { // in a copy it is the original's
			child = ev.Result.Spent.Session
		}
	}
	return a.Events(ctx, child, after, most)
}
