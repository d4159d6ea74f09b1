package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
	"ml-intern/internal/tool"
)

// A desk is the part of a job.Set where jobs are priced and sent.
type desk interface {
	Quote(ctx context.Context, spec job.Spec) (job.Quote, error)
	Submit(ctx context.Context, spec job.Spec) (job.Status, error)
	Find(ctx context.Context, label string) (job.Status, error)
}

// A checker looks at jobs before they are sent.
type checker interface {
	Check(ctx context.Context, spec job.Spec, q job.Quote, waivers map[string]string) (preflight.Report, error)

	// Submitted is told of each job that was accepted.
	Submitted(spec job.Spec, id string)
}

// A jobInput is a job as the model asks for it.
type jobInput struct {
	Name    string            `json:"name" jsonschema:"for people: forest-200"`
	Script  string            `json:"script,omitempty" jsonschema:"Python file; its PEP 723 header names what it needs"`
	Command []string          `json:"command,omitempty" jsonschema:"program and arguments, instead of script"`
	Args    []string          `json:"args,omitempty" jsonschema:"of the script"`
	Env     map[string]string `json:"env,omitempty" jsonschema:"besides OUTPUT_DIR and JOB_ID"`
	Secrets []string          `json:"secrets,omitempty" jsonschema:"names of variables whose values it gets: HF_TOKEN"`

	Backend     string `json:"backend,omitempty" jsonschema:"of job_hardware; else this machine or the configured one"`
	Flavor      string `json:"flavor,omitempty" jsonschema:"of job_hardware, or give cpus, gpus and so on"`
	CPUs        int    `json:"cpus,omitempty"`
	MemoryMB    int64  `json:"memory_mb,omitempty"`
	GPUs        int    `json:"gpus,omitempty"`
	GPU         string `json:"gpu,omitempty" jsonschema:"type, such as A100"`
	GPUMemoryMB int64  `json:"gpu_memory_mb,omitempty" jsonschema:"of each GPU at least"`
	TimeLimitS  int    `json:"time_limit_s,omitempty" jsonschema:"else the backend's default, often an hour"`

	Python       string   `json:"python,omitempty" jsonschema:"version"`
	Dependencies []string `json:"dependencies,omitempty" jsonschema:"requirements besides the script's"`
	Image        string   `json:"image,omitempty" jsonschema:"container image"`

	Inputs  []string `json:"inputs,omitempty" jsonschema:"read: hf://TYPE/ID or paths of the workspace"`
	Outputs []string `json:"outputs,omitempty" jsonschema:"left: hf://TYPE/ID or paths in OUTPUT_DIR"`
	Retries int      `json:"retries,omitempty" jsonschema:"after the machine was taken away"`
	Resume  string   `json:"checkpoint,omitempty" jsonschema:"where a retry goes on: hf://TYPE/ID or path in OUTPUT_DIR"`

	Waivers map[string]string `json:"waivers,omitempty" jsonschema:"code of a warning to reason for going on"`
}

func (in jobInput) spec(dir, label string) job.Spec {
	return job.Spec{
		Label: label, Name: in.Name, Backend: in.Backend, Dir: dir,
		Script: in.Script, Command: in.Command, Args: in.Args, Env: in.Env, Secrets: in.Secrets,
		Hardware:  job.Hardware{Flavor: in.Flavor, CPUs: in.CPUs, MemoryMB: in.MemoryMB, GPUs: in.GPUs, GPU: in.GPU, GPUMemoryMB: in.GPUMemoryMB},
		TimeLimit: time.Duration(in.TimeLimitS) * time.Second,
		Python:    in.Python, Dependencies: in.Dependencies, Image: in.Image,
		Inputs: in.Inputs, Outputs: in.Outputs, Retries: in.Retries, Checkpoint: in.Resume,
	}
}

// here is the backend whose jobs run where the agent does.
const here = "local"

// submitImpact judges a submission: by its price, by where it runs and how it
// is held back there, and by the secrets that it gets.
func submitImpact(quote func(job.Spec) (job.Quote, error), confinement, dir string) func(string) tool.Impact {
	return func(args string) tool.Impact {
		i := tool.Impact{Effect: tool.Executes}
		var in jobInput
		if json.Unmarshal([]byte(args), &in) != nil {
			return i
		}
		i.Argv, i.Secrets = in.argv(), in.Secrets
		var reach []string
		q, err := quote(in.spec(dir, ""))
		switch {
		case err != nil:
			i.Hosts = []string{cmp.Or(in.Backend, "unknown")}
			reach = append(reach, fmt.Sprintf("it may run %s beyond this machine (what on is not known: %v)", in.program(), err))
		case q.Backend != here:
			i.Hosts = []string{q.Backend}
			reach = append(reach, fmt.Sprintf("it runs %s beyond this machine, on %s", in.program(), q))
		case confinement == "":
			reach = append(reach, fmt.Sprintf("it runs %s as a job, which nothing confines", in.program()))
		default:
			reach = append(reach, fmt.Sprintf("it runs %s as a job, which reaches the network", in.program()))
		}
		if err == nil && q.Worst() > 0 {
			i.Effect, i.CostUSD = tool.Spends, q.Worst()
		}
		if len(in.Secrets) > 0 {
			reach = append(reach, "it is given "+strings.Join(in.Secrets, ", "))
		}
		if why, public := in.public(); public {
			i.Public = true
			reach = append(reach, "it may show its metrics to everybody, because: "+why)
		}
		i.Outside = strings.Join(reach, "; ")
		if err == nil {
			i.Object = q.String()
		}
		return i
	}
}

// public reports whether the job asks to show something to everybody, and why:
// the checks refuse that unless it is waived, and it is for a person to waive.
func (in jobInput) public() (why string, asked bool) {
	why = strings.TrimSpace(in.Waivers[preflight.CodePublic])
	return shorten(why, 200), why != ""
}

// program is what runs, for the person who is asked.
func (in jobInput) program() string {
	words := in.Command
	if in.Script != "" {
		words = append([]string{in.Script}, in.Args...)
	}
	return shorten(strings.Join(words, " "), 200)
}

// argv is what runs, for rules: a script is Python's.
func (in jobInput) argv() []string {
	if in.Script != "" {
		return append([]string{"python", in.Script}, in.Args...)
	}
	return in.Command
}

// JobSubmit checks a job and starts it with the workspace dir as working
// directory. The call's id is the job's label, so that a submission whose
// answer was lost finds its job again. Calls are judged by quote, and by what
// holds a job of this machine back, in words.
func JobSubmit(d desk, quote func(job.Spec) (job.Quote, error), c checker, confinement, dir string) tool.Tool {
	s := spec("job_submit", tool.Executes)
	s.Resumable = true
	s.Impact = submitImpact(quote, confinement, dir)
	s.Show = showing(func(_ context.Context, in jobInput) string { return in.show(dir) })
	return tool.New(s, func(ctx context.Context, in jobInput, call tool.Call) (tool.Output, error) {
		spec := in.spec(dir, call.ID)
		q, quoteErr := d.Quote(ctx, spec)
		p := submission{d, in, spec, q, call.WorstUSD}
		if call.Again {
			before, err := d.Find(ctx, spec.Label)
			switch {
			case err == nil && (before.Done() || before.Ref != ""):
				return p.sent(before, ""), nil
			case err == nil: // whether it was sent is not known: the label sends it once
				return p.send(ctx, "")
			case !errors.Is(err, job.ErrNotFound):
				return p.unknown(ctx, err), nil
			}
		}
		if quoteErr != nil {
			return tool.Output{}, quoteErr
		}
		if err := affordable(q, call.WorstUSD); err != nil {
			return tool.Output{}, fmt.Errorf("%s was not sent: %w", in.Name, err)
		}
		p.spec.TimeLimit = q.Limit
		report, err := c.Check(ctx, p.spec, q, in.Waivers)
		if err != nil {
			return tool.Output{}, err
		}
		if n := len(report.Blocking()); n > 0 {
			return refused(report, n), nil
		}
		out, err := p.send(ctx, report.String())
		if err == nil && len(out.Artifacts) > 0 {
			c.Submitted(p.spec, out.Facts[0].Name)
		}
		return out, err
	})
}

// affordable says why the job may not cost what it may cost.
func affordable(q job.Quote, worst float64) error {
	switch {
	case q.PriceUnknown:
		return fmt.Errorf("nobody knows what %s of %s costs; the person can set usd_per_hour of %[2]s in the configuration, 0 for free", q.Flavor, q.Backend)
	case q.Worst() > worst+1e-9:
		return fmt.Errorf("it may cost $%.2f, and $%.2f are set aside for it; submit it again", q.Worst(), worst)
	}
	return nil
}

// refused is the whole list of what the checks found.
func refused(report preflight.Report, n int) tool.Output {
	text := fmt.Sprintf("The job was not sent: %d findings are in the way. Correct all of them; a warning that is wrong here can be waived, with its code and the reason.\n%s", n, report)
	return tool.Output{Text: text, IsError: true, Summary: fmt.Sprintf("the job was not sent: %d findings of the checks", n)}
}

// A submission is a job that may be sent.
type submission struct {
	d     desk
	in    jobInput
	spec  job.Spec
	q     job.Quote
	worst float64 // dollars that are set aside for it
}

// send sends the job. What may have arrived is sent again under its label,
// which starts it once; if it still cannot be said, the answer says that.
func (p submission) send(ctx context.Context, checks string) (tool.Output, error) {
	status, err := p.d.Submit(ctx, p.spec)
	for _, pause := range []time.Duration{time.Second, 3 * time.Second, 9 * time.Second} {
		if err == nil {
			break
		}
		if _, findErr := p.find(ctx); errors.Is(findErr, job.ErrNotFound) {
			return tool.Output{}, err // it was not accepted
		}
		select {
		case <-ctx.Done():
			return p.unknown(ctx, err), nil
		case <-time.After(pause):
			var again job.Status
			if again, err = p.d.Submit(ctx, p.spec); err == nil {
				status = again
			}
		}
	}
	if err != nil {
		return p.unknown(ctx, err), nil
	}
	return p.sent(status, checks), nil
}

// find looks for the job, for a short while even if ctx has ended.
func (p submission) find(ctx context.Context) (job.Status, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return p.d.Find(ctx, p.spec.Label)
}

// unknown tells of a job that may have been accepted.
func (p submission) unknown(ctx context.Context, err error) tool.Output {
	text := fmt.Sprintf("%v\nWhether the job was accepted is unknown.", err)
	if s, err := p.find(ctx); err == nil {
		text += fmt.Sprintf(" It is known as %s: ask for it with job_wait before you send it again.", s.ID)
	}
	out := tool.Output{Text: text, IsError: true, Summary: "whether the job was accepted is unknown"}
	if p.worst > 0 {
		out.Charges = []tool.Charge{{Label: p.spec.Label, USD: p.worst}}
	}
	return out
}

// sent tells of a job that was accepted, and what the checks said of it.
func (p submission) sent(status job.Status, checks string) tool.Output {
	type result struct {
		Job       string    `json:"job"`
		State     job.State `json:"state"`
		RunsOn    string    `json:"runs_on,omitempty"`
		OutputDir string    `json:"output_dir,omitempty"`
		Checks    string    `json:"checks,omitempty"`
	}
	on := status.Hardware
	if p.q.Flavor != "" {
		on = p.q.String()
	}
	dir := relative(p.spec.Dir, status.OutputDir)
	out, _ := object(result{status.ID, status.State, on, dir, checks}, fmt.Sprintf("job %s (%s) is %s", status.ID, p.in.Name, status.State))
	switch worst := max(p.q.Worst(), status.Worst(), p.worst); {
	case status.Done():
		out.Charges = finals(p.spec.Label, status)
	case worst > 0:
		out.Charges = []tool.Charge{{Label: p.spec.Label, Job: status.ID, USD: worst}}
	}
	out.Artifacts = []tool.Artifact{{Kind: "job", Path: filepath.ToSlash(status.OutputDir)}}
	out.Facts = []tool.Fact{{Kind: jobFacts, Name: status.ID, Text: fmt.Sprintf("%s: %s, %s on %s; output in %s", p.in.Name, p.in.program(), status.State, on, dir)}}
	return out
}

// finals are the charges of those of the jobs that are over, cost something,
// and were submitted by the session of the call with that ID: another session
// has its own on its own bill.
func finals(callID string, statuses ...job.Status) []tool.Charge {
	session := callID[:strings.LastIndex(callID, "/")+1]
	var all []tool.Charge
	for _, s := range statuses {
		over := s.Done() && (s.State != job.Lost || !s.Finished.IsZero()) // else it stays at its worst
		if over && s.USDPerHour > 0 && session != "" && strings.HasPrefix(s.Label, session) {
			all = append(all, tool.Charge{Label: s.Label, Job: s.ID, USD: s.Cost(), Final: true})
		}
	}
	return all
}
