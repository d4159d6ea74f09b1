package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"ml-intern/internal/job"
	"ml-intern/internal/job/preflight"
	"ml-intern/internal/tool"
)

// A desk is the part of a job.Set where jobs are priced and sent.
type desk interface {
	Quote(ctx context.Context, spec job.Spec) (job.Quote, error)
	Submit(ctx context.Context, spec job.Spec) (job.Status, error)
	SubmitAll(ctx context.Context, specs []job.Spec) ([]job.Status, error)
	Find(ctx context.Context, label string) (job.Status, error)
}

// A checker looks at jobs before they are sent: one, or those of a sweep.
type checker interface {
	Check(ctx context.Context, specs []job.Spec, q job.Quote, waivers map[string]string) (preflight.Report, error)

	// Submitted is told of each job that was accepted.
	Submitted(spec job.Spec, id string)
}

// A jobInput is a job as the model asks for it.
type jobInput struct {
	Name    string            `json:"name" jsonschema:"for people: forest-200"`
	Script  string            `json:"script,omitempty" jsonschema:"Python file with a PEP 723 header"`
	Command []string          `json:"command,omitempty" jsonschema:"program and arguments, instead of script"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Secrets []string          `json:"secrets,omitempty" jsonschema:"names of variables it gets: HF_TOKEN"`

	Backend     string `json:"backend,omitempty" jsonschema:"of job_hardware; else the configured one"`
	Flavor      string `json:"flavor,omitempty" jsonschema:"of job_hardware, or give cpus, gpus …"`
	CPUs        int    `json:"cpus,omitempty"`
	MemoryMB    int64  `json:"memory_mb,omitempty"`
	GPUs        int    `json:"gpus,omitempty"`
	GPU         string `json:"gpu,omitempty"`
	GPUMemoryMB int64  `json:"gpu_memory_mb,omitempty"`
	TimeLimitS  int    `json:"time_limit_s,omitempty" jsonschema:"default often an hour"`

	Python       string   `json:"python,omitempty"`
	Dependencies []string `json:"dependencies,omitempty"`
	Image        string   `json:"image,omitempty"`

	Inputs  []string `json:"inputs,omitempty" jsonschema:"hf://TYPE/ID or workspace paths"`
	Outputs []string `json:"outputs,omitempty" jsonschema:"hf://TYPE/ID or paths in OUTPUT_DIR"`
	Retries int      `json:"retries,omitempty" jsonschema:"after the machine was taken away"`
	Resume  string   `json:"checkpoint,omitempty" jsonschema:"where a retry goes on, likewise"`

	Sweep []map[string]string `json:"sweep,omitempty" jsonschema:"a job each: {LR: 1e-4} for env, {--lr: 1e-4} for args"`

	Waivers map[string]string `json:"waivers,omitempty" jsonschema:"warning code: why to go on"`
}

func (in jobInput) spec(dir, label string) job.Spec {
	return job.Spec{
		Label: label, Name: shorten(printable(in.Name), 100), Backend: in.Backend, Dir: dir,
		Script: in.Script, Command: in.Command, Args: in.Args, Env: in.Env, Secrets: in.Secrets,
		Hardware:  job.Hardware{Flavor: in.Flavor, CPUs: in.CPUs, MemoryMB: in.MemoryMB, GPUs: in.GPUs, GPU: in.GPU, GPUMemoryMB: in.GPUMemoryMB},
		TimeLimit: seconds(in.TimeLimitS),
		Python:    in.Python, Dependencies: in.Dependencies, Image: in.Image,
		Inputs: in.Inputs, Outputs: in.Outputs, Retries: in.Retries, Checkpoint: in.Resume,
	}
}

// specs are the jobs of a call: one, or those of a sweep.
func (in jobInput) specs(dir, label string) []job.Spec {
	one := in.spec(dir, label)
	if len(in.Sweep) == 0 {
		return []job.Spec{one}
	}
	all := make([]job.Spec, len(in.Sweep))
	for i, setting := range in.Sweep {
		all[i] = member(one, setting)
		all[i].Label = job.MemberLabel(label, i)
	}
	return all
}

// printable is a name that does nothing to the terminal that shows it.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, name)
}

// member is a job of a sweep: what is named like an option is an argument, the
// rest are variables.
func member(spec job.Spec, setting map[string]string) job.Spec {
	spec.Args, spec.Env = slices.Clone(spec.Args), maps.Clone(spec.Env)
	if spec.Env == nil {
		spec.Env = make(map[string]string)
	}
	for _, name := range slices.Sorted(maps.Keys(setting)) {
		value := setting[name]
		spec.Name += " " + strings.TrimLeft(name, "-") + "=" + value
		switch {
		case !strings.HasPrefix(name, "-"):
			spec.Env[name] = value
		case value == "": // a switch
			spec.Args = append(spec.Args, name)
		default:
			spec.Args = append(spec.Args, name, value)
		}
	}
	spec.Name = shorten(printable(spec.Name), 100)
	return spec
}

// here is the backend whose jobs run where the agent does.
const here = "local"

// submitImpact judges a submission: by its price, by where it runs and what it
// may there beyond a command, and by the secrets that it gets.
func submitImpact(quote func(job.Spec) (job.Quote, error), beyond, dir string) func(string) tool.Impact {
	return func(args string) tool.Impact {
		i := tool.Impact{Effect: tool.Executes}
		var in jobInput
		if json.Unmarshal([]byte(args), &in) != nil {
			return i
		}
		i.Argv, i.Secrets = in.argv(), in.Secrets
		var reach []string
		specs := in.specs(dir, "")
		q, err := quote(specs[0])
		q.Jobs = len(specs)
		switch {
		case err != nil:
			i.Hosts = []string{cmp.Or(in.Backend, "unknown")}
			reach = append(reach, fmt.Sprintf("it may run %s beyond this machine (what on is not known: %v)", in.program(), err))
		case q.Backend != here:
			i.Hosts = []string{q.Backend}
			reach = append(reach, fmt.Sprintf("it runs %s beyond this machine, on %s", in.program(), q))
		case beyond != "":
			reach = append(reach, fmt.Sprintf("it runs %s as a job, which %s", in.program(), beyond))
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

// JobSubmit checks a job, or the jobs of a sweep, and starts it with the
// workspace dir as working directory. The call's id is the job's label, so that
// a submission whose answer was lost finds its job again. Calls are judged by
// quote, and by what a job of this machine may beyond a command, in words.
func JobSubmit(d desk, quote func(job.Spec) (job.Quote, error), c checker, beyond, dir string) tool.Tool {
	s := spec("job_submit", tool.Executes)
	s.Resumable = true
	s.Impact = submitImpact(quote, beyond, dir)
	s.Show = showing(func(_ context.Context, in jobInput) string { return in.show(dir) })
	return tool.New(s, func(ctx context.Context, in jobInput, call tool.Call) (tool.Output, error) {
		if len(in.Sweep) > job.MaxSweep {
			return badArgs("a sweep has at most %d jobs, not %d", job.MaxSweep, len(in.Sweep)), nil
		}
		p := submission{desk: d, in: in, worst: call.WorstUSD}
		p.open(in.specs(dir, call.ID))
		quoteErr := p.quote(ctx)
		if call.Again {
			if out, finished := p.finish(ctx, quoteErr); finished {
				return out, nil
			}
		}
		if quoteErr != nil {
			return tool.Output{}, fmt.Errorf("%s was not sent: %w", in.Name, quoteErr)
		}
		report, err := c.Check(ctx, p.specs(), p.q, in.Waivers)
		if err != nil {
			return tool.Output{}, err
		}
		if n := len(report.Blocking()); n > 0 {
			return refused(report, n), nil
		}
		err = p.send(ctx)
		for _, m := range p.members {
			if m.sent {
				c.Submitted(m.spec, m.status.ID)
			}
		}
		if err != nil {
			return p.failed(err)
		}
		return p.sent(report.String()), nil
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
	text := fmt.Sprintf("The job was not sent: findings in the way: %d. Correct all of them; a warning that is wrong here can be waived, with its code and the reason.\n%s", n, report)
	return tool.Output{Text: text, IsError: true, Summary: fmt.Sprintf("the job was not sent: %d findings of the checks", n)}
}
