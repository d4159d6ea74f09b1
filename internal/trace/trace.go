// Package trace writes sessions in forms that others read: as a trace, which the
// Hub's viewer shows, and as rows to train a model on; and it puts traces into a
// dataset of the person's.
//
// Its one rule: no text leaves that did not go through a Scrubber. It owns the
// files of a share while it is made. A session's log is read event by event,
// never as a whole.
package trace

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// A Log is the part of a session.Store that is read.
type Log interface {
	Load(ctx context.Context, id string, after int64) iter.Seq2[session.Event, error]
}

// Harness is what wrote a trace, as the format names it.
const Harness = "ml-intern"

// A Count is what a trace holds.
type Count struct {
	Events   int64 `json:"events"`
	Messages int   `json:"messages"`
	Calls    int   `json:"calls"`
	Pictures int   `json:"pictures"` // that were left out
}

func (c *Count) add(d Count) {
	c.Events += d.Events
	c.Messages += d.Messages
	c.Calls += d.Calls
	c.Pictures += d.Pictures
}

// header is the first line of a trace. All traces have all fields, so that a
// table of their lines has the same columns.
type header struct {
	Type    string `json:"type"` // "session"
	Harness string `json:"harness"`
	ID      string `json:"id"`
	Name    string `json:"name"`

	// What the format allows beside these.
	Version string `json:"version"`
	Model   string `json:"model"`
	Dir     string `json:"cwd"`
	Begun   string `json:"timestamp"`
	Parent  string `json:"parent"` // of a sub-agent: the session that it worked for; else ""
}

// line is every other line of a trace.
type line struct {
	Type    string  `json:"type"` // "message"
	ID      string  `json:"id"`   // the same whenever the session is written again
	Time    string  `json:"timestamp"`
	Message message `json:"message"`
}

type message struct {
	Role      string     `json:"role"`
	Content   string     `json:"content"`
	Reasoning string     `json:"reasoningContent,omitempty"`
	Calls     []toolCall `json:"toolCalls,omitempty"`
	CallID    string     `json:"toolCallId,omitempty"`
	Error     bool       `json:"isError,omitempty"`
	Time      int64      `json:"timestamp,omitempty"` // milliseconds since 1970
	Model     string     `json:"model,omitempty"`
}

type toolCall struct {
	ID       string   `json:"id"`
	Function function `json:"function"`
}

type function struct {
	Name string `json:"name"`
	Args string `json:"arguments"` // JSON, as the model wrote it
}

// Write writes the whole history of a session as a trace: also what was
// summarized away since.
func Write(ctx context.Context, w io.Writer, log Log, about session.Summary, scrub *Scrubber) (Count, error) {
	out := &writer{out: bufio.NewWriterSize(w, 64<<10), about: about, scrub: scrub}
	for ev, err := range log.Load(ctx, about.ID, 0) {
		if err == nil {
			err = out.event(ev)
		}
		if err != nil {
			return Count{}, fmt.Errorf("write trace of session %s: %w", about.ID, err)
		}
	}
	if out.count.Events == 0 {
		return Count{}, fmt.Errorf("write trace of session %s: %w", about.ID, session.ErrNotFound)
	}
	return out.count, out.out.Flush()
}

// A writer writes the events of one session.
type writer struct {
	out   *bufio.Writer
	about session.Summary
	scrub *Scrubber
	count Count
	names map[string]string // of the tools of the latest reply's calls
}

func (w *writer) event(ev session.Event) error {
	w.count.Events++
	at := func(what string) string { return fmt.Sprintf("%s (event %d)", what, ev.Seq) }
	switch {
	case ev.Opened != nil:
		return w.put(header{
			Type: "session", Harness: Harness, ID: w.scrub.Text("id", ev.Opened.ID), Name: w.scrub.Text(titlePlace, w.about.Title),
			Version: ev.Opened.Version, Model: w.scrub.Text("model", ev.Opened.Model), Dir: w.scrub.Text("folder", ev.Opened.Dir),
			Begun: ev.Time.UTC().Format(time.RFC3339), Parent: w.scrub.Text("id", ev.Opened.Parent),
		})
	case ev.Prompt != nil:
		text := said(*ev.Prompt)
		for _, p := range ev.Prompt.Pictures {
			text += w.picture(p)
		}
		return w.message(ev, message{Role: "user", Content: w.scrub.Text(at("prompt"), text)})
	case ev.Reply != nil:
		return w.reply(ev)
	case ev.Result != nil:
		text := ev.Result.Text
		if ev.Result.Image != nil {
			text += w.picture(ev.Result.Image)
		}
		content := w.scrub.JSON(at("result of "+w.tool(ev.Result.CallID)), text)
		return w.message(ev, message{Role: "tool", Content: content, CallID: w.scrub.Text(at("call id"), ev.Result.CallID), Error: ev.Result.IsError})
	}
	if d := ev.Decided; d != nil && d.Args != "" {
		text := fmt.Sprintf("A person changed the arguments of call %s to: %s", d.CallID, w.scrub.JSON(at("changed arguments"), d.Args))
		return w.message(ev, message{Role: "system", Content: w.scrub.Text(at("changed arguments"), text)})
	}
	if what, text := aside(ev); text != "" {
		return w.message(ev, message{Role: "system", Content: w.scrub.Text(at(what), text)})
	}
	return nil
}

// said is a prompt as the model read it.
func said(p session.Prompt) string {
	if p.Context == "" {
		return p.Text
	}
	return p.Text + "\n\n" + p.Context
}

// aside is what an event says beside what person, model and tools say.
func aside(ev session.Event) (what, text string) {
	switch {
	case ev.Note != nil:
		return "note", ev.Note.Text
	case ev.Compact != nil:
		return "summary", "From here on the model read a summary of what is above:\n\n" + ev.Compact.State + "\n\n" + ev.Compact.Summary
	case ev.Switched != nil:
		return "note", fmt.Sprintf("%s takes over from %s: %s", ev.Switched.To, ev.Switched.From, ev.Switched.Reason)
	case ev.Failed != nil:
		return "failure", fmt.Sprintf("The turn ended without an answer (%s): %s", ev.Failed.Reason, ev.Failed.Text)
	}
	return "", ""
}

func (w *writer) reply(ev session.Event) error {
	at := func(what string) string { return fmt.Sprintf("%s (event %d)", what, ev.Seq) }
	m := message{Role: "assistant", Model: w.scrub.Text("model", ev.Reply.Model)}
	var text, reasoning strings.Builder // joined first: a key may go over two parts
	w.names = map[string]string{}
	for _, p := range ev.Reply.Message.Parts {
		text.WriteString(p.Text)
		reasoning.WriteString(p.Reasoning)
		if p.Image != nil {
			text.WriteString(w.picture(p.Image))
		}
		if c := p.Call; c != nil {
			name := w.scrub.Text(at("name of a tool"), c.Name)
			w.names[c.ID] = name
			m.Calls = append(m.Calls, toolCall{w.scrub.Text(at("call id"), c.ID), function{name, w.scrub.JSON(at("arguments of "+name), c.Args)}})
		}
	}
	m.Content, m.Reasoning = w.scrub.Text(at("answer"), text.String()), w.scrub.Text(at("reasoning"), reasoning.String())
	if m.Content == "" && m.Reasoning == "" && len(m.Calls) == 0 {
		return nil
	}
	w.count.Calls += len(m.Calls)
	return w.message(ev, m)
}

func (w *writer) tool(callID string) string {
	if name := w.names[callID]; name != "" {
		return name
	}
	return "a call"
}

// picture stands for a picture: nobody can look through one for secrets.
func (w *writer) picture(i *llm.Image) string {
	w.count.Pictures++
	return fmt.Sprintf("\n[a picture is left out: %s, %d bytes]", i.MediaType, len(i.Data))
}

func (w *writer) message(ev session.Event, m message) error {
	w.count.Messages++
	m.Time = ev.Time.UnixMilli()
	return w.put(line{"message", fmt.Sprintf("%s/%d", w.scrub.Text("id", w.about.ID), ev.Seq), ev.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"), m})
}

// put writes a line. One that still holds a secret, by how its strings stand
// together, is looked through once more as it is.
func (w *writer) put(v any) error {
	text, err := encoded(v)
	if err != nil {
		return err
	}
	if clean, found := w.scrub.again(string(text)); found {
		if !json.Valid([]byte(clean)) {
			return errStays
		}
		text = []byte(clean)
	}
	_, err = w.out.Write(text)
	return err
}

var errStays = errors.New("it holds a secret that cannot be taken out of it; nothing was sent")
