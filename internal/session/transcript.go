package session

import (
	"slices"

	"ml-intern/internal/llm"
)

// unknownOutcome is told to the model for a call that has no result yet.
const unknownOutcome = "interrupted: the outcome of this call is unknown"

// A transcript is what the model reads, kept as the events come. It is always
// well formed: every call is followed by one result, a made-up one until the
// true one is there.
type transcript struct {
	messages []llm.Message
	slots    map[string]int // call id -> index of its result in messages
	tokens   int            // size of the transcript at the last reply, by the provider's count
	fresh    int            // bytes added since
}

func (t *transcript) add(ev Event) {
	switch {
	case ev.Prompt != nil:
		t.say(ev.Prompt.Text)
	case ev.Note != nil:
		t.say(ev.Note.Text)
	case ev.Reply != nil:
		t.reply(*ev.Reply)
	case ev.Result != nil:
		t.settle(*ev.Result)
	case ev.Compact != nil:
		t.compact(*ev.Compact)
	}
}

func (t *transcript) say(text string) {
	t.fresh += len(text)
	t.messages = append(t.messages, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: text}}})
}

func (t *transcript) reply(r llm.Reply) {
	if u := r.End.Usage; u.Input > 0 {
		t.tokens, t.fresh = u.Input+u.Output, 0
	} else {
		t.fresh += size(r.Message)
	}
	if len(r.Message.Parts) == 0 {
		return // providers refuse an empty message
	}
	t.messages = append(t.messages, r.Message)
	t.slots = make(map[string]int)
	for _, call := range r.Message.Calls() {
		t.slots[call.ID] = len(t.messages)
		t.messages = append(t.messages, resultMessage(llm.ToolResult{CallID: call.ID, Text: unknownOutcome, IsError: true}))
	}
}

func (t *transcript) settle(r Result) {
	if i, ok := t.slots[r.CallID]; ok {
		t.fresh += len(r.Text)
		t.messages[i] = resultMessage(llm.ToolResult{CallID: r.CallID, Text: r.Text, IsError: r.IsError})
	}
}

func resultMessage(r llm.ToolResult) llm.Message {
	return llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &r}}}
}

// compact puts the first prompt, the summary and the messages from c.Keep on
// in place of the transcript.
func (t *transcript) compact(c Compact) {
	keep := min(max(c.Keep, 0), len(t.messages))
	kept := slices.Clone(t.messages[keep:])
	first := t.messages[:min(1, keep)]
	t.messages = slices.Clone(first)
	t.say(c.Summary)
	shift := len(t.messages) - keep
	for id, i := range t.slots {
		t.slots[id] = i + shift
	}
	t.messages = append(t.messages, kept...)
	t.tokens, t.fresh = 0, 0
	for _, m := range t.messages {
		t.fresh += size(m)
	}
}

// size is about how many bytes of the model's window a message takes.
func size(m llm.Message) int {
	n := 0
	for _, p := range m.Parts {
		n += len(p.Text) + len(p.Reasoning)
		if p.Call != nil {
			n += len(p.Call.Name) + len(p.Call.Args)
		}
		if p.Result != nil {
			n += len(p.Result.Text)
		}
	}
	return n
}

// Messages is the transcript for the model. The caller must not change it.
func (t *transcript) Messages() []llm.Message { return t.messages }

// bytesPerToken is a cautious mean over code, prose and JSON.
const bytesPerToken = 3

// Tokens is about the size of the transcript: exact, by the provider's own
// count, for what the last reply had seen, an estimate for what is new.
func (t *transcript) Tokens() int { return t.tokens + t.fresh/bytesPerToken }
