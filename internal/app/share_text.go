package app

import (
	"cmp"
	"fmt"
	"strings"

	"ml-intern/internal/config"
)

// Text is the plan for a person to judge: where it goes, who sees it, what it
// is, and what was taken out.
func (p *SharePlan) Text() string {
	var b strings.Builder
	add := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	add("session", "%s", cmp.Or(p.Title, "(without a title)"))
	add("", "%s%s", p.ID, many(len(p.Files)-1, ", with %d sub-agent", ", with %d sub-agents"))
	add("to", "%s", p.URL)
	add("seen by", "%s", p.seen())
	add("what goes", "%d events as %d messages%s, %s", p.Events, p.Messages, many(p.Calls, " with %d call", " with %d calls"), sizeOf(p.Bytes))
	for _, f := range p.Files {
		add("", "%s, %s", f.Path, sizeOf(f.Size))
	}
	name := "taken out"
	for _, r := range p.Redacted {
		places := strings.Join(r.Places, ", ")
		if r.Count > len(r.Places) {
			places += ", …"
		}
		add(name, "%d × %s: %s", r.Count, r.Kind, places)
		name = ""
	}
	if len(p.Redacted) == 0 {
		add(name, "nothing that looks like a key was found")
	}
	if p.Before > 0 {
		add("", "%d more when the session was saved", p.Before)
	}
	name = "beware"
	for _, text := range p.Beware {
		add(name, "%s", text)
		name = ""
	}
	return b.String()
}

// seen says who will see it.
func (p *SharePlan) seen() string {
	who := "you alone"
	if p.owner != "" {
		who = "all who may read what " + p.owner + " has"
	}
	if p.Visibility == config.SharePublic {
		who = "everyone"
	}
	switch {
	case p.Now == "":
		return who + ": a " + p.Visibility + " dataset is made"
	case p.Now != p.Visibility:
		return who + ": the dataset is " + p.Now + " now and becomes " + p.Visibility
	}
	return who + ": the dataset is " + p.Visibility
}

func many(n int, one, more string) string {
	switch {
	case n <= 0:
		return ""
	case n == 1:
		return fmt.Sprintf(one, n)
	}
	return fmt.Sprintf(more, n)
}

// sizeOf is a size for people.
func sizeOf(bytes int64) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%d KB", (bytes+1023)>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
}
