package telemetry

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// A log follows the events of one session and makes spans of them. What it
// makes is a function of the events alone: only whether it is sent depends on
// who saved them.
type log struct {
	*Reader
	id     string
	trace  traceID
	parent spanID
	remote bool // the parent is in another program
	silent bool // the sampler does not want it
	past   bool // the events are of another process, which has sent what they end

	agent  string
	first  string // the model that it began with
	turn   *span
	served bool      // the turn is made of calls of another agent, and no model is asked
	over   time.Time // when the turn had its answer; zero if it goes on
	model  *span     // the model call at work
	chat   modelCall
	last   time.Time // of the latest event
	since  time.Time // when this process took the session up, zero if it began it
	calls  map[string]*span
	tools  map[string]llm.ToolCall // the calls of the latest reply
	jobs   map[string]*span        // those that cost something, by label; nil for one that is over

	fresh []message // what the model has not been sent, if content is wanted
}

// A modelCall is what is known of the model call at work.
type modelCall struct {
	purpose, model string
	failed         bool // its latest attempt has, and there may be another
}

func newLog(r *Reader, id string) *log {
	return &log{Reader: r, id: id, agent: "ml-intern", trace: traceOf(id), calls: make(map[string]*span), tools: make(map[string]llm.ToolCall), jobs: make(map[string]*span)}
}

// add follows one event.
func (l *log) add(ev session.Event) {
	switch {
	case ev.Opened != nil:
		l.opened(*ev.Opened)
	case ev.Prompt != nil:
		l.prompt(ev)
	case ev.Note != nil:
		l.goOn(ev)
		l.hear(llm.User, ev.Note.Text)
		l.turn.happened(ev.Time, "note", attr{"ml_intern.guard", ev.Note.Guard})
	case ev.Reserved != nil:
		l.reserved(ev)
	case ev.Settled != nil:
		l.settled(ev)
	case ev.Reply != nil:
		l.reply(ev)
	case ev.Compact != nil:
		l.compacted(ev)
	case ev.Switched != nil:
		l.endModel(ev.Time, "unreachable")
		l.goOn(ev)
		l.turn.happened(ev.Time, "model.switched", attr{"ml_intern.from", ev.Switched.From}, attr{"ml_intern.to", ev.Switched.To})
	case ev.Cleared != nil && l.turn != nil:
		l.turn.happened(ev.Time, "results.shortened", attr{"ml_intern.results", len(ev.Cleared.Results)})
	case ev.Charged != nil:
		l.charged(ev.Time, "", ev.Charged.Charges)
	case ev.Failed != nil:
		l.endModel(ev.Time, ev.Failed.Reason)
		l.endTurn(ev.Time, cmp.Or(ev.Failed.Reason, other))
	default:
		l.call(ev)
	}
	l.last = ev.Time
}

// other stands for an error without a name of its own, as the conventions say.
const other = "_OTHER"

func (l *log) opened(o session.Opened) {
	root := l.id
	l.first = o.Model
	if o.Parent != "" {
		root, l.parent, l.agent = o.Parent, callSpan(l.id), "ml-intern sub-agent"
	}
	l.trace = traceOf(root)
	var from *parent
	if p, ok := parseParent(o.Trace); ok {
		from, l.trace = &p, p.trace
		if o.Parent == "" {
			l.parent, l.remote = p.span, true
		}
	}
	l.silent = !l.opts.sampler.sends(l.trace, from)
}

func (l *log) span(id spanID, name string, kind int, begin time.Time) *span {
	return &span{trace: l.trace, id: id, parent: l.parent, remote: l.remote, name: name, kind: kind, begin: begin}
}

// below makes a span a part of the turn, if there is one.
func (l *log) below(s *span) *span {
	if l.turn != nil {
		s.parent, s.remote = l.turn.id, false
	}
	s.add(attr{"gen_ai.conversation.id", l.id})
	return s
}

// send passes a span on that has ended.
func (l *log) send(s *span, end time.Time, failure string) {
	if end.Before(s.begin) {
		end = s.begin // the clock was set back
	}
	if s.end, s.failure = end, failure; failure != "" {
		s.add(attr{"error.type", failure})
	}
	if !l.past && !l.silent {
		l.queueSpan(s)
	}
}

// measure counts what happened here.
func (l *log) measure(name string, value float64, attrs ...attr) {
	if !l.past {
		l.metrics.add(name, value, attrs)
	}
}

// prompt begins a turn; what is said to one at work is a moment of it.
func (l *log) prompt(ev session.Event) {
	if ev.Prompt.Steer {
		l.goOn(ev)
		l.turn.happened(ev.Time, "steered")
	} else {
		l.endModel(l.last, interrupted)
		l.rest()
		l.endTurn(l.last, interrupted)
		l.begin(ev)
	}
	l.hear(llm.User, ev.Prompt.Text)
	if ev.Prompt.Context != "" {
		l.hear(llm.User, ev.Prompt.Context)
	}
}

// interrupted names what was cut off by the end of its process.
const interrupted = "interrupted"

// goOn begins a turn if there is none, and says that it is not over: what came
// after an answer, such as a hook that sends the model back, is a part of it.
func (l *log) goOn(ev session.Event) {
	l.over = time.Time{}
	if l.turn == nil {
		l.begin(ev)
	}
}

// begin opens a turn. Its id is that of the event that began it.
func (l *log) begin(ev session.Event) {
	l.served, l.over = false, time.Time{}
	l.turn = l.span(spanOf(l.id, "turn", strconv.FormatInt(ev.Seq, 10)), "invoke_agent "+l.agent, kindInternal, ev.Time)
	l.turn.add(attr{"gen_ai.operation.name", "invoke_agent"}, attr{"gen_ai.agent.name", l.agent}, attr{"gen_ai.agent.version", l.opts.Version}, attr{"gen_ai.conversation.id", l.id})
	if p, ok := parseParent(l.opts.Parent); ok && !l.past && p.span != l.parent && l.agent == "ml-intern" {
		l.turn.links = append(l.turn.links, p) // who goes on with a session that somebody else began
	}
}

// rest ends a turn that has its answer: whoever ran it does not go on.
func (l *log) rest() {
	if !l.over.IsZero() {
		l.endTurn(l.over, "")
	}
}

func (l *log) endTurn(at time.Time, failure string) {
	if l.turn == nil {
		return
	}
	t := l.turn
	l.turn, l.over = nil, time.Time{}
	if l.served {
		return
	}
	if !hasKey(t.attrs, "gen_ai.provider.name") { // it failed before its first reply
		who, _ := provider(l.first)
		t.add(attr{"gen_ai.provider.name", who})
	}
	l.send(t, at, failure)
	l.measure("gen_ai.invoke_agent.duration", t.seconds(), withFailure(failure, attr{"gen_ai.agent.name", l.agent})...)
}

func hasKey(attrs []attr, key string) bool {
	for _, a := range attrs {
		if a.key == key {
			return true
		}
	}
	return false
}

func withFailure(failure string, attrs ...attr) []attr {
	if failure != "" {
		attrs = append(attrs, attr{"error.type", failure})
	}
	return attrs
}

// provider splits the id of a model into who gives it and its name there. The
// names of makers are those of the conventions.
func provider(id string) (name, model string) {
	prefix, rest, found := strings.Cut(id, "/")
	switch {
	case !found:
		return "ml-intern", id
	case prefix == "replay":
		return prefix, "recording" // the rest is a file
	case prefix == "hf":
		return "huggingface", rest
	case prefix == "builtin":
		return "ml-intern", rest
	case strings.Contains(" anthropic openai openrouter ollama vllm lm_studio llamacpp ", " "+prefix+" "):
		return prefix, rest
	}
	return "huggingface", id
}
