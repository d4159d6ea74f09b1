package ray

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/sandbox"
)

// logBytes is how much of a job's output is kept whole; of what comes after it
// there is a little now and then, and the end.
const logBytes = 64 << 20

// A shimConfig is what the shim is told, in the job's metadata.
type shimConfig struct {
	ID       string            `json:"id"`
	Ref      string            `json:"ref"`
	Attempt  int               `json:"attempt"`
	Script   string            `json:"script,omitempty"` // in the package
	Argv     []string          `json:"argv"`
	Env      map[string]string `json:"env"`
	LimitS   float64           `json:"limit_s"`
	Limit    string            `json:"limit"`
	MemoryMB int64             `json:"memory_mb"`
	LogBytes int64             `json:"log_bytes"`
	Dir      string            `json:"dir,omitempty"`    // where it runs, if not in a copy of the package
	Output   string            `json:"output,omitempty"` // OUTPUT_DIR, if it is to be in Dir
}

// A request is what Ray is sent.
type request struct {
	Entrypoint string             `json:"entrypoint"`
	ID         string             `json:"submission_id"`
	RuntimeEnv map[string]any     `json:"runtime_env"`
	Metadata   map[string]string  `json:"metadata"`
	CPUs       float64            `json:"entrypoint_num_cpus"`
	GPUs       float64            `json:"entrypoint_num_gpus,omitempty"`
	Memory     int64              `json:"entrypoint_memory,omitempty"`
	Resources  map[string]float64 `json:"entrypoint_resources,omitempty"`
}

// entrypoint runs the shim with the Python that the job's environment puts
// first.
const entrypoint = `exec "$(command -v python || command -v python3 || echo python3)" .ml-intern-shim.py`

// Submit implements job.Backend.
func (b Backend) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	status, err := b.submit(ctx, spec)
	if err != nil {
		return status, fmt.Errorf("submit job: %w", err)
	}
	return status, nil
}

func (b Backend) submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	if spec.Label != "" {
		rec, err := b.records().Find(spec.Label)
		if err == nil && (rec.Ref != "" || rec.Last.Done()) {
			rec, err = b.settle(ctx, rec)
			return b.shown(rec), err
		}
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			return job.Status{}, err
		}
	}
	if err := b.check(spec); err != nil {
		return job.Status{}, err
	}
	spec.CPUs = max(spec.CPUs, 1)
	if spec.TimeLimit == 0 {
		spec.TimeLimit = defaultTimeLimit
	}
	draft, err := b.draft(ctx, spec)
	if err != nil {
		return job.Status{}, err
	}
	rec, done, err := b.records().Begin(ctx, spec)
	if err != nil {
		return job.Status{}, err
	}
	defer done()
	if rec.Ref != "" || rec.Last.Done() { // another process was quicker
		return b.shown(rec), nil
	}
	if rec.Kept[keptRequest] == "" {
		if rec, err = b.seal(rec, draft); err != nil {
			return job.Status{}, errors.Join(err, b.records().Forget(rec.ID))
		}
	}
	rec, err = b.deliver(ctx, rec)
	return b.shown(rec), err
}

// check says what keeps the spec from running on any Ray cluster.
func (b Backend) check(spec job.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if !filepath.IsAbs(b.Dir) {
		return errors.New("the Ray backend needs an absolute Dir")
	}
	if len(spec.Secrets) > 0 {
		return fmt.Errorf("the job wants %s, and on a Ray cluster no secret is safe: everybody who reaches it can read what a job was given", strings.Join(spec.Secrets, ", "))
	}
	for name := range spec.Env {
		if sandbox.SecretName(name) {
			return fmt.Errorf("%s looks like a secret: what a job is given can be read by everybody who reaches the cluster, so it is not accepted", name)
		}
	}
	if spec.Image != "" {
		return fmt.Errorf("the job wants the image %s: a Ray cluster runs all jobs in its own", spec.Image)
	}
	if spec.Retries > 0 {
		return errors.New("jobs on Ray are not run again when their node is taken away: submit with 0 retries")
	}
	info, err := os.Stat(spec.Dir)
	if err != nil {
		return fmt.Errorf("open the job's folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", spec.Dir)
	}
	return nil
}

// A draft is a submission that has no id yet. What it needs is at the cluster.
type draft struct {
	session      string
	request      request
	config       shimConfig
	scriptSHA256 string
	hardware     string
	usdPerHour   float64
}

// draft prepares all of a submission that can fail for good, before anything is
// remembered.
func (b Backend) draft(ctx context.Context, spec job.Spec) (draft, error) {
	v, err := b.version(ctx)
	if err != nil {
		return draft{}, err
	}
	d := draft{session: v.Session}
	if err := b.place(ctx, spec, &d); err != nil {
		return draft{}, err
	}
	p, err := pack(spec, b.Shared)
	if err != nil {
		return draft{}, err
	}
	d.scriptSHA256 = p.scriptSHA256
	d.request.RuntimeEnv = map[string]any{"working_dir": "gcs://" + p.name()}
	if err := b.environment(ctx, spec, p.script, v, d.request.RuntimeEnv); err != nil {
		return draft{}, err
	}
	if err := b.upload(ctx, p); err != nil {
		return draft{}, fmt.Errorf("send the job's files: %w", err)
	}
	d.request.Entrypoint = entrypoint
	d.config = shimConfig{
		Argv: append(append([]string{}, spec.Command...), spec.Args...), Env: spec.Env,
		LimitS: spec.TimeLimit.Seconds(), Limit: spec.TimeLimit.String(), MemoryMB: spec.MemoryMB, LogBytes: logBytes,
	}
	if spec.Script != "" {
		d.config.Script = path.Clean(filepath.ToSlash(spec.Script))
	}
	if d.config.Env == nil {
		d.config.Env = map[string]string{}
	}
	if b.Shared {
		d.config.Dir = spec.Dir
	}
	return d, nil
}

// seal gives a draft the record's id and remembers both.
func (b Backend) seal(rec job.Record, d draft) (job.Record, error) {
	d.config.ID, d.config.Ref = rec.ID, refOf(rec)
	if b.Shared {
		d.config.Output = rec.Last.OutputDir
	}
	config, err := json.Marshal(d.config)
	if err != nil {
		return rec, fmt.Errorf("write the job's settings: %w", err)
	}
	d.request.ID = refOf(rec)
	d.request.Metadata = map[string]string{"ml_intern": string(config), "job_name": nameOf(rec)}
	body, err := json.Marshal(d.request)
	if err != nil {
		return rec, fmt.Errorf("write the job's request: %w", err)
	}
	rec.Kept = map[string]string{keptSession: d.session, keptRequest: string(body)}
	rec.Last.ScriptSHA256, rec.Last.Hardware, rec.Last.USDPerHour = d.scriptSHA256, d.hardware, d.usdPerHour
	rec.Last.TimeLimit = rec.Spec.TimeLimit
	rec.Last.URL = b.address() + "/#/jobs/" + refOf(rec)
	return rec, b.records().Save(rec)
}

func nameOf(rec job.Record) string {
	if rec.Spec.Name != "" {
		return rec.Spec.Name
	}
	return rec.ID
}

// deliver gives Ray a job that is remembered. It may be called again for the
// same record, by any process.
func (b Backend) deliver(ctx context.Context, rec job.Record) (job.Record, error) {
	var err error
	for try, pause := 1, 300*time.Millisecond; ; try, pause = try+1, pause*3 {
		var v version
		if v, err = b.version(ctx); err != nil {
			return rec, err
		}
		if v.Session != rec.Kept[keptSession] {
			return b.bury(rec, job.Lost, lostSession)
		}
		err = b.once(ctx, http.MethodPost, "/api/jobs/", []byte(rec.Kept[keptRequest]), nil)
		if err == nil {
			return b.accepted(ctx, rec)
		}
		info, lookErr := b.job(ctx, refOf(rec))
		switch {
		case lookErr == nil && info.Metadata["ml_intern"] != metadataOf(rec):
			return rec, errors.Join(fmt.Errorf("Ray has a job %s that is not this one", refOf(rec)), b.records().Forget(rec.ID))
		case lookErr == nil:
			return b.accepted(ctx, rec)
		case !errors.Is(lookErr, errNoJob):
			return rec, fmt.Errorf("whether Ray has the job is not known, submit it again with its label: %w", errors.Join(err, lookErr))
		}
		var status *statusError
		refused := errors.As(err, &status) && status.Code != http.StatusBadGateway && status.Code != http.StatusGatewayTimeout
		if refused && (status.Code < 500 || try == tries) {
			return rec, errors.Join(err, b.records().Forget(rec.ID)) // it has answered, and has no such job
		}
		if try == tries {
			return rec, fmt.Errorf("no answer from Ray, submit the job again with its label: %w", err)
		}
		select {
		case <-ctx.Done():
			return rec, errors.Join(err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// accepted remembers that Ray has the job. Whoever canceled it meanwhile could
// not tell Ray.
func (b Backend) accepted(ctx context.Context, rec job.Record) (job.Record, error) {
	rec.Ref = refOf(rec)
	if now, err := b.records().Get(rec.ID); err == nil && (now.Last.Done() || now.Kept[keptCancel] != "") {
		now.Ref = rec.Ref
		return now, errors.Join(b.stop(ctx, rec.Ref), b.records().Save(now))
	}
	return rec, b.records().Save(rec)
}

// metadataOf is what this job's metadata must be.
func metadataOf(rec job.Record) string {
	var r request
	if err := json.Unmarshal([]byte(rec.Kept[keptRequest]), &r); err != nil {
		return "" // it was written here
	}
	return r.Metadata["ml_intern"]
}

// upload sends a package, unless the cluster has it.
func (b Backend) upload(ctx context.Context, p pkg) error {
	at := "/api/packages/gcs/" + p.name()
	var status *statusError
	err := b.ask(ctx, http.MethodGet, at, nil, nil)
	if !errors.As(err, &status) || status.Code != http.StatusNotFound {
		return err
	}
	return b.ask(ctx, http.MethodPut, at, p.zip, nil)
}

// name says what is in the package, so that the same files are sent once.
func (p pkg) name() string {
	sum := sha256.Sum256(p.zip)
	return "_ray_pkg_" + hex.EncodeToString(sum[:16]) + ".zip"
}
