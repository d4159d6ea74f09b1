package session

import (
	"fmt"

	"ml-intern/internal/llm"
)

// Pictures lists the pictures of the event.
func (e Event) Pictures() []*llm.Image {
	var all []*llm.Image
	if e.Prompt != nil {
		all = append(all, e.Prompt.Pictures...)
	}
	if e.Result != nil && e.Result.Image != nil {
		all = append(all, e.Result.Image)
	}
	return all
}

// Bare is the event without the data of its pictures, which it names by their
// hashes: as it is shown to other programs, and as a store keeps it.
func (e Event) Bare() Event {
	if e.Prompt != nil && len(e.Prompt.Pictures) > 0 {
		prompt := *e.Prompt
		prompt.Pictures = make([]*llm.Image, len(e.Prompt.Pictures))
		for i, p := range e.Prompt.Pictures {
			prompt.Pictures[i] = p.Bare()
		}
		e.Prompt = &prompt
	}
	if e.Result != nil && e.Result.Image != nil {
		result := *e.Result
		result.Image = result.Image.Bare()
		e.Result = &result
	}
	return e
}

// parts is a prompt as the model reads it: the words, then each picture below
// its name.
func (p *Prompt) parts() []llm.Part {
	parts := []llm.Part{{Text: p.said()}}
	for _, i := range p.Pictures {
		parts = append(parts, llm.Part{Text: "\n[" + i.Label() + "]"}, llm.Part{Image: i})
	}
	return parts
}

// clearedPicture stands in place of a picture that was left out.
const clearedPicture = "[it was left out to save space]"

// withoutPictures is a message whose pictures gave way to a line each; the same
// one if it has none.
func withoutPictures(m llm.Message) llm.Message {
	parts := make([]llm.Part, len(m.Parts))
	found := false
	for i, p := range m.Parts {
		if p.Image != nil {
			p, found = llm.Part{Text: clearedPicture}, true
		}
		parts[i] = p
	}
	if !found {
		return m
	}
	m.Parts = parts
	return m
}

// Redacted is the prompt without secrets in its words. What a picture shows
// cannot be redacted.
func (p Prompt) Redacted(redact func(string) string) Prompt {
	p.Text, p.Context = redact(p.Text), redact(p.Context)
	pictures := p.Pictures
	p.Pictures = nil
	for _, i := range pictures {
		named := *i
		named.Name = redact(i.Name)
		p.Pictures = append(p.Pictures, &named)
	}
	return p
}

// Words says what made room.
func (c Cleared) Words() string {
	results := fmt.Sprintf("%d old results were shortened", len(c.Results))
	switch {
	case len(c.Results) == 0 && c.Pictures > 0:
		return "old pictures were left out"
	case len(c.Results) == 1:
		results = "1 old result was shortened"
	}
	if c.Pictures > 0 {
		results += ", and old pictures left out,"
	}
	return results
}
