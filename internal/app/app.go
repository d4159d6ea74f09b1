// Package app puts the program together.
//
// Its one rule: it is the only place that names the implementation behind an
// interface. It owns what must be closed: the store and the embedded Hub.
package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/config"
	"ml-intern/internal/confine"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/instruction"
	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/replay"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/skill"
	"ml-intern/internal/telemetry"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// sessionsFile is the store, in the folder of state.
const sessionsFile = "sessions.db"

// ShimCommand is the hidden command with which the program runs one local
// job: ml-intern job-shim FOLDER.
const ShimCommand = "job-shim"

// App is the program for one configuration. Close it.
type App struct {
	cfg       *config.Config
	store     *sqlite.Store // nil for who wants jobs only
	here      local.Backend
	jobs      *job.Set // here is one of them
	hub       *localHub
	cells     *confine.Cells // of the session's commands; nil for none
	gate      *gate          // their way out; nil until a session, or the person, needs commands
	confining sync.Mutex
	granted   *openings // beside what all may reach

	downloaded  atomic.Bool // see readyCaches
	makesCaches sync.Mutex
	cachesMade  time.Time
	hubAsked    string // for, before a session had its own taken; "" for none
	keys        keys
	web         *outside

	servers    servers  // of the sessions
	heralds    heralds  // likewise
	skillNotes []string // what was wrong with skills when the session began
	caller     string   // of sessions that begin; see session.Opened

	telemetry *telemetry.Reader // nil unless somebody wants it
	tidier    tidier
	undone    []string // of commands that a killed program left
	logins    *logins

	recording *replay.Writer // nil unless model traffic is recorded
	player    replay.Player  // nil unless a recording is the model
}

// New opens the store and names the parts; nothing that needs a network.
func New(ctx context.Context, cfg *config.Config) (*App, error) {
	store, err := sqlite.Open(ctx, filepath.Join(cfg.Paths.State, sessionsFile))
	if err != nil {
		return nil, err
	}
	a, err := ForJobs(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	a.store = store
	return a, nil
}

// ForJobs is New without the sessions: a job can be looked at, ended and removed
// where those cannot be opened, as on a full disk.
func ForJobs(ctx context.Context, cfg *config.Config) (*App, error) {
	granted := &openings{}
	here, err := localJobs(cfg, granted)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, here: here, hubAsked: cfg.Hub, granted: granted, web: newOutside(cfg), logins: newLogins(ctx, cfg), hub: &localHub{cfg: cfg, dir: hubDir(cfg), serves: granted.serves, jobs: hubJobsOf(cfg, here)}}
	a.web.papers.HubToken = a.paperToken
	a.telemetry = a.newTelemetry()
	a.jobs, err = computes(cfg, here, a.payingHub((*login.Keyring).Local))
	return a, err
}

// Close ends what New and the sessions opened.
func (a *App) Close() error {
	a.tidier.close()
	a.servers.closeAll()
	a.telemetry.Close()
	err := a.hub.Close()
	if a.store != nil {
		err = errors.Join(err, a.store.Close())
	}
	if a.cells != nil {
		err = errors.Join(err, a.cells.Close())
	}
	if a.recording != nil {
		err = errors.Join(err, a.recording.Close())
	}
	return err
}

// Start begins a session with its first prompt in the configured workspace
// and takes its lease. Run it with an empty prompt. What is wrong with the
// configuration is found before anything is saved.
func (a *App) Start(ctx context.Context, prompt string) (*Conversation, error) {
	return a.Begin(ctx, NewID(), session.Prompt{Text: prompt})
}

// Begin is Start for a prompt with what the person gives the model to read with
// it, and for an id of NewID, which others may know already.
func (a *App) Begin(ctx context.Context, id string, prompt session.Prompt) (*Conversation, error) {
	if err := chooseModel(ctx, a.cfg); err != nil {
		return nil, err
	}
	opened := session.Opened{ID: id, Dir: a.cfg.Dir, Model: a.cfg.Model, Hub: a.hubChoice(), Version: Version(), Trace: a.telemetry.Parent(), Caller: a.caller}
	opened.Instructions, _ = a.instructions()
	opened.Skills, a.skillNotes = a.skills()
	if err := a.record(opened.ID, prompt.Text); err != nil {
		return nil, err
	}
	renewLogin(ctx, a.cfg, append([]string{cmp.Or(a.cfg.Model, opened.Model)}, a.cfg.Fallback...)...)
	jobs, err := a.computesOf(ctx)
	if err != nil {
		return nil, err
	}
	a.jobs = jobs
	ag, err := a.agent(ctx, opened, nil)
	if err != nil {
		return nil, err
	}
	release, err := a.store.Lease(ctx, opened.ID)
	if err != nil {
		return nil, err
	}
	herald := a.herald(opened.ID)
	s, err := session.Begin(ctx, a.told(herald), opened, prompt.Redacted(ag.Redact))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin session: %w", err), release())
	}
	herald.Start(ctx, a.store, s.Events(), ag.Redact)
	return &Conversation{Session: s, Agent: ag, app: a, herald: herald, release: release}, nil
}

// NewID is a session id that sorts by time: 20261123-015013-k3f9.
func NewID() string {
	return time.Now().UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:4])
}

// Resume opens a session that exists, to give it the prompt, and takes its lease. The id may be a
// unique beginning of one. The session's own workspace and Hub, its model, and
// what the person chose in it, hold unless the command line names others.
func (a *App) Resume(ctx context.Context, id, prompt string) (*Conversation, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	release, err := a.store.Lease(ctx, id)
	if err != nil {
		return nil, err
	}
	herald := a.herald(id)
	s, err := session.Open(ctx, a.told(herald), id)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	opened := s.Opened()
	a.chosen(opened, s.Chosen())
	if !a.cfg.IsFlag("hub") {
		a.cfg.Hub = opened.Hub
	}
	if _, err := os.Stat(opened.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the session's workspace: %w", err), release())
	}
	if err := a.cfg.Enter(opened.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the session's workspace: %w", err), release())
	}
	if err := a.record(opened.ID, prompt); err != nil {
		return nil, errors.Join(err, release())
	}
	renewLogin(ctx, a.cfg, append([]string{cmp.Or(a.cfg.Model, opened.Model)}, a.cfg.Fallback...)...)
	if a.jobs, err = a.computesOf(ctx); err != nil {
		return nil, errors.Join(err, release())
	}
	ag, err := a.agent(ctx, opened, s.Events())
	if err == nil {
		err = a.grant(s.Grants())
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}
	bill, err := a.Bill(ctx, s)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	ag.Ledger.Spend(bill.Cost)
	herald.Start(ctx, a.store, s.Events(), ag.Redact)
	return &Conversation{Session: s, Agent: ag, app: a, herald: herald, release: release}, nil
}

// A Conversation is a session with the agent that works on it. Close it.
type Conversation struct {
	Session *session.Session
	Agent   *agent.Agent
	app     *App
	herald  *herald
	release func() error
}

// Run answers the prompt; see agent.RunToAnswer.
func (c *Conversation) Run(ctx context.Context, prompt session.Prompt) iter.Seq2[session.Event, error] {
	return c.rests(c.working(c.clean(c.Agent.RunToAnswer(ctx, c.Session, prompt))))
}

// Close gives the session back, and ends its MCP servers. What is still to be
// told to others is told before, for some seconds at most.
func (c *Conversation) Close() error {
	c.endTelling()
	c.app.servers.close(c.Agent)
	return c.release()
}

// agent puts the agent of a session together, whose log holds what was before.
func (a *App) agent(ctx context.Context, opened session.Opened, before []session.Event) (*agent.Agent, error) {
	redactor := a.redactor()
	models, err := a.models(opened.Model)
	if err != nil {
		return nil, err
	}
	judge := &switched{}
	if err := judge.to(a.cfg, a.cfg.Approve); err != nil {
		return nil, err
	}
	ag := &agent.Agent{
		System:   agent.System(a.cfg.Dir, a.cfg.SystemAppend) + instruction.Text(opened.Instructions) + opened.Skills,
		News:     a.news,
		Models:   models,
		Effort:   a.cfg.Effort,
		Policy:   judge,
		Approver: agent.Nobody{},
		Ledger:   &ledger.Account{Cap: ledger.Amount{USD: a.cfg.MaxCost, Tokens: a.cfg.MaxTokens}},
		Guards:   agent.Guards(),
		Retry:    retry(a.cfg),
		MaxSteps: a.cfg.MaxSteps,
		Spill:    a.spill(opened.ID),
		Reason:   func(err error) string { return Classify(err).Reason },
		Hooks:    hooks(a.cfg),
		Remember: remember(a.cfg),
		Charges:  a.charges,
		Redact:   redactor.Text,
	}
	if err := a.confine(ctx); err != nil {
		return nil, err
	}
	checks := a.checks()
	waiting := tools.NewWaiting(a.watcher(opened.ID), a.keeper(), checks.progressed)
	ag.Wake = wake(waiting)
	if a.player != nil { // what was said to a turn at work is said again
		ag.Inbox = func() []session.Event { return steers(a.player.Steers()) }
	}
	router, err := a.tools(ctx, opened, a.research(ag, opened), checks, waiting)
	if err != nil {
		return nil, err
	}
	ag.Checkpoint = a.checkpointer(opened)
	if a.cfg.ReplayTools {
		ag.Checkpoint = nil // nothing is run
		if router, err = recordedTools(a.cfg, router, before); err != nil {
			return nil, err
		}
	}
	router.Redact = redactor.Text
	ag.Tools = router
	if !a.cfg.ReplayTools {
		a.withServers(ctx, ag)
	}
	a.tellTelemetry(ag)
	a.recovered(ag)
	return ag, nil
}

// retry is how often a failed call is made again. A recording does not mend
// itself while one waits.
func retry(cfg *config.Config) llm.RetryOptions {
	if strings.HasPrefix(cfg.Model, ReplayPrefix) {
		return llm.RetryOptions{Tries: 1}
	}
	return llm.RetryOptions{}
}

// wake waits for whatever the calls of a session wait for.
func wake(w *tools.Waiting) func(context.Context, []session.Waiting, func(session.Log)) error {
	return func(ctx context.Context, waits []session.Waiting, show func(session.Log)) error {
		var ids []string
		var until time.Time // the earliest
		for _, wait := range waits {
			ids = append(ids, wait.Jobs...)
			if !wait.Until.IsZero() && (until.IsZero() || wait.Until.Before(until)) {
				until = wait.Until
			}
		}
		return w.Wake(ctx, ids, until, func(line string) { show(session.Log{CallID: waits[0].CallID, Line: line}) })
	}
}

// tools lists every built-in tool, for one session.
func (a *App) tools(ctx context.Context, opened session.Opened, research tool.Tool, checks checks, waiting *tools.Waiting) (*tool.Router, error) {
	sb, id := a.sandbox(), opened.ID
	remote, kept := a.hubClient, a.newCollection(id)
	uploads := filepath.Join(a.cfg.Paths.State, "uploads")
	list := append(append(a.readers(), a.scheduling(ctx, checks)...), a.telling(id)...)
	if a.cells != nil {
		list = append(list, tools.Grant(sb, func() bool { return len(confine.GPUs()) > 0 }, a.grant))
	}
	if opened.Skills != "" { // also when they are gone since: what the model reads first stays
		list = append(list, skill.Tool(skillFinder(a.cfg, a.cfg.Dir)))
	}
	return tool.NewRouter(a.withSandboxes(ctx, id, append([]tool.Tool{
		tools.Plan(),
		tools.Write(sb),
		tools.Edit(sb),
		tools.Bash(sb, checks.trying),
		tools.JobSubmit(a.jobs, a.quote(ctx), checks, a.beyondCommands(), a.cfg.Dir),
		tools.JobHardware(a.jobs),
		tools.JobWait(waiting, sb),
		tools.JobLogs(a.jobs),
		tools.JobMetrics(&watch.Metrics{Backend: a.jobs, Getenv: commandGetenv(a.cfg, a.here.Rules != nil), Dashboard: a.dashboard}, checks.progressed),
		tools.JobCancel(a.jobs),
		tools.CompareRuns(a.jobs, sb),
		kept.collect(tools.Publish(remote, sb, a.jobs, tools.Provenance{Session: id, Version: Version(), Memory: uploads})),
		tools.HubDownload(remote, sb, a.shared),
		kept.collect(tools.HubFiles(remote, sb, uploads)),
		kept.collect(tools.HubGit(remote)),
		tools.PythonAPI(sb),
		research,
	}, list...))...)
}

// readers are the tools that only read: a sub-agent has them too.
func (a *App) readers() []tool.Tool {
	sb := a.sandbox()
	return append([]tool.Tool{
		tools.Read(sb),
		tools.InspectDataset(sb),
		tools.HubSearch(a.hubClient),
		tools.RepoDetails(a.hubClient),
		tools.InspectHubDataset(a.hubClient),
	}, a.web.tools()...)
}

func (a *App) sandbox() sandbox.Local {
	sb := sandbox.Local{
		Dir: a.cfg.Dir, Env: sandbox.Environ(commandEnv(a.cfg, a.cells != nil)), Vault: a.vault(a.cfg.Dir), Cells: a.cells,
		Hidden: hidden(a.cfg), Shown: shown(a.cfg), Copies: []string{checkpointsOf(a.cfg)}, Locked: confine.ProjectNames(),
	}
	if a.cells != nil {
		sb.Shown = append(sb.Shown, a.cells.Rules().Temp)
		sb.Refused, sb.Ready = a.gate.refused, func(ctx context.Context) func() {
			a.readyCaches()
			return cachesOf(a.cfg).Use(ctx)
		}
	}
	return sb
}

// vault is that of a workspace.
func (a *App) vault(dir string) sandbox.Vault {
	vault := sandbox.NewVault(filepath.Join(a.cfg.Paths.State, "kept"), dir)
	vault.Skip = a.writtenByJobs
	return vault
}

// writtenByJobs are the folders that running jobs of this machine write to: what
// changes there is no command's doing.
func (a *App) writtenByJobs(ctx context.Context) []string {
	jobs, _ := a.here.List(ctx) // those that cannot be read write nothing
	var dirs []string
	for _, j := range jobs {
		if !j.Done() {
			dirs = append(dirs, j.OutputDir)
		}
	}
	return dirs
}

// spill keeps tool results that are too long for the transcript in the
// session's folder.
func (a *App) spill(id string) func(callID, text string) (string, error) {
	return func(callID, text string) (string, error) {
		dir := filepath.Join(a.cfg.Paths.State, "results", id)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("make folder for results: %w", err)
		}
		path := filepath.Join(dir, safeName(callID)+".txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("keep result: %w", err)
		}
		return path, nil
	}
}

// safeName keeps what is harmless in a file name: call ids are the model's.
func safeName(id string) string {
	clean := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, id)
	return clean[:min(len(clean), 100)]
}

// RunningJobs lists the ids of a session's jobs that have not ended. With an
// error it still lists those that could be found.
func (a *App) RunningJobs(ctx context.Context, sessionID string) ([]string, error) {
	jobs, err := a.jobs.List(ctx)
	var running []string
	for _, j := range jobs {
		if strings.HasPrefix(j.Label, sessionID+"/") && !j.Done() {
			running = append(running, j.ID)
		}
	}
	return running, err
}

// Jobs is the backend that runs the jobs.
func (a *App) Jobs() job.Backend { return a.jobs }

// WaitJob blocks until the job has ended and passes progress lines on. Then its
// results are here, or the receipt says why not.
func (a *App) WaitJob(ctx context.Context, id string, log func(line string)) (job.Status, job.Receipt, error) {
	statuses, err := job.Wait(ctx, a.jobs, []string{id}, func(open []job.Progress) { log(job.Summary(open)) })
	if err != nil {
		return job.Status{}, job.Receipt{}, err
	}
	receipt, err := a.keeper().Secure(ctx, id)
	return statuses[0], receipt, err
}

// RunShim is the whole life of a local job's shim; see local.RunShim.
func RunShim(ctx context.Context, folder string) error { return local.RunShim(ctx, folder) }
