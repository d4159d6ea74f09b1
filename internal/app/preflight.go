package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"ml-intern/internal/config"
	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
)

// checks look at jobs before they are sent, with what this machine knows.
type checks struct {
	*App
	history preflight.History
}

func (a *App) checks() checks {
	return checks{a, preflight.History{Dir: filepath.Join(a.cfg.Paths.State, "preflight"), Open: func(ctx context.Context, id string) bool {
		status, err := a.jobs.Status(ctx, id)
		return err == nil && !status.Done()
	}}}
}

// Check looks at a job that would run as quoted.
func (c checks) Check(ctx context.Context, spec job.Spec, q job.Quote, waivers map[string]string) (preflight.Report, error) {
	r := preflight.Request{
		Spec: spec, Offer: q.Offer, Jobs: q.Jobs, Waivers: waivers, Remote: !c.sees(q.Backend),
		Python: preflight.Interpreter{}, Earlier: c.history,
	}
	if !r.Remote {
		r.Installed = preflight.Interpreter{}
	}
	if q.USDPerHour == 0 {
		r.Earlier = batches{c.history}
	}
	if !offline(c.cfg) {
		r.Packages = preflight.Index{Dir: filepath.Join(c.cfg.Paths.Cache, "packages")}
		if client, err := c.scriptsHub(ctx); err == nil {
			r.Hub = client
			r.Account = account(ctx, client, spec)
		}
	}
	return preflight.Check(ctx, r)
}

// batches may start at once, since they cost nothing.
type batches struct{ preflight.History }

// Unproven implements preflight.Earlier.
func (batches) Unproven(context.Context, string) (string, bool) { return "", false }

// scriptsHub is the Hub that scripts load from: the chosen one, or the public
// one where the chosen one is embedded.
func (c checks) scriptsHub(ctx context.Context) (*hub.Client, error) {
	if c.hubChoice() == LocalHub {
		return &hub.Client{BaseURL: publicHub}, nil
	}
	return c.hubClient(ctx)
}

// account is whose token the job gets, nil if it gets none or nobody can say.
func account(ctx context.Context, client *hub.Client, spec job.Spec) *hub.Account {
	if client.Who == nil || !slices.Contains(spec.Secrets, "HF_TOKEN") {
		return nil
	}
	who, err := client.Who(ctx)
	if err != nil {
		return nil
	}
	return &who
}

// sees reports whether jobs of the backend run in the workspace itself.
func (c checks) sees(backend string) bool {
	p := c.cfg.Computes[backend]
	switch {
	case backend == config.LocalCompute, p.Type == "ray" && p.Shared:
		return true
	case p.Type == "slurm" || p.Type == "" && backend == "slurm":
		return p.Host == ""
	}
	return false
}

// Submitted remembers a job, for what is checked of the next.
func (c checks) Submitted(spec job.Spec, id string) {
	script, err := os.ReadFile(filepath.Join(spec.Dir, spec.Script))
	if err != nil {
		return // it is a command, or gone: nothing to compare with
	}
	_ = c.history.Submitted(preflight.Run{ID: id, Spec: spec, Script: string(script)}) // else the next has no diff
}

// progressed remembers that a job does what it should.
func (c checks) progressed(id string) { _ = c.history.Progressed(id) }

// pythonRun is a command that runs a script of Python.
var pythonRun = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:python[0-9.]*|uv run|torchrun|accelerate launch)\s[^;&|\n]*?([^\s"'=;&|]+\.py)\b`)
})

// trying looks which scripts of the workspace a command is about to run, as
// they are now. If it goes well, each was tried.
func (c checks) trying(command string) (wentWell func()) {
	var tried []preflight.Smoke
	for _, match := range pythonRun().FindAllStringSubmatch(command, -1) {
		path := match[1]
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.cfg.Dir, path)
		}
		if script, err := os.ReadFile(path); err == nil {
			sum := sha256.Sum256(script)
			tried = append(tried, preflight.Smoke{SHA256: hex.EncodeToString(sum[:])})
		}
	}
	return func() {
		for _, s := range tried {
			_ = c.history.Tried(s) // else it is tried once more
		}
	}
}
