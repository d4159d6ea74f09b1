package tools

import (
	"context"
	"encoding/json"
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
	Name    string            `json:"name" jsonschema:"short, for people: forest-200"`
	Script  string            `json:"script,omitempty" jsonschema:"a Python file of the workspace; its PEP 723 header names what it needs"`
	Command []string          `json:"command,omitempty" jsonschema:"a program and its arguments, instead of script"`
	Args    []string          `json:"args,omitempty" jsonschema:"arguments of the script"`
	Env     map[string]string `json:"env,omitempty" jsonschema:"variables besides OUTPUT_DIR and JOB_ID"`
	Secrets []string          `json:"secrets,omitempty" jsonschema:"names of variables whose values the job gets, such as HF_TOKEN"`

	Backend     string `json:"backend,omitempty" jsonschema:"one of job_hardware; this machine or the configured one if not given"`
	Flavor      string `json:"flavor,omitempty" jsonschema:"one of job_hardware; or say what it needs:"`
	CPUs        int    `json:"cpus,omitempty"`
	MemoryMB    int64  `json:"memory_mb,omitempty"`
	GPUs        int    `json:"gpus,omitempty"`
	GPU         string `json:"gpu,omitempty" jsonschema:"type, such as A100"`
	GPUMemoryMB int64  `json:"gpu_memory_mb,omitempty" jsonschema:"of each GPU at least"`
	TimeLimitS  int    `json:"time_limit_s,omitempty" jsonschema:"seconds after which it is stopped; the backend's default, often an hour, if not given"`

	Python       string   `json:"python,omitempty" jsonschema:"version"`
	Dependencies []string `json:"dependencies,omitempty" jsonschema:"requirements besides the script's"`
	Image        string   `json:"image,omitempty" jsonschema:"container image"`

	Inputs  []string `json:"inputs,omitempty" jsonschema:"what it reads: hf://TYPE/ID or paths of the workspace"`
	Outputs []string `json:"outputs,omitempty" jsonschema:"where its results must be afterwards: hf://TYPE/ID, or paths in OUTPUT_DIR"`
	Retries int      `json:"retries,omitempty" jsonschema:"runs again, at most, after the machine was taken away"`
	Resume  string   `json:"checkpoint,omitempty" jsonschema:"where a rerun goes on: hf://TYPE/ID, or a path in OUTPUT_DIR"`

	Waivers map[string]string `json:"waivers,omitempty" jsonschema:"warnings of the checks to go on in spite of: code and reason"`
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

// quoteLimit is how long one waits for a price before the call is judged.
const quoteLimit = 20 * time.Second

// submitImpact judges a submission: by its price, by where it runs, and by the
// secrets that it gets.
func submitImpact(d desk, dir string) func(string) tool.Impact {
	return func(args string) tool.Impact {
		i := tool.Impact{Effect: tool.Executes}
		var in jobInput
		if json.Unmarshal([]byte(args), &in) != nil {
			return i
		}
		ctx, cancel := context.WithTimeout(context.Background(), quoteLimit)
		defer cancel()
		q, err := d.Quote(ctx, in.spec(dir, ""))
		if err != nil {
			return i // then nothing is sent: Run asks again, and may spend nothing
		}
		if q.Worst() > 0 {
			i.Effect, i.CostUSD = tool.Spends, q.Worst()
		}
		var reach []string
		if q.Backend != here {
			reach = append(reach, fmt.Sprintf("it runs %s beyond this machine, on %s", in.program(), q))
		}
		if len(in.Secrets) > 0 {
			reach = append(reach, "it is given "+strings.Join(in.Secrets, ", "))
		}
		i.Outside, i.Object = strings.Join(reach, "; "), q.String()
		return i
	}
}

func (in jobInput) program() string {
	if in.Script != "" {
		return in.Script
	}
	return strings.Join(in.Command[:min(len(in.Command), 1)], "")
}

// JobSubmit checks a job and starts it with the workspace dir as working
// directory. The call's id is the job's label, so that a submission whose
// answer was lost finds its job again.
func JobSubmit(d desk, c checker, dir string) tool.Tool {
	s := spec("job_submit", tool.Executes)
	s.Resumable = true
	s.Impact = submitImpact(d, dir)
	return tool.New(s, func(ctx context.Context, in jobInput, call tool.Call) (tool.Output, error) {
		spec := in.spec(dir, call.ID)
		q, quoteErr := d.Quote(ctx, spec)
		status, err := d.Find(ctx, spec.Label)
		if err == nil {
			return sent(in, status, q, dir), nil // an earlier try got so far
		}
		if quoteErr != nil {
			return tool.Output{}, quoteErr
		}
		if err := affordable(q, call.WorstUSD); err != nil {
			return tool.Output{}, fmt.Errorf("%s was not sent: %w", in.Name, err)
		}
		spec.TimeLimit = q.Limit
		report, err := c.Check(ctx, spec, q, in.Waivers)
		if err != nil {
			return tool.Output{}, err
		}
		if n := len(report.Blocking()); n > 0 {
			return refused(report, n), nil
		}
		return submit(ctx, d, c, in, spec, q, report)
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

// submit sends a job that may be sent.
func submit(ctx context.Context, d desk, c checker, in jobInput, spec job.Spec, q job.Quote, report preflight.Report) (tool.Output, error) {
	status, err := d.Submit(ctx, spec)
	if err != nil {
		var findErr error
		status, findErr = d.Find(context.WithoutCancel(ctx), spec.Label)
		if findErr != nil {
			return tool.Output{}, err // it was not accepted
		}
	}
	c.Submitted(spec, status.ID)
	out := sent(in, status, q, spec.Dir)
	if err != nil {
		out.IsError = true
		out.Text = fmt.Sprintf("%v\nWhether the job was accepted is unknown. It is known as %s: ask for it with job_wait before you send it again.", err, status.ID)
	}
	if text := report.String(); text != "" {
		out.Text += "\nThe checks say:\n" + text
	}
	return out, nil
}

// sent tells of a job that was accepted.
func sent(in jobInput, status job.Status, q job.Quote, dir string) tool.Output {
	type result struct {
		Job       string    `json:"job"`
		State     job.State `json:"state"`
		RunsOn    string    `json:"runs_on"`
		OutputDir string    `json:"output_dir,omitempty"`
	}
	out, _ := object(result{status.ID, status.State, q.String(), relative(dir, status.OutputDir)}, fmt.Sprintf("job %s (%s) is %s", status.ID, in.Name, status.State))
	if q.Worst() > 0 {
		out.Charges = []tool.Charge{{Job: status.ID, USD: q.Worst()}}
	}
	out.Artifacts = []tool.Artifact{{Kind: "job", Path: filepath.ToSlash(status.OutputDir)}}
	out.Facts = []tool.Fact{{Kind: jobFacts, Name: status.ID, Text: fmt.Sprintf("%s: %s %s, %s on %s; output in %s",
		in.Name, in.program(), strings.Join(in.Args, " "), status.State, q, relative(dir, status.OutputDir))}}
	return out
}

// finals are the charges of those of the jobs that are over and cost something.
func finals(statuses ...job.Status) []tool.Charge {
	var all []tool.Charge
	for _, s := range statuses {
		if s.Done() && s.USDPerHour > 0 {
			all = append(all, tool.Charge{Job: s.ID, USD: s.Cost(), Final: true})
		}
	}
	return all
}
