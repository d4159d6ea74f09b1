package telemetry

import (
	"path"
	"strings"
	"time"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// call follows what becomes of a call of a tool.
func (l *log) call(ev session.Event) {
	switch {
	case ev.Asked != nil && l.turn != nil:
		l.turn.happened(ev.Time, "person.asked", attr{"ml_intern.calls", len(ev.Asked.CallIDs)})
	case ev.Decided != nil && l.turn != nil && (ev.Decided.By != "policy" || ev.Decided.Verdict != "allow"):
		l.turn.happened(ev.Time, "call.decided", attr{"gen_ai.tool.call.id", ev.Decided.CallID}, attr{"ml_intern.verdict", ev.Decided.Verdict}, attr{"ml_intern.by", ev.Decided.By})
	case ev.Started != nil:
		l.started(ev)
	case ev.Waiting != nil && l.calls[ev.Waiting.CallID] != nil:
		l.calls[ev.Waiting.CallID].happened(ev.Time, "call.waiting", attr{"ml_intern.jobs", ev.Waiting.Jobs})
	case ev.Result != nil:
		l.result(ev)
	}
}

// toolName is what the call is of, if the reply that made it is known, and if it
// is a name: a model may call anything.
func (l *log) toolName(callID string) string {
	name := l.tools[callID].Name
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) {
		return other
	}
	return name
}

// mcpMark begins the names of the tools of other servers.
const mcpMark = "mcp__"

func toolKind(name string) string {
	if strings.HasPrefix(name, mcpMark) {
		return "extension"
	}
	return "function"
}

func (l *log) started(ev session.Event) {
	id := ev.Started.CallID
	if s := l.calls[id]; s != nil {
		s.happened(ev.Time, "call.resumed")
		return
	}
	name := l.toolName(id)
	s := l.span(callSpan(session.ChildID(l.id, l.id+"/"+id)), "execute_tool "+name, kindInternal, ev.Time)
	s.add(attr{"gen_ai.operation.name", "execute_tool"}, attr{"gen_ai.tool.name", name}, attr{"gen_ai.tool.type", toolKind(name)}, attr{"gen_ai.tool.call.id", id}, attr{"gen_ai.agent.name", l.agent})
	if l.served {
		s.add(attr{"gen_ai.conversation.id", l.id})
	} else {
		l.below(s)
	}
	if l.opts.Content {
		s.add(attr{"gen_ai.tool.call.arguments", content(l.tools[id].Args)})
	}
	l.calls[id] = s
}

func (l *log) result(ev session.Event) {
	r := ev.Result
	name, s := l.toolName(r.CallID), l.calls[r.CallID]
	delete(l.calls, r.CallID)
	l.tell(r, s)
	l.charged(ev.Time, r.CallID, r.Charges)
	l.spend(ledger.Amount{USD: r.CostUSD}, "tool", attr{"gen_ai.tool.name", name})
	if r.Spent != nil && !l.past {
		l.done(r.Spent.Session)
	}
	if s == nil { // it never began
		if l.turn != nil {
			l.turn.happened(ev.Time, "call.refused", attr{"gen_ai.tool.name", name}, attr{"gen_ai.tool.call.id", r.CallID})
		}
		return
	}
	failure := ""
	switch {
	case r.BadArgs:
		failure = "bad_arguments"
	case r.IsError:
		failure = "tool_error"
	}
	l.send(s, ev.Time, failure)
	l.measure("gen_ai.execute_tool.duration", s.seconds(), withFailure(failure, attr{"gen_ai.tool.name", name}, attr{"gen_ai.tool.type", toolKind(name)}, attr{"gen_ai.agent.name", l.agent})...)
}

// tell notes what a result says beside its text.
func (l *log) tell(r *session.Result, s *span) {
	if l.opts.Content && !l.served {
		l.fresh = append(l.fresh, message{role: llm.Tool, parts: []llm.Part{{Result: &llm.ToolResult{CallID: r.CallID, Text: r.Text}}}})
	}
	for _, a := range r.Artifacts {
		if a.Kind != "job" {
			continue
		}
		l.measure("ml_intern.jobs", 1)
		if s != nil {
			s.happened(s.begin, "job.submitted", attr{"ml_intern.job.id", path.Base(a.Path)})
		}
	}
	if s == nil {
		return
	}
	if l.opts.Content {
		s.add(attr{"gen_ai.tool.call.result", content(r.Text)})
	}
	if r.CostUSD > 0 {
		s.add(attr{"ml_intern.cost.usd", r.CostUSD})
	}
	if r.Spent != nil {
		s.add(attr{"ml_intern.sub_agent.conversation.id", r.Spent.Session})
	}
}

// charged follows the jobs and sandboxes that cost something: each is a span
// from the first that was said of it to the last, below the call that began it.
func (l *log) charged(at time.Time, callID string, charges []tool.Charge) {
	for _, c := range charges {
		s, known := l.jobs[c.Label]
		if known && s == nil {
			continue // it is over, and was seen before that
		}
		if !known {
			s = l.below(l.span(spanOf(l.id, "job", c.Label), "job", kindInternal, at))
			if callID != "" {
				s.parent, s.remote = callSpan(session.ChildID(l.id, l.id+"/"+callID)), false
				s.add(attr{"gen_ai.tool.name", l.toolName(callID)}, attr{"gen_ai.tool.call.id", callID})
			}
			l.jobs[c.Label] = s
		}
		if !c.Final {
			continue
		}
		if c.Job != "" {
			s.add(attr{"ml_intern.job.id", c.Job})
		}
		s.add(attr{"ml_intern.cost.usd", c.USD})
		l.jobs[c.Label] = nil
		l.spend(ledger.Amount{USD: c.USD}, "job")
		l.send(s, at, "")
	}
}

// hear notes what the model will be sent next, if content is wanted.
func (l *log) hear(role llm.Role, text string) {
	if l.opts.Content {
		l.fresh = append(l.fresh, message{role: role, parts: []llm.Part{{Text: text}}})
	}
}
