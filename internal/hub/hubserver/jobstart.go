package hubserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub/hubserver/space"
	"ml-intern/internal/lazyregexp"
)

// The flavors that there are. Clients that name none ask for the second.
const (
	localFlavor = "local"
	basicFlavor = "cpu-basic"
)

// namespaceJobs are the jobs of one namespace: those that were started in it,
// and for the user of this machine those that were started otherwise.
type namespaceJobs struct {
	Jobs
	owner string
	all   bool // those of this machine, too
}

func (s *Server) jobsOf(namespace string) namespaceJobs {
	jobs := s.opts.Jobs
	if jobs == nil {
		jobs = noJobs{}
	}
	return namespaceJobs{jobs, namespace, namespace == s.opts.User}
}

func (n namespaceJobs) has(j Job) bool { return j.Owner == n.owner || j.Owner == "" && n.all }

// List implements Jobs.
func (n namespaceJobs) List(ctx context.Context) ([]Job, error) {
	all, err := n.Jobs.List(ctx)
	return slices.DeleteFunc(all, func(j Job) bool { return !n.has(j) }), err
}

// Get implements Jobs.
func (n namespaceJobs) Get(ctx context.Context, id string) (Job, error) {
	j, err := n.Jobs.Get(ctx, id)
	if err == nil && !n.has(j) {
		return Job{}, ErrNoJob
	}
	return j, err
}

// noJobs is the backend of those who have none.
type noJobs struct{ Jobs }

func (noJobs) List(context.Context) ([]Job, error)      { return nil, nil }
func (noJobs) Get(context.Context, string) (Job, error) { return Job{}, ErrNoJob }
func (noJobs) Machine(context.Context) (Machine, error) {
	return Machine{CPUs: runtime.NumCPU()}, nil
}

// mayRunJobs says why the one who asks, who may use the namespace's jobs, must
// not run code here, if so.
func (s *Server) mayRunJobs(x *exchange) error {
	switch {
	case !s.opts.RunJobs || s.opts.Jobs == nil:
		return refuse(http.StatusNotImplemented, "JobsNotAvailable",
			"this server lists jobs and does not start any: whoever serves it decides that, with ml-intern hub serve --run-jobs")
	case !s.opts.Auth && s.opts.JobKey != "" && subtle.ConstantTimeCompare([]byte(x.token()), []byte(s.opts.JobKey)) != 1:
		return refuse(http.StatusForbidden, "Forbidden", "this server starts jobs only for the program that it is part of")
	}
	return nil
}

// jobHardware lists what jobs run on: this machine, under the name that is its
// own and the one that clients ask for who name none.
func (s *Server) jobHardware(x *exchange) error {
	m, err := s.jobsOf("").Machine(x.Context())
	if err != nil {
		return err
	}
	gb := func(mb int64) string {
		if mb == 0 {
			return "N/A"
		}
		return fmt.Sprintf("%d GB", (mb+512)/1024)
	}
	all := space.Hardware{
		Name: localFlavor, Pretty: "This machine", CPU: fmt.Sprintf("%d vCPU", m.CPUs), RAM: gb(m.MemoryMB), Disk: "N/A", Unit: "minute",
	}
	basic := all
	basic.Name, basic.Pretty = basicFlavor, "This machine, without its GPUs"
	if m.GPUs > 0 {
		all.Accelerator = &space.Accelerator{
			Type: "gpu", Model: m.GPU, Quantity: fmt.Sprint(m.GPUs), VRAM: gb(m.GPUMemoryMB * int64(m.GPUs)), Manufacturer: "Nvidia",
		}
	}
	return s.ok(x, []space.Hardware{all, basic})
}

// A jobSpec is a job as a client writes it.
type jobSpec struct {
	Image     string            `json:"dockerImage,omitempty"`
	SpaceID   string            `json:"spaceId,omitempty"`
	Command   []string          `json:"command"`
	Args      []string          `json:"arguments"`
	Env       map[string]string `json:"environment"`
	Secrets   map[string]string `json:"secrets,omitempty"`
	Flavor    string            `json:"flavor"`
	Timeout   float64           `json:"timeoutSeconds,omitempty"`
	Attempts  int               `json:"attempts,omitempty"`
	Arch      string            `json:"arch,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Volumes   []any             `json:"volumes,omitempty"`
	Expose    any               `json:"expose,omitempty"`
	SSH       any               `json:"ssh,omitempty"`
	Network   any               `json:"network,omitempty"`
	Resources any               `json:"resourceGroupId,omitempty"`
}

const (
	defaultJobTime = 30 * time.Minute // as on the Hub
	longestJobTime = 30 * 24 * time.Hour
	maxAttempts    = 10
)

var variableName = lazyregexp.New(`^[a-zA-Z][_a-zA-Z0-9]*$`)

// localImages are the images whose programs this machine has itself.
var localImages = lazyregexp.New(`^((docker\.io/)?(library/)?python|(ghcr\.io/)?astral-sh/uv)(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$`)

// check says why the job cannot run here.
func (j jobSpec) check() error {
	switch {
	case j.SpaceID != "" || !localImages.MatchString(j.Image):
		return badRequest("this server cannot pull an image: jobs run as processes of its machine, " +
			"in place of the images python and ghcr.io/astral-sh/uv; not " + cmpImage(j))
	case len(j.Command) == 0 || j.Command[0] == "":
		return badRequest("want a command: there is no image here that has its own")
	case j.Flavor != localFlavor && j.Flavor != basicFlavor:
		return badRequest(fmt.Sprintf("there is no flavor %q: this server has %s and %s", j.Flavor, localFlavor, basicFlavor))
	case len(j.Volumes) > 0 || j.Expose != nil || j.SSH != nil || j.Network != nil || j.Resources != nil:
		return badRequest("jobs of this server are processes of its machine: they have no volumes, ports, ssh, networks or resource groups of their own")
	case j.Arch != "" && j.Arch != runtime.GOARCH:
		return badRequest("this machine is " + runtime.GOARCH + ", not " + j.Arch)
	case j.Timeout < 0 || j.Timeout > longestJobTime.Seconds():
		return badRequest(fmt.Sprintf("the timeout is at most %s", longestJobTime))
	case j.Attempts < 0 || j.Attempts > maxAttempts:
		return badRequest(fmt.Sprintf("a job has at most %d attempts", maxAttempts))
	}
	for _, names := range []map[string]string{j.Env, j.Secrets} {
		for name := range names {
			if !variableName.MatchString(name) {
				return badRequest(fmt.Sprintf("%.100q is no name of a variable: want letters, digits and '_', a letter first", name))
			}
		}
	}
	return checkLabels(j.Labels)
}

func cmpImage(j jobSpec) string {
	if j.SpaceID != "" {
		return fmt.Sprintf("the Space %.100q", j.SpaceID)
	}
	return fmt.Sprintf("%.100q", j.Image)
}

// request is what the job comes to here. Its Hub is this server unless it says
// otherwise.
func (j jobSpec) request(owner, endpoint string) JobRequest {
	r := JobRequest{
		JobFacts: JobFacts{Owner: owner, Image: j.Image, Flavor: j.Flavor, Labels: j.Labels, Attempts: j.Attempts},
		Command:  j.Command, Args: j.Args, Env: map[string]string{"HF_ENDPOINT": endpoint}, Secrets: j.Secrets,
		Timeout: j.timeout(),
	}
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	for name, value := range j.Env {
		r.Env[name] = value
	}
	return r
}

func (j jobSpec) timeout() time.Duration {
	if j.Timeout == 0 {
		return defaultJobTime
	}
	return time.Duration(j.Timeout * float64(time.Second))
}

// startJob starts a job in a namespace.
func (s *Server) startJob(x *exchange, jobs namespaceJobs) error {
	if err := s.mayRunJobs(x); err != nil {
		return err
	}
	var in jobSpec
	if err := decode(x, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	return s.runJob(x, jobs, in.request(jobs.owner, x.base()))
}

func (s *Server) runJob(x *exchange, jobs namespaceJobs, r JobRequest) error {
	ctx, cancel := x.detached()
	defer cancel()
	j, err := jobs.Start(ctx, r)
	if err != nil {
		return startRefusal(err)
	}
	s.log.Info("hub server started a job", "id", j.ID, "owner", r.Owner, "by", x.who.Name)
	return s.ok(x, describeJob(j, jobs.owner, r.Labels))
}

func startRefusal(err error) error {
	if errors.Is(err, ErrBadJob) {
		return badRequest(strings.TrimPrefix(err.Error(), ErrBadJob.Error()+": "))
	}
	return err
}

// duplicateJob starts a job once more.
func (s *Server) duplicateJob(c *jobCall) error {
	if err := s.mayRunJobs(c.exchange); err != nil {
		return err
	}
	if c.job.Owner == "" {
		return refuse(http.StatusConflict, "Conflict", "the job was not started by this API, and is not started by it again")
	}
	if len(c.job.Secrets) > 0 {
		return refuse(http.StatusConflict, "Conflict",
			"the job was given "+strings.Join(c.job.Secrets, ", ")+", which nobody has kept: start it anew with the same secrets")
	}
	labels, err := s.allLabels(c.owner)
	if err != nil {
		return err
	}
	r := JobRequest{JobFacts: c.job.JobFacts, Command: c.job.Command, Args: c.job.Args, Env: c.job.Env, Timeout: c.job.Timeout}
	r.Labels, r.Initiator, r.Origin = labelsOf(c.job, labels), "duplicated-job", c.job.ID
	return s.runJob(c.exchange, c.jobs, r)
}
