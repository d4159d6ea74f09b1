package app

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"ml-intern/internal/agent"
	"ml-intern/internal/approval"
	"ml-intern/internal/config"
	"ml-intern/internal/hook"
	"ml-intern/internal/tool"
)

// policy is the chosen mode with the rules of the configuration over it.
func policy(cfg *config.Config, name string) (approval.Policy, error) {
	mode, err := approval.ParseMode(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // then a ~ stands for itself
	}
	real, err := filepath.EvalSymlinks(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find workspace: %w", err)
	}
	return approval.NewRuled(approval.Ruled{
		Mode: mode, Own: judged(cfg.Rules), Project: judged(cfg.ProjectRules), Trusted: cfg.Trust == config.Trusted,
		Dir: cfg.Dir, Real: real, Home: home, Guarded: guarded(cfg),
	}), nil
}

// switched is a policy whose mode a person may change while a turn works.
type switched struct {
	mu   sync.Mutex
	mode string
	now  approval.Policy
}

// Decide implements approval.Policy.
func (s *switched) Decide(r approval.Request) approval.Decision {
	_, now := s.get()
	return now.Decide(r)
}

func (s *switched) String() string {
	_, now := s.get()
	return fmt.Sprint(now)
}

func (s *switched) get() (mode string, now approval.Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode, s.now
}

// to goes over to the mode, with the rules of the configuration.
func (s *switched) to(cfg *config.Config, mode string) error {
	now, err := policy(cfg, mode)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode, s.now = mode, now
	return nil
}

// guarded are the places that decide what is allowed, or whose programs run by
// themselves later.
func guarded(cfg *config.Config) []string {
	git := filepath.Join(cfg.Dir, ".git")
	return append(cfg.SkillFolders(cfg.Dir), cfg.Paths.Config, config.ProjectDir(cfg.Dir), config.ServersFile(cfg.Dir), filepath.Join(git, "hooks"), filepath.Join(git, "config"))
}

// judged are configured rules as policies judge by them.
func judged(rules []config.Rule) []approval.Rule {
	all := make([]approval.Rule, len(rules))
	for i, u := range rules {
		all[i] = approval.Rule{
			Verdict: u.Verdict, Tool: u.Tool, Effect: tool.Effect(u.Effect), Path: u.Path, Host: u.Host, Repo: u.Repo, Device: u.Device,
			Command: u.Command, Exact: u.Exact, CostOver: u.CostOver, CostUnder: u.CostUnder, Reason: u.Reason,
		}
	}
	return all
}

// remember writes rules that a person's answers made into their file.
func remember(cfg *config.Config) func([]approval.Rule) (string, error) {
	return func(rules []approval.Rule) (string, error) {
		all := make([]config.Rule, len(rules))
		for i, u := range rules {
			all[i] = config.Rule{
				Verdict: u.Verdict, Tool: u.Tool, Effect: string(u.Effect), Path: u.Path, Host: u.Host, Repo: u.Repo, Device: u.Device,
				Command: u.Command, Exact: u.Exact, CostOver: u.CostOver, CostUnder: u.CostUnder, Reason: u.Reason,
			}
		}
		return cfg.AddRules(all)
	}
}

// policyCheck says what decides here besides the mode.
func policyCheck(cfg *config.Config) Check {
	c := Check{Name: "rules", State: stateOK, Detail: fmt.Sprintf("mode %s; %d rules and %d hooks of yours", cfg.Approve, len(cfg.Rules), len(cfg.Hooks))}
	if cfg.Trust == config.NothingToTrust {
		return c
	}
	c.Detail += fmt.Sprintf("; %d rules and %d hooks of this folder, which is %s", len(cfg.ProjectRules), len(cfg.ProjectHooks), cfg.Trust)
	if cfg.Trust != config.Trusted {
		c.State, c.Mend = stateNote, "look at "+cfg.Brought(cfg.Dir)+", then: ml-intern config trust"
	}
	return c
}

// hooks are the programs that look on: the person's own, and those of the
// workspace as long as it is what they trusted.
func hooks(cfg *config.Config) agent.Hooks {
	r := hook.Runner{Dir: cfg.Dir, Mode: cfg.Approve, Env: cfg.ProcessEnviron()}
	add := func(from []config.Hook, check func() error) {
		for _, h := range from {
			r.Hooks = append(r.Hooks, hook.Hook{Event: h.Event, Matcher: h.Matcher, Command: h.Command, Timeout: h.Timeout, Check: check})
		}
	}
	add(cfg.Hooks, nil)
	add(cfg.ProjectHooks, func() error { return cfg.StillTrusted(cfg.Dir) })
	if len(r.Hooks) == 0 {
		return nil
	}
	return r
}
