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
	size     measure        // of the messages
}

func (t *transcript) add(ev Event) {
	switch {
	case ev.Prompt != nil:
		t.say(ev.Prompt.parts()...)
	case ev.Note != nil:
		t.say(llm.Part{Text: ev.Note.Text})
	case ev.Reply != nil:
		t.UseModel(ev.Reply.Model)
		t.reply(ev.Reply.Reply)
	case ev.Result != nil:
		t.settle(*ev.Result)
	case ev.Cleared != nil:
		t.clear(*ev.Cleared)
	case ev.Compact != nil:
		t.compact(*ev.Compact)
	}
}

// said is a prompt as the model reads it.
func (p *Prompt) said() string {
	if p.Context == "" {
		return p.Text
	}
	return p.Text + "\n\n" + p.Context
}

func (t *transcript) say(parts ...llm.Part) {
	m := llm.Message{Role: llm.User, Parts: parts}
	t.messages = append(t.messages, m)
	t.size.grow(m)
}

func (t *transcript) reply(r llm.Reply) {
	t.size.counted(r)
	if len(r.Message.Parts) == 0 {
		return // providers refuse an empty message
	}
	t.messages = append(t.messages, r.Message)
	clear(t.slots)
	for _, call := range r.Message.Calls() {
		if t.slots == nil {
			t.slots = make(map[string]int)
		}
		t.slots[call.ID] = len(t.messages)
		t.messages = append(t.messages, resultMessage(llm.ToolResult{CallID: call.ID, Text: unknownOutcome, IsError: true}))
	}
}

func (t *transcript) settle(r Result) {
	if i, ok := t.slots[r.CallID]; ok {
		t.messages[i] = resultMessage(llm.ToolResult{CallID: r.CallID, Text: r.Text, Image: r.Image, IsError: r.IsError})
		t.size.grow(t.messages[i])
	}
}

func resultMessage(r llm.ToolResult) llm.Message {
	return llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &r}}}
}

// clear puts the short texts in place of the results, and leaves out pictures.
func (t *transcript) clear(c Cleared) {
	texts := make(map[string]string, len(c.Results))
	for _, r := range c.Results {
		texts[r.CallID] = r.Text
	}
	t.messages = slices.Clone(t.messages) // a request may still hold the old ones
	for i, m := range t.messages {
		if i < c.Pictures && m.Role == llm.User {
			t.messages[i] = withoutPictures(m)
		}
		if m.Role != llm.Tool {
			continue
		}
		old := m.Parts[0].Result
		if text, ok := texts[old.CallID]; ok {
			t.messages[i] = resultMessage(llm.ToolResult{CallID: old.CallID, Text: text, IsError: old.IsError})
		}
	}
	t.size.again(t.messages)
}

// compact puts the first prompt, the state with the summary, and the messages
// from c.Keep on in place of the transcript.
func (t *transcript) compact(c Compact) {
	keep := min(max(c.Keep, 0), len(t.messages))
	kept := t.messages[keep:]
	messages := slices.Clone(t.messages[:min(1, keep)])
	messages = append(messages, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: c.text()}}})
	shift := len(messages) - keep
	for id, i := range t.slots {
		if t.slots[id] = i + shift; i < keep {
			delete(t.slots, id)
		}
	}
	messages = append(messages, kept...)
	if c.Longest > 0 {
		for i := range messages {
			if i != 1 || keep == 0 { // the summary has its own limit
				messages[i] = Shorten(messages[i], c.Longest)
			}
		}
	}
	t.messages = messages
	t.size.again(messages)
	if c.Refused > 0 {
		t.size.ceiling = c.Refused
	}
}

// compactIntro begins the message that stands for what was summarized.
const compactIntro = "The earlier part of this conversation was summarized to fit. What the record says:\n\n"

func (c Compact) text() string {
	return compactIntro + c.State + "\n\nWhat you knew then:\n\n" + c.Summary
}

// Messages is the transcript for the model. The caller must not change it.
func (t *transcript) Messages() []llm.Message { return t.messages }
