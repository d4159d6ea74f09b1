package agent

import (
	"context"
	"errors"
	"iter"
	"time"

	"ml-intern/internal/session"
)

// RunToAnswer is Run for a caller that stays until there is an answer: when a
// turn ends waiting, it sleeps and goes on. It needs Wake.
func (a *Agent) RunToAnswer(ctx context.Context, s *session.Session, prompt session.Prompt) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for {
			for ev, err := range a.RunPrompt(ctx, s, prompt) {
				if !yield(ev, err) || err != nil {
					return
				}
			}
			if len(s.Waiting()) == 0 {
				return
			}
			for ev, err := range a.Sleep(ctx, s) {
				if !yield(ev, err) || err != nil {
					return
				}
			}
			prompt = session.Prompt{}
		}
	}
}

// ErrSpoken is the cause with which a caller ends the context of Sleep when the
// person has said something: the turn that waits has not failed.
var ErrSpoken = errors.New("the person spoke")

// Sleep shows how things stand until there is something to look at in what the
// session waits for, with no model call. Then Run goes on. It needs Wake.
func (a *Agent) Sleep(ctx context.Context, s *session.Session) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		err := a.sleep(ctx, s, s.Waiting(), yield)
		if err == nil || errors.Is(err, errStopped) || errors.Is(context.Cause(ctx), ErrSpoken) {
			return
		}
		yield(a.failed(ctx, s, interruption(ctx, err)))
	}
}

// shortestSleep is how long a sleep takes at least, so that a session in which
// something happens again and again does not fill its log with it.
const shortestSleep = 100 * time.Millisecond

// sleep shows how things stand until there is something to look at.
func (a *Agent) sleep(ctx context.Context, s *session.Session, waits []session.Waiting, yield func(session.Event, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, woken := make(chan session.Log), make(chan error, 1)
	rest := time.NewTimer(shortestSleep)
	go func() {
		err := a.Wake(ctx, waits, func(l session.Log) {
			select {
			case lines <- l:
			case <-ctx.Done():
			}
		})
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
		woken <- err
	}()
	for {
		select {
		case err := <-woken:
			return err
		case l := <-lines:
			ev, err := s.Record(ctx, session.Event{Log: &l}) // live, so never saved
			if err == nil && !yield(ev, nil) {
				err = errStopped
			}
			if err != nil {
				cancel()
				<-woken //nolint:errcheck // nobody looks any more
				return err
			}
		}
	}
}
