package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// How a transcript that is due is made to fit, as shares of the room that
// system prompt and tools leave it.
const (
	maxCompactions = 2    // between two replies
	clearTo        = 0.6  // clearing old results must reach this, or a summary is written
	keepShare      = 0.2  // stays verbatim at the end
	verbatimShare  = 0.5  // of first prompt and end together; what is longer is shortened
	summaryShare   = 0.15 // of the summary
	stateShare     = 0.1  // of the state
)

// leastRoom is the least that a session can work in, in tokens.
const leastRoom = 1000

// compact makes the transcript fit before it reaches the model's window: bulky
// old results are cleared first, which costs nothing, then the older part is
// summarized.
func (t turn) compact(ctx context.Context) error {
	room, err := t.room()
	if err != nil || room == 0 {
		return err
	}
	for t.tokens()-t.overhead >= room {
		if cleared, err := t.clear(ctx, room); cleared || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		if n, _ := t.session.Compactions(); n >= maxCompactions {
			return fmt.Errorf("%w: it has about %d tokens after %d summaries, and there is room for %d", ErrWindow, t.tokens()-t.overhead, n, room)
		}
		if err := t.summarize(ctx, room, 0); err != nil {
			return err
		}
	}
	return nil
}

// ErrShort says that a conversation has nothing to summarize.
var ErrShort = errors.New("the conversation is too short to be summarized")

// Compact summarizes the older half of the transcript now: between two turns,
// because the person asks for it.
func (a *Agent) Compact(ctx context.Context, s *session.Session) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t := a.newTurn(s, yield)
		t.asked = true
		s.UseModel(t.model().Info().ID)
		if err := t.summarize(ctx, max((t.tokens()-t.overhead)/2, leastRoom), 0); err != nil && !errors.Is(err, errStopped) {
			yield(session.Event{}, err)
		}
	}
}

// Tokens is about the size of the session's next request.
func (a *Agent) Tokens(s *session.Session) int {
	n, whole := s.Tokens()
	if !whole {
		more, _ := a.overhead()
		n += more
	}
	return n
}

// Overhead is about what every request holds besides the messages, in tokens.
func (a *Agent) Overhead() int {
	n, _ := a.overhead()
	return n
}

// room is how many tokens the messages may take before they are compacted: the
// window without the reply, system prompt and tools. It is 0 if the model has
// no window worth watching.
func (t turn) room() (int, error) {
	info := t.model().Info()
	if info.ContextWindow == 0 {
		if c := t.session.Ceiling(); c > 0 { // a provider has shown one
			return max(c*9/10-t.overhead, leastRoom), nil
		}
		return 0, nil
	}
	limit := info.ContextWindow - outputLimit(info) - info.ContextWindow/50
	room := limit - t.overhead
	if room < leastRoom {
		return 0, fmt.Errorf("%w: there is room for %d tokens, and system prompt and tools alone take %d", ErrWindow, limit, t.overhead)
	}
	if c := t.session.Ceiling(); c > 0 {
		room = min(room, max(c*9/10-t.overhead, leastRoom))
	}
	return room, nil
}

// shrink compacts after the provider refused a transcript as too long, once
// between two replies: one that is still too long after that ends the turn.
func (t turn) shrink(ctx context.Context, refused error) error {
	if _, n := t.session.Compactions(); n > 0 {
		return fmt.Errorf("%w: %w, although it was just summarized", ErrWindow, refused)
	}
	size, _ := t.sizeOf(t.session.Messages()) // the provider's counts were of no use
	size = max(size, t.tokens())
	return t.summarize(ctx, max((size-t.overhead)/2, leastRoom), size)
}

// A result that is bulkier than clearAbove is worth clearing; clearedHead bytes
// of it stay.
const (
	clearAbove  = 1500
	clearedHead = 200
)

// pictures is about how many tokens the pictures of a prompt take.
func pictures(m llm.Message) int {
	if !slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.Image != nil }) {
		return 0 // without counting: most messages are long and have none
	}
	with, _ := session.Estimate(m)
	m.Parts = slices.DeleteFunc(slices.Clone(m.Parts), func(p llm.Part) bool { return p.Image != nil })
	without, _ := session.Estimate(m)
	return with - without
}

// clear shortens bulky results and leaves out pictures that are older than what
// stays verbatim, and reports whether that was enough. It keeps what a summary would throw away:
// the course of events.
func (t turn) clear(ctx context.Context, room int) (bool, error) {
	messages := t.session.Messages()
	keep, _ := keepFrom(messages, int(keepShare*float64(room)))
	var cleared session.Cleared
	freed := 0
	for i, m := range messages[:keep] {
		if m.Role == llm.User {
			if p := pictures(m); p > 0 {
				cleared.Pictures, freed = i+1, freed+p
			}
		}
		if m.Role != llm.Tool || len(m.Parts[0].Result.Text) < clearAbove && m.Parts[0].Result.Image == nil {
			continue
		}
		r := m.Parts[0].Result
		before, _ := session.Estimate(m)
		text := t.clearedText(r)
		cleared.Results = append(cleared.Results, session.ClearedResult{CallID: r.CallID, Text: text})
		freed += before - llm.EstimateTokens(text)
	}
	if float64(t.tokens()-t.overhead-freed) > clearTo*float64(room) {
		return false, nil
	}
	return true, t.emit(ctx, session.Event{Cleared: &cleared})
}

// clearedText is what stays of a result: its beginning, and where the rest is.
func (t turn) clearedText(r *llm.ToolResult) string {
	head := r.Text[:session.RuneStart(r.Text, min(clearedHead, len(r.Text)))]
	where := "call the tool again if you need it"
	if full := t.session.FullResult(r.CallID); full != "" {
		where = "the whole result is in " + full
	}
	if r.Image != nil && len(r.Text) <= clearAbove {
		return fmt.Sprintf("%s\n[the %s was left out to save space; %s]", r.Text, r.Image.Label(), where)
	}
	return fmt.Sprintf("%s\n[… %d bytes cleared to save space; %s]", head, len(r.Text)-len(head), where)
}

// summarize replaces the transcript, but for the first prompt and the end, by
// the state that the log holds and a summary that the model writes. A summary
// that fails is replaced by a digest, so that compaction always succeeds.
// Refused is the size that the provider would not take, 0 if it did not say.
func (t turn) summarize(ctx context.Context, room, refused int) error {
	if n, _ := t.session.Compactions(); n > 0 {
		room /= 2 // the first attempt was not enough
	}
	messages := t.session.Messages()
	verbatim := int(keepShare * float64(room))
	if t.asked { // also what is far from filling the window
		verbatim = min(verbatim, (t.tokens()-t.overhead)/4)
	}
	keep, kept := keepFrom(messages, verbatim)
	if t.asked && keep <= 1 {
		return ErrShort
	}
	event := session.Compact{Keep: keep, Refused: refused, Asked: t.asked}
	most := int(verbatimShare * float64(room))
	if first, _ := session.Estimate(messages[0]); first+kept > most {
		event.Longest = longest(messages, keep, most)
	}
	state := t.session.State()
	event.Decisions, event.Questions = state.Decisions, state.Questions
	limit := int(summaryShare * float64(room)) // tokens
	if keep > 1 {
		reply, err := t.ask(ctx, session.ForSummary, t.summaryRequest(messages[:keep], refused), func(llm.Chunk) error { return nil })
		if err != nil && (ctx.Err() != nil || errors.Is(err, errStopped) || errors.Is(err, errSave)) {
			return fmt.Errorf("compact: %w", err)
		}
		event.Model, event.Usage, event.Cost = reply.Model, reply.End.Usage, reply.Cost
		notes := parseSummary(reply.Message.Text())
		if err != nil || notes.summary == "" {
			notes.summary = digest(messages[1:keep], 3*limit)
		}
		if notes.decisions != nil {
			event.Decisions = notes.decisions
		}
		if notes.found {
			event.Questions = notes.questions
		}
		event.Summary = shorten(notes.summary, 3*limit)
	}
	state.Decisions, state.Questions = event.Decisions, event.Questions
	event.State = state.Text(int(3 * stateShare * float64(room)))
	return t.emit(ctx, session.Event{Compact: &event})
}

// summaryRequest asks for a summary of the messages. They are the beginning of
// the last request, so that a provider reads them from its cache, unless they
// alone would not fit the window.
func (t turn) summaryRequest(messages []llm.Message, refused int) llm.Request {
	ask := llm.Message{Role: llm.User, Parts: []llm.Part{{Text: summaryPrompt}}}
	output := outputLimit(t.model().Info())
	fits := math.MaxInt
	if window := t.model().Info().ContextWindow; window > 0 {
		fits = window - output - window/50 - t.overhead
	}
	if refused == 0 {
		refused = t.session.Ceiling()
	}
	if refused > 0 {
		fits = min(fits, refused*3/4-output-t.overhead)
	}
	request := append(messages[:len(messages):len(messages)], ask)
	return llm.Request{Messages: fit(request, fits), Effort: t.Effort}
}

// fit shortens the longest parts until the messages take no more than so many
// tokens, as far as that goes.
func fit(messages []llm.Message, tokens int) []llm.Message {
	n := longest(messages, 0, tokens)
	if n == 0 {
		return messages
	}
	short := make([]llm.Message, len(messages))
	for i, m := range messages {
		short[i] = session.Shorten(m, n)
	}
	return short
}

// shortest is the least that a part is shortened to, in bytes.
const shortest = 200

// longest is the length in bytes to which parts of the first message and of
// those from keep on must be shortened, so that together they take no more
// than so many tokens; 0 if nothing need be.
func longest(messages []llm.Message, keep, tokens int) int {
	kept := messages[keep:]
	if keep > 0 {
		kept = append([]llm.Message{messages[0]}, kept...)
	}
	for n := 0; ; {
		sum := 0
		for _, m := range kept {
			if n > 0 {
				m = session.Shorten(m, n)
			}
			size, _ := session.Estimate(m)
			sum += size
		}
		switch {
		case sum <= tokens, n > 0 && n <= shortest:
			return n
		case n == 0:
			n = 64 << 10
		default:
			n /= 2
		}
	}
}

// keepFrom is the index of the first message to keep verbatim: the last
// exchange, and what else ends the transcript within so many tokens. It is
// never that of a tool result, whose call would be lost. Kept is about how many
// tokens they take.
func keepFrom(messages []llm.Message, tokens int) (keep, kept int) {
	keep, size, exchange := len(messages), 0, false
	for i := len(messages) - 1; i > 0; i-- {
		n, _ := session.Estimate(messages[i])
		size += n
		if size > tokens && exchange {
			break
		}
		exchange = exchange || messages[i].Role == llm.Assistant
		if messages[i].Role != llm.Tool {
			keep, kept = i, size
		}
	}
	return keep, kept
}

// summaryNotes is a summary taken apart.
type summaryNotes struct {
	decisions, questions []string
	summary              string
	found                bool // the headings were there
}

// parseSummary takes a summary apart at the headings that the prompt asks for.
// Without them all of it is the summary.
func parseSummary(text string) summaryNotes {
	var n summaryNotes
	var prose strings.Builder
	section := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(trimmed, "#"); ok {
			switch strings.ToLower(strings.Trim(heading, "# :*")) {
			case "decisions", "open questions", "summary":
				section, n.found = strings.ToLower(strings.Trim(heading, "# :*")), true
				continue
			}
		}
		item := strings.TrimSpace(strings.TrimLeft(trimmed, "-*• "))
		switch {
		case section == "decisions" && item != "" && !nothing(item):
			n.decisions = append(n.decisions, shorten(item, maxItem))
		case section == "open questions" && item != "" && !nothing(item):
			n.questions = append(n.questions, shorten(item, maxItem))
		case section != "decisions" && section != "open questions":
			prose.WriteString(line)
		}
	}
	n.summary = strings.TrimSpace(prose.String())
	n.decisions, n.questions = n.decisions[max(len(n.decisions)-maxItems, 0):], n.questions[max(len(n.questions)-maxItems, 0):]
	return n
}

// Limits of decisions and questions.
const (
	maxItem  = 300 // bytes
	maxItems = 30
)

// nothing recognizes how models say that a list is empty.
func nothing(item string) bool {
	switch strings.ToLower(strings.Trim(item, ".() ")) {
	case "none", "nothing", "n/a", "no open questions", "none yet":
		return true
	}
	return false
}

// digest lists what was said and done, one line each, from the record: of
// about limit bytes, the newest.
func digest(messages []llm.Message, limit int) string {
	var lines []string
	for _, m := range messages {
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				lines = append(lines, fmt.Sprintf("- called %s %s", p.Call.Name, shorten(p.Call.Args, 200)))
			case p.Result != nil:
				lines = append(lines, "  result: "+shorten(p.Result.Text, 200))
			case p.Text != "":
				lines = append(lines, fmt.Sprintf("- %s: %s", m.Role, shorten(p.Text, 400)))
			}
		}
	}
	size, from := 0, len(lines)
	for from > 0 && size+len(lines[from-1]) < limit {
		from--
		size += len(lines[from]) + 1
	}
	if from > 0 {
		lines = append([]string{fmt.Sprintf("[%d earlier lines left out]", from)}, lines[from:]...)
	}
	return strings.Join(lines, "\n")
}

func shorten(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	return s[:session.RuneStart(s, n)] + "…"
}
