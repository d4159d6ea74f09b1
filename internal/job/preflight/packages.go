package preflight

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// packages checks that what is imported is there, and takes what it is given.
func (c *check) packages(ctx context.Context) {
	third := c.thirdParty()
	c.localImports()
	n, sure := c.needs()
	switch {
	case len(third) == 0 && len(n.Requirements) == 0:
		return
	case len(n.Requirements) == 0 && c.Spec.Image != "":
		c.note(CodeUnchecked, "packages were not checked: they are those of the image %s", c.Spec.Image)
		return
	case len(n.Requirements) == 0:
		c.undeclared(third)
		return
	case c.Packages == nil:
		c.note(CodeUnchecked, "packages were not checked: nothing here knows the package index")
		return
	}
	versions, err := c.Packages.Resolve(ctx, n)
	if errors.Is(err, ErrConflict) && sure {
		c.fail(Finding{Code: CodePackages, Text: err.Error(), Fix: "correct the names and versions in the PEP 723 header or the job's dependencies"})
		return
	}
	if err != nil {
		c.note(CodeUnchecked, "packages were not checked: %v", err)
		return
	}
	if sure {
		for _, i := range third {
			c.installed(i, versions)
		}
	}
	c.signatures(ctx, versions, n)
}

// needs are the job's packages. Those that do not come from the index by their
// name are left out, and then not all is known.
func (c *check) needs() (n Needs, sure bool) {
	all := slices.Clone(c.Spec.Dependencies)
	sure = true
	if c.facts.Header != nil {
		all = append(all, c.facts.Header.Dependencies...)
		sure = !c.facts.Header.Own
	}
	for i, arg := range c.Spec.Command { // of uv run
		if arg == "--with" && i+1 < len(c.Spec.Command) {
			all = append(all, strings.Split(c.Spec.Command[i+1], ",")...)
		}
	}
	for _, r := range all {
		r = strings.TrimSpace(r)
		if strings.Contains(r, "@") || strings.Contains(r, "://") || strings.HasPrefix(r, ".") || strings.HasPrefix(r, "-") || strings.HasPrefix(r, "/") {
			sure = false
			continue
		}
		if r != "" {
			n.Requirements = append(n.Requirements, r)
		}
	}
	n.Python, n.Linux = c.wantedPython(), c.Remote
	return n, sure && c.Spec.Image == ""
}
