package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"ml-intern/internal/job"
)

// tried asks for a trial before something that costs money, and returns the
// trial that there was.
func (c *check) tried(ctx context.Context) Smoke {
	if c.Earlier != nil {
		if smoke, ok := c.Earlier.Smoke(ctx, c.report.SHA256); ok {
			return smoke
		}
	}
	if c.Offer.USDPerHour > 0 {
		c.warn(Finding{Code: CodeSmoke, Text: "the script as it is now was not tried, and the job costs money", Fix: "run a few steps on a tiny slice of the data here first, or waive this with the reason why that cannot be"})
	}
	return Smoke{}
}

// batch lets the first of several jobs that cost money go alone until it has
// shown progress, whether the others come after it or with it.
func (c *check) batch(ctx context.Context) {
	if c.Earlier == nil || c.Earlier.Proven(ctx, c.report.SHA256) {
		return
	}
	if id, ok := c.Earlier.Unproven(ctx, c.report.SHA256); ok {
		c.warn(Finding{Code: CodeBatch, Text: fmt.Sprintf("job %s of the same script has not shown progress yet", id), Fix: "wait until it logs its first steps: what is wrong with it is wrong with all"})
	} else if c.Jobs > 1 && c.Offer.USDPerHour > 0 {
		c.warn(Finding{
			Code: CodeBatch, Text: fmt.Sprintf("%d jobs that cost money would start at once, and no job of this script has shown progress yet", c.Jobs),
			Fix: "send one of them alone and wait until it logs its first steps, then send a sweep of the others",
		})
	}
}

const maxDiff = 6 << 10 // bytes that are shown

// changes says what is different from the job before.
func (c *check) changes(ctx context.Context) {
	if c.Earlier == nil {
		return
	}
	before, ok := c.Earlier.Previous(ctx, c.Spec)
	if !ok {
		return
	}
	diff := udiff.Unified("arguments of "+before.ID, "arguments now", describe(before.Spec), describe(c.Spec))
	diff += udiff.Unified(before.Spec.Script+" of "+before.ID, c.script+" now", before.Script, string(c.source))
	if len(diff) > maxDiff {
		diff = strings.ToValidUTF8(diff[:maxDiff], "") + "\n[… the rest is cut]\n"
	}
	c.report.Diff = diff
}

// describe is what decides how a job runs, a line each.
func describe(s job.Spec) string {
	s.Pin = job.Pin{} // prices are no change of the job
	var b strings.Builder
	line := func(name string, v any, empty bool) {
		if !empty {
			fmt.Fprintf(&b, "%s: %v\n", name, v)
		}
	}
	line("backend", s.Backend, s.Backend == "")
	line("command", strings.Join(s.Command, " "), len(s.Command) == 0)
	for _, arg := range pairs(s.Args) {
		line("argument", arg, false)
	}
	line("python", s.Python, s.Python == "")
	line("image", s.Image, s.Image == "")
	line("time limit", s.TimeLimit, s.TimeLimit == 0)
	line("hardware", fmt.Sprintf("%+v", s.Hardware), s.Hardware == job.Hardware{})
	for _, d := range slices.Sorted(slices.Values(s.Dependencies)) {
		line("dependency", d, false)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		line("variable", name+"="+s.Env[name], false)
	}
	line("secrets", strings.Join(s.Secrets, " "), len(s.Secrets) == 0)
	line("inputs", strings.Join(s.Inputs, " "), len(s.Inputs) == 0)
	line("outputs", strings.Join(s.Outputs, " "), len(s.Outputs) == 0)
	return b.String()
}

// pairs puts the value of an argument beside its name.
func pairs(args []string) []string {
	var out []string
	for _, a := range args {
		if n := len(out); n > 0 && strings.HasPrefix(out[n-1], "-") && !strings.ContainsAny(out[n-1], " =") && !strings.HasPrefix(a, "-") {
			out[n-1] += " " + a
			continue
		}
		out = append(out, a)
	}
	return out
}
