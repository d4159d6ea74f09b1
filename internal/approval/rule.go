package approval

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"ml-intern/internal/approval/shell"
	"ml-intern/internal/tool"
)

// Effects that a rule may name besides those of package tool: what nobody can
// take back.
const (
	Deletes   tool.Effect = "deletes"
	Public    tool.Effect = "public"
	Recurring tool.Effect = "recurring"
)

// Effects lists what a rule may name as effect.
func Effects() []tool.Effect {
	return []tool.Effect{tool.Reads, tool.Writes, tool.Executes, tool.Spends, tool.Publishes, Deletes, Public, Recurring}
}

// GPU is the device that a rule may name: the accelerators of this machine, for
// commands.
const GPU = "gpu"

// A Rule says what becomes of the calls that it covers. It covers those that
// meet all its conditions. Of Path, Host, Repo, Device and Command at most one is set:
// it is what the rule is about.
type Rule struct {
	Verdict string      `json:"verdict"`
	Tool    string      `json:"tool,omitempty"` // name, or a pattern with *
	Effect  tool.Effect `json:"effect,omitempty"`

	Path    string   `json:"path,omitempty"`    // pattern; ** stands for any folders
	Host    string   `json:"host,omitempty"`    // name, or *.name for what is below it
	Repo    string   `json:"repo,omitempty"`    // OWNER/NAME, or a pattern
	Device  string   `json:"device,omitempty"`  // GPU
	Command []string `json:"command,omitempty"` // first words
	Exact   bool     `json:"exact,omitempty"`   // Command is all words

	CostOver  *float64 `json:"cost_over,omitempty"`  // covers what may cost more, in dollars
	CostUnder *float64 `json:"cost_under,omitempty"` // covers what costs no more

	Reason string `json:"reason,omitempty"` // told instead of the rule itself
}

// String is the rule in one line.
func (u Rule) String() string {
	var b strings.Builder
	b.WriteString(u.Verdict)
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s %s", key, value)
		}
	}
	add("tool", u.Tool)
	add("effect", string(u.Effect))
	add("path", u.Path)
	add("host", u.Host)
	add("repo", u.Repo)
	add("device", u.Device)
	if len(u.Command) > 0 {
		add("command", fmt.Sprintf("%q", strings.Join(u.Command, " ")))
		if u.Exact {
			b.WriteString(" exactly")
		}
	}
	if u.CostOver != nil {
		add("cost_over", fmt.Sprint(*u.CostOver))
	}
	if u.CostUnder != nil {
		add("cost_under", fmt.Sprint(*u.CostUnder))
	}
	return b.String()
}

// compare orders rules as they are tried: the more specific first, and of two
// equally specific the more careful. What the rule is about counts most
// (nothing, a pattern, a name, an exact command; then how long it is), then
// the tool, the effect and the cost.
func compare(a, b Rule) int {
	x, y := a.rank(), b.rank()
	for i := range x {
		if c := cmp.Compare(y[i], x[i]); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(care(b.Verdict), care(a.Verdict)); c != 0 {
		return c
	}
	return cmp.Compare(a.String(), b.String())
}

// object is what the rule is about, "" if that is a command or nothing.
func (u Rule) object() string { return u.Path + u.Host + u.Repo + u.Device }

func (u Rule) rank() [5]int {
	object := u.object()
	kind, length := 0, len(object)
	switch {
	case len(u.Command) > 0:
		kind, length = 2, len(u.Command)
		if u.Exact {
			kind = 3
		}
	case object != "" && isPattern(object):
		kind, length = 1, len(strings.Map(literal, object))
	case object != "":
		kind = 2
	}
	named := 0
	if u.Tool != "" {
		named = 1
		if !isPattern(u.Tool) {
			named = 2
		}
	}
	return [5]int{kind, length, named, count(u.Effect != ""), count(u.CostOver != nil) + count(u.CostUnder != nil)}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

const wildcards = `*?[]{}\`

func isPattern(s string) bool { return strings.ContainsAny(s, wildcards) }

func literal(r rune) rune {
	if strings.ContainsRune(wildcards, r) {
		return -1
	}
	return r
}

// care is how careful a verdict is.
func care(verdict string) int { return slices.Index([]string{Allow, Ask, Deny}, verdict) }

// covers reports whether the rule meets the part of the request. A rule that
// allows must meet it surely; one that denies or asks meets also what is not
// known.
func (u Rule) covers(p part, r Request) bool {
	allows := u.Verdict == Allow
	if u.Tool != "" {
		if ok, err := path.Match(u.Tool, r.Call.Name); err != nil || !ok {
			return false
		}
	}
	cost := r.Impact.CostUSD
	switch {
	case u.CostOver != nil && cost <= *u.CostOver, u.CostUnder != nil && cost > *u.CostUnder:
		return false
	case allows && cost > 0 && u.CostUnder == nil: // money is allowed in money only
		return false
	case allows && p.final && !u.namesAll(p):
		return false
	case u.Effect == "" || u.Effect == p.effect:
	case allows || p.effect != "" && u.Effect != r.Impact.Effect:
		return false
	}
	return u.about(p, allows)
}

// namesAll reports whether the rule says exactly what it allows, as it must of
// what nobody can take back.
func (u Rule) namesAll(p part) bool {
	object := u.object()
	about := object != "" && !isPattern(object) || u.Exact || p.kind == wholeCall
	return u.Effect == p.effect && u.Tool != "" && !isPattern(u.Tool) && about
}

// about reports whether the part is what the rule is about.
func (u Rule) about(p part, allows bool) bool {
	switch {
	case u.Path != "":
		if p.kind != aPath || p.text == "" || p.moved && allows {
			return p.kind == aPath && !allows
		}
		return matchPath(u.Path, p.text, !allows)
	case u.Host != "":
		return p.kind == aHost && matchHost(u.Host, p.text)
	case u.Repo != "":
		return p.kind == aRepo && matchRepo(u.Repo, p.text, !allows)
	case u.Device != "":
		return p.kind == aDevice && u.Device == p.text
	case len(u.Command) > 0 && allows:
		return p.kind == aCommand && begins(p.words, u.Command, u.Exact)
	case len(u.Command) > 0:
		return p.kind == isUnknown || p.kind == aCommand && mayRun(p.words, u.Command, u.Exact)
	}
	return true
}

// begins reports whether the command surely begins with the words.
func begins(c shell.Command, words []string, exact bool) bool {
	if len(c) < len(words) || exact && len(c) != len(words) {
		return false
	}
	for i, w := range words {
		if !c[i].Known || c[i].Text != w {
			return false
		}
	}
	return true
}
