// Package preflight checks a job before it may start and cost something: that
// its script can run with what will be installed, that its data and models are
// there and fit, that it fits the hardware and the time, and that its results
// outlive it.
//
// Its one rule: a finding is what is known, not what is feared. A script that is
// fine passes clean; what cannot be told is a note, and stops nothing. No line of
// the script, nor of a package, is run for it. The caller owns the decision:
// errors stop a submission, and so do warnings that nobody has waived.
package preflight

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/weights"
	"ml-intern/internal/job"
)

// A Request is a job that is about to be submitted, and whom to ask about it.
// Whoever is nil is not asked, and a note says so.
type Request struct {
	Spec    job.Spec
	Others  []job.Spec        // the rest of a sweep, which differ from Spec in Args, Env and Name
	Offer   job.Offer         // the hardware that it would get
	Jobs    int               // that would start together, of which Spec is the first; 0 means 1
	Waivers map[string]string // of warnings, by their code: the reason to go on

	// Remote says that the job sees nothing of this machine but its script and
	// its Inputs.
	Remote bool

	Account   *hub.Account // whose token the job gets, nil if that is not known
	Hub       Hub
	Python    Python
	Packages  Packages
	Installed Installed // asked if the job is not Remote and names no packages
	Earlier   Earlier
	Files     fs.FS // the workspace; Spec.Dir on this machine if nil

	// MayRead says why a file of the workspace on this machine is not to be
	// quoted; nil for no such file.
	MayRead func(name string) error
}

// Hub is the part of a hub.Client that the checks use.
type Hub interface {
	RepoInfo(ctx context.Context, repo hub.RepoID, rev string) (hub.Info, error)
	CheckAccess(ctx context.Context, repo hub.RepoID, write bool) error
	Weights(ctx context.Context, repo hub.RepoID, rev string) (*weights.Summary, error)
	Download(ctx context.Context, repo hub.RepoID, rev, path string, w io.Writer) (hub.FileInfo, error)
	Viewer(dataset hub.RepoID) hub.Viewer
}

// Earlier knows the jobs before this one. History is one.
type Earlier interface {
	// Smoke is the trial of the script with this hash that went well.
	Smoke(ctx context.Context, sha256 string) (Smoke, bool)

	// Previous is the newest job of the spec's script, or name.
	Previous(ctx context.Context, spec job.Spec) (Run, bool)

	// Proven reports whether a job of the script with this hash has shown
	// progress.
	Proven(ctx context.Context, sha256 string) bool

	// Unproven is the id of a job of the script with this hash that runs, or
	// waits to, and has not shown progress yet.
	Unproven(ctx context.Context, sha256 string) (id string, ok bool)
}

// A Smoke is a few steps on a little data that went well.
type Smoke struct {
	SHA256   string        `json:"sha256"`              // of the script
	StepTime time.Duration `json:"step_time,omitempty"` // of an optimizer step; 0 if it was not measured
	Flavor   string        `json:"flavor,omitempty"`    // the hardware that it was measured on
}

// A Run is a job that was submitted, with the text of its script.
type Run struct {
	ID     string   `json:"id"`
	Spec   job.Spec `json:"spec"`
	Script string   `json:"script"`
}

// Level says what a finding does to a submission.
type Level string

// The levels.
const (
	Error   Level = "error"   // stops it
	Warning Level = "warning" // stops it until there is a waiver
	Note    Level = "note"    // for whoever reads it
)

func (l Level) rank() int { return slices.Index([]Level{Error, Warning, Note}, l) }

// A Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Code     string `json:"code"` // what was checked, one of the Code constants
	Level    Level  `json:"level"`
	Text     string `json:"text"` // a sentence
	Fix      string `json:"fix,omitempty"`
	Line     int    `json:"line,omitempty"`     // of the script, 0 if it is not about a line
	Settings string `json:"settings,omitempty"` // jobs of a sweep that it is about, in words; all if empty
	Waiver   string `json:"waiver,omitempty"`   // of a warning: the recorded reason to go on
}

// What is checked.
const (
	CodeScript    = "script"      // it can be read
	CodeSyntax    = "syntax"      // it is Python
	CodeImport    = "import"      // modules and names exist
	CodePackages  = "packages"    // what it names can be installed together
	CodeArgument  = "argument"    // callables take the arguments that they are given
	CodeDataset   = "dataset"     // data sets, configurations and splits exist
	CodeColumns   = "columns"     // columns are what the trainer wants
	CodeLeak      = "leak"        // what is evaluated on was not trained on
	CodeModel     = "model"       // models exist
	CodeAccess    = "access"      // this account may read and write what it must
	CodeLicence   = "licence"     // licences allow it
	CodeHardware  = "hardware"    // it has what the script asks for
	CodeMemory    = "memory"      // it fits
	CodeTime      = "time-limit"  // there is enough time
	CodeResults   = "results"     // they outlive the job
	CodeSecret    = "secret"      // those that are read are given
	CodeUnused    = "secret-idle" // those that are given are read
	CodeEnv       = "environment" // other variables likewise
	CodePath      = "path"        // files are where the job runs
	CodeBoard     = "dashboard"   // that of Trackio is ours, and is one
	CodePublic    = "public"      // nothing is shown to everybody; a person alone may waive it
	CodeSmoke     = "smoke"       // it was tried before it costs
	CodeBatch     = "batch"       // the first of a batch goes alone
	CodeUnchecked = "unchecked"   // what could not be told, and why
)

// A Report is all findings at once, errors first.
type Report struct {
	SHA256   string    `json:"sha256,omitempty"` // of the script
	Findings []Finding `json:"findings"`
	Diff     string    `json:"diff,omitempty"`   // since the job before; "" if there was none or nothing changed
	Memory   *Estimate `json:"memory,omitempty"` // nil if none could be made
	Duration *Duration `json:"duration,omitempty"`
}

// Blocking lists what is in the way of the submission: errors, and warnings
// that nobody has waived.
func (r Report) Blocking() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		return f.Level == Note || f.Level == Warning && f.Waiver != ""
	})
}

// String is the report for models and people, a finding a paragraph.
func (r Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s", f.Level, f.Code)
		if f.Line > 0 {
			fmt.Fprintf(&b, " (line %d)", f.Line)
		}
		if f.Settings != "" {
			fmt.Fprintf(&b, " (of %s)", f.Settings)
		}
		fmt.Fprintf(&b, ": %s\n", f.Text)
		if f.Fix != "" {
			fmt.Fprintf(&b, "  fix: %s\n", f.Fix)
		}
		if f.Waiver != "" {
			fmt.Fprintf(&b, "  waived: %s\n", f.Waiver)
		}
	}
	if r.Memory != nil {
		fmt.Fprintf(&b, "memory: %s\n", r.Memory)
	}
	if r.Duration != nil {
		fmt.Fprintf(&b, "time: %s\n", r.Duration)
	}
	if r.Diff != "" {
		fmt.Fprintf(&b, "changed since the job before:\n%s", r.Diff)
	}
	return b.String()
}

// checkLimit bounds all checks together: the Hub or an index may be slow.
const checkLimit = 2 * time.Minute

// Check looks at everything at once. What could not be looked at is a note; an
// error means that the spec is none, or that ctx has ended.
func Check(ctx context.Context, r Request) (Report, error) {
	for _, spec := range append([]job.Spec{r.Spec}, r.Others...) {
		if err := spec.Check(); err != nil {
			return Report{}, fmt.Errorf("check job: %w", err)
		}
	}
	if err := checkWaivers(r.Waivers); err != nil {
		return Report{}, fmt.Errorf("check job: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	look := r.one
	if len(r.Others) > 0 {
		look = r.sweep
	}
	report := look(limited)
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("check job: %w", err)
	}
	report.Findings = settle(report.Findings, r.Waivers)
	return report, nil
}

// one looks at one job.
func (r Request) one(ctx context.Context) Report {
	c := &check{Request: r}
	if c.Files == nil {
		c.Files, c.disk = os.DirFS(r.Spec.Dir), true
	}
	c.run(ctx)
	return c.report
}

// check is one run of the checks.
type check struct {
	Request
	script string   // its path in the workspace, with slashes
	args   []string // that the script gets
	disk   bool     // Files is the workspace on this machine
	source []byte
	facts  *facts // nil if Python could not say
	train  *training

	mu      sync.Mutex
	report  Report
	private []string // repositories that need a token
	size    extent   // of what is trained on

	versions map[string]string // of the packages that the job gets, nil if they are not known
	boards   []board           // dashboards that it makes or writes to
}

func (c *check) run(ctx context.Context) {
	if err := c.Offer.Fits(c.Spec.Hardware); err != nil {
		c.fail(Finding{Code: CodeHardware, Text: "the hardware does not do for the job: " + err.Error(), Fix: "choose other hardware, or ask for less"})
	}
	if !c.findScript() {
		c.command(ctx)
		return
	}
	if !c.readScript() {
		return
	}
	c.batch(ctx)
	c.changes(ctx)
	c.analyse(ctx)
	if c.facts == nil {
		c.limit(false)
		c.tried(ctx)
		return
	}
	c.train = c.training()
	c.paths()
	c.results()
	c.leaks()
	c.hardware()
	c.rewards()
	var wg sync.WaitGroup
	wg.Go(func() { c.packages(ctx) })
	wg.Go(func() { c.data(ctx) })
	wg.Go(func() { c.models(ctx) })
	wg.Go(func() { c.writable(ctx) })
	wg.Wait()
	c.dashboards(ctx)
	c.secrets()
	c.limit(c.trains())
	c.duration(c.tried(ctx))
}

func (c *check) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, f)
}

func (c *check) fail(f Finding) {
	f.Level = Error
	c.add(f)
}

func (c *check) warn(f Finding) {
	f.Level = Warning
	c.add(f)
}

func (c *check) note(code, format string, args ...any) {
	c.add(Finding{Code: code, Level: Note, Text: fmt.Sprintf(format, args...)})
}

// settle sorts the findings, drops those said twice and enters the waivers.
func settle(all []Finding, waivers map[string]string) []Finding {
	for i, f := range all {
		if f.Level == Warning {
			all[i].Waiver = strings.TrimSpace(waivers[f.Code])
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Level.rank(), b.Level.rank()), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(all)
}
