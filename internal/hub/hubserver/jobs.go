package hubserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/lazyregexp"
)

var (
	ErrNoJob  = errors.New("no such job")             // Jobs does not know the id
	ErrBadJob = errors.New("the job cannot run here") // whatever is tried
)

// Jobs is what the Jobs API stands in front of. An unknown id is ErrNoJob.
type Jobs interface {
	// List returns all jobs, newest first. With an error it still returns
	// those that could be read.
	List(ctx context.Context) ([]Job, error)
	Get(ctx context.Context, id string) (Job, error)

	// Logs yields the output from a byte cursor, 0 or a JobLine.Next, to its
	// present end.
	Logs(ctx context.Context, id string, from int64) iter.Seq2[JobLine, error]
	Cancel(ctx context.Context, id string) error

	Starter
}

// A Starter starts jobs, and knows what they run on.
type Starter interface {
	// Start starts a job, with its facts kept in the same step: there is never
	// one without the other. What can run nowhere here is ErrBadJob.
	Start(ctx context.Context, r JobRequest) (Job, error)

	Machine(ctx context.Context) (Machine, error)

	// Usage is what a running job uses now; false if that cannot be told.
	Usage(ctx context.Context, id string) (Usage, bool)
}

// JobFacts is what was said when a job was started by this API, and stays so.
type JobFacts struct {
	Owner     string            `json:"owner,omitempty"` // namespace; "" for a job that was started otherwise
	Image     string            `json:"image,omitempty"`
	Flavor    string            `json:"flavor,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Attempts  int               `json:"attempts,omitempty"`
	Initiator string            `json:"initiator,omitempty"` // scheduled-job or duplicated-job; "" for a person
	Origin    string            `json:"origin,omitempty"`    // id of what initiated it
}

// A JobRequest is a job to start.
type JobRequest struct {
	JobFacts
	Key     string // one job for each; "" for a new one
	Command []string
	Args    []string
	Env     map[string]string
	Secrets map[string]string // kept by nobody
	Timeout time.Duration
}

// A Job is a job that was accepted.
type Job struct {
	JobFacts
	ID       string
	Name     string
	Command  []string
	Args     []string
	Env      map[string]string
	Secrets  []string // names
	Timeout  time.Duration
	Stage    hub.JobStage
	Message  string // why it did not succeed
	Created  time.Time
	Started  time.Time // zero if it has not
	Finished time.Time // zero if it has not
}

// A Machine is what jobs run on.
type Machine struct {
	CPUs        int
	MemoryMB    int64
	GPUs        int
	GPU         string
	GPUMemoryMB int64 // of each
}

// Usage is what a job uses of its machine. CPU is the time that its processes
// have had so far.
type Usage struct {
	CPU         time.Duration
	MemoryBytes int64
	MemoryTotal int64
	GPUs        []hub.GPUUsage
}

// A JobLine is a line of a job's output.
type JobLine struct {
	Text    string
	Next    int64 // the cursor behind it
	Partial bool  // its end is not there yet
}

// jobLabels is the kind of document that keeps the labels of an account's
// jobs, by id.
const jobLabels = "job-labels"

// jobsAPI serves what is under /api/jobs.
func (s *Server) jobsAPI(x *exchange, method string, seg []string) error {
	if len(seg) == 1 && seg[0] == "hardware" && method == http.MethodGet {
		return s.jobHardware(x)
	}
	if len(seg) == 0 || len(seg) > 3 {
		return noRoute(x)
	}
	if err := s.mayUseJobs(x, seg[0]); err != nil {
		return err
	}
	jobs := s.jobsOf(seg[0])
	switch len(seg) {
	case 1:
		if method == http.MethodPost {
			return s.startJob(x, jobs)
		}
		return s.listJobs(x, method, jobs, seg[0])
	case 2:
		if seg[1] == "count" {
			return s.countJobs(x, method, jobs, seg[0])
		}
	}
	return s.jobAPI(x, method, jobs, seg)
}

// jobAPI serves what is about one job.
func (s *Server) jobAPI(x *exchange, method string, jobs namespaceJobs, seg []string) error {
	job, err := jobs.Get(x.Context(), seg[1])
	if err != nil {
		return jobRefusal(err)
	}
	action := ""
	if len(seg) == 3 {
		action = seg[2]
	}
	c := &jobCall{x, jobs, seg[0], job}
	switch method + " " + action {
	case "GET ":
		return s.tellJob(c)
	case "GET logs":
		return s.jobLogs(c)
	case "GET events":
		return s.jobEvents(c)
	case "GET metrics":
		return s.jobMetrics(c)
	case "POST duplicate":
		return s.duplicateJob(c)
	case "POST cancel":
		return s.cancelJob(c)
	case "PUT labels":
		return s.labelJob(c)
	}
	return noRoute(x)
}

// A jobCall is a request about one job.
type jobCall struct {
	*exchange
	jobs  namespaceJobs
	owner string
	job   Job
}

// again looks at the job as it is now.
func (c *jobCall) again() (err error) {
	c.job, err = c.jobs.Get(c.Context(), c.job.ID)
	return err
}

func jobRefusal(err error) error {
	if errors.Is(err, ErrNoJob) {
		return refuse(http.StatusNotFound, "JobNotFound", "Job not found")
	}
	return err
}

// mayUseJobs says why the one who asks must not see a namespace's jobs, if so.
// To look takes the right to write, for logs hold what the account does.
func (s *Server) mayUseJobs(x *exchange, namespace string) error {
	switch {
	case x.who == nil:
		return refuse(http.StatusUnauthorized, "Unauthorized", noPassword)
	case !s.member(x.who, namespace):
		return refuse(http.StatusForbidden, "Forbidden", "Forbidden: you don't have access to the jobs of "+namespace)
	case x.who.ReadOnly && x.Method != http.MethodGet && x.Method != http.MethodHead:
		return refuse(http.StatusForbidden, "Forbidden", "Forbidden: pass a token with the write role")
	}
	return nil
}

// selectJobs are the jobs that the query asks for, with their labels.
func (s *Server) selectJobs(x *exchange, jobs namespaceJobs, owner string) ([]map[string]any, error) {
	all, err := jobs.List(x.Context())
	if err != nil && len(all) == 0 {
		return nil, err
	}
	if err != nil {
		s.log.Error("hub server could not read all jobs", "error", err)
	}
	labels, err := s.allLabels(owner)
	if err != nil {
		return nil, err
	}
	q := x.URL.Query()
	stages, wanted := values(q, "stage"), values(q, "label")
	var found []map[string]any
	for _, j := range all {
		own := labelsOf(j, labels)
		if len(stages) > 0 && !slices.Contains(stages, string(j.Stage)) || !hasLabels(own, wanted) {
			continue
		}
		found = append(found, describeJob(j, owner, own))
	}
	return found, nil
}

func (s *Server) listJobs(x *exchange, method string, jobs namespaceJobs, owner string) error {
	if method != http.MethodGet {
		return noRoute(x)
	}
	p, err := newPage(x.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	found, err := s.selectJobs(x, jobs, owner)
	if err != nil {
		return err
	}
	return s.ok(x, cut(x, p, found, x.URL.EscapedPath()))
}

func (s *Server) countJobs(x *exchange, method string, jobs namespaceJobs, owner string) error {
	if method != http.MethodGet {
		return noRoute(x)
	}
	found, err := s.selectJobs(x, jobs, owner)
	if err != nil {
		return err
	}
	return s.ok(x, map[string]int{"count": len(found)})
}

func (s *Server) allLabels(owner string) (map[string]map[string]string, error) {
	labels := map[string]map[string]string{}
	return labels, s.store.Document(jobLabels, owner, &labels)
}

// labelsOf are the labels that a job was given, or else its name.
func labelsOf(j Job, given map[string]map[string]string) map[string]string {
	if own, ok := given[j.ID]; ok {
		return own
	}
	if j.Labels != nil {
		return j.Labels
	}
	if j.Name == "" {
		return map[string]string{}
	}
	return map[string]string{"name": j.Name}
}

// hasLabels reports whether a job has all of the labels, KEY=VALUE or KEY.
func hasLabels(own map[string]string, wanted []string) bool {
	for _, want := range wanted {
		key, value, exact := cutLabel(want)
		if v, ok := own[key]; !ok || exact && v != value {
			return false
		}
	}
	return true
}

// describeJob is a job as the Hub writes it.
func describeJob(j Job, owner string, labels map[string]string) map[string]any {
	account := map[string]any{"id": accountID(owner), "name": owner, "type": "user", "avatarUrl": ""}
	v := map[string]any{
		"type": "job", "id": j.ID, "createdAt": stamp(j.Created), "dockerImage": cmp.Or(j.Image, localFlavor), "flavor": cmp.Or(j.Flavor, localFlavor),
		"command": orEmpty(j.Command), "arguments": orEmpty(j.Args), "environment": maps.Clone(j.Env), "secrets": orEmpty(j.Secrets),
		"labels": labels, "status": map[string]any{"stage": j.Stage, "message": nil}, "durations": durations(j, time.Now()),
		"owner": account, "createdBy": account, "initiator": map[string]any{"type": "user", "id": accountID(owner), "name": owner},
	}
	if j.Env == nil {
		v["environment"] = map[string]string{}
	}
	if j.Initiator != "" {
		v["initiator"] = map[string]any{"type": j.Initiator, "id": j.Origin}
	}
	if j.Attempts > 1 {
		v["retry"] = j.Attempts - 1
	}
	if j.Message != "" {
		v["status"] = map[string]any{"stage": j.Stage, "message": j.Message}
	}
	if !j.Started.IsZero() {
		v["startedAt"] = stamp(j.Started)
	}
	if !j.Finished.IsZero() {
		v["finishedAt"] = stamp(j.Finished)
	}
	if j.Timeout > 0 {
		v["timeout"] = int(j.Timeout / time.Second)
	}
	return v
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// durations is how long the job has waited, run, and taken.
func durations(j Job, now time.Time) map[string]any {
	end := j.Finished
	if end.IsZero() {
		end = now
	}
	v := map[string]any{"schedulingSecs": nil, "runningSecs": nil, "totalSecs": int(end.Sub(j.Created).Seconds())}
	if !j.Started.IsZero() {
		v["schedulingSecs"] = int(j.Started.Sub(j.Created).Seconds())
		v["runningSecs"] = int(end.Sub(j.Started).Seconds())
	}
	return v
}

func (s *Server) tellJob(c *jobCall) error {
	labels, err := s.allLabels(c.owner)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, describeJob(c.job, c.owner, labelsOf(c.job, labels)))
}

func (s *Server) cancelJob(c *jobCall) error {
	ctx, stop := c.detached()
	defer stop()
	if err := c.jobs.Cancel(ctx, c.job.ID); err != nil {
		return jobRefusal(err)
	}
	if err := c.again(); err != nil {
		return jobRefusal(err)
	}
	return s.tellJob(c)
}

var (
	labelKey   = lazyregexp.New(`^[A-Za-z0-9._-]{1,100}$`)
	labelValue = lazyregexp.New(`^[A-Za-z0-9._-]{0,100}$`)
)

const maxLabels = 50

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return badRequest(fmt.Sprintf("a job has at most %d labels", maxLabels))
	}
	for key, value := range labels {
		if !labelKey.MatchString(key) || !labelValue.MatchString(value) {
			return badRequest("labels have up to 100 letters, digits, '.', '_' and '-'")
		}
	}
	return nil
}

// labelJob replaces the labels of a job.
func (s *Server) labelJob(c *jobCall) error {
	var in struct {
		Labels map[string]string `json:"labels"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	if in.Labels == nil {
		return badRequest("want \"labels\": names with their values")
	}
	if err := checkLabels(in.Labels); err != nil {
		return err
	}
	ctx, cancel := c.detached()
	defer cancel()
	all := map[string]map[string]string{}
	err := s.store.UpdateDocument(ctx, jobLabels, c.owner, &all, func() error {
		all[c.job.ID] = in.Labels
		return nil
	})
	if err != nil {
		return err
	}
	return s.tellJob(c)
}

// tailOf reads how many of the last lines are wanted, -1 for all.
func tailOf(q url.Values) (int, error) {
	v := q.Get("tail")
	if v == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, badRequest("tail must be a number of lines")
	}
	return min(n, maxTail), nil
}

const maxTail = 10_000
