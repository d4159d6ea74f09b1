package agent

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/session"
)

const (
	maxAnswer = 64 << 10 // bytes of an answer that are read for claims
	maxClaims = 20       // that are looked up
	maxNamed  = 5        // that the note names
)

// claims minds an answer that says it made or published something which
// nothing in the session's record names: a file, a URL, a repository. It
// speaks once in a turn; the model may have its reasons.
func claims(s *session.Session) (string, error) {
	reply := lastReply(s)
	if reply == nil || !s.Answered() || s.Notes("claims") > 0 {
		return "", nil
	}
	open := unrecorded(s, claimed(reply.Message.Text()))
	if len(open) == 0 {
		return "", nil
	}
	return fmt.Sprintf("Your answer names what no tool of this session produced or mentioned: %s. Look whether it is there, and correct the answer if it is not.",
		strings.Join(open[:min(len(open), maxNamed)], ", ")), nil
}

var (
	// made begins a claim: something was made, kept or given to others.
	made = lazyregexp.New(`(?i)\b(?:saved|wrote|written|created|generated|produced|stored|exported|published|uploaded|pushed|released|deployed|hosted|(?:now )?available|live|lives)\b`)
	// shared says that it was given to others: then org/name is a repository.
	shared = lazyregexp.New(`(?i)\b(?:published|uploaded|pushed|released|deployed|hosted)\b`)
	// unreal sentences claim nothing.
	unreal = lazyregexp.New(`(?i)\b(?:not|never|no|nothing|could|would|should|will|may|might|if|cannot|unable|failed|todo|example|instead)\b|n't\b|\?`)
	// marker words say what a name after them is: to, at and their like where
	// something went; with, from and their like what it was made with.
	marker = lazyregexp.New(`(?i)\b(?:(to|at|as|in|into|under|here)|with|using|from|see|like|via|per|by|on|of|for|than|about|following|expects?|loads?|reads?)\b`)

	claimURL  = lazyregexp.New("https?://[^\\s()<>\\[\\]\"'`|]+")
	claimFile = lazyregexp.New(`[\w./~-]*[\w-]\.(?:py|ipynb|csv|tsv|jsonl?|parquet|md|txt|pkl|joblib|pth?|bin|safetensors|onnx|gguf|ya?ml|toml|png|jpe?g|svg|pdf|html|log|zip|gz|np[yz])\b`)
	claimRepo = lazyregexp.New("(?i)(?:\\bto\\s+[`*\"\\[]*|[`*\"\\[])([a-z0-9][\\w.-]*/[a-z0-9][\\w.-]*\\w)|\\b(?:at|as|in)\\s+([a-z0-9][\\w.-]*/[a-z0-9][\\w.]*[-_\\d][\\w.-]*)")
)

// claimed lists what the text says was made, each once, sentence by sentence.
// What stands in code fences is shown, not claimed.
func claimed(text string) []string {
	var names []string
	fence := ""
	for line := range strings.Lines(text[:min(len(text), maxAnswer)]) {
		trimmed := strings.TrimSpace(line)
		if fence != "" {
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
			continue
		}
		if strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			fence = trimmed[:3]
			continue
		}
		for sentence := range strings.SplitSeq(line, ". ") {
			for _, name := range claimedIn(sentence) {
				if len(names) < maxClaims && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func claimedIn(sentence string) (names []string) {
	if !made.MatchString(sentence) || unreal.MatchString(sentence) {
		return nil
	}
	for _, at := range claimURL.FindAllStringIndex(sentence, -1) {
		if isGoal(sentence[:at[0]]) {
			names = append(names, strings.TrimRight(sentence[at[0]:at[1]], ".,;:!*_"))
		}
	}
	rest := claimURL.ReplaceAllString(sentence, " ")
	for _, at := range claimFile.FindAllStringIndex(rest, -1) {
		if isGoal(rest[:at[0]]) {
			names = append(names, rest[at[0]:at[1]])
		}
	}
	if !shared.MatchString(rest) {
		return names
	}
	for _, m := range claimRepo.FindAllStringSubmatchIndex(rest, -1) {
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		name := strings.TrimRight(rest[from:to], ".")
		owner, repo, _ := strings.Cut(name, "/")
		words := strings.ContainsFunc(owner, unicode.IsLetter) && strings.ContainsFunc(repo, unicode.IsLetter) // no date, no share
		if words && isGoal(rest[:from]) && !claimFile.MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

// isGoal reports whether a name that follows the text is where something went:
// the nearest marker says so, or there is none.
func isGoal(before string) bool {
	all := marker.FindAllStringSubmatch(before[max(0, len(before)-200):], -1)
	return len(all) == 0 || all[len(all)-1][1] != ""
}

// unrecorded keeps the names that nothing in the log holds: no prompt, no call
// and no result.
func unrecorded(s *session.Session, names []string) []string {
	needles := make(map[string][]string)
	for _, name := range names {
		needles[name] = evidence(name)
	}
	holds := func(text string) {
		names = slices.DeleteFunc(names, func(name string) bool {
			return slices.ContainsFunc(needles[name], func(n string) bool { return mentions(text, n) })
		})
	}
	for _, ev := range slices.Backward(s.Events()) {
		switch {
		case len(names) == 0:
			return nil
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
			holds(ev.Compact.State + " " + ev.Compact.Summary)
		case ev.Opened != nil:
			holds(ev.Opened.Dir)
		}
	}
	return names
}

// evidence lists the texts that prove a name. Of a file its last part is
// enough, for commands print paths in many ways. A page of a repository is
// proved by the repository's name.
func evidence(name string) []string {
	if !strings.Contains(name, "://") {
		if claimFile.MatchString(name) {
			return []string{path.Base(name)}
		}
		return []string{name}
	}
	proofs := []string{strings.TrimRight(name, "/")}
	u, err := url.Parse(name)
	if err != nil {
		return proofs
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) > 0 && slices.Contains([]string{"datasets", "spaces", "models"}, parts[0]) {
		parts = parts[1:]
	}
	if len(parts) >= 2 {
		proofs = append(proofs, parts[0]+"/"+parts[1])
	}
	return proofs
}

// mentions reports whether the text holds the name as a whole: me/iris is not
// in me/iris-2.
func mentions(text, name string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(name)
		begins := i == 0 || !isNameByte(text[i-1]) || i > 1 && text[i-2] == '\\' // as \n in JSON
		if begins && (end == len(text) || !isNameByte(text[end])) {
			return true
		}
		from = i + 1
	}
}

// isNameByte holds for what a longer name would go on with.
func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '-' }
