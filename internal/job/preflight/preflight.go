// Package preflight checks a job before it may start and cost something: that
// its script can run with what will be installed, that its data and models are
// there and fit, that it fits the hardware and the time, and that its results
// outlive it.
//
// Its one rule: a finding is what is known, not what is feared. A script that is
// fine passes clean; what cannot be told is a note, and stops nothing. No line of
// the script, nor of a package, is run for it. The caller owns the decision:
// errors stop a submission, warnings stop it until a reason was recorded in
// Spec.Waivers.
package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/weights"
	"ml-intern/internal/job"
)

// A Job is what is about to be submitted, and what is known around it.
type Job struct {
	Spec  job.Spec
	Offer job.Offer // the hardware that it would get

	// Remote says that the job sees nothing of this machine but its script and
	// its Inputs, and only the packages that it names.
	Remote bool

	Previous       *job.Spec // of the run before, nil if there was none
	PreviousScript string    // the text that ran then

	SmokePassed bool          // a few steps on a little data went well before, with this script
	StepTime    time.Duration // of one optimizer step, as the smoke step measured it; 0 if it did not
	BatchOpen   string        // a job of the same batch that has not shown progress yet; "" if there is none
}

// Hub is the part of a hub.Client that the checks use.
type Hub interface {
	RepoInfo(ctx context.Context, repo hub.RepoID, rev string) (hub.Info, error)
	CheckAccess(ctx context.Context, repo hub.RepoID, write bool) error
	Weights(ctx context.Context, repo hub.RepoID, rev string) (*weights.Summary, error)
	Download(ctx context.Context, repo hub.RepoID, rev, path string, w io.Writer) (hub.FileInfo, error)
	Viewer(dataset hub.RepoID) hub.Viewer
}

// Python runs a small program of ours, which runs nothing of the script.
type Python interface {
	Run(ctx context.Context, p Program) ([]byte, error)
}

// Packages knows which packages would be installed, and what is in them.
type Packages interface {
	// Resolve returns the version of every package that the needs bring.
	Resolve(ctx context.Context, n Needs) (map[string]string, error)

	// Unpack returns a folder with the modules of one package.
	Unpack(ctx context.Context, name, version string, n Needs) (string, error)
}

// World is what the checks look at. What is nil is not asked, and a note says so.
type World struct {
	Hub      Hub
	Python   Python
	Packages Packages
	Files    fs.FS // the workspace; Spec.Dir on this machine if nil
}

// Severity says what a finding does to a submission.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // stops it
	Warning Severity = "warning" // stops it until there is a waiver
	Note    Severity = "note"    // for whoever reads it
)

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// A Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Code     string   `json:"code"` // what was checked, one of the Code constants
	Severity Severity `json:"severity"`
	Sentence string   `json:"sentence"`
	Fix      string   `json:"fix,omitempty"`
	Line     int      `json:"line,omitempty"`   // of the script, 0 if it is not about a line
	Waiver   string   `json:"waiver,omitempty"` // of a warning: the recorded reason to go on
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
	CodeMemory    = "memory"      // it fits
	CodeTime      = "time-limit"  // there is enough time
	CodeResults   = "results"     // they outlive the job
	CodeSecret    = "secret"      // those that are read are given
	CodeUnused    = "secret-idle" // those that are given are read
	CodeEnv       = "environment" // other variables likewise
	CodePath      = "path"        // files are where the job runs
	CodeSmoke     = "smoke"       // it was tried before it costs
	CodeBatch     = "batch"       // the first of a batch goes alone
	CodeChanged   = "changed"     // since the run before
	CodeUnchecked = "unchecked"   // what could not be told, and why
)

// A Report is all findings at once, errors first.
type Report struct {
	Findings []Finding `json:"findings"`
	Diff     string    `json:"diff,omitempty"`   // since the run before, as a unified diff
	Memory   *Estimate `json:"memory,omitempty"` // nil if none could be made
}

// Stops lists what is in the way of the submission: errors, and warnings that
// nobody has waived.
func (r Report) Stops() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		return f.Severity == Note || f.Severity == Warning && f.Waiver != ""
	})
}

// String is the report for people and models, a finding a paragraph.
func (r Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s", f.Severity, f.Code, f.Sentence)
		if f.Line > 0 {
			fmt.Fprintf(&b, " (line %d)", f.Line)
		}
		if f.Fix != "" {
			fmt.Fprintf(&b, "\n  fix: %s", f.Fix)
		}
		if f.Waiver != "" {
			fmt.Fprintf(&b, "\n  waived: %s", f.Waiver)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// checkLimit bounds all checks together: the Hub or an index may be slow.
const checkLimit = 3 * time.Minute

// Check looks at everything at once. What could not be looked at is a note.
func Check(ctx context.Context, j Job, w World) Report {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	c := &check{Job: j, world: w}
	if w.Files == nil {
		c.world.Files = os.DirFS(j.Spec.Dir)
	}
	c.run(ctx)
	c.report.Diff = c.changes()
	c.report.Findings = settle(c.report.Findings, j.Spec.Waivers)
	return c.report
}

// check is one run of the checks.
type check struct {
	Job
	world  World
	source []byte
	facts  *facts // nil if Python could not say

	mu     sync.Mutex
	report Report
}

func (c *check) run(ctx context.Context) {
	c.money()
	if err := c.Offer.Fits(c.Spec.Hardware); err != nil {
		c.add(Finding{Code: CodeMemory, Severity: Error, Sentence: "the hardware does not do for the job: " + err.Error(), Fix: "choose other hardware, or ask for less"})
	}
	if c.Spec.Script == "" {
		c.command()
		return
	}
	if !c.readScript() {
		return
	}
	c.analyse(ctx)
	if c.facts == nil {
		return
	}
	c.secrets()
	c.paths()
	c.results()
	c.leaks()
	var wg sync.WaitGroup
	wg.Go(func() { c.packages(ctx) })
	wg.Go(func() { c.data(ctx) })
	wg.Go(func() { c.models(ctx) })
	wg.Wait()
	c.unusedSecrets()
}

// command is a job that is not a script of Python: little can be told.
func (c *check) command() {
	c.note(CodeUnchecked, "the job is a command, so only its hardware, limit and money were checked")
	if c.Spec.TimeLimit == 0 && c.Remote {
		c.timeLimit(nil)
	}
	c.argumentPaths()
}

// maxScript is the largest script that is looked at.
const maxScript = 16 << 20

func (c *check) readScript() bool {
	name := path.Clean(filepath.ToSlash(c.Spec.Script))
	fail := func(why string) bool {
		c.add(Finding{Code: CodeScript, Severity: Error, Sentence: "the script " + c.Spec.Script + " cannot be read: " + why, Fix: "name a Python file inside the workspace"})
		return false
	}
	if !filepath.IsLocal(c.Spec.Script) {
		return fail("it is not inside the workspace")
	}
	info, err := fs.Stat(c.world.Files, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file")
	case err != nil:
		return fail(err.Error())
	case !info.Mode().IsRegular():
		return fail("it is not a file")
	case info.Size() > maxScript:
		return fail(fmt.Sprintf("it has %d bytes, more than any script", info.Size()))
	}
	if c.source, err = fs.ReadFile(c.world.Files, name); err != nil {
		return fail(err.Error())
	}
	if len(strings.TrimSpace(string(c.source))) == 0 {
		return fail("it is empty")
	}
	return true
}

func (c *check) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, f)
}

func (c *check) note(code, format string, args ...any) {
	c.add(Finding{Code: code, Severity: Note, Sentence: fmt.Sprintf(format, args...)})
}

// settle sorts the findings, drops those said twice and enters the waivers.
func settle(all []Finding, waivers map[string]string) []Finding {
	for i, f := range all {
		if f.Severity == Warning {
			all[i].Waiver = strings.TrimSpace(waivers[f.Code])
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Sentence, b.Sentence))
	})
	return slices.Compact(all)
}
