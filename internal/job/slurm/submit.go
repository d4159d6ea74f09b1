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
	if there, err := b.there(ctx, &rec, began); there || err != nil {
		return rec.Last, err
	}
	statuses, err := b.send(ctx, []parcel{{p.on(rec, spec), p}})
	return statuses[0], err
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

// A parcel is a job that is remembered, and how it will run.
type parcel struct {
	rec job.Record
	plan
}

// send sends a job, or several as one array.
func (b *Backend) send(ctx context.Context, parcels []parcel) ([]job.Status, error) {
	statuses := make([]job.Status, len(parcels))
	head := parcels[0].rec.ID
	if len(parcels) > 1 {
		head = job.NewID(time.Now())
	}
	for i := range parcels {
		parcels[i].rec.Kept = nil
		if len(parcels) > 1 {
			parcels[i].rec.Kept = map[string]string{keptArray: head, keptTask: strconv.Itoa(i)}
		}
		if err := b.records().Save(parcels[i].rec); err != nil {
			return statuses, err
		}
		b.live.add(b.unfinished, parcels[i].rec.ID)
	}
	pad, mixed := newSecrets(parcels[0].secrets)
	err := b.upload(ctx, head, parcels, mixed)
	if err != nil {
		return statuses, errors.Join(fmt.Errorf("put the job where Slurm sees it: %w", err), b.withdraw(ctx, head, parcels))
	}
	ref, err := b.sbatch(ctx, head, parcels, pad)
	var refused *refusal
	for i := range parcels {
		rec := &parcels[i].rec
		if err == nil {
			rec.Ref = ref
			if len(parcels) > 1 {
				rec.Ref += "_" + strconv.Itoa(i)
			}
			rec.Last.Ref = rec.Ref
		} else if found, lookErr := b.found(ctx, rec); lookErr != nil || !found {
			if lookErr == nil && errors.As(err, &refused) {
				return statuses, errors.Join(fmt.Errorf("sbatch: %w", err), b.withdraw(ctx, head, parcels))
			}
			return statuses, fmt.Errorf("sbatch: %w; nobody knows whether Slurm has the job: submitted again with its label, it runs once", err)
		}
		statuses[i] = rec.Last
		if err := b.records().Save(*rec); err != nil {
			return statuses, err
		}
	}
	return statuses, nil
}

// withdraw forgets jobs that Slurm has not got, unless one runs all the same.
// Should Slurm get one later, it finds no folder and does nothing.
func (b *Backend) withdraw(ctx context.Context, head string, parcels []parcel) error {
	script := "cd " + quote(b.root()+"/"+jobsDir) + " || exit\n"
	for _, p := range parcels {
		script += "mkdir -p " + p.rec.ID + "; ln -s nobody " + p.rec.ID + "/claim 2>/dev/null\n" +
			`[ "$(readlink ` + p.rec.ID + `/claim)" = nobody ] || exit` + "\nset -- \"$@\" " + p.rec.ID + "\n"
	}
	if _, err := b.run(ctx, script+`rm -rf "$@" `+head); err != nil {
		return nil //nolint:nilerr // then the records stay, and with them the labels
	}
	var errs []error
	for _, p := range parcels {
		b.live.remove(p.rec.ID)
		errs = append(errs, b.records().Forget(p.rec.ID))
	}
	return errors.Join(errs...)
}

// sbatch gives the jobs to Slurm and returns their number.
func (b *Backend) sbatch(ctx context.Context, head string, parcels []parcel, pad string) (string, error) {
	script := "cd " + quote(b.root()+"/"+jobsDir+"/"+head) + " || exit\n"
	if pad != "" {
		script += "export " + padName + "=" + quote(pad) + "\n"
	}
	options := b.options(head, parcels)
	out, err := b.run(ctx, script+b.program("sbatch")+" "+quoteAll(options)+` --chdir="$PWD" -- ./`+batchFile+` "$PWD"`)
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
func (b *Backend) options(head string, parcels []parcel) []string {
	p, spec := parcels[0].plan, parcels[0].rec.Spec
	need, log := spec.Hardware, slurmLogFile
	if len(parcels) > 1 {
		log += ".%a" // each has its own
	}
	options := []string{
		"--parsable", "--job-name=" + jobName(head, spec.Name), "--partition=" + p.part.name,
		"--nodes=1", "--ntasks=1", "--cpus-per-task=" + strconv.Itoa(max(need.CPUs, 1)),
		"--time=" + strconv.Itoa(int(p.limit.Minutes())),
		"--output=" + log, "--open-mode=append", "--export=ALL",
	}
	if len(parcels) > 1 {
		options = append(options, fmt.Sprintf("--array=0-%d", len(parcels)-1))
	}
	if need.MemoryMB > 0 {
		options = append(options, fmt.Sprintf("--mem=%dM", need.MemoryMB))
	}
	if gpus := p.gpus; gpus > 0 && p.part.gres != "" {
		options = append(options, fmt.Sprintf("--gres=gpu:%s:%d", p.part.gres, gpus))
	} else if gpus > 0 {
		options = append(options, fmt.Sprintf("--gres=gpu:%d", gpus))
	}
	if spec.Retries > 0 {
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
