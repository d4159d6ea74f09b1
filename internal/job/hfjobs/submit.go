package hfjobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/sandbox"
)

// Labels of the jobs that are sent.
const (
	labelID   = "ml-intern-job" // the id of the record
	labelName = "name"          // what people see
	sentBy    = "sent-by"
	sender    = "ml-intern"
)

const defaultImage = "ghcr.io/astral-sh/uv:python3.12-bookworm"

// Submit implements job.Backend.
func (b *Backend) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	rec, err := b.submit(ctx, spec)
	if err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	return rec.Last, nil
}

func (b *Backend) submit(ctx context.Context, spec job.Spec) (job.Record, error) {
	if spec.Label != "" {
		rec, err := b.records().Find(spec.Label)
		if err == nil && (rec.Ref != "" || rec.Last.Done()) {
			return b.settle(ctx, rec)
		}
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			return job.Record{}, err
		}
	}
	d, err := b.draft(ctx, spec)
	if err != nil {
		return job.Record{}, err
	}
	rec, done, err := b.records().Begin(ctx, d.spec)
	if err != nil {
		return job.Record{}, err
	}
	defer done()
	if rec.Ref != "" || rec.Last.Done() { // another process was quicker
		return b.settle(ctx, rec)
	}
	if rec.Kept[keptSent] != "" {
		if rec, err = b.lookFor(ctx, rec); err != nil || rec.Ref != "" {
			return rec, err
		}
		if left := time.Until(given(rec).Add(unsentWait)); left > 0 {
			return job.Record{}, fmt.Errorf("the answer to its submission was lost, and the Hub does not show it yet: "+
				"submit again in %s, it is sent anew if it is not there by then", left.Round(time.Second))
		}
	}
	return b.send(ctx, rec, d)
}

// A draft is a submission that has no id yet.
type draft struct {
	spec      job.Spec
	namespace string
	offer     job.Offer
	load      load
	secrets   map[string]string
}

// draft prepares all of a submission that can fail for good, before anything is
// remembered.
func (b *Backend) draft(ctx context.Context, spec job.Spec) (d draft, err error) {
	if err := b.check(spec); err != nil {
		return d, err
	}
	if spec.TimeLimit == 0 {
		spec.TimeLimit = defaultTimeLimit
	}
	d.spec = spec
	if d.secrets, err = b.secrets(spec.Secrets); err != nil {
		return d, err
	}
	if d.load, err = pack(spec); err != nil {
		return d, err
	}
	if d.offer, err = b.choose(ctx, spec); err != nil {
		return d, err
	}
	d.namespace, err = b.namespace(ctx)
	return d, err
}

// How the Hub wants variables and secrets to be named.
var (
	variable   = lazyregexp.New(`^[a-zA-Z][_a-zA-Z0-9]+$`)
	secretName = lazyregexp.New(`^[a-zA-Z][_a-zA-Z0-9]*$`)
)

// maxText is how long one argument or variable of a program may be on Linux.
const maxText = 128<<10 - 1

// check says what keeps the spec from running on any Hub.
func (b *Backend) check(spec job.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	switch {
	case !filepath.IsAbs(b.Dir):
		return errors.New("the backend of the Hub's jobs needs an absolute Dir")
	case spec.Retries > 0:
		return errors.New("the Hub would run the job again after any failure, not only when its machine is taken away: submit with 0 retries")
	}
	for name, value := range spec.Env {
		switch {
		case sandbox.SecretName(name):
			return fmt.Errorf("%s looks like a secret: the Hub shows a job's environment, so it is not accepted there: name it as a secret", name)
		case !variable.MatchString(name):
			return fmt.Errorf("the Hub takes no variable %q: want a letter, then letters, digits and _", name)
		case len(name)+len(value) >= maxText:
			return fmt.Errorf("the variable %s has %d bytes, more than a program can be given", name, len(value))
		}
	}
	for _, arg := range slices.Concat(spec.Command, spec.Args) {
		if len(arg) > maxText {
			return fmt.Errorf("the argument %.40q… has %d bytes, more than a program can be given: write it to a file and name that as an input", arg, len(arg))
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

// secrets finds the values of secrets.
func (b *Backend) secrets(names []string) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range names {
		if !secretName.MatchString(name) {
			return nil, fmt.Errorf("the Hub takes no secret %q: want a letter, then letters, digits and _", name)
		}
		value, ok := b.secret(name)
		if !ok {
			return nil, fmt.Errorf("the job needs the secret %s, which is not set here, or none of job_secrets in the configuration", name)
		}
		values[name] = value
	}
	return values, nil
}

// request is what the Hub is sent for a record.
func (b *Backend) request(rec job.Record, d draft) hub.JobSpec {
	image := d.spec.Image
	if image == "" {
		image = b.Image
	}
	if image == "" {
		image = defaultImage
	}
	labels := map[string]string{labelID: rec.ID, sentBy: sender}
	if name := labelText(d.spec.Name); name != "" {
		labels[labelName] = name
	}
	env := map[string]string{"UV_NO_PROGRESS": "1"}
	maps.Copy(env, d.spec.Env)
	if strings.HasPrefix(d.spec.Checkpoint, "hf://") { // on a new disk there is no other
		env["CHECKPOINT"] = d.spec.Checkpoint
	}
	command := d.load.wrap(rec.ID, env)
	return hub.JobSpec{
		Image: image, Command: command, Env: env, Secrets: d.secrets,
		Flavor: d.offer.Flavor, Timeout: d.spec.TimeLimit, Labels: labels,
	}
}

var notLabel = lazyregexp.New(`[^A-Za-z0-9._-]+`)

// labelText is a text as a label can hold it.
func labelText(text string) string {
	text = strings.Trim(notLabel.ReplaceAllString(text, "-"), "-")
	return text[:min(len(text), 100)]
}

// send gives the job to the Hub. That it is being sent is written down before.
func (b *Backend) send(ctx context.Context, rec job.Record, d draft) (job.Record, error) {
	rec.Kept = with(with(rec.Kept, keptSent, now()), keptNamespace, d.namespace)
	rec.Spec = d.spec
	rec.Last.State, rec.Last.Reason = job.Queued, ""
	rec.Last.ScriptSHA256, rec.Last.Hardware = d.load.scriptSHA256, inWords(d.offer)
	rec.Last.USDPerHour, rec.Last.TimeLimit = d.offer.USDPerHour, d.spec.TimeLimit
	if len(repositories(d.spec.Outputs)) == 0 { // the job's disk is gone with it
		rec.Last.OutputDir = ""
	}
	if err := b.records().Save(rec); err != nil {
		return rec, errors.Join(err, b.records().Forget(rec.ID))
	}
	ask, stop := context.WithTimeout(ctx, sendLimit)
	defer stop()
	j, err := b.Hub.RunJob(ask, d.namespace, b.request(rec, d))
	if err == nil {
		return b.adopt(ctx, rec, j)
	}
	return b.unanswered(ctx, rec, err)
}

// unanswered is for a job that was sent, without the answer that the Hub has
// it: it was refused, or nobody knows.
func (b *Backend) unanswered(ctx context.Context, rec job.Record, err error) (job.Record, error) {
	sure, again := certain(err)
	err = b.plainly(err, rec.Kept[keptNamespace])
	if sure {
		return rec, errors.Join(err, b.records().Forget(rec.ID))
	}
	for _, wait := range []time.Duration{0, time.Second, 3 * time.Second} {
		select {
		case <-ctx.Done():
			return rec, err
		case <-time.After(wait):
		}
		found, look := b.lookFor(ctx, rec)
		if look == nil && found.Ref != "" {
			return found, nil
		}
		if look == nil && again { // the Hub is done with it
			return rec, errors.Join(err, b.records().Forget(rec.ID))
		}
	}
	return rec, fmt.Errorf("the Hub may have it, which is looked up when the job is asked for: %w", err)
}

// certain reports whether an error of sending says that the job was not
// accepted; again, that the Hub has at least done all it will with it.
func certain(err error) (sure, again bool) {
	if refused, ok := errors.AsType[*hub.Error](err); ok {
		switch {
		case refused.Status < 500 && refused.Status != http.StatusRequestTimeout && refused.Status != http.StatusConflict:
			return true, true
		case refused.Status == http.StatusNotImplemented:
			return true, true
		}
		return false, refused.Status == http.StatusInternalServerError
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial", false
}

// adopt notes that the Hub has the job.
func (b *Backend) adopt(ctx context.Context, rec job.Record, j hub.Job) (job.Record, error) {
	rec.Ref = j.ID
	rec.Last.Ref = j.ID
	rec.Last.URL = b.Hub.JobURL(rec.Kept[keptNamespace], j.ID)
	if kept, err := b.records().Get(rec.ID); err == nil && kept.Kept[keptCancel] != "" { // since it was sent
		rec.Kept = with(rec.Kept, keptCancel, kept.Kept[keptCancel])
	}
	if err := b.records().Save(rec); err != nil {
		return rec, err
	}
	if rec.Kept[keptCancel] != "" {
		if err := b.stop(ctx, rec); err != nil {
			return rec, fmt.Errorf("cancel job %s: %w", rec.ID, err)
		}
	}
	return b.observe(ctx, rec, j)
}

// lookFor asks the Hub for a job that it may have got.
func (b *Backend) lookFor(ctx context.Context, rec job.Record) (job.Record, error) {
	if rec.Kept[keptSent] != "" {
		ask, stop := context.WithTimeout(ctx, askLimit)
		defer stop()
		ns := rec.Kept[keptNamespace]
		for j, err := range b.Hub.ListJobs(ask, ns, hub.JobFilter{Labels: map[string]string{labelID: rec.ID}}) {
			if err != nil {
				return rec, fmt.Errorf("look for job %s: %w", rec.ID, b.plainly(err, ns))
			}
			if j.Labels[labelID] == rec.ID { // a Hub may not know filters
				return b.adopt(ctx, rec, j)
			}
		}
	}
	if time.Since(given(rec)) < unsentWait {
		return rec, nil
	}
	if rec.Kept[keptCancel] != "" {
		rec.Last.State, rec.Last.Reason = job.Canceled, "canceled before the Hub had it"
		return rec, b.records().Save(rec)
	}
	// Not for good: its label may be submitted again.
	rec.Last.State, rec.Last.Reason = job.Failed, "the Hub never got it: submit it again"
	return rec, nil
}

// given is when the job was sent last, or was about to be.
func given(rec job.Record) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, rec.Kept[keptSent]); err == nil {
		return at
	}
	return rec.Submitted
}
