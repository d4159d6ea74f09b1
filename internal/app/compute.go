package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/job"
	"ml-intern/internal/job/hfjobs"
	"ml-intern/internal/job/local"
	"ml-intern/internal/job/ray"
	"ml-intern/internal/job/slurm"
	"ml-intern/internal/job/ssh"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

const nvidiaSMI = "nvidia-smi"

// localJobs are the jobs of this machine.
func localJobs(cfg *config.Config, granted *openings) (local.Backend, error) {
	exe, err := os.Executable()
	if err != nil {
		return local.Backend{}, fmt.Errorf("find this program: %w", err)
	}
	rules := jobRules(cfg)
	return local.Backend{
		Dir: filepath.Join(cfg.Paths.State, "jobs"), Shim: []string{exe, ShimCommand}, Env: commandEnv(cfg, rules != nil), Secret: secretHere(cfg), TokenHub: tokenHub(cfg),
		Rules: rules, Way: jobWay(cfg, granted), HubToken: hubToken(cfg), Cell: []string{exe, ConfinedCommand}, NvidiaSMI: apart(cfg, nvidiaSMI),
	}, nil
}

// withSecrets is the backend of this machine with secrets that somebody else has.
func withSecrets(b local.Backend) func(func(string) (string, bool)) job.Backend {
	return func(secret func(string) (string, bool)) job.Backend {
		b.Secret = secret
		return b
	}
}

// jobSecret finds the value of a secret that a job asks for by name. The token
// of the Hub may also be where logins are.
func jobSecret(cfg *config.Config) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if !slices.Contains(cfg.JobSecrets, name) {
			return "", false
		}
		value := strings.TrimSpace(cfg.Getenv(name))
		if value == "" && name == "HF_TOKEN" {
			if base, err := accountHub(cfg); err == nil {
				if token, ok := keyring(cfg, base).Find(); ok {
					value = token.Value
				}
			}
		}
		return value, value != ""
	}
}

// secretHere is that for jobs of this machine, which alone reach the embedded Hub:
// its token is the one of the Hub that was chosen.
func secretHere(cfg *config.Config) func(string) (string, bool) {
	elsewhere := jobSecret(cfg)
	return func(name string) (string, bool) {
		if name != "HF_TOKEN" || !slices.Contains(cfg.JobSecrets, name) || (&App{cfg: cfg}).hubChoice() != LocalHub {
			return elsewhere(name)
		}
		key, err := hubKey(cfg)
		return key, err == nil
	}
}

// tokenHub is the Hub that the HF_TOKEN of secretHere is for.
func tokenHub(cfg *config.Config) func() string {
	return func() string {
		if (&App{cfg: cfg}).hubChoice() == LocalHub {
			return LocalHub
		}
		base, err := accountHub(cfg)
		if err != nil {
			return ""
		}
		return base
	}
}

// hubCompute is the name of the account's own jobs on the Hub.
const hubCompute = "hf"

// computes are all places where jobs can run, the configured one first.
func computes(cfg *config.Config, here job.Backend, remote *hub.Client) (*job.Set, error) {
	names, places := placesOf(cfg, remote != nil)
	if err := checkCompute(cfg, names); err != nil {
		return nil, err
	}
	set := &job.Set{}
	add := func(name string) {
		if p, ok := places[name]; ok {
			set.Add(name, compute(cfg, name, p, remote))
		} else {
			set.Add(name, here)
		}
	}
	add(cfg.Compute)
	for _, name := range names {
		if name != cfg.Compute {
			add(name)
		}
	}
	return set, nil
}

// placesOf are the places where jobs can run, this machine, which is none of the
// map, first.
func placesOf(cfg *config.Config, account bool) (names []string, places map[string]config.Compute) {
	names, places = []string{config.LocalCompute}, make(map[string]config.Compute)
	add := func(name string, p config.Compute) {
		if !slices.Contains(names, name) {
			names, places[name] = append(names, name), p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Computes)) {
		add(name, cfg.Computes[name])
	}
	if _, err := exec.LookPath("sbatch"); err == nil {
		add("slurm", config.Compute{Type: "slurm"})
	}
	if account || cfg.Compute == hubCompute {
		add(hubCompute, config.Compute{Type: "hf"})
	}
	return names, places
}

// CheckCompute says if jobs cannot run where the configuration says.
func CheckCompute(cfg *config.Config) error {
	names, _ := placesOf(cfg, false)
	return checkCompute(cfg, names)
}

func checkCompute(cfg *config.Config, names []string) error {
	if slices.Contains(names, cfg.Compute) {
		return nil
	}
	return fmt.Errorf("%w: there is no compute backend %q%s; there are: %s; others are set up under computes in %s",
		ErrUsage, cfg.Compute, config.DidYouMean(config.Nearest(cfg.Compute, names)), strings.Join(names, ", "), cfg.File())
}

// compute is a backend as the configuration has it. What is remembered of its
// jobs is in a folder of its name.
func compute(cfg *config.Config, name string, p config.Compute, remote *hub.Client) job.Backend {
	dir := filepath.Join(cfg.Paths.State, "computes", name)
	switch p.Type {
	case "slurm":
		b := &slurm.Backend{
			Dir: dir, Host: p.Host, Partitions: p.Partitions, Account: p.Account, QOS: p.QOS, Options: p.Options, Setup: p.Setup,
			TimeLimit: p.TimeLimit, USDPerHour: p.USDPerHour, GPUMemoryMB: make(map[string]int64), Env: cfg.Environ(), Secret: jobSecret(cfg),
		}
		for gpu, mb := range p.GPUMemory {
			b.GPUMemoryMB[gpu] = int64(mb)
		}
		if p.Dir != "" && p.Host != "" {
			b.Root = p.Dir
		} else if p.Dir != "" {
			b.Dir = p.Dir
		}
		return b
	case "ssh":
		return &ssh.Backend{Dir: dir, Host: p.Host, Options: p.Options, FarDir: p.Dir, USDPerHour: p.USDPerHour[config.AnyFlavor], Secret: jobSecret(cfg)}
	case "ray":
		return ray.Backend{
			Dir: dir, URL: p.URL, Token: strings.TrimSpace(cfg.Getenv(p.Token)), Shared: p.Shared,
			TimeLimit: p.TimeLimit, USDPerHour: p.USDPerHour, GPUMemory: p.GPUMemory, Secret: jobSecret(cfg),
		}
	}
	if remote == nil {
		remote = &hub.Client{BaseURL: publicHub}
	}
	return &hfjobs.Backend{Dir: dir, Hub: remote, Namespace: p.Namespace, Image: p.Image, Secret: jobSecret(cfg)}
}

// chargeLimit is how long one asks what jobs cost before a turn goes on.
const chargeLimit = 10 * time.Second

// charges says what became of what charges are open for.
func (a *App) charges(ctx context.Context, open []tool.Charge) []tool.Charge {
	known, others := a.sandboxCharges(open)
	return append(known, charges(a.jobs)(ctx, others)...)
}

// charges says what became of the jobs that charges are open for. Of a job that
// cannot be asked, or of which nobody knows how long it ran, nothing is said.
func charges(b job.Backend) func(context.Context, []tool.Charge) []tool.Charge {
	return func(ctx context.Context, open []tool.Charge) []tool.Charge {
		ctx, cancel := context.WithTimeout(ctx, chargeLimit)
		defer cancel()
		var all []tool.Charge
		for _, c := range open {
			s, err := lookup(ctx, b, c)
			switch {
			case c.Job == "" && errors.Is(err, job.ErrNotFound):
				members, known := swept(ctx, b, c)
				if all = append(all, members...); known {
					all = append(all, tool.Charge{Label: c.Label, Final: true}) // it was never sent, or as a sweep
				}
			case err != nil:
			case s.Done() && (s.State != job.Lost || !s.Finished.IsZero()):
				all = append(all, tool.Charge{Label: c.Label, Job: s.ID, USD: s.Cost(), Final: true})
			case c.Job == "":
				all = append(all, tool.Charge{Label: c.Label, Job: s.ID, USD: c.USD})
			}
		}
		return all
	}
}

// swept are the charges of a sweep's jobs, whose call may have been cut off
// before it could say which there are. If one cannot be asked for, the call's
// own charge stands.
func swept(ctx context.Context, b job.Backend, c tool.Charge) (members []tool.Charge, known bool) {
	for i := range job.MaxSweep {
		label := job.MemberLabel(c.Label, i)
		s, err := b.Find(ctx, label)
		switch {
		case errors.Is(err, job.ErrNotFound):
		case err != nil:
			return nil, false
		case s.Done() && (s.State != job.Lost || !s.Finished.IsZero()):
			members = append(members, tool.Charge{Label: label, Job: s.ID, USD: s.Cost(), Final: true})
		default:
			members = append(members, tool.Charge{Label: label, Job: s.ID, USD: s.Worst()})
		}
	}
	return members, true
}

func lookup(ctx context.Context, b job.Backend, c tool.Charge) (job.Status, error) {
	if c.Job == "" {
		return b.Find(ctx, c.Label)
	}
	return b.Status(ctx, c.Job)
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

// payingHub is the client of the Hub whose account pays for jobs there, nil
// if there is none or it has no token. The embedded Hub's jobs are those of
// this machine.
// The token is what the function finds in the account's keyring.
func (a *App) payingHub(token func(*login.Keyring) string) *hub.Client {
	choice := a.hubChoice()
	if choice == LocalHub || offline(a.cfg) {
		return nil
	}
	found := token(a.keyring(choice))
	if found == "" {
		return nil
	}
	return &hub.Client{BaseURL: choice, Token: found}
}

// computesOf are the computes of a session that begins or goes on: its jobs on
// the Hub get a token that does not end soon.
func (a *App) computesOf(ctx context.Context) (*job.Set, error) {
	return computes(a.cfg, a.here, a.payingHub(func(k *login.Keyring) string {
		token, err := k.Token(ctx)
		if err != nil {
			return k.Local() // jobs that are there must be seen; the Hub says what is wrong
		}
		return token
	}))
}

// watcher watches the jobs for a session.
func (a *App) watcher(sessionID string) *watch.Watcher {
	return &watch.Watcher{Backend: a.jobs, Gauge: watch.Asking(apart(a.cfg, nvidiaSMI)), File: filepath.Join(a.cfg.Paths.State, "watch", sessionID+".json")}
}

// quoteLimit is how long one waits for a price before a call is judged.
const quoteLimit = 20 * time.Second

// quote says what jobs cost, as long as the session lives.
func (a *App) quote(ctx context.Context) func(job.Spec) (job.Quote, error) {
	return func(spec job.Spec) (job.Quote, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quoteLimit)
		defer cancel()
		return a.jobs.Quote(ctx, spec)
	}
}

// dashboard is where a Space of Trackio's answers, and the account's token,
// which goes to that host alone. Spaces of other Hubs have no host that is known.
func (a *App) dashboard(space string) (address, token string) {
	if a.hubChoice() != publicHub {
		return "", ""
	}
	if t, ok := a.keyring(publicHub).Find(); ok {
		token = t.Value
	}
	return "https://" + spaceHost(space), token
}

// scheduling is the tool for scheduled jobs, nil without an account on a Hub
// that runs jobs.
func (a *App) scheduling(ctx context.Context, c checks) []tool.Tool {
	b, ok := a.jobs.Member(hubCompute).(*hfjobs.Backend)
	if !ok {
		return nil
	}
	return []tool.Tool{tools.JobSchedule(schedules{b}, hubCompute, a.quote(ctx), c, a.cfg.Dir)}
}
