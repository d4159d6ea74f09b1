package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// checkpointNotice is the kind of the notice that says that there is no way
// back. It is given once a session.
const checkpointNotice = "checkpoint"

// checkpointBefore keeps the files as they are before the turn's first call
// that may change some. Without room for that the call runs all the same, in
// every mode: the person has been told, and a full disk must not stop the work
// that may make room.
func (t turn) checkpointBefore(ctx context.Context, calls []llm.ToolCall) error {
	if t.Checkpoint == nil || t.session.Checkpointed() || !t.changesFiles(calls) {
		return nil
	}
	made, err := t.Checkpoint(ctx, session.BeforeWrite)
	switch {
	case err == nil:
		return t.emit(ctx, session.Event{Checkpointed: &made})
	case ctx.Err() != nil:
		return interruption(ctx, err)
	case t.session.Noticed(checkpointNotice):
		return nil
	}
	text := fmt.Sprintf("there is no way back from what this turn does to files: %v", err)
	return t.emit(ctx, session.Event{Notice: &session.Notice{Kind: checkpointNotice, Text: text}})
}

func (t turn) changesFiles(calls []llm.ToolCall) bool {
	for _, call := range calls {
		if effect := t.Tools.Impact(call).Effect; effect == tool.Writes || effect == tool.Executes {
			return true
		}
	}
	return false
}

// checkpointAfter records what the turn left, whatever its end was, so that what
// a person changes from now on can be told from it. It returns that end. What
// cannot be recorded is missed only by who wants to go back, and told then.
func (t turn) checkpointAfter(ctx context.Context, end error) error {
	if t.Checkpoint == nil || !t.session.Unsettled() || errors.Is(end, errSave) {
		return end
	}
	wait := time.Minute // it takes its own limit
	if ctx.Err() != nil {
		wait = time.Second // a stop is quick
	}
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), wait)
	defer stop()
	made, err := t.Checkpoint(late, session.AfterTurn)
	if err != nil {
		return end
	}
	ev := session.Event{Checkpointed: &made}
	if errors.Is(end, errStopped) {
		_ = t.record(ctx, ev) // nobody looks any more
		return end
	}
	if err := t.emit(ctx, ev); err != nil && end == nil {
		return err
	}
	return end
}

// checkpointLate does so before a new prompt for a turn whose process was
// killed.
func (t turn) checkpointLate(ctx context.Context) error { return t.checkpointAfter(ctx, nil) }
