package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// Fork copies a session and takes the copy's lease; the original stays as it
// is. Both work in the same folder.
func (a *App) Fork(ctx context.Context, id, prompt string) (*Conversation, error) {
	forked, err := a.Copy(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	return a.Resume(ctx, forked, prompt)
}

// Copy copies a session up to an event, all of it for 0, and returns the copy's id.
// Nobody works in the copy yet.
func (a *App) Copy(ctx context.Context, id string, at int64) (string, error) {
	source, err := a.Log(ctx, id)
	if err != nil {
		return "", err
	}
	if events := source.Events(); at == 0 {
		at = events[len(events)-1].Seq
	}
	return a.fork(ctx, source, at)
}

// fork copies a session up to an event and returns the copy's id. The copy has
// its own hold on the checkpoints, which live on when the original goes.
func (a *App) fork(ctx context.Context, source *session.Session, at int64) (string, error) {
	source = source.Until(at)
	events := slices.Clone(source.Events())
	opened := source.Opened()
	opened.ID, opened.Caller = NewID(), "" // a person goes on with it
	events[0].Opened = &opened
	events = append(events, halves(source)...)
	if store, err := a.checkpoints(ctx, opened.Dir); err == nil { // else there are none
		if err := store.Copy(ctx, source.ID, opened.ID); err != nil {
			return "", fmt.Errorf("copy checkpoints of session %s: %w", source.ID, err)
		}
	}
	if note, err := a.shareNote(source.ID); err != nil {
		return "", err
	} else if note.Off { // what is in the copy is what was not to be shared
		if err := a.keepShareNote(opened.ID, shareNote{Off: true}); err != nil {
			return "", err
		}
	}
	if err := a.store.Append(ctx, opened.ID, events...); err != nil {
		return "", fmt.Errorf("copy session %s: %w", source.ID, err)
	}
	return opened.ID, nil
}

// halves settles the calls that have begun in a session that is copied: the
// original finishes them and pays for them. The copy would begin them again, a
// job under a label of its own.
func halves(source *session.Session) []session.Event {
	const text = "interrupted: this session is a copy; whether the call did its work is unknown, so look before you repeat it"
	events := source.Events()
	last := events[len(events)-1].Seq
	var settled []session.Event
	for _, call := range source.Pending() {
		if !call.Started {
			continue
		}
		last++
		settled = append(settled, session.Event{Seq: last, Time: time.Now().UTC(), Result: &session.Result{
			CallID: call.ID, Output: tool.Output{Text: text, IsError: true, Summary: text},
		}})
	}
	return settled
}
