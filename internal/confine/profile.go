package confine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// profile is the rules as a profile for sandbox-exec of macOS, where the last
// rule that fits counts. Port is that of the proxy, 0 for none. It stands here,
// and not among what is for macOS alone, so that it is tested everywhere.
func (r Rules) profile(port int) string {
	var b strings.Builder
	b.WriteString("(version 1)\n(allow default)\n(deny file-write*)\n")
	for _, node := range []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx"} {
		fmt.Fprintf(&b, "(allow file-write* (literal %s))\n", quoted(node))
	}
	for _, line := range r.profilePaths() {
		b.WriteString(line + "\n")
	}
	b.WriteString("(deny signal (target others))\n(allow signal (target same-sandbox))\n(deny process-info* (target others))\n")
	b.WriteString("(deny mach-priv*)\n(deny system-privilege)\n(deny file-write-setugid)\n(deny iokit-open)\n(deny appleevent-send)\n")
	if r.Network {
		return b.String()
	}
	b.WriteString("(deny network*)\n(allow network* (local unix))\n")
	if port > 0 {
		fmt.Fprintf(&b, "(allow network-outbound (remote ip \"localhost:%d\"))\n", port)
	}
	return b.String()
}

// profilePaths are the rules for paths, what contains before what is contained.
func (r Rules) profilePaths() []string {
	type rule struct{ path, text string }
	var rules []rule
	add := func(paths []string, text string) {
		for _, p := range paths {
			rules = append(rules, rule{p, fmt.Sprintf(text, quoted(p))})
		}
	}
	if r.Temp != "" {
		add([]string{r.Temp}, "(allow file-read* file-write* (subpath %s))")
	}
	add(r.Writable, "(allow file-read* file-write* (subpath %s))")
	add(r.Readable, "(allow file-read* (subpath %s))")
	add(r.Hidden, "(deny file-read* file-write* (subpath %s))")
	add(r.Protected, "(deny file-write* (subpath %s))")
	slices.SortStableFunc(rules, func(a, b rule) int { return strings.Compare(a.path, b.path) })
	var lines []string
	for _, rule := range rules {
		lines = append(lines, rule.text)
	}
	return lines
}

// quoted is a string of the profile's language, which is a Scheme.
func quoted(s string) string { return strconv.Quote(s) }
