package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"ml-intern/internal/config"
	"ml-intern/internal/confine"
	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/sandbox"
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

// Check looks at jobs that would run as quoted: one, or those of a sweep.
func (c checks) Check(ctx context.Context, specs []job.Spec, q job.Quote, waivers map[string]string) (preflight.Report, error) {
	spec := specs[0]
	mayRead := func(name string) error { return c.mayRead(filepath.Join(spec.Dir, name)) }
	if err := mayRead(spec.Script); err != nil {
		return preflight.Report{}, err
	}
	packages := filepath.Join(c.cfg.Paths.Cache, "packages")
	python := preflight.Interpreter{Wall: c.wall(ctx, packages)}
	r := preflight.Request{
		Spec: spec, Others: specs[1:], Offer: q.Offer, Jobs: q.Jobs, Waivers: waivers, Remote: !c.sees(q.Backend),
		Python: python, Earlier: c.history, MayRead: mayRead,
	}
	if !r.Remote {
		r.Installed = python
	}
	if q.USDPerHour == 0 {
		r.Earlier = batches{c.history}
	}
	if !offline(c.cfg) {
		r.Packages = preflight.Index{Dir: packages, Wall: python.Wall}
		if client, err := c.scriptsHub(ctx); err == nil {
			r.Hub = client
			r.Account = account(ctx, client, spec)
		}
	}
	return preflight.Check(ctx, r)
}

// mayRead refuses a script that leads to what commands cannot read: a job is
// given a copy of it, and the checks quote it.
func (c checks) mayRead(path string) error {
	f, err := c.sandbox().Open(path)
	switch {
	case errors.Is(err, sandbox.ErrPrivate):
		return err
	case err == nil:
		return f.Close()
	}
	return nil // the checks say what is wrong with it
}

// wall confines what checks run, nil if nothing is confined. It writes to the
// folder and to caches, and not to the workspace.
func (c checks) wall(ctx context.Context, dir string) preflight.Wall {
	if c.here.Rules == nil {
		return nil
	}
	return func(cmd *exec.Cmd) (done func(), err error) {
		rules, err := c.here.Rules(c.cfg.Dir)
		if err == nil {
			rules.Bare, err = confine.Bare(ctx, c.here.Cell...)
		}
		if err == nil {
			rules.GPUs = false // no check uses one
			err = os.MkdirAll(dir, 0o700)
		}
		if err != nil {
			return nil, err
		}
		real, err := filepath.EvalSymlinks(c.cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("confine a check: %w", err)
		}
		rules.Writable = append(slices.DeleteFunc(slices.Clone(rules.Writable), func(p string) bool { return p == real || p == c.cfg.Dir }), dir)
		way, err := c.wayOut(ctx, rules, cmd)
		if err != nil {
			return nil, err
		}
		file, err := writeRules(c.cfg.Paths.State, rules)
		if err != nil {
			way.Close()
			return nil, err
		}
		cmd.Env = cachesOf(c.cfg).Environ(cmd.Env)
		rules.Behind(cmd, c.here.Cell, file)
		return func() { way.Close(); _ = os.Remove(file) }, nil // what stays is small, and no secret
	}
}

// wayOut lets what a check runs reach what commands reach, by their proxy.
func (c checks) wayOut(ctx context.Context, rules *confine.Rules, cmd *exec.Cmd) (*confine.Way, error) {
	if rules.Network || c.cfg.Network.Jobs == config.JobsOff {
		return &confine.Way{}, nil
	}
	way, err := rules.Way(3 + len(cmd.ExtraFiles))
	if err != nil {
		return nil, err
	}
	if way.Inside != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, way.Inside)
	}
	way.Serve(nil, func(l net.Listener) { _ = c.gate.proxy.Serve(ctx, l) }, nil) // one that does not serve lets nobody out
	return way, nil
}

// writeRules writes rules to a new file.
func writeRules(dir string, rules *confine.Rules) (string, error) {
	data, err := json.Marshal(rules)
	if err != nil {
		return "", fmt.Errorf("write rules: %w", err)
	}
	file, err := os.CreateTemp(dir, "rules-*.json")
	if err != nil {
		return "", fmt.Errorf("write rules: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("write rules: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return file.Name(), nil
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
var pythonRun = lazyregexp.New(`\b(?:python[0-9.]*|uv run|torchrun|accelerate launch)\s[^;&|\n]*?([^\s"'=;&|]+\.py)\b`)

// trying looks which scripts of the workspace a command is about to run, as
// they are now. If it goes well, each was tried.
func (c checks) trying(command string) (wentWell func()) {
	var tried []preflight.Smoke
	for _, match := range pythonRun.FindAllStringSubmatch(command, -1) {
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
