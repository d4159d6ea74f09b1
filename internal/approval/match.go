package approval

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"ml-intern/internal/approval/shell"
)

// matchPath matches absolute paths; below says that the pattern means also
// what lies below what it names.
func matchPath(pattern, name string, below bool) bool {
	pattern, name = filepath.ToSlash(pattern), filepath.ToSlash(name)
	if ok, err := doublestar.Match(pattern, name); err == nil && ok {
		return true
	}
	if !below {
		return false
	}
	ok, err := doublestar.Match(strings.TrimSuffix(pattern, "/")+"/**", name)
	return err == nil && ok
}

// matchHost matches a name, or with *.name everything below it.
func matchHost(pattern, host string) bool {
	pattern, host = plainHost(pattern), plainHost(host)
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return suffix == "" || strings.HasPrefix(suffix, ".") && strings.HasSuffix(host, suffix)
	}
	return pattern == host
}

func plainHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if at := strings.LastIndex(host, ":"); at >= 0 && strings.Count(host, ":") == 1 {
		host = host[:at]
	}
	return strings.Trim(host, "[]")
}

// matchRepo matches OWNER/NAME. Whose a repository without owner is, only the
// Hub knows: loosely it may be anybody's.
func matchRepo(pattern, repo string, loosely bool) bool {
	repo = plainRepo(repo)
	if owner, name, ok := strings.Cut(plainRepo(pattern), "/"); ok && loosely && !strings.Contains(repo, "/") && owner != "" {
		pattern = name
	}
	ok, err := path.Match(plainRepo(pattern), repo)
	return err == nil && ok
}

// plainRepo leaves out what may stand before OWNER/NAME.
func plainRepo(repo string) string {
	repo = strings.Trim(strings.TrimPrefix(repo, "hf://"), "/ ")
	for _, kind := range []string{"models/", "datasets/", "spaces/", "model/", "dataset/", "space/"} {
		if rest, ok := strings.CutPrefix(repo, kind); ok {
			return rest
		}
	}
	return repo
}

// mayRun reports whether the command may be what the words say: the same
// program in any folder, its flags in any order, its other words in their
// order. What is not known may be anything.
func mayRun(c shell.Command, words []string, exact bool) bool {
	if exact {
		return begins(c, words, true)
	}
	if !c[0].Known || c[0].Text != words[0] && c.Program() != words[0] {
		return !c[0].Known
	}
	var flags, plain []string
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "-") && w != "-" {
			flags = append(flags, w)
		} else {
			plain = append(plain, w)
		}
	}
	args := c[1:]
	for _, f := range flags {
		if !hasFlag(args, f) {
			return false
		}
	}
	return inOrder(args, plain)
}

// hasFlag reports whether a flag, or every letter of a cluster, is there.
func hasFlag(args []shell.Word, flag string) bool {
	if slices.ContainsFunc(args, func(w shell.Word) bool { return !w.Known }) {
		return true
	}
	if strings.HasPrefix(flag, "--") {
		return slices.ContainsFunc(args, func(w shell.Word) bool {
			name, _, _ := strings.Cut(w.Text, "=")
			return name == flag
		})
	}
	letters := ""
	for _, w := range args {
		if w.Text == flag {
			return true
		}
		if len(w.Text) > 1 && w.Text[0] == '-' && w.Text[1] != '-' {
			letters += w.Text[1:]
		}
		letters += shortOf(w.Text)
	}
	return !strings.ContainsFunc(flag[1:], func(r rune) bool { return !strings.ContainsRune(letters, r) })
}

// shortOf are the letters that a long flag is usually written for, which may be
// cut short as GNU programs allow it.
func shortOf(flag string) string {
	name, ok := strings.CutPrefix(flag, "--")
	if name, _, _ = strings.Cut(name, "="); !ok || len(name) < 2 {
		return ""
	}
	for long, letters := range map[string]string{"force": "f", "recursive": "rR", "all": "aA", "delete": "d", "yes": "y", "quiet": "q", "user": "u"} {
		if strings.HasPrefix(long, name) {
			return letters
		}
	}
	return ""
}

// inOrder reports whether the plain words come first among those arguments
// that are no flags. A word behind a flag may be the flag's.
func inOrder(args []shell.Word, plain []string) bool {
	afterFlag := false
	for _, w := range args {
		if len(plain) == 0 {
			return true
		}
		switch {
		case w.Known && len(w.Text) > 1 && w.Text[0] == '-':
			afterFlag = !strings.Contains(w.Text, "=")
			continue
		case w.Known && w.Text == plain[0], !w.Known && !afterFlag:
			plain = plain[1:]
		case !afterFlag:
			return false
		}
		afterFlag = false
	}
	return len(plain) == 0
}
