package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// A desk is the part of a job.Set where jobs are priced and sent.
type desk interface {
	Quote(ctx context.Context, spec job.Spec) (job.Quote, error)
	Submit(ctx context.Context, spec job.Spec) (job.Status, error)
	Find(ctx context.Context, label string) (job.Status, error)
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

// JobSubmit starts a job with the workspace dir as working directory. The
// call's id is the job's label, so that a submission whose answer was lost
// finds its job again.
func JobSubmit(d desk, dir string) tool.Tool {
	type result struct {
		Job       string    `json:"job"`
		State     job.State `json:"state"`
		RunsOn    string    `json:"runs_on"`
		OutputDir string    `json:"output_dir,omitempty"`
	}
	s := spec("job_submit", tool.Executes)
	s.Resumable = true
	s.Impact = submitImpact(d, dir)
	return tool.New(s, func(ctx context.Context, in jobInput, call tool.Call) (tool.Output, error) {
		spec := in.spec(dir, call.ID)
		status, q, err := send(ctx, d, spec, call.WorstUSD)
		if err != nil && status.ID == "" {
			return tool.Output{}, err
		}
		out, _ := object(result{status.ID, status.State, q.String(), relative(dir, status.OutputDir)}, fmt.Sprintf("job %s (%s) is %s", status.ID, in.Name, status.State))
		if err != nil {
			out.IsError = true
			out.Text = fmt.Sprintf("%v\nWhether the job was accepted is unknown. It is known as %s: ask for it with job_wait before you send it again.", err, status.ID)
		}
		if q.Worst() > 0 {
			out.Charges = []tool.Charge{{Job: status.ID, USD: q.Worst()}}
		}
		out.Artifacts = []tool.Artifact{{Kind: "job", Path: filepath.ToSlash(status.OutputDir)}}
		out.Facts = []tool.Fact{{Kind: jobFacts, Name: status.ID, Text: fmt.Sprintf("%s: %s %s, %s on %s; output in %s",
			in.Name, in.program(), strings.Join(in.Args, " "), status.State, q, relative(dir, status.OutputDir))}}
		return out, nil
	})
}

// send submits the job if it is not there yet. An error with a status means
// that it may be.
func send(ctx context.Context, d desk, spec job.Spec, worst float64) (job.Status, job.Quote, error) {
	q, err := d.Quote(ctx, spec)
	if before, findErr := d.Find(ctx, spec.Label); findErr == nil && err != nil {
		return before, q, nil // an earlier try got so far; prices do not matter any more
	}
	switch {
	case err != nil:
		return job.Status{}, q, err
	case q.PriceUnknown:
		return job.Status{}, q, fmt.Errorf("nobody knows what %s of %s costs, so nothing was sent; the person can set usd_per_hour of %[2]s in the configuration, 0 for free", q.Flavor, q.Backend)
	case q.Worst() > worst+1e-9:
		return job.Status{}, q, fmt.Errorf("%s was not sent: it may cost $%.2f, and $%.2f are set aside for it; submit it again", spec.Name, q.Worst(), worst)
	}
	spec.TimeLimit = q.Limit
	status, err := d.Submit(ctx, spec)
	if err == nil {
		return status, q, nil
	}
	if before, findErr := d.Find(context.WithoutCancel(ctx), spec.Label); findErr == nil {
		return before, q, err
	} else if !errors.Is(findErr, job.ErrNotFound) {
		err = errors.Join(err, findErr)
	}
	return job.Status{}, q, err
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
