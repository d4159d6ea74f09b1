package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ml-intern/internal/checkpoint"
	"ml-intern/internal/session"
)

// A FileChange is what a rewind does to one file or folder.
type FileChange = checkpoint.Change

// RewindOptions say what of a session is brought back, and to when.
type RewindOptions struct {
	At           int64 // the event after which it is to be as it was
	Whole        bool  // not back: the copy has all of the conversation, and no file is touched
	Files        bool
	Conversation bool // as a copy: the log of the session itself stays
}

// A Rewind is a session that can be brought back: nothing is changed before
// Apply. While its files are to be brought back nobody else works in the session.
// Close it.
type Rewind struct {
	Session *session.Session
	Opts    RewindOptions
	Changes []FileChange  // of files, by path; what is to stay among them
	Point   session.Event // the checkpoint that files come from

	app     *App
	store   checkpoint.Store
	plan    *checkpoint.Plan
	release func() error
}

// ErrRefused says that a rewind would overwrite what the person changed.
var ErrRefused = checkpoint.ErrRefused

// Rewind finds out what bringing a session back would do.
func (a *App) Rewind(ctx context.Context, id string, opts RewindOptions) (*Rewind, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	release := func() error { return nil }
	if opts.Files && !opts.Whole { // a copy of the log alone disturbs nobody
		if release, err = a.store.Lease(ctx, id); err != nil {
			return nil, err
		}
	}
	r := &Rewind{Opts: opts, app: a, release: release}
	if err := r.open(ctx, id); err != nil {
		return nil, errors.Join(err, release())
	}
	return r, nil
}

// Close gives the session back.
func (r *Rewind) Close() error { return r.release() }

func (r *Rewind) open(ctx context.Context, id string) (err error) {
	if r.Session, err = session.Open(ctx, r.app.store, id); err != nil {
		return err
	}
	last := int64(len(r.Session.Events()))
	if r.Opts.Whole {
		r.Opts.At, r.Opts.Files, r.Opts.Conversation = last, false, true
	}
	if r.Opts.At < 1 || r.Opts.At > last {
		return fmt.Errorf("%w: --at takes an event of the session, 1 to %d; ml-intern sessions show %s lists where to go back to", ErrUsage, last, id)
	}
	if !r.Opts.Files {
		return nil
	}
	points, err := pointsFrom(r.Session.Events(), r.Opts.At)
	if err != nil {
		return err
	}
	r.Point = points[0]
	if r.store, err = r.app.checkpoints(ctx, r.Session.Opened().Dir); err != nil {
		return err
	}
	history, err := historyOf(points)
	if err != nil {
		return err
	}
	if !r.store.Has(id, history[0].ID) {
		return fmt.Errorf("the checkpoint at %d was removed to make room for newer ones", r.Point.Seq)
	}
	if r.plan, err = r.store.Plan(ctx, history); err != nil {
		return err
	}
	r.Changes = r.plan.Changes
	return nil
}

// pointsFrom returns the checkpoint that has the files as they were after an
// event, and all later ones. Within a turn's work there is none.
func pointsFrom(events []session.Event, at int64) ([]session.Event, error) {
	points := slices.DeleteFunc(slices.Clone(events), func(ev session.Event) bool { return ev.Checkpointed == nil })
	next := slices.IndexFunc(points, func(ev session.Event) bool { return ev.Seq > at })
	if next < 0 {
		next = len(points)
	}
	switch {
	case len(points) == 0:
		return nil, errors.New("the session has no checkpoint: no call of it may have changed files")
	case next == 0:
		return points, nil
	}
	before := points[next-1]
	if before.Seq == at {
		return points[next-1:], nil
	}
	if before.Checkpointed.When == session.BeforeWrite && worked(events[before.Seq:at]) {
		if next < len(points) && points[next].Checkpointed.ID != before.Checkpointed.ID {
			return nil, fmt.Errorf("%w: at %d the turn was at work, and how files were then is not kept; go to %d, before it, or %d, after it",
				ErrUsage, at, before.Seq, points[next].Seq)
		}
		if next == len(points) {
			return nil, fmt.Errorf("%w: at %d the turn was at work, and how files were then is not kept; go to %d, before it", ErrUsage, at, before.Seq)
		}
	}
	if next < len(points) && before.Checkpointed.When == session.AfterTurn {
		return points[next:], nil // with what the person had done by then
	}
	return points[next-1:], nil
}

func worked(events []session.Event) bool {
	return slices.ContainsFunc(events, func(ev session.Event) bool { return ev.Started != nil })
}

func historyOf(events []session.Event) ([]checkpoint.Point, error) {
	points := make([]checkpoint.Point, len(events))
	for i, ev := range events {
		id, err := checkpoint.ParseHash(ev.Checkpointed.ID)
		if err != nil {
			return nil, fmt.Errorf("read event %d: %w", ev.Seq, err)
		}
		points[i] = checkpoint.Point{Kind: ev.Checkpointed.When, ID: id}
		if target := ev.Checkpointed.Target; target != "" {
			if points[i].Target, err = checkpoint.ParseHash(target); err != nil {
				return nil, fmt.Errorf("read event %d: %w", ev.Seq, err)
			}
		}
	}
	return points, nil
}

// Work counts the files and folders that would change.
func (r *Rewind) Work() int {
	if r.plan == nil {
		return 0
	}
	return r.plan.Work()
}

// Refused lists what the person changed since, or what nothing can bring back.
func (r *Rewind) Refused() []FileChange {
	if r.plan == nil {
		return nil
	}
	return r.plan.Refused()
}

// Rewound is what a rewind did.
type Rewound struct {
	Session string // the copy that goes on from there, "" if the conversation stays
	Undo    int64  // event of the old session at which files are as they were before; 0 if none were changed
}

// Apply brings the session back, with force also over what the person changed
// since. The files of now are kept before, so that it can be undone.
func (r *Rewind) Apply(ctx context.Context, force bool) (done Rewound, err error) {
	var after session.Event
	if r.Work() > 0 {
		if done.Undo, after, err = r.files(ctx, force); err != nil {
			return done, err
		}
	}
	if !r.Opts.Conversation {
		return done, nil
	}
	if done.Session, err = r.app.fork(ctx, r.Session, r.Opts.At); err != nil || after.Checkpointed == nil {
		return done, err
	}
	copied, err := session.Open(ctx, r.app.store, done.Session)
	if err != nil {
		return done, err
	}
	_, err = copied.Record(ctx, session.Event{Checkpointed: after.Checkpointed})
	return done, err
}

// files brings the files back, between two checkpoints of the session.
func (r *Rewind) files(ctx context.Context, force bool) (undo int64, after session.Event, err error) {
	if refused := r.Refused(); len(refused) > 0 && !force {
		return 0, after, fmt.Errorf("%w: %d files, such as %s; nothing was changed", ErrRefused, len(refused), refused[0].Path)
	}
	before, err := r.record(ctx, session.BeforeWrite, r.Point.Checkpointed.ID)
	if err != nil {
		return 0, after, fmt.Errorf("keep the files of now, so that this can be undone: %w; nothing was changed", err)
	}
	err = r.plan.Apply(ctx, force)
	after, errAfter := r.record(context.WithoutCancel(ctx), session.AfterTurn, "")
	return before.Seq, after, errors.Join(err, errAfter)
}

// record makes a checkpoint and says so in the session's log, with what is to be
// brought back then.
func (r *Rewind) record(ctx context.Context, when, target string) (session.Event, error) {
	made, err := keep(ctx, r.store, r.Session.ID, when)
	if err != nil {
		return session.Event{}, err
	}
	made.Target = target
	return r.Session.Record(context.WithoutCancel(ctx), session.Event{Checkpointed: &made})
}
