package telemetry

import (
	"encoding/json"
	"unicode/utf8"

	"ml-intern/internal/llm"
)

// content is a text that is sent because the person asked for it.
type content string

// A message is one entry of a conversation, likewise.
type message struct {
	role   llm.Role
	parts  []llm.Part
	finish string
}

// A part is a piece of a message in the form of the conventions.
type part struct {
	Type      string `json:"type"`
	Content   string `json:"content,omitempty"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments any    `json:"arguments,omitempty"`
	Response  any    `json:"response,omitempty"` // a text, which may be empty
	Modality  string `json:"modality,omitempty"`
	MimeType  string `json:"mime_type,omitempty"`
}

// text takes secrets out of a text, then cuts it: half a secret is none that
// can be seen.
func (o Options) text(s string) string {
	if o.Redact != nil {
		s = o.Redact(s)
	}
	if o.MaxText == 0 || len(s) <= o.MaxText {
		return s
	}
	n := o.MaxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// maxMessages is how much the messages of one span may be, in bytes: the oldest
// are left out.
const maxMessages = 256 << 10

// messages writes messages as the JSON text that an attribute holds.
func (o Options) messages(all []message) string {
	type wire struct {
		Role   llm.Role `json:"role"`
		Parts  []part   `json:"parts"`
		Finish string   `json:"finish_reason,omitempty"`
	}
	size, out := 0, make([]wire, 0, len(all))
	for i := len(all) - 1; i >= 0 && size < maxMessages; i-- {
		w := wire{Role: all[i].role, Parts: []part{}, Finish: all[i].finish}
		for _, p := range all[i].parts {
			if one, ok := o.part(p); ok {
				w.Parts = append(w.Parts, one)
				size += len(one.Content)
				if p.Result != nil {
					size += min(len(p.Result.Text), o.MaxText)
				}
			}
		}
		out = append(out, w)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	data, _ := json.Marshal(out) //nolint:errchkjson // it has texts alone
	return string(data)
}

func (o Options) part(p llm.Part) (part, bool) {
	switch {
	case p.Text != "":
		return part{Type: "text", Content: o.text(p.Text)}, true
	case p.Reasoning != "":
		return part{Type: "reasoning", Content: o.text(p.Reasoning)}, true
	case p.Call != nil:
		return part{Type: "tool_call", ID: p.Call.ID, Name: p.Call.Name, Arguments: o.arguments(p.Call.Args)}, true
	case p.Result != nil:
		return part{Type: "tool_call_response", ID: p.Result.CallID, Response: o.text(p.Result.Text)}, true
	case p.Image != nil: // never the picture
		return part{Type: "image", Modality: "image", MimeType: p.Image.MediaType}, true
	}
	return part{}, false
}

// arguments are those of a call: an object if they are one and still are without
// secrets and cut.
func (o Options) arguments(args string) any {
	clean := o.text(args)
	if json.Valid([]byte(clean)) {
		return json.RawMessage(clean)
	}
	return clean
}
