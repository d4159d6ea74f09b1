package ray

import (
	"context"
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
	ID         string            `json:"id"`
	Ref        string            `json:"ref"`
	Attempt    int               `json:"attempt"`
	Script     string            `json:"script,omitempty"` // in the package
	Argv       []string          `json:"argv"`
	Env        map[string]string `json:"env"`
	Secrets    []string          `json:"secrets"` // names
	Python     string            `json:"python"`  // version, as a requirement
	Checkpoint string            `json:"checkpoint,omitempty"`
	LimitS     float64           `json:"limit_s"`
	Limit      string            `json:"limit"`
	MemoryMB   int64             `json:"memory_mb"`
	GPUs       float64           `json:"gpus,omitempty"`      // that it is given
	GPUQuery   string            `json:"gpu_query,omitempty"` // what nvidia-smi is asked then
	LogBytes   int64             `json:"log_bytes"`
	Dir        string            `json:"dir,omitempty"`    // where it runs, if not in a copy of the package
	Output     string            `json:"output,omitempty"` // OUTPUT_DIR, if it is to be in Dir
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

// What the metadata is called. The last is what Ray's dashboard shows.
const (
	metaConfig = "ml_intern"
	metaLabel  = "ml_intern_label"
	metaName   = "job_name"
)

// entrypoint runs the shim with the Python that the job's environment puts
// first.
const entrypoint = `exec "$(command -v python || command -v python3 || echo python3)" ` + shimName

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
	if spec.Flavor == "" {
		spec.CPUs = max(spec.CPUs, 1)
	}
	if spec.TimeLimit == 0 {
		spec.TimeLimit = b.timeLimit()
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
			return job.Status{}, errors.Join(err, b.forget(rec.ID))
		}
	}
	rec, refused, err := b.deliver(ctx, rec)
	switch {
	case refused:
		return job.Status{}, errors.Join(err, b.forget(rec.ID))
	case err != nil:
		return b.shown(rec), err
	}
	return b.shown(b.attend(ctx, rec)), nil
}

// forget removes a job that Ray certainly does not have.
func (b Backend) forget(id string) error {
	b.clear(id)
	return b.records().Forget(id)
}

// attend waits a little for a job that has secrets, so that they are brought
// even if nobody asks for the job again.
func (b Backend) attend(ctx context.Context, rec job.Record) job.Record {
	if len(rec.Spec.Secrets) == 0 {
		return rec
	}
	for until := time.Now().Add(bringWait); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		// An error is for the next who asks: the job is accepted.
		if now, err := b.settle(ctx, rec); err == nil {
			rec = now
		}
		if rec.Last.Done() || !rec.Last.Started.IsZero() {
			break
		}
	}
	return rec
}

// check says what keeps the spec from running on any Ray cluster.
func (b Backend) check(spec job.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if !filepath.IsAbs(b.Dir) {
		return errors.New("the Ray backend needs an absolute Dir")
	}
	if _, err := b.secrets(spec.Secrets); err != nil {
		return err
	}
	for name := range spec.Env {
		if sandbox.SecretName(name) {
			return fmt.Errorf("%s looks like a secret: everybody who reaches the cluster can read a job's environment, so give it by name, as a secret", name)
		}
	}
	if spec.Image != "" {
		return fmt.Errorf("the job wants the image %s: a Ray cluster runs all jobs in its own", spec.Image)
	}
	if spec.Retries > 0 && spec.Checkpoint != "" && !strings.Contains(spec.Checkpoint, "://") && !b.Shared {
		return fmt.Errorf("the checkpoint %s would be lost with the job's node: name a Hub repository", spec.Checkpoint)
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

// A draft is a submission that has no id yet.
type draft struct {
	session      string
	request      request
	config       shimConfig
	zip          []byte
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
	d.zip, d.scriptSHA256 = p.zip, p.scriptSHA256
	d.request.RuntimeEnv = map[string]any{"working_dir": "gcs://" + p.name()}
	if err := environment(spec, p.script, v, d.request.RuntimeEnv); err != nil {
		return draft{}, err
	}
	d.request.Entrypoint = entrypoint
	d.config = shimConfig{
		Argv: append(append([]string{}, spec.Command...), spec.Args...), Env: spec.Env,
		Secrets: spec.Secrets, Python: python(spec, p.script), Checkpoint: spec.Checkpoint,
		LimitS: spec.TimeLimit.Seconds(), Limit: spec.TimeLimit.String(), MemoryMB: spec.MemoryMB, LogBytes: logBytes,
	}
	if d.request.GPUs > 0 {
		d.config.GPUs, d.config.GPUQuery = d.request.GPUs, job.GPUQuery
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
	d.config.ID = rec.ID
	if b.Shared {
		d.config.Output = rec.Last.OutputDir
	}
	body, err := address(d.request, d.config, rec)
	if err != nil {
		return rec, err
	}
	if err := b.keepPackage(rec.ID, d.zip); err != nil {
		return rec, err
	}
	rec.Kept = map[string]string{keptSession: d.session, keptRequest: body}
	rec.Last.ScriptSHA256, rec.Last.Hardware, rec.Last.USDPerHour = d.scriptSHA256, d.hardware, d.usdPerHour
	rec.Last.TimeLimit, rec.Last.Retries = rec.Spec.TimeLimit, rec.Spec.Retries
	rec.Last.URL = b.address() + "/#/jobs/" + refOf(rec)
	return rec, b.records().Save(rec)
}

// address writes a request for what the record says of it.
func address(r request, config shimConfig, rec job.Record) (body string, err error) {
	config.Ref, r.ID = refOf(rec), refOf(rec)
	text, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write the job's settings: %w", err)
	}
	r.Metadata = map[string]string{metaConfig: string(text), metaName: rec.ID}
	if rec.Spec.Name != "" {
		r.Metadata[metaName] = rec.Spec.Name
	}
	if rec.Spec.Label != "" {
		r.Metadata[metaLabel] = clip(rec.Spec.Label, 200)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("write the job's request: %w", err)
	}
	return string(data), nil
}

// deliver gives Ray a job that is remembered. It may be called again for the
// same record, by any process. A job that was refused Ray does not have.
func (b Backend) deliver(ctx context.Context, rec job.Record) (after job.Record, refused bool, err error) {
	for try, pause := 1, 300*time.Millisecond; ; try, pause = try+1, pause*3 {
		v, err := b.version(ctx)
		if err != nil {
			return rec, false, unknown(rec, err)
		}
		if v.Session != rec.Kept[keptSession] {
			rec, err = b.bury(rec, job.Lost, lostSession)
			return rec, false, err
		}
		refused, err := b.post(ctx, rec)
		if err == nil {
			rec, err = b.accepted(ctx, rec)
			return rec, false, err
		}
		if refused {
			return rec, true, err
		}
		if try == tries {
			return rec, false, unknown(rec, err)
		}
		select {
		case <-ctx.Done():
			return rec, false, errors.Join(err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

func unknown(rec job.Record, err error) error {
	return fmt.Errorf("whether Ray has job %s is not known, submit it again with its label: %w", rec.ID, err)
}

// post sends a job that Ray does not have. If no good answer comes, Ray is
// asked whether it has it now; only then a refusal is one.
func (b Backend) post(ctx context.Context, rec job.Record) (refused bool, err error) {
	if there, err := b.has(ctx, rec); there || err != nil {
		return false, err
	}
	if err := b.upload(ctx, rec.ID); err != nil {
		return !passing(err), err
	}
	err = b.once(ctx, http.MethodPost, "/api/jobs/", []byte(rec.Kept[keptRequest]), nil)
	if err == nil {
		return false, nil
	}
	there, lookErr := b.has(ctx, rec)
	if there || lookErr != nil {
		return false, lookErr
	}
	var status *statusError
	return errors.As(err, &status) && status.Code < 500, err
}

// has reports whether Ray has the very job.
func (b Backend) has(ctx context.Context, rec job.Record) (bool, error) {
	info, err := b.job(ctx, refOf(rec))
	switch {
	case errors.Is(err, errNoJob):
		return false, nil
	case err != nil:
		return false, err
	case info.Metadata[metaConfig] != metadataOf(rec):
		return false, fmt.Errorf("Ray has a job %s that is not this one", refOf(rec))
	}
	return true, nil
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
	return r.Metadata[metaConfig]
}

// A job's package is kept here until the job is over: Ray forgets what no job
// needs at the moment.
func (b Backend) packagePath(id string) string { return filepath.Join(b.Dir, "packages", id+".zip") }

func (b Backend) keepPackage(id string, zip []byte) error {
	file := b.packagePath(id)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("keep the job's files: %w", err)
	}
	if err := os.WriteFile(file, zip, 0o600); err != nil {
		return fmt.Errorf("keep the job's files: %w", err)
	}
	return nil
}

// clear removes a job's package. It is no loss if it cannot.
func (b Backend) clear(id string) { _ = os.Remove(b.packagePath(id)) }

// upload sends a job's package, unless the cluster has it.
func (b Backend) upload(ctx context.Context, id string) error {
	zip, err := os.ReadFile(b.packagePath(id))
	if err != nil {
		return fmt.Errorf("read the job's files: %w", err)
	}
	at := "/api/packages/gcs/" + packageName(zip)
	var status *statusError
	err = b.ask(ctx, http.MethodGet, at, nil, nil)
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		err = b.ask(ctx, http.MethodPut, at, zip, nil)
	}
	if err != nil {
		return fmt.Errorf("send the job's files: %w", err)
	}
	return nil
}
