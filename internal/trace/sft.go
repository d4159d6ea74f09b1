package trace

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// A row is one session to train a model on, as TRL reads it: the column
// messages, with arguments as objects, and the column tools, in JSON.
type row struct {
	out     *bufio.Writer
	scrub   *Scrubber
	pending []sftMessage      // the latest reply and what came after it
	names   map[string]string // of the tools of the latest reply's calls
	skip    map[string]bool   // calls that no template could show
	used    []string          // tools
	written int               // messages
	count   Count
}

// sftMessage is one message of a row.
type sftMessage struct {
	Role      string    `json:"role"`
	Content   string    `json:"content"`
	Reasoning string    `json:"reasoning_content,omitempty"`
	Calls     []sftCall `json:"tool_calls,omitempty"`
	CallID    string    `json:"tool_call_id,omitempty"`
	Name      string    `json:"name,omitempty"`
}

type sftCall struct {
	ID       string      `json:"id"`
	Type     string      `json:"type"` // "function"
	Function sftFunction `json:"function"`
}

type sftFunction struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"arguments"` // an object
}

// WriteRow writes the whole history of a session as a line to train on, from
// its first prompt to its last reply. The column tools has what spec knows of the
// tools that were called.
func WriteRow(ctx context.Context, w io.Writer, log Log, about session.Summary, spec func(name string) (llm.ToolSpec, bool), scrub *Scrubber) (Count, error) {
	r := &row{out: bufio.NewWriterSize(w, 64<<10), scrub: scrub, skip: map[string]bool{}}
	fmt.Fprint(r.out, `{"messages":[`)
	for ev, err := range log.Load(ctx, about.ID, 0) {
		if err == nil {
			err = r.event(ev)
		}
		if err != nil {
			return Count{}, fmt.Errorf("write session %s: %w", about.ID, err)
		}
	}
	if len(r.pending) > 0 && r.pending[0].Role == "assistant" { // what came after it, nobody has answered
		if err := r.flush(r.pending[:1]); err != nil {
			return Count{}, err
		}
	}
	tools, err := r.tools(spec)
	if err != nil {
		return Count{}, fmt.Errorf("write session %s: %w", about.ID, err)
	}
	facts, err := encoded(struct {
		Tools   string `json:"tools"`
		Session string `json:"session"`
		Title   string `json:"title"`
		Model   string `json:"model"`
		Outcome string `json:"outcome"`
	}{tools, scrub.Text("id", about.ID), scrub.Text(titlePlace, about.Title), scrub.Text("model", about.Model), scrub.Text("outcome", about.State)})
	if err != nil {
		return Count{}, err
	}
	fmt.Fprintf(r.out, "],%s", facts[1:])
	r.count.Messages = r.written
	return r.count, r.out.Flush() // which has the first error
}

func (r *row) event(ev session.Event) error {
	r.count.Events++
	at := func(what string) string { return fmt.Sprintf("%s (event %d)", what, ev.Seq) }
	switch {
	case ev.Prompt != nil:
		r.say(r.scrub.Text(at("prompt"), said(*ev.Prompt)))
	case ev.Note != nil:
		r.say(r.scrub.Text(at("note"), ev.Note.Text)) // the model read it so
	case ev.Reply != nil:
		return r.reply(ev)
	case ev.Decided != nil && ev.Decided.Args != "":
		r.changed(ev.Decided.CallID, r.scrub.JSON(at("changed arguments"), ev.Decided.Args))
	case ev.Result != nil:
		if !r.skip[ev.Result.CallID] {
			r.pending = append(r.pending, sftMessage{
				Role: "tool", Content: r.scrub.JSON(at("result of "+r.names[ev.Result.CallID]), ev.Result.Text),
				CallID: r.scrub.Text(at("call id"), ev.Result.CallID), Name: r.names[ev.Result.CallID],
			})
		}
	}
	return nil
}

// say adds what the person or the program said. Templates want no two such
// messages in a row.
func (r *row) say(text string) {
	if n := len(r.pending); n > 0 && r.pending[n-1].Role == "user" {
		r.pending[n-1].Content += "\n\n" + text
		return
	}
	r.pending = append(r.pending, sftMessage{Role: "user", Content: text})
}

func (r *row) reply(ev session.Event) error {
	at := func(what string) string { return fmt.Sprintf("%s (event %d)", what, ev.Seq) }
	m := sftMessage{Role: "assistant"}
	names, skip := map[string]string{}, map[string]bool{}
	var text, reasoning strings.Builder
	for _, p := range ev.Reply.Message.Parts {
		text.WriteString(p.Text)
		reasoning.WriteString(p.Reasoning)
		if p.Call == nil {
			continue
		}
		args := []byte(r.scrub.JSON(at("arguments of "+p.Call.Name), p.Call.Args))
		if trimmed := bytes.TrimSpace(args); !json.Valid(args) || trimmed[0] != '{' {
			skip[p.Call.ID] = true
			continue
		}
		name := r.scrub.Text(at("name of a tool"), p.Call.Name)
		names[p.Call.ID] = name
		m.Calls = append(m.Calls, sftCall{r.scrub.Text(at("call id"), p.Call.ID), "function", sftFunction{name, args}})
		if !slices.Contains(r.used, name) {
			r.used = append(r.used, name)
		}
	}
	m.Content, m.Reasoning = r.scrub.Text(at("answer"), text.String()), r.scrub.Text(at("reasoning"), reasoning.String())
	r.skip = skip
	if m.Content == "" && len(m.Calls) == 0 {
		return nil
	}
	err := r.flush(r.pending)
	r.pending, r.names = append(r.pending[:0], m), names
	r.count.Calls += len(m.Calls)
	return err
}

// changed puts the arguments with which a call ran in place of those that the
// model wrote.
func (r *row) changed(callID, args string) {
	if len(r.pending) == 0 || !json.Valid([]byte(args)) || !strings.HasPrefix(strings.TrimSpace(args), "{") {
		return
	}
	for i, c := range r.pending[0].Calls {
		if c.ID == callID {
			r.pending[0].Calls[i].Function.Args = json.RawMessage(args)
		}
	}
}

func (r *row) flush(messages []sftMessage) error {
	for _, m := range messages {
		text, err := encoded(m)
		if err != nil {
			return err
		}
		if clean, found := r.scrub.again(string(text)); found {
			if !json.Valid([]byte(clean)) {
				return errStays
			}
			text = []byte(clean)
		}
		if r.written > 0 {
			fmt.Fprint(r.out, ",")
		}
		fmt.Fprintf(r.out, "%s", bytes.TrimSpace(text))
		r.written++
	}
	return nil
}

// tools is the column of that name.
func (r *row) tools(spec func(name string) (llm.ToolSpec, bool)) (string, error) {
	type described struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"parameters"`
	}
	type tool struct {
		Type     string    `json:"type"`
		Function described `json:"function"`
	}
	list := []tool{}
	for _, name := range r.used {
		s, known := spec(name)
		if !known { // of a server, or of an older version
			s = llm.ToolSpec{Schema: json.RawMessage(`{"type":"object","properties":{}}`)}
		}
		list = append(list, tool{"function", described{name, r.scrub.Text("description of "+name, s.Description), s.Schema}})
	}
	text, err := encoded(list)
	return strings.TrimSpace(string(text)), err
}

// encoded is JSON with a line end, in which signs of HTML stand as they are.
func encoded(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return out.Bytes(), err
}
