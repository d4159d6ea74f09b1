package local

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// Requirements are what uv has to install for a job. Which versions they come
// to is decided when the job's turn comes (environment_unix.go).
type requirements struct {
	UV     string `json:"uv"`               // the program
	Block  string `json:"block"`            // as in PEP 723
	Python string `json:"python,omitempty"` // version
}

// requirements returns what a job needs besides the machine's python, nil if
// nothing. The block is that of its script, if it has one.
func (b Backend) requirements(spec job.Spec, block string) (*requirements, error) {
	if block == "" && len(spec.Dependencies) == 0 && spec.Python == "" {
		return nil, nil
	}
	uv, err := exec.LookPath(cmp.Or(b.UV, "uv"))
	if err == nil {
		return &requirements{UV: uv, Block: addDependencies(block, spec.Dependencies), Python: spec.Python}, nil
	}
	if needs := append(dependencies(block), spec.Dependencies...); len(needs) > 0 {
		return nil, fmt.Errorf("the job depends on %s, which uv installs, and uv is not there: "+
			"install it with `pip install uv` or from https://docs.astral.sh/uv/", strings.Join(needs, ", "))
	}
	return nil, nil
}

// key names the requirements, with the settings of uv that they are resolved
// under.
func (r requirements) key(env []string) string {
	var settings []string
	for _, pair := range env {
		if strings.HasPrefix(pair, "UV_") {
			settings = append(settings, userInfo.ReplaceAllString(pair, "://"))
		}
	}
	slices.Sort(settings)
	return digest(append([]string{r.Block, r.Python}, settings...)...)
}

// userInfo is what an address begins with that holds a password.
var userInfo = lazyregexp.New(`://[^/]*@`)

// digest names texts.
func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// script is a script that needs nothing but the requirements.
func (r requirements) script() string {
	var text strings.Builder
	text.WriteString("# /// script\n")
	for line := range strings.Lines(r.Block) {
		text.WriteString(strings.TrimRight("# "+strings.TrimRight(line, "\n"), " ") + "\n")
	}
	return text.String() + "# ///\n"
}

var (
	dependenciesKey = lazyregexp.New(`(?m)^[ \t]*dependencies[ \t]*=[ \t]*\[`)
	tableHeader     = lazyregexp.New(`(?m)^[ \t]*\[`)
)

// listStart is where the list of dependencies in a block begins, behind its
// bracket; -1 if there is none.
func listStart(toml string) int {
	at := dependenciesKey.FindStringIndex(toml)
	if at == nil {
		return -1
	}
	if table := tableHeader.FindStringIndex(toml); table != nil && table[0] < at[0] {
		return -1 // some tool's own
	}
	return at[1]
}

// dependencies returns the strings of the metadata's list of dependencies.
func dependencies(toml string) []string {
	at := listStart(toml)
	if at < 0 {
		return nil
	}
	var found []string
	for rest := toml[at:]; rest != ""; {
		switch c := rest[0]; c {
		case ']':
			return found
		case '#':
			_, rest, _ = strings.Cut(rest, "\n")
		case '"', '\'':
			var text string
			text, rest, _ = strings.Cut(rest[1:], string(c))
			found = append(found, text)
		default:
			rest = rest[1:]
		}
	}
	return found
}

// addDependencies returns metadata with more in its list.
func addDependencies(toml string, more []string) string {
	if len(more) == 0 {
		return toml
	}
	var list strings.Builder
	for _, text := range more {
		quoted, _ := json.Marshal(text) // a string of TOML too
		list.Write(append(quoted, ", "...))
	}
	if at := listStart(toml); at >= 0 {
		return toml[:at] + list.String() + toml[at:]
	}
	return "dependencies = [" + list.String() + "]\n" + toml
}
