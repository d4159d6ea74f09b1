package session

import "strings"

// A Query says which sessions a list has. Those of sub-agents belong to the
// sessions that they work for: they are searched with them, and not listed.
type Query struct {
	Text     string // words that must all occur in titles, prompts, answers or artifacts
	Dir      string // absolute: the workspace, or a folder above it
	Model    string // part of the model's id
	Artifact string // part of the URL or path of something that the session left behind
	Limit    int    // 0 for all
}

// Found is the sessions that a query asked for, latest first.
type Found struct {
	Sessions []Summary
	All      int // how many there are without the limit
}

// maxFindable is how much of one prompt or answer is searched, in bytes.
const maxFindable = 32 << 10

// The kinds of text that sessions are found by.
const (
	FoundTitle    = "title"
	FoundPrompt   = "prompt"
	FoundAnswer   = "answer"
	FoundArtifact = "artifact"
)

// Findable is the text that a session is found by because of the event, "" for
// most events.
func (e Event) Findable() (kind, text string) {
	switch {
	case e.Prompt != nil:
		kind, text = FoundPrompt, e.Prompt.Text
	case e.Reply != nil && answers(e):
		kind, text = FoundAnswer, e.Reply.Message.Text()
	case e.Renamed != nil:
		kind, text = FoundTitle, e.Renamed.Title
	case e.Result != nil && len(e.Result.Artifacts) > 0:
		var lines []string
		for _, a := range e.Result.Artifacts {
			lines = append(lines, strings.TrimSpace(a.URL+"\n"+a.Path))
		}
		kind, text = FoundArtifact, strings.Join(lines, "\n")
	}
	return kind, text[:RuneStart(text, min(maxFindable, len(text)))]
}
