package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ml-intern/internal/durable"
	"ml-intern/internal/job"
	"ml-intern/internal/sandbox"
)

// Submit implements job.Backend. The job is accepted at the moment its folder
// is renamed into place; a crash before leaves nothing that can run, a crash
// after leaves a job that whoever looks at it starts.
func (b Backend) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	return b.SubmitAs(ctx, job.NewID(time.Now()), spec)
}

// SubmitAs is Submit for one who has chosen the job's id, which must be new
// unless the label has a job.
func (b Backend) SubmitAs(ctx context.Context, id string, spec job.Spec) (job.Status, error) {
	if spec.Label != "" {
		if status, err := b.Find(ctx, spec.Label); !errors.Is(err, job.ErrNotFound) {
			return status, err
		}
	}
	if err := b.check(spec); err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	if err := b.makeFolders(); err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	b.sweep()
	written := folder(filepath.Join(b.Dir, tmpDir, id))
	defer os.RemoveAll(string(written)) // nothing is left there once it is accepted
	if err := b.prepare(ctx, written, id, spec); err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	// Before anybody else can find the job, who may not have its secrets.
	hold, ok := holdFile(written.path(handingFile), os.O_CREATE)
	if !ok {
		return job.Status{}, fmt.Errorf("submit job: %s is locked", written.path(handingFile))
	}
	defer hold.Close()
	accepted, err := b.accept(ctx, written, spec.Label)
	if err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	if accepted != b.folder(id) { // the label got its job meanwhile
		return b.settle(ctx, accepted)
	}
	if len(spec.Secrets) > 0 {
		if err := b.startShim(ctx, accepted); err != nil {
			return job.Status{}, fmt.Errorf("start job %s: %w", id, err)
		}
	}
	if err := b.advance(ctx); err != nil {
		return job.Status{}, err
	}
	return accepted.status()
}

// makeFolders makes what the state of all jobs is in. Nothing later does, for
// shims may outlive a state that somebody removes.
func (b Backend) makeFolders() error {
	for _, dir := range []string{jobsDir, tmpDir, labelsDir, queueDir, grantedDir} {
		if err := os.MkdirAll(filepath.Join(b.Dir, dir), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{lockFile, lookedFile} {
		file, err := os.OpenFile(filepath.Join(b.Dir, name), os.O_CREATE|os.O_RDONLY, 0o600)
		if err != nil {
			return err
		}
		file.Close()
	}
	return nil
}

// check says what keeps the spec from running here.
func (b Backend) check(spec job.Spec) error {
	if !supported {
		return errUnsupported
	}
	if err := spec.Check(); err != nil {
		return err
	}
	if len(b.Shim) == 0 || !filepath.IsAbs(b.Dir) {
		return errors.New("the local backend needs an absolute Dir and a Shim")
	}
	if spec.Image != "" {
		return fmt.Errorf("jobs on this machine run in no container: leave out the image %s, or choose another backend", spec.Image)
	}
	if _, err := b.secrets(spec); err != nil {
		return err
	}
	for name := range spec.Env {
		if sandbox.SecretName(name) {
			return fmt.Errorf("%s looks like a secret: what a job is given is kept on disk, so it is not accepted", name)
		}
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

// prepare writes a job's folder.
func (b Backend) prepare(ctx context.Context, f folder, id string, spec job.Spec) error {
	m := b.machine(ctx)
	wants, err := b.need(m, spec)
	if err != nil {
		return err
	}
	if spec.TimeLimit == 0 {
		spec.TimeLimit = defaultTimeLimit
	}
	now := time.Now().UTC()
	rec := record{
		ID: id, Spec: spec, Need: wants, Submitted: now, Place: b.lastPlace(now),
		OutputDir: filepath.Join(spec.Dir, "runs", id), Hardware: m.Words, HasGPUs: len(m.GPUs) > 0,
		Environ: passwordFree(sandbox.Environ(b.env())), Shim: b.Shim,
	}
	if b.TokenHub != nil && slices.Contains(spec.Secrets, hubTokenName) {
		rec.TokenHub = b.TokenHub()
	}
	if b.Rules != nil {
		if rec.Rules, err = b.Rules(spec.Dir); err != nil {
			return err
		}
		rec.Rules.GPUs = rec.Rules.GPUs && asksGPU(wants, spec)
		rec.Cell = b.Cell
		if b.Way != nil {
			rec.Way = b.Way(spec)
		}
	}
	if err := os.Mkdir(string(f), 0o700); err != nil {
		return err
	}
	if spec.Script != "" {
		err = b.takeScript(f, &rec)
	} else {
		err = b.takeCommand(&rec)
	}
	if err != nil {
		return err
	}
	return f.write(specFile, rec)
}

// accept moves a written folder to the jobs, unless its label has one. It
// returns the job's folder.
func (b Backend) accept(ctx context.Context, written folder, label string) (folder, error) {
	unlock, err := lockExclusive(ctx, filepath.Join(b.Dir, lockFile))
	if err != nil {
		return "", fmt.Errorf("lock jobs: %w", err)
	}
	defer unlock()
	id := filepath.Base(string(written))
	if label != "" {
		if other, err := b.claimed(label); !errors.Is(err, job.ErrNotFound) {
			return b.folder(other), err
		}
		// Until the job it names is there, the label is free.
		if err := durable.Replace(b.labelPath(label), []byte(id)); err != nil {
			return "", fmt.Errorf("claim label: %w", err)
		}
	}
	var rec record
	if _, err := written.read(specFile, &rec); err != nil {
		return "", err
	}
	accepted := b.folder(id)
	if err := b.enqueue(rec); err != nil { // a name without a job is dropped
		return "", err
	}
	if err := os.Rename(string(written), string(accepted)); err != nil {
		return "", fmt.Errorf("accept job: %w", err)
	}
	return accepted, durable.SyncDir(filepath.Dir(string(accepted)))
}

// claimed returns the job that has a label, or job.ErrNotFound.
func (b Backend) claimed(label string) (id string, err error) {
	data, err := os.ReadFile(b.labelPath(label))
	if err == nil && !b.folder(string(data)).has(specFile) {
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find job labeled %q: %w", label, job.ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("find job labeled %q: %w", label, err)
	}
	return string(data), nil
}

// labelPath is the file that names a label's job. Labels may be any text.
func (b Backend) labelPath(label string) string {
	sum := sha256.Sum256([]byte(label))
	return filepath.Join(b.Dir, labelsDir, hex.EncodeToString(sum[:16]))
}

// sweep removes what Submits that were killed have left. It is no loss if it
// cannot.
func (b Backend) sweep() {
	entries, _ := os.ReadDir(filepath.Join(b.Dir, tmpDir))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(filepath.Join(b.Dir, tmpDir, e.Name()))
		}
	}
}
