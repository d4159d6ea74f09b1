package slurm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// Submit implements job.Backend. The job is remembered, then sent; whoever is
// killed in between, or gets no answer, looks for it by its name before it is
// sent again.
func (b *Backend) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	status, err := b.submit(ctx, spec)
	if err != nil {
		return status, fmt.Errorf("submit job: %w", err)
	}
	return status, nil
}

func (b *Backend) submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	if rec, err := b.records().Find(spec.Label); !errors.Is(err, job.ErrNotFound) && (err != nil || sent(rec)) {
		return b.known(ctx, rec), err
	}
	p, err := b.plan(ctx, spec)
	if err != nil {
		return job.Status{}, err
	}
	began := time.Now()
	rec, done, err := b.records().Begin(ctx, spec)
	if err != nil {
		return job.Status{}, err
	}
	defer done()
	if sent(rec) {
		return b.known(ctx, rec), nil
	}
	if rec.Submitted.Before(began) {
		// A Submit before this one was cut off.
		if found, err := b.found(ctx, &rec); err != nil || found {
			return rec.Last, errors.Join(err, b.records().Save(rec))
		}
	}
	return b.send(ctx, p.on(rec, spec), p)
}

// sent reports whether a job needs no more sending.
func sent(rec job.Record) bool { return rec.Ref != "" || rec.Last.Done() }

// known is the status of a job that is there; how it was last if Slurm cannot
// be asked now.
func (b *Backend) known(ctx context.Context, rec job.Record) job.Status {
	if rec.ID == "" {
		return job.Status{}
	}
	status, _ := b.status(ctx, rec, time.Time{}) // it has what is known, whatever the error
	return status
}

// found looks for a job whose answer was lost, and if Slurm has it sets the
// record's Ref.
func (b *Backend) found(ctx context.Context, rec *job.Record) (bool, error) {
	s, err := b.snapshot(ctx, time.Now(), rec.ID)
	if err == nil {
		err = s.queueErr
	}
	if err != nil {
		return false, fmt.Errorf("look for a job that was sent before: %w", err)
	}
	h := s.histories[rec.ID]
	if r, ok := choose(s.rows(*rec), h.ref, ""); ok {
		rec.Ref = r.ref
	} else {
		rec.Ref = h.ref
	}
	rec.Last.Ref = rec.Ref
	return rec.Ref != "", nil
}

// send sends a job that is remembered.
func (b *Backend) send(ctx context.Context, rec job.Record, p plan) (job.Status, error) {
	if err := b.records().Save(rec); err != nil {
		return job.Status{}, err
	}
	pad, mixed := newSecrets(p.secrets)
	if err := b.upload(ctx, rec, p, mixed); err != nil {
		return job.Status{}, errors.Join(fmt.Errorf("put the job where Slurm sees it: %w", err), b.withdraw(ctx, rec))
	}
	ref, err := b.sbatch(ctx, rec, p, pad)
	if err == nil {
		rec.Ref, rec.Last.Ref = ref, ref
		b.live.add(b.unfinished, rec.ID)
		return rec.Last, b.records().Save(rec)
	}
	// It may have it all the same.
	found, lookErr := b.found(ctx, &rec)
	if found {
		return rec.Last, b.records().Save(rec)
	}
	var refused *refusal
	if lookErr == nil && errors.As(err, &refused) {
		return job.Status{}, errors.Join(fmt.Errorf("sbatch: %w", err), b.withdraw(ctx, rec))
	}
	return rec.Last, fmt.Errorf("sbatch: %w; nobody knows whether Slurm has the job: submitted again with its label, it runs once", err)
}

// withdraw forgets a job. Should Slurm have it after all, it finds no folder,
// and does nothing.
func (b *Backend) withdraw(ctx context.Context, rec job.Record) error {
	if _, err := b.run(ctx, "rm -rf "+quote(b.root()+"/"+jobsDir+"/"+rec.ID)); err != nil {
		return nil //nolint:nilerr // then the record stays, and with it the label
	}
	b.live.remove(rec.ID)
	return b.records().Forget(rec.ID)
}

// sbatch gives the job to Slurm and returns its number.
func (b *Backend) sbatch(ctx context.Context, rec job.Record, p plan, pad string) (string, error) {
	script := "cd " + quote(b.root()+"/"+jobsDir+"/"+rec.ID) + " || exit\n"
	if pad != "" {
		script += "export " + padName + "=" + quote(pad) + "\n"
	}
	out, err := b.run(ctx, script+b.program("sbatch")+" "+quoteAll(b.options(rec, p))+` --chdir="$PWD" -- ./`+batchFile+` "$PWD"`)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	ref, _, _ := strings.Cut(lines[len(lines)-1], ";") // NUMBER;CLUSTER
	if _, err := strconv.Atoi(ref); err != nil {
		return "", fmt.Errorf("%w: sbatch said %q", errNoAnswer, clip(out, 200))
	}
	return ref, nil
}

// options are sbatch's. Everyone can read them.
func (b *Backend) options(rec job.Record, p plan) []string {
	need := rec.Spec.Hardware
	options := []string{
		"--parsable", "--job-name=" + jobName(rec.ID, rec.Spec.Name), "--partition=" + p.part.name,
		"--nodes=1", "--ntasks=1", "--cpus-per-task=" + strconv.Itoa(max(need.CPUs, 1)),
		"--time=" + strconv.Itoa(int(p.limit.Minutes())),
		"--output=" + slurmLogFile, "--open-mode=append", "--export=ALL",
	}
	if need.MemoryMB > 0 {
		options = append(options, fmt.Sprintf("--mem=%dM", need.MemoryMB))
	}
	if gpus := p.gpus; gpus > 0 && p.part.gres != "" {
		options = append(options, fmt.Sprintf("--gres=gpu:%s:%d", p.part.gres, gpus))
	} else if gpus > 0 {
		options = append(options, fmt.Sprintf("--gres=gpu:%d", gpus))
	}
	if rec.Spec.Retries > 0 {
		options = append(options, "--requeue")
	} else {
		options = append(options, "--no-requeue")
	}
	if b.Account != "" {
		options = append(options, "--account="+b.Account)
	}
	if b.QOS != "" {
		options = append(options, "--qos="+b.QOS)
	}
	return append(options, b.Options...)
}
