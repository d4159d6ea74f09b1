// Package export writes a session for people and other programs: as Markdown,
// as one HTML page, or as its events.
//
// Its one rule: nothing of a session is trusted. In a page everything is
// escaped and nothing is loaded or run; every text goes through Redact. It owns
// nothing.
package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// The formats.
const (
	Markdown = "md"
	HTML     = "html"
	JSONL    = "jsonl"
)

// Formats lists them.
func Formats() []string { return []string{Markdown, HTML, JSONL} }

// A Source is what is written.
type Source struct {
	Session  *session.Session
	Title    string
	Children []*session.Session       // its sub-agents', which the events leave out
	Redact   func(text string) string // takes secrets out
}

// Write writes the session in one of the formats.
func Write(w io.Writer, format string, src Source) error {
	switch format {
	case Markdown:
		return writeMarkdown(w, src.document())
	case HTML:
		return writeHTML(w, src.document())
	case JSONL:
		return writeEvents(w, src)
	}
	return fmt.Errorf("there is no format %q; the formats are %s", format, strings.Join(Formats(), ", "))
}

// A document is a session as it is read.
type document struct {
	Title string
	Facts []fact
	Parts []part
}

type fact struct{ Name, Value string }

// The kinds of parts.
const (
	aPrompt    = "prompt"
	anAnswer   = "answer"
	aReasoning = "reasoning"
	aCall      = "call"
	aNote      = "note"   // of the program to the model
	aNotice    = "notice" // of the program to the person, in one line
	aFailure   = "failure"
	aSubAgent  = "sub-agent"
)

// A part is one thing that was said or done.
type part struct {
	Kind string
	Time time.Time
	Text string

	Name    string // of the tool, the guard, or the sub-agent's session
	Steer   bool   // of a prompt: it was said to a turn at work
	Context string // of a prompt: what the model was given to read with it
	Changed string // of a call: its arguments as the person changed them, "" if they did not
	Result  string
	Summary string
	Error   bool
	Image   *llm.Image

	Pictures []*llm.Image // of a prompt
}

func (s Source) document() document {
	o, bill := s.Session.Opened(), s.Session.Bill()
	d := document{Title: s.Redact(s.Title)}
	events := s.Session.Events()
	add := func(name, value string) {
		if value != "" {
			d.Facts = append(d.Facts, fact{name, s.Redact(value)})
		}
	}
	add("Session", o.ID)
	if len(events) > 0 {
		add("Begun", stamp(events[0].Time))
	}
	add("Model", o.Model)
	add("Folder", o.Dir)
	add("Hub", o.Hub)
	add("Cost", fmt.Sprintf("%s; %d tokens in, %d out", bill.Words(), bill.Usage.Input, bill.Usage.Output))
	for _, a := range s.Session.Artifacts() {
		add("Left behind", strings.TrimSpace(a.Kind+" "+a.URL+" "+a.Path))
	}
	d.Parts = s.parts(events)
	for _, child := range s.Children {
		d.Parts = append(d.Parts, part{Kind: aSubAgent, Name: child.ID, Time: child.Events()[0].Time})
		d.Parts = append(d.Parts, s.parts(child.Events())...)
	}
	return d
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// parts are what the events say, each call with its result.
func (s Source) parts(events []session.Event) []part {
	known := fates{results: make(map[string]*session.Result), changed: make(map[string]string), names: make(map[string]string)}
	for _, ev := range events {
		switch {
		case ev.Result != nil:
			known.results[ev.Result.CallID] = ev.Result
		case ev.Decided != nil && ev.Decided.Args != "":
			known.changed[ev.Decided.CallID] = pretty(ev.Decided.Args)
		case ev.Reply != nil:
			for _, call := range ev.Reply.Message.Calls() {
				known.names[call.ID] = call.Name
			}
		}
	}
	var parts []part
	for _, ev := range events {
		for _, p := range partsOf(ev, known) {
			p.Time = ev.Time
			for _, text := range []*string{&p.Text, &p.Context, &p.Changed, &p.Result, &p.Summary} {
				*text = s.Redact(*text)
			}
			p.Image = s.named(p.Image)
			p.Pictures = slices.Clone(p.Pictures)
			for i := range p.Pictures {
				p.Pictures[i] = s.named(p.Pictures[i])
			}
			parts = append(parts, p)
		}
	}
	return parts
}

// named is a picture whose name has no secrets.
func (s Source) named(i *llm.Image) *llm.Image {
	if i == nil {
		return nil
	}
	named := *i
	named.Name = s.Redact(i.Name)
	return &named
}

// fates are what became of calls, by their ids.
type fates struct {
	results map[string]*session.Result
	changed map[string]string // arguments, by a person
	names   map[string]string // of tools
}

func partsOf(ev session.Event, known fates) []part {
	one := func(kind, text string) []part { return []part{{Kind: kind, Text: text}} }
	switch {
	case ev.Prompt != nil:
		return []part{{Kind: aPrompt, Text: ev.Prompt.Text, Steer: ev.Prompt.Steer, Context: ev.Prompt.Context, Pictures: ev.Prompt.Pictures}}
	case ev.Note != nil:
		return []part{{Kind: aNote, Name: ev.Note.Guard, Text: ev.Note.Text}}
	case ev.Notice != nil:
		return one(aNotice, ev.Notice.Text)
	case ev.Switched != nil:
		return one(aNotice, fmt.Sprintf("%s takes over from %s: %s", ev.Switched.To, ev.Switched.From, ev.Switched.Reason))
	case ev.Compact != nil:
		return []part{{Kind: aNote, Name: "summary", Text: ev.Compact.State + "\n\n" + ev.Compact.Summary}}
	case ev.Decided != nil && (ev.Decided.Verdict != approval.Allow || ev.Decided.By == "person"):
		return one(aNotice, decision(*ev.Decided, known.names[ev.Decided.CallID]))
	case ev.Failed != nil:
		return one(aFailure, ev.Failed.Reason+": "+ev.Failed.Text)
	case ev.Reply != nil:
		return ofReply(ev.Reply.Message, known)
	}
	return nil
}

// decision says who allowed or denied a call of the tool, and why.
func decision(d session.Decided, tool string) string {
	verdict := "denied"
	if d.Verdict == approval.Allow {
		verdict = "allowed"
	}
	if d.Args != "" {
		verdict = "changed and " + verdict
	}
	text := fmt.Sprintf("%s: %s by the %s", cmp.Or(tool, d.CallID), verdict, d.By)
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	return text
}

// ofReply is what the model thought, said and called.
func ofReply(m llm.Message, known fates) []part {
	var parts []part
	for _, p := range m.Parts {
		switch {
		case p.Reasoning != "":
			parts = append(parts, part{Kind: aReasoning, Text: p.Reasoning})
		case p.Text != "" && len(parts) > 0 && parts[len(parts)-1].Kind == anAnswer:
			parts[len(parts)-1].Text += p.Text
		case p.Text != "":
			parts = append(parts, part{Kind: anAnswer, Text: p.Text})
		case p.Call != nil:
			made := part{Kind: aCall, Name: p.Call.Name, Text: pretty(p.Call.Args), Changed: known.changed[p.Call.ID], Result: "no result"}
			if r := known.results[p.Call.ID]; r != nil {
				made.Result, made.Summary, made.Error, made.Image = r.Text, r.Summary, r.IsError, r.Image
			}
			parts = append(parts, made)
		}
	}
	return parts
}

// pretty is JSON over several lines, and anything else as it is.
func pretty(args string) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(args), "", "  "); err != nil {
		return args
	}
	return out.String()
}

// shown are the kinds of pictures that a page shows.
func shown(i *llm.Image) bool {
	return i != nil && i.Data != nil && slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, i.MediaType)
}
