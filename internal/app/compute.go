package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
	"ml-intern/internal/tool"
)

// localJobs are the jobs of this machine.
func localJobs(cfg *config.Config) (local.Backend, error) {
	exe, err := os.Executable()
	if err != nil {
		return local.Backend{}, fmt.Errorf("find this program: %w", err)
	}
	return local.Backend{Dir: filepath.Join(cfg.Paths.State, "jobs"), Shim: []string{exe, ShimCommand}, Env: cfg.Environ()}, nil
}

// computes are all places where jobs can run, the configured one first.
func computes(cfg *config.Config, here job.Backend) (*job.Set, error) {
	all := map[string]job.Backend{config.LocalCompute: here}
	names := append([]string{config.LocalCompute}, slices.Sorted(maps.Keys(cfg.Computes))...)
	for name, p := range cfg.Computes {
		b, err := compute(cfg, name, p)
		if err != nil {
			return nil, fmt.Errorf("%w: compute backend %s: %w", ErrUsage, name, err)
		}
		all[name] = b
	}
	at := slices.Index(names, cfg.Compute)
	if at < 0 {
		return nil, fmt.Errorf("%w: there is no compute backend %q; there are: %s; others are set up under computes in %s",
			ErrUsage, cfg.Compute, strings.Join(names, ", "), cfg.File())
	}
	names = append([]string{cfg.Compute}, slices.Delete(names, at, at+1)...)
	set := &job.Set{}
	for _, name := range names {
		set.Add(name, all[name])
	}
	return set, nil
}

// compute is a backend as the configuration has it.
func compute(_ *config.Config, _ string, p config.Compute) (job.Backend, error) {
	return nil, fmt.Errorf("this version has no type %s", p.Type)
}

// charges says what jobs cost that are over.
func charges(b job.Backend) func(context.Context, []string) []tool.Charge {
	return func(ctx context.Context, ids []string) []tool.Charge {
		var all []tool.Charge
		for _, id := range ids {
			if s, err := b.Status(ctx, id); err == nil && s.Done() { // else it stays at its worst
				all = append(all, tool.Charge{Job: id, USD: s.Cost(), Final: true})
			}
		}
		return all
	}
}

// keeper vouches for the results of jobs.
func (a *App) keeper() job.Keeper {
	return job.Keeper{Backend: a.jobs, Dir: filepath.Join(a.cfg.Paths.State, "receipts"), Remote: a.pushed}
}

// clockSkew is how much the Hub's clock may be behind that of a job.
const clockSkew = 2 * time.Minute

// pushed says what is wrong if an output's repository was not changed since.
func (a *App) pushed(ctx context.Context, output string, since time.Time) error {
	repo, rev, err := hub.ParseURI(output)
	if err != nil {
		return err
	}
	client, err := a.hubClient(ctx)
	if err != nil {
		return err
	}
	info, err := client.RepoInfo(ctx, repo, rev)
	switch {
	case err != nil:
		return err
	case !since.IsZero() && info.LastModified.Before(since.Add(-clockSkew)):
		return fmt.Errorf("not changed since %s", info.LastModified.Format(time.DateTime))
	case len(info.Siblings) == 0:
		return errors.New("it is empty")
	}
	return nil
}
