package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A JobStage is where a job of the Hub is in its life.
type JobStage string

// The stages of a job. The Hub may have others.
const (
	JobScheduling JobStage = "SCHEDULING"
	JobRunning    JobStage = "RUNNING"
	JobCompleted  JobStage = "COMPLETED"
	JobCanceled   JobStage = "CANCELED"
	JobFailed     JobStage = "ERROR"
	JobDeleted    JobStage = "DELETED"
)

// Done reports whether nothing will change any more. A stage that is not known
// may pass.
func (s JobStage) Done() bool {
	return slices.Contains([]JobStage{JobCompleted, JobCanceled, JobFailed, JobDeleted}, s)
}

// A JobSpec is a job for the Hub's machines.
type JobSpec struct {
	Image    string // of a container; or a Space, as hf.co/spaces/OWNER/NAME
	Command  []string
	Args     []string          // after Command
	Env      map[string]string // in the clear
	Secrets  map[string]string // like Env, but nobody can read them back
	Flavor   string            // the hardware; cpu-basic if ""
	Timeout  time.Duration     // the Hub's 30 minutes if 0
	Attempts int               // how often it may be started; 1 if 0
	Arch     string            // amd64 or arm64; any if ""
	Labels   map[string]string // to find it by; "name" is what people see
	Volumes  []Volume
	Ports    []int // to expose
}

var spaceImages = []string{"https://huggingface.co/spaces/", "https://hf.co/spaces/", "huggingface.co/spaces/", "hf.co/spaces/"}

// MarshalJSON writes the spec as the Hub wants it.
func (s JobSpec) MarshalJSON() ([]byte, error) {
	out := map[string]any{
		"command": notNil(s.Command), "arguments": notNil(s.Args), "environment": s.Env, "flavor": cmp.Or(s.Flavor, "cpu-basic"),
	}
	if s.Env == nil {
		out["environment"] = map[string]string{}
	}
	out["dockerImage"] = s.Image
	for _, prefix := range spaceImages {
		if id, ok := strings.CutPrefix(s.Image, prefix); ok {
			delete(out, "dockerImage")
			out["spaceId"] = id
			break
		}
	}
	optional := func(name string, there bool, v any) {
		if there {
			out[name] = v
		}
	}
	optional("secrets", len(s.Secrets) > 0, s.Secrets)
	optional("timeoutSeconds", s.Timeout > 0, int((s.Timeout+time.Second-1)/time.Second))
	optional("attempts", s.Attempts > 1, s.Attempts)
	optional("arch", s.Arch != "", s.Arch)
	optional("labels", len(s.Labels) > 0, s.Labels)
	optional("volumes", len(s.Volumes) > 0, s.Volumes)
	optional("expose", len(s.Ports) > 0, map[string]any{"ports": s.Ports})
	return json.Marshal(out)
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// A Job is a job of the Hub as it was when it was asked for.
type Job struct {
	ID        string            `json:"id"`
	Created   time.Time         `json:"createdAt"`
	Started   time.Time         `json:"startedAt"`  // zero if it has not
	Finished  time.Time         `json:"finishedAt"` // zero if it has not
	Image     string            `json:"dockerImage"`
	SpaceID   string            `json:"spaceId"`
	Command   []string          `json:"command"`
	Args      []string          `json:"arguments"`
	Env       map[string]string `json:"environment"`
	Flavor    string            `json:"flavor"`
	Labels    map[string]string `json:"labels"`
	Status    JobStatus         `json:"status"`
	Initiator json.RawMessage   `json:"initiator"`
	Durations JobDurations      `json:"durations"`
	Owner     struct {
		Name string `json:"name"`
	} `json:"owner"`
}

// JobDurations is how long a job waited and ran, by the Hub's clock.
type JobDurations struct {
	Scheduling float64 `json:"schedulingSecs"`
	Running    float64 `json:"runningSecs"`
}

// Why the Hub has ended a job by itself. It may have other reasons.
const (
	NoCredits      = "NO_CREDITS"
	NoSubscription = "NO_SUBSCRIPTION"
)

// JobStatus is how a job goes.
type JobStatus struct {
	Stage        JobStage `json:"stage"`
	Message      string   `json:"message"`
	CancelReason string   `json:"cancelReason"` // such as NoCredits; "" if a person did it
	Failures     int      `json:"failureCount"`
	ExposeURLs   []string `json:"exposeUrls"`
}

// jobPath is the address of the jobs of a namespace, the account's own if "".
func (c *Client) jobPath(ctx context.Context, namespace string, more ...string) (string, error) {
	return c.namespacePath(ctx, "/api/jobs", namespace, more...)
}

func (c *Client) namespacePath(ctx context.Context, path, namespace string, more ...string) (string, error) {
	if namespace == "" {
		who, err := c.WhoAmI(ctx)
		if err != nil {
			return "", err
		}
		namespace = who.Name
	}
	for _, part := range append([]string{namespace}, more...) {
		path += "/" + url.PathEscape(part)
	}
	return path, nil
}

// RunJob starts a job. The Hub does not recognise a job that it has already
// been given: a call that may have arrived is not repeated, so after an error
// look in ListJobs, by label, before running it again. An account that cannot
// pay is ErrPaymentRequired.
func (c *Client) RunJob(ctx context.Context, namespace string, spec JobSpec) (Job, error) {
	return c.jobCall(ctx, "run job", call{method: "POST", once: true}, spec, namespace)
}

// GetJob tells how a job is.
func (c *Client) GetJob(ctx context.Context, namespace, id string) (Job, error) {
	return c.jobCall(ctx, "look at job "+id, call{method: "GET"}, nil, namespace, id)
}

// CancelJob ends a job.
func (c *Client) CancelJob(ctx context.Context, namespace, id string) (Job, error) {
	return c.jobCall(ctx, "cancel job "+id, call{method: "POST"}, nil, namespace, id, "cancel")
}

// DuplicateJob starts a job anew, as RunJob does. A Hub that has not kept the
// job's secrets refuses.
func (c *Client) DuplicateJob(ctx context.Context, namespace, id string) (Job, error) {
	return c.jobCall(ctx, "run job "+id+" again", call{method: "POST", once: true}, nil, namespace, id, "duplicate")
}

// JobURL is the address of a job's page.
func (c *Client) JobURL(namespace, id string) string {
	return c.base() + "/jobs/" + url.PathEscape(namespace) + "/" + url.PathEscape(id)
}

// BillingURL is the address of the page where an account adds credit.
func (c *Client) BillingURL() string { return c.base() + "/settings/billing" }

// LabelJob replaces the labels of a job.
func (c *Client) LabelJob(ctx context.Context, namespace, id string, labels map[string]string) (Job, error) {
	if labels == nil {
		labels = map[string]string{}
	}
	in := map[string]any{"labels": labels}
	return c.jobCall(ctx, "label job "+id, call{method: "PUT"}, in, namespace, id, "labels")
}

func (c *Client) jobCall(ctx context.Context, do string, cl call, in any, namespace string, more ...string) (Job, error) {
	var err error
	if cl.path, err = c.jobPath(ctx, namespace, more...); err != nil {
		return Job{}, fmt.Errorf("%s: %w", do, err)
	}
	var out Job
	if _, err := c.api(ctx, cl, in, &out); err != nil {
		return Job{}, fmt.Errorf("%s: %w", do, err)
	}
	return out, nil
}

// A JobFilter says which jobs to list: those in one of the stages that have
// all the labels.
type JobFilter struct {
	Stages []JobStage
	Labels map[string]string
}

// ListJobs lists the jobs of a namespace, newest first.
func (c *Client) ListJobs(ctx context.Context, namespace string, filter JobFilter) iter.Seq2[Job, error] {
	q := url.Values{}
	for _, stage := range filter.Stages {
		q.Add("stage", string(stage))
	}
	for key, value := range filter.Labels {
		q.Add("label", key+"="+value)
	}
	return func(yield func(Job, error) bool) {
		path, err := c.jobPath(ctx, namespace)
		if err != nil {
			yield(Job{}, fmt.Errorf("list jobs: %w", err))
			return
		}
		if len(q) > 0 {
			path += "?" + q.Encode()
		}
		paged[Job](ctx, c, "list jobs", path, 0)(yield)
	}
}

const jobStartLine = "===== Job started"

// JobLogs reads what a job prints. With Follow it ends when the job has ended
// and all was read, however often the connection broke meanwhile.
func (c *Client) JobLogs(ctx context.Context, namespace, id string, opts LogOptions) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		path, err := c.jobPath(ctx, namespace, id, "logs")
		if err != nil {
			yield(LogLine{}, fmt.Errorf("read the log of job %s: %w", id, err))
			return
		}
		if namespace == "" { // known by now, and asked for once
			namespace, _ = url.PathUnescape(strings.Split(path, "/")[3])
		}
		over := func(ctx context.Context) (bool, error) {
			job, err := c.GetJob(ctx, namespace, id)
			return err != nil || job.Status.Stage.Done(), err
		}
		open := func() *logReader { return &logReader{client: c, path: path, opts: opts, over: over} }
		for line, err := range wrapped(open, ctx, "read the log of job "+id) {
			if err == nil && strings.HasPrefix(line.Text, jobStartLine) {
				continue
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// Hardware is a machine that can be had, and what it costs.
type Hardware struct {
	Name        string `json:"name"` // the flavor
	Pretty      string `json:"prettyName"`
	CPU         string `json:"cpu"`
	RAM         string `json:"ram"`
	Accelerator *struct {
		Type     string `json:"type"`
		Model    string `json:"model"`
		Quantity string `json:"quantity"`
		VRAM     string `json:"vram"`
	} `json:"accelerator"`
	CostMicroUSD int64  `json:"unitCostMicroUSD"` // for each Unit
	Unit         string `json:"unitLabel"`        // minute
}

// JobHardware lists the hardware for jobs.
func (c *Client) JobHardware(ctx context.Context) ([]Hardware, error) {
	return c.hardware(ctx, "jobs")
}

// SpaceHardware lists the hardware for Spaces.
func (c *Client) SpaceHardware(ctx context.Context) ([]Hardware, error) {
	return c.hardware(ctx, "spaces")
}

func (c *Client) hardware(ctx context.Context, of string) ([]Hardware, error) {
	var out []Hardware
	if _, err := c.api(ctx, call{method: "GET", path: "/api/" + of + "/hardware"}, nil, &out); err != nil {
		return nil, fmt.Errorf("list the hardware for %s: %w", of, err)
	}
	return out, nil
}
