package space

import (
	"encoding/json"
	"path"
	"strings"
)

// A Recipe is what this server understands of a Dockerfile: which files of the
// repository get where, and the program that is run.
type Recipe struct {
	Copied  map[string]string // path in the image -> path in the repository
	Command []string          // as an exec form has it; nil if there is none
}

// ReadRecipe reads a Dockerfile. What it does not know it passes over.
func ReadRecipe(text string) Recipe {
	r := Recipe{Copied: map[string]string{}}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(word) {
		case "COPY", "ADD":
			r.copied(strings.Fields(rest))
		case "CMD", "ENTRYPOINT":
			var command []string
			if json.Unmarshal([]byte(rest), &command) == nil && len(command) > 0 {
				r.Command = command
			}
		}
	}
	return r
}

func (r Recipe) copied(words []string) {
	var paths []string
	for _, w := range words {
		if strings.HasPrefix(w, "--from") { // of another image
			return
		}
		if !strings.HasPrefix(w, "--") {
			paths = append(paths, w)
		}
	}
	if len(paths) != 2 || strings.ContainsAny(paths[0], "*?[") || paths[0] == "." {
		return // nothing here needs to know
	}
	from, to := path.Clean(paths[0]), paths[1]
	if strings.HasSuffix(to, "/") {
		to = path.Join(to, path.Base(from))
	}
	r.Copied[path.Clean(to)] = from
}

// Sandbox is the file of the repository that is run as a sandbox of this
// program, "" if the command is another one.
func (r Recipe) Sandbox() string {
	if len(r.Command) < 3 || r.Command[1] != "sandbox" || r.Command[2] != "serve" {
		return ""
	}
	for to, from := range r.Copied {
		if to == r.Command[0] || path.Base(to) == r.Command[0] {
			return from
		}
	}
	return ""
}
