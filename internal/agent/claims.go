package agent

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"ml-intern/internal/session"
)

// claims minds an answer that says it made or published something which
// nothing in the session's record names: a file, a URL, a repository. It
// speaks once in a turn; the model may have its reasons.
func claims(s *session.Session) (string, error) {
	reply := lastReply(s)
	if reply == nil || !s.Answered() || s.Notes("claims") > 0 {
		return "", nil
	}
	var open []string
	for _, name := range claimed(reply.Message.Text()) {
		if !slices.Contains(open, name) {
			open = append(open, name)
		}
	}
	open = unrecorded(s, open)
	if len(open) == 0 {
		return "", nil
	}
	return fmt.Sprintf("Your answer names what no tool of this session produced or mentioned: %s. Look whether it is there, and correct the answer if it is not.",
		strings.Join(open[:min(len(open), 5)], ", ")), nil
}

var (
	// made begins a claim: something was made, kept or given to others.
	made = regexp.MustCompile(`(?i)\b(saved|wrote|written|created|stored|exported|published|uploaded|pushed|released|available at|lives at)\b`)
	// unreal sentences claim nothing.
	unreal = regexp.MustCompile(`(?i)\b(not|never|no|could|would|should|can|will|may|might|if|cannot|unable|failed|todo|example)\b|n't|\?`)

	claimURL  = regexp.MustCompile("https?://[^\\s)>\\]\"'`|]+")
	claimFile = regexp.MustCompile(`[\w./~-]*[\w-]\.(?:py|ipynb|csv|tsv|jsonl?|parquet|md|txt|pkl|joblib|pth?|bin|safetensors|onnx|gguf|ya?ml|toml|png|jpe?g|html|log|zip|gz|np[yz])\b`)
	claimRepo = regexp.MustCompile("(?:to|as|at|in)\\s+(?:the\\s+\\w+\\s+)?[`*\"]?([A-Za-z0-9][\\w.-]*/[A-Za-z0-9][\\w.-]*[A-Za-z0-9])[`*\"]?")
	published = regexp.MustCompile(`(?i)\b(published|uploaded|pushed|released)\b`)
)

// claimed lists what the text says was made, sentence by sentence. What stands
// in code fences is shown, not claimed.
func claimed(text string) []string {
	var names []string
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		for sentence := range strings.SplitSeq(line, ". ") {
			if !made.MatchString(sentence) || unreal.MatchString(sentence) {
				continue
			}
			for _, url := range claimURL.FindAllString(sentence, -1) {
				names = append(names, strings.TrimRight(url, ".,;:!*_"))
			}
			rest := claimURL.ReplaceAllString(sentence, " ")
			names = append(names, claimFile.FindAllString(rest, -1)...)
			if published.MatchString(rest) {
				for _, m := range claimRepo.FindAllStringSubmatch(rest, -1) {
					if path.Ext(m[1]) == "" || !claimFile.MatchString(m[1]) {
						names = append(names, m[1])
					}
				}
			}
		}
	}
	return names
}

// unrecorded keeps the names that nothing in the log holds: no prompt, no call
// and no result. A file counts as named if its last part is.
func unrecorded(s *session.Session, names []string) []string {
	holds := func(text string) {
		names = slices.DeleteFunc(names, func(name string) bool {
			return strings.Contains(text, name) || !strings.Contains(name, "://") && strings.Contains(name, ".") && strings.Contains(text, path.Base(name))
		})
	}
	events := s.Events()
	for i := 0; i < len(events) && len(names) > 0; i++ {
		switch ev := events[i]; {
		case ev.Prompt != nil:
			holds(ev.Prompt.Text)
		case ev.Result != nil:
			holds(ev.Result.Text)
			for _, a := range ev.Result.Artifacts {
				holds(a.URL + " " + a.Path)
			}
		case ev.Reply != nil:
			for _, c := range ev.Reply.Message.Calls() {
				holds(c.Args)
			}
		case ev.Compact != nil:
			holds(ev.Compact.State + ev.Compact.Summary)
		}
	}
	return names
}
