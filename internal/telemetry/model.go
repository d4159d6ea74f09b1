package telemetry

import (
	"strconv"
	"time"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// reserved begins a model call, or another attempt of one.
func (l *log) reserved(ev session.Event) {
	r := ev.Reserved
	again := l.model != nil && l.chat.failed && l.chat.purpose == r.For && l.chat.model == r.Model
	if again {
		l.chat.failed = false
		return
	}
	if l.model != nil && l.chat.failed {
		l.endModel(l.last, other)
	}
	l.endModel(l.last, interrupted) // its process ended before it
	l.beginModel(ev.Seq, ev.Time, r.For, r.Model)
	if r.For == session.ForStep {
		l.goOn(ev)
		l.below(l.model)
	}
}

// beginModel opens the span of a model call. Its id is that of the first event
// of it.
func (l *log) beginModel(seq int64, at time.Time, purpose, id string) {
	who, model := provider(id)
	l.chat = modelCall{purpose: purpose, model: id}
	l.model = l.span(spanOf(l.id, "chat", strconv.FormatInt(seq, 10)), "chat "+model, kindClient, at)
	l.model.add(attr{"gen_ai.operation.name", "chat"}, attr{"gen_ai.provider.name", who}, attr{"gen_ai.request.model", model}, attr{"gen_ai.request.stream", true})
	if purpose == session.ForSummary {
		l.model.add(attr{"ml_intern.purpose", "summary"})
		l.below(l.model)
	}
}

// free is about when a model call began for which nothing was set aside: after
// the latest event, and not before this process.
func (l *log) free() time.Time {
	if l.since.After(l.last) {
		return l.since
	}
	return l.last
}

// settled notes an attempt that brought no reply.
func (l *log) settled(ev session.Event) {
	_, model := provider(ev.Settled.Model)
	l.spend(ev.Settled.Cost, "model", attr{"gen_ai.request.model", model})
	if l.model == nil {
		return
	}
	l.chat.failed = true
	l.model.happened(ev.Time, "attempt.failed", attr{"gen_ai.usage.input_tokens", ev.Settled.Usage.Input}, attr{"gen_ai.usage.output_tokens", ev.Settled.Usage.Output})
}

// endModel closes the model call at work, if there is one.
func (l *log) endModel(at time.Time, failure string) {
	if l.model == nil {
		return
	}
	m := l.model
	l.model = nil
	if failure == "" && l.chat.failed {
		failure = other
	}
	l.send(m, at, failure)
	who, model := provider(l.chat.model)
	l.measure("gen_ai.client.operation.duration", m.seconds(), withFailure(failure, attr{"gen_ai.operation.name", "chat"}, attr{"gen_ai.provider.name", who}, attr{"gen_ai.request.model", model})...)
}

// reply ends a model call, and names the calls of tools. A reply that took
// nothing was asked of nobody: it holds the calls of another agent.
func (l *log) reply(ev session.Event) {
	r := ev.Reply
	asked := r.End.Usage.Input > 0 || l.model != nil
	if asked {
		l.answered(ev)
	} else {
		l.served = true
	}
	clear(l.tools)
	for _, c := range r.Message.Calls() {
		l.tools[c.ID] = c
	}
	if asked && len(l.tools) == 0 && r.End.Reason != llm.EndLength && r.End.Reason != llm.EndFailed && r.Message.Text() != "" {
		l.over = ev.Time
	}
}

func (l *log) answered(ev session.Event) {
	r := ev.Reply
	l.goOn(ev)
	if l.model != nil && l.chat.purpose != session.ForStep {
		l.endModel(ev.Time, other)
	}
	if l.model == nil { // free: nothing was set aside before
		l.beginModel(ev.Seq, l.free(), session.ForStep, r.Model)
		l.below(l.model)
	}
	l.chat.failed = false
	l.model.add(attr{"gen_ai.response.model", l.chat.modelName()}, attr{"gen_ai.response.finish_reasons", []string{finish(r.End.Reason)}})
	if l.opts.Content {
		l.model.add(attr{"gen_ai.input.messages", l.fresh}, attr{"gen_ai.output.messages", []message{{llm.Assistant, r.Message.Parts, finish(r.End.Reason)}}})
		l.fresh = nil
	}
	l.used(r.End.Usage, r.Cost)
	l.turn.usage(r.End.Usage)
	if who, _ := provider(l.chat.model); !hasKey(l.turn.attrs, "gen_ai.provider.name") {
		l.turn.add(attr{"gen_ai.provider.name", who})
	}
	l.endModel(ev.Time, "")
}

func (c modelCall) modelName() string {
	_, model := provider(c.model)
	return model
}

// finish is why a reply ended, in the words of the conventions.
func finish(reason string) string {
	switch reason {
	case llm.EndCalls:
		return "tool_call"
	case llm.EndFailed:
		return "error"
	}
	return reason
}

// used notes what the model call took.
func (l *log) used(u llm.Usage, cost ledger.Amount) {
	l.model.usage(u)
	if u.Estimated {
		l.model.add(attr{"ml_intern.usage.estimated", true})
	}
	if cost.USD > 0 {
		l.model.add(attr{"ml_intern.cost.usd", cost.USD})
	}
	who, model := provider(l.chat.model)
	for _, n := range []struct {
		kind   string
		tokens int
	}{{"input", u.Input}, {"output", u.Output}} {
		l.measure("gen_ai.client.token.usage", float64(n.tokens), attr{"gen_ai.operation.name", "chat"}, attr{"gen_ai.provider.name", who}, attr{"gen_ai.request.model", model}, attr{"gen_ai.token.type", n.kind})
	}
	l.spend(cost, "model", attr{"gen_ai.request.model", model})
}

// spend counts money that was settled.
func (l *log) spend(cost ledger.Amount, what string, attrs ...attr) {
	if cost.USD > 0 {
		l.measure("ml_intern.cost", cost.USD, append(attrs, attr{"ml_intern.cost.for", what})...)
	}
}

// compacted ends the call for a summary, and notes that there is one.
func (l *log) compacted(ev session.Event) {
	c := ev.Compact
	if c.Model != "" {
		if l.model != nil && (l.chat.purpose != session.ForSummary || l.chat.model != c.Model) {
			l.endModel(ev.Time, other)
		}
		if l.model == nil {
			l.beginModel(ev.Seq, l.free(), session.ForSummary, c.Model)
		}
		l.chat.failed = false
		l.used(c.Usage, c.Cost)
		l.endModel(ev.Time, "")
		if l.turn != nil {
			l.turn.usage(c.Usage)
		}
	} else {
		l.endModel(ev.Time, other)
	}
	if l.turn != nil {
		l.turn.happened(ev.Time, "compacted", attr{"ml_intern.messages.kept", c.Keep})
	}
}
