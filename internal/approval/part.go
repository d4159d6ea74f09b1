package approval

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/approval/shell"
	"ml-intern/internal/tool"
)

// A kind is what a part of a call is.
type kind int

const (
	wholeCall kind = iota // a call that names nothing
	aCommand
	aPath
	aHost
	aRepo
	aDevice
	aSecret
	aVariable // that is set for commands
	isUnknown // nobody can tell what it runs
)

// A part is one thing that a call does. Every part that must be covered has to
// be allowed before rules allow the call; one part that is denied denies it.
type part struct {
	kind   kind
	text   string        // "" if it is not known
	words  shell.Command // of a command
	effect tool.Effect   // "" if it is not known
	must   bool
	final  bool // nobody can take it back
	moved  bool // the path is relative to a folder that is not known
}

// parts takes a call apart.
func (p Ruled) parts(r Request) []part {
	i := r.Impact
	var all []part
	must := func(k kind, effect tool.Effect, names ...string) {
		for _, name := range names {
			all = append(all, part{kind: k, text: name, effect: effect, must: true})
		}
	}
	if i.Shell != "" {
		all = append(all, p.lineParts(shell.Parse(i.Shell), i.Effect)...)
	}
	if len(i.Argv) > 0 {
		all = append(all, p.argvParts(i.Argv, i.Effect)...)
	}
	must(aHost, i.Effect, i.Hosts...)
	must(aSecret, i.Effect, i.Secrets...)
	if i.Repo != "" {
		must(aRepo, i.Effect, i.Repo)
	}
	must(aPath, "", i.Grants.Paths...)
	must(aHost, "", i.Grants.Hosts...)
	if i.Grants.GPU {
		must(aDevice, "", GPU)
	}
	alone := len(all) == 0
	for _, name := range i.Paths {
		name = p.plain(name)
		all = append(all, part{kind: aPath, text: name, effect: i.Effect, must: alone || !p.inside(name)})
	}
	if len(all) == 0 {
		must(wholeCall, i.Effect, r.Call.Name)
	}
	return finals(all, i)
}

// finals doubles the parts of a call that nobody can take back, for each thing
// that cannot.
func finals(all []part, i tool.Impact) []part {
	var effects []tool.Effect
	if i.Deletes {
		effects = append(effects, Deletes)
	}
	if i.Public {
		effects = append(effects, Public)
	}
	if i.Recurring {
		effects = append(effects, Recurring)
	}
	if len(effects) == 0 {
		return all
	}
	var doubled []part
	for _, p := range all {
		for _, effect := range effects {
			p.effect, p.final = effect, true
			doubled = append(doubled, p)
		}
	}
	return doubled
}

// lineParts are the parts of a shell line.
func (p Ruled) lineParts(line shell.Line, effect tool.Effect) []part {
	var all []part
	for _, c := range line.Commands {
		all = append(all, part{kind: aCommand, words: c, text: words(c), effect: effect, must: true})
		all = append(all, p.mentions(c[1:])...)
	}
	moves := slices.ContainsFunc(line.Commands, func(c shell.Command) bool {
		return slices.Contains([]string{"cd", "pushd", "popd", "env", "sudo", "chroot", "unshare", "nsenter", "flock", "uv"}, c.Program())
	})
	for _, w := range line.Writes {
		name := ""
		if w.Known {
			name = p.absolute(w.Text)
		}
		moved := moves && !filepath.IsAbs(w.Text)
		all = append(all, part{kind: aPath, text: name, effect: tool.Writes, must: true, moved: moved})
	}
	for _, w := range line.Reads {
		all = append(all, part{kind: aPath, text: p.absolute(w.Text), effect: tool.Reads})
	}
	for _, name := range line.Sets {
		all = append(all, part{kind: aVariable, text: name, effect: effect, must: true})
	}
	for _, why := range line.Unknown {
		all = append(all, part{kind: isUnknown, text: why, effect: effect, must: true})
	}
	return all
}

// argvParts are the parts of a program that runs without a shell.
func (p Ruled) argvParts(argv []string, effect tool.Effect) []part {
	quoted := make([]string, len(argv))
	for i, word := range argv {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return p.lineParts(shell.Parse(strings.Join(quoted, " ")), effect)
}

// mentions are the files and hosts that the words of a command name. Whether it
// touches them only the program knows, so rules deny by them and never allow.
func (p Ruled) mentions(args []shell.Word) []part {
	var all []part
	for _, w := range args {
		if !w.Known || w.Text == "" {
			continue
		}
		text := w.Text
		if flag, value, ok := strings.Cut(text, "="); ok && strings.HasPrefix(flag, "-") {
			text = value
		} else if ok && value != "" { // as dd has it
			all = append(all, part{kind: aPath, text: p.absolute(value)})
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			all = append(all, part{kind: aHost, text: u.Host})
		} else if !strings.HasPrefix(text, "-") {
			all = append(all, part{kind: aPath, text: p.absolute(text)})
		}
	}
	return all
}

func words(c shell.Command) string {
	var text []string
	for _, w := range c {
		text = append(text, w.Text)
	}
	return strings.Join(text, " ")
}

// absolute is the path that a command in the workspace means.
func (p Ruled) absolute(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && p.Home != "" {
		return filepath.Join(p.Home, rest)
	}
	if !filepath.IsAbs(name) {
		return filepath.Join(p.Dir, name)
	}
	return p.plain(filepath.Clean(name))
}

// plain names a file of the workspace as the workspace is named.
func (p Ruled) plain(name string) string {
	if rel, err := filepath.Rel(p.Real, name); p.Real != "" && err == nil && filepath.IsLocal(rel) {
		return filepath.Join(p.Dir, rel)
	}
	return name
}

func (p Ruled) inside(name string) bool {
	rel, err := filepath.Rel(p.Dir, name)
	return err == nil && filepath.IsLocal(rel)
}

// narrowest is the rule that allows the part and as little else as can be; ok
// says whether there is one.
func (p part) narrowest(r Request) (u Rule, ok bool) {
	u = Rule{Verdict: Allow, Tool: r.Call.Name, Effect: p.effect}
	if cost := r.Impact.CostUSD; cost > 0 {
		u.CostUnder = &cost
	}
	switch p.kind {
	case aCommand:
		if slices.ContainsFunc(p.words, func(w shell.Word) bool { return !w.Known }) {
			return u, false
		}
		u.Exact = true
		for _, w := range p.words {
			u.Command = append(u.Command, w.Text)
		}
	case aPath:
		u.Path = p.text
	case aHost:
		u.Host = p.text
	case aRepo:
		u.Repo = plainRepo(p.text)
	case aDevice:
		u.Device = p.text
	default:
		return u, false
	}
	return u, !p.final && !isPattern(u.object()) && (len(u.Command) > 0 || u.object() != "")
}
