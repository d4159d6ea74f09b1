package ray

import (
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// uvSince is the first version that makes environments with uv, which takes
// seconds where pip takes minutes.
var uvSince = [2]int{2, 43}

// environment adds to Ray's runtime_env what the job's program needs. Ray makes
// it on the node, on top of what the cluster has, and keeps it for the next job
// that needs the same.
func environment(spec job.Spec, script string, v version, env map[string]any) error {
	needs := slices.Clone(spec.Dependencies)
	if block, ok := job.Metadata([]byte(script)); ok {
		needs = append(needs, dependencies(block)...)
	}
	slices.Sort(needs)
	needs = slices.Compact(needs)
	for _, need := range needs {
		if strings.HasPrefix(need, "-") || strings.ContainsAny(need, "\n\r\x00") {
			return fmt.Errorf("%q is no requirement of a package", need)
		}
		if strings.Contains(need, "://") && strings.Contains(need, "@") && userInfo.MatchString(need) {
			return fmt.Errorf("a requirement has a password in its address, which everybody who reaches the cluster could read")
		}
	}
	switch {
	case len(needs) == 0:
	case older(v.Ray, uvSince):
		env["pip"] = map[string]any{"packages": needs}
	default:
		env["uv"] = map[string]any{"packages": needs}
	}
	return nil
}

var userInfo = lazyregexp.New(`://[^/@\s]+@`)

// python is the version that the job wants, in the way of a requirement: the
// cluster has one of its own, which only the node can tell.
func python(spec job.Spec, script string) string {
	if spec.Python != "" {
		return spec.Python
	}
	block, _ := job.Metadata([]byte(script))
	if m := requiresPython.FindStringSubmatch(block); m != nil {
		return m[1] + m[2]
	}
	return ""
}

// The header of PEP 723: TOML in comments.
var (
	dependenciesKey = lazyregexp.New(`(?m)^[ \t]*dependencies[ \t]*=[ \t]*\[`)
	requiresPython  = lazyregexp.New(`(?m)^[ \t]*requires-python[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)')`)
)

// dependencies returns the strings of the metadata's list of dependencies.
func dependencies(toml string) []string {
	at := dependenciesKey.FindStringIndex(toml)
	if at == nil {
		return nil
	}
	var found []string
	for rest := toml[at[1]:]; rest != ""; {
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
