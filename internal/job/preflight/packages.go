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
	case len(n.Requirements) == 0 && c.Remote:
		c.undeclared(third)
		return
	case len(n.Requirements) == 0:
		c.here(ctx, third)
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
		c.versions = versions
		for _, i := range third {
			c.installed(i, versions)
		}
	}
	c.signatures(ctx, versions, n)
}

// here checks a job that runs in the Python of this machine.
func (c *check) here(ctx context.Context, third []imported) {
	if c.Installed == nil || c.facts.Header != nil && c.facts.Header.Error != "" {
		return
	}
	var names []string
	for _, i := range third {
		names = append(names, i.top())
	}
	site, err := c.Installed.Find(ctx, names)
	if err != nil {
		c.note(CodeUnchecked, "packages were not checked: %v", err)
		return
	}
	c.versions = site.Versions
	for _, i := range third {
		if !slices.Contains(site.Missing, i.top()) || c.installsMore() || c.changesPath() {
			continue
		}
		found := Finding{
			Code: CodeImport, Level: Error, Line: i.Line, Text: i.Module + " is imported, and " + site.Python + ", which runs the job, does not have it",
			Fix: "name " + packageOf(i.top()) + " in a PEP 723 header, so that it is installed for the job",
		}
		if i.Conditional {
			found.Level = Warning
		}
		c.add(found)
	}
	calls, imports, _ := c.questions(site.Versions)
	if len(calls)+len(imports) == 0 || c.Python == nil {
		return
	}
	answer, err := c.askSignatures(ctx, site.Path, calls, imports)
	if err != nil {
		c.note(CodeUnchecked, "arguments were not checked: %v", err)
		return
	}
	c.judgeNames(answer, site.Versions)
	c.judgeArguments(answer, site.Versions)
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
		if strings.ContainsAny(r, "@\r\n") || strings.Contains(r, "://") || strings.HasPrefix(r, ".") || strings.HasPrefix(r, "-") || strings.HasPrefix(r, "/") {
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
