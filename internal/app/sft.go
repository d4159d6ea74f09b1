package app

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tools"
	"ml-intern/internal/trace"
)

// Outcomes of sessions, by which they are chosen to train on.
const (
	OutcomeAnswered   = "answered"
	OutcomeFailed     = "failed"
	OutcomeUnfinished = "unfinished"
	OutcomePublished  = "published" // it left a model, a dataset or a Space on a Hub
	OutcomeAny        = "any"
)

// OutcomeWords lists them.
func OutcomeWords() []string {
	return []string{OutcomeAnswered, OutcomeFailed, OutcomeUnfinished, OutcomePublished, OutcomeAny}
}

// A RowQuery says which sessions become rows to train on.
type RowQuery struct {
	IDs     []string // or beginnings of ids; all sessions if there are none
	Outcome string   // one of OutcomeWords; answered if ""
	Model   string   // part of the model's id
	Since   time.Time
	MaxUSD  float64 // that a session may have cost; 0 for any
}

// Rows is what was written.
type Rows struct {
	Sessions int // looked at
	Rows     int
	Messages int
	Redacted []trace.Redaction
}

// ExportRows writes sessions as rows to train a model on, without secrets:
// those with a reply. Sub-agents' are left out.
func (a *App) ExportRows(ctx context.Context, w io.Writer, q RowQuery) (Rows, error) {
	list, err := a.rowSessions(ctx, q)
	if err != nil {
		return Rows{}, err
	}
	specs, err := a.specs(ctx)
	if err != nil {
		return Rows{}, err
	}
	scrub := a.scrubber(nil)
	out := Rows{Sessions: len(list)}
	for _, s := range list {
		wanted, err := a.wanted(ctx, s, q)
		if err != nil {
			return out, err
		}
		if !wanted {
			continue
		}
		count, err := trace.WriteRow(ctx, w, a.store, s, specs, scrub)
		if err != nil {
			return out, err
		}
		out.Rows++
		out.Messages += count.Messages
	}
	out.Redacted = scrub.Redacted()
	return out, nil
}

// rowSessions lists the sessions that the query names, earliest first.
func (a *App) rowSessions(ctx context.Context, q RowQuery) ([]session.Summary, error) {
	if len(q.IDs) > 0 {
		return a.SessionsOf(ctx, q.IDs)
	}
	found, err := a.store.Find(ctx, session.Query{Model: q.Model})
	slices.Reverse(found.Sessions)
	return found.Sessions, err
}

// wanted reports whether a session is one of those that the query asks for.
func (a *App) wanted(ctx context.Context, s session.Summary, q RowQuery) (bool, error) {
	if s.Steps == 0 || s.Updated.Before(q.Since) || !strings.Contains(strings.ToLower(s.Model), strings.ToLower(q.Model)) {
		return false, nil
	}
	state, _, _ := strings.Cut(s.State, ":")
	switch q.Outcome {
	case OutcomeAny:
	case OutcomePublished:
		if there, err := a.published(ctx, s.ID); err != nil || !there {
			return false, err
		}
	case "":
		if state != OutcomeAnswered {
			return false, nil
		}
	default:
		if state != q.Outcome {
			return false, nil
		}
	}
	if q.MaxUSD <= 0 {
		return true, nil
	}
	log, err := session.Open(ctx, a.store, s.ID)
	if err != nil {
		return false, err
	}
	bill, err := a.Bill(ctx, log)
	return bill.Cost.USD <= q.MaxUSD, err
}

// published reports whether a session left something on a Hub.
func (a *App) published(ctx context.Context, id string) (bool, error) {
	for ev, err := range a.store.Load(ctx, id, 0) {
		if err != nil {
			return false, err
		}
		if ev.Result == nil {
			continue
		}
		for _, made := range ev.Result.Artifacts {
			if made.URL != "" && slices.Contains([]string{"model", "dataset", "space"}, made.Kind) {
				return true, nil
			}
		}
	}
	return false, nil
}

// specs finds what this program says of a tool: logs do not keep it.
func (a *App) specs(ctx context.Context) (func(string) (llm.ToolSpec, bool), error) {
	waiting := tools.NewWaiting(a.watcher(""), a.keeper(), a.checks().progressed)
	// Skills: the session asked about may have had some.
	router, err := a.tools(ctx, session.Opened{Skills: "any"}, a.research(&agent.Agent{}, session.Opened{}), a.checks(), waiting)
	if err != nil {
		return nil, fmt.Errorf("list tools: %w", err)
	}
	return func(name string) (llm.ToolSpec, bool) {
		t, ok := router.Tool(name)
		if !ok {
			return llm.ToolSpec{}, false
		}
		return t.Spec().ToolSpec, true
	}, nil
}

// ExportTrace writes a session's trace as it would be shared.
func (a *App) ExportTrace(ctx context.Context, w io.Writer, id string) error {
	id, err := a.find(ctx, id)
	if err != nil {
		return err
	}
	family, err := a.family(ctx, id)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(family, func(s session.Summary) bool { return s.ID == id })
	if at < 0 {
		return fmt.Errorf("session %s: %w", id, session.ErrNotFound)
	}
	_, err = trace.Write(ctx, w, a.store, family[at], a.scrubber(nil))
	return err
}
