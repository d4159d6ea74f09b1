package diff

import "strings"

// A head is what stands before the hunks of a file.
type head struct {
	git, old, new string
	was           bool // there is a line ---
	notes         []string
	lines         []string
}

// take keeps a line of a head; false if it is none.
func (h *head) take(l string) bool {
	word := func(prefix string, to *string) bool {
		rest, ok := strings.CutPrefix(l, prefix)
		if ok && to != nil {
			*to, _, _ = strings.Cut(rest, "\t") // a time may follow
		}
		return ok
	}
	var mode string
	switch {
	case word("diff --git ", &h.git):
	case word("--- ", &h.old):
		h.was = true
	case h.was && word("+++ ", &h.new):
	case h.git == "":
		return false
	case word("rename from ", &h.old), word("rename to ", &h.new):
	case word("new file mode ", nil):
		h.notes = append(h.notes, "new")
	case word("deleted file mode ", nil):
		h.notes = append(h.notes, "deleted")
	case word("new mode ", &mode):
		h.notes = append(h.notes, "mode "+mode)
	case word("old mode ", nil), word("index ", nil), word("similarity ", nil), word("dissimilarity ", nil):
	default:
		return false
	}
	h.lines = append(h.lines, l)
	return true
}

// name is the file, and what happened to it beside changed lines; empty if the
// lines do not say.
func (h *head) name() (name, note string) {
	from, to := strings.TrimPrefix(h.old, "a/"), strings.TrimPrefix(h.new, "b/")
	note = strings.Join(h.notes, ", ")
	switch {
	case h.git != "" && h.new == "":
		_, name, _ = strings.Cut(h.git, " b/")
	case h.new == "/dev/null":
		name = from
	case h.new != "" && h.old != "/dev/null" && from != to:
		name = from + " → " + to
	default:
		name = to
	}
	switch {
	case note != "":
	case h.old == "/dev/null":
		note = "new"
	case h.new == "/dev/null":
		note = "deleted"
	}
	return name, note
}
