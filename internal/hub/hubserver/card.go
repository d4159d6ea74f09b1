package hubserver

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	hubcard "ml-intern/internal/hub/card"
	"ml-intern/internal/lazyregexp"
)

// A card is a README.md: data about the repository, then text for people.
type card struct {
	data    map[string]any
	text    []byte
	problem string // why the data cannot be read, "" if it can
	parsed  hubcard.Card
}

// parseCard splits a README.md. It never fails: a card may say anything.
func parseCard(readme []byte) card {
	c := card{parsed: hubcard.Parse(readme)}
	text := bytes.ReplaceAll(c.parsed.Body(), []byte("\r\n"), []byte("\n"))
	c.text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var err error
	if c.data, err = c.parsed.Data(); err != nil {
		c.data, c.problem = nil, err.Error()
	}
	return c
}

// cardProblems lists what is wrong with the data of a card, first what keeps
// it from being taken.
func cardProblems(typ hub.RepoType, c card) (errs, warnings []string) {
	for _, p := range c.parsed.Check(string(typ)) {
		if p.Warning {
			warnings = append(warnings, p.String())
		} else {
			errs = append(errs, p.String())
		}
	}
	return errs, warnings
}

// words reads a string or a list of strings.
func words(v any) ([]string, bool) { return hubcard.Words(map[string]any{"": v}, "") }

// checkCard refuses a README.md whose data the Hub could not use.
func checkCard(typ hub.RepoType, readme []byte) error {
	if errs, _ := cardProblems(typ, parseCard(readme)); len(errs) > 0 {
		return badRequest(strings.Join(errs, "; "))
	}
	return nil
}

// validateYAML says what is wrong with a README.md before it is sent.
func (s *Server) validateYAML(x *exchange) error {
	var in struct {
		Content string       `json:"content"`
		Type    hub.RepoType `json:"repoType"`
	}
	if err := decode(x, &in); err != nil {
		return err
	}
	wrong, odd := cardProblems(cmp.Or(in.Type, hub.Model), parseCard([]byte(in.Content)))
	errs, warnings := messages(wrong), messages(odd)
	if len(errs) > 0 {
		return &refusal{http.StatusBadRequest, "BadRequest", errs[0]["message"], map[string]any{"errors": errs, "warnings": warnings}}
	}
	return s.ok(x, map[string]any{"errors": errs, "warnings": warnings})
}

func messages(texts []string) []map[string]string {
	out := []map[string]string{}
	for _, text := range texts {
		out = append(out, map[string]string{"message": text})
	}
	return out
}

// cited is an address of a paper of arXiv, or of its page on the Hub.
var cited = lazyregexp.New(`(?:arxiv\.org/(?:abs|pdf|html)|(?:huggingface\.co|hf\.co)/papers)/(\d{4}\.\d{4,5})(?:v\d+)?(?:\.pdf)?(?:[^\w.-]|\.?$|\.\W)`)

// Limits of what is looked for in the text of a card.
const (
	maxCardText = 1 << 20
	maxCited    = 50
)

// papers are the tags of the papers whose address is in the text of a card.
func (c card) papers() []string {
	text := c.text[:min(len(c.text), maxCardText)]
	var out []string
	for _, m := range cited.FindAllSubmatch(text, -1) {
		if tag := "arxiv:" + string(m[1]); !slices.Contains(out, tag) && len(out) < maxCited {
			out = append(out, tag)
		}
	}
	return out
}

// withPapers are the tags of a card with those of the papers that it names.
func withPapers(tags []string, c card) []string {
	for _, tag := range c.papers() {
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// tags are what a repository is found by.
func tags(typ hub.RepoType, data map[string]any) []string {
	out := []string{}
	add := func(prefix, key string) {
		list, _ := words(data[key])
		for _, w := range list {
			if tag := prefix + w; !slices.Contains(out, tag) {
				out = append(out, tag)
			}
		}
	}
	add("", "tags")
	add("license:", "license")
	switch typ {
	case hub.Dataset:
		for _, key := range []string{
			"language", "task_categories", "task_ids", "size_categories", "multilinguality", "annotations_creators",
			"language_creators", "source_datasets",
		} {
			add(key+":", key)
		}
		return out
	case hub.Space:
		add("", "sdk")
		return out
	}
	add("", "library_name")
	add("", "pipeline_tag")
	add("", "language")
	add("dataset:", "datasets")
	add("base_model:", "base_model")
	return out
}
