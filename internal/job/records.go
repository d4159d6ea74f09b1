package job

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/durable"

	"github.com/gofrs/flock"
)

// Records are what this machine remembers of jobs that run elsewhere, a file
// each. Any number of processes may share a folder.
//
// A record is written before its job is sent, and has no Ref until the answer
// has come. So after a crash, a lost answer or a lost network the job is found
// by its record's ID, which the other side was given, and not sent again.
type Records struct {
	Dir string // only its owner can read it
}

// A Record is one job that was sent elsewhere, or is about to be.
type Record struct {
	ID        string    `json:"id"` // ours; sent along, so that the other side can be asked for it
	Ref       string    `json:"ref,omitempty"`
	Spec      Spec      `json:"spec"`
	Submitted time.Time `json:"submitted"`

	Last Status            `json:"last"`           // as it was last seen; once it is done, it stays so
	Kept map[string]string `json:"kept,omitempty"` // what the backend has to remember
}

// recordLimit is how long one may wait for another process that submits a job
// of the same label.
const recordLimit = 2 * time.Minute

// Begin returns the record of the spec's label, or a new one. The label is the
// caller's until done is called: after the answer has come and was saved, or
// the record was forgotten.
func (r Records) Begin(ctx context.Context, spec Spec) (rec Record, done func(), err error) {
	if err := os.MkdirAll(filepath.Join(r.Dir, "labels"), 0o700); err != nil {
		return Record{}, nil, fmt.Errorf("make folder for jobs: %w", err)
	}
	done = func() {}
	if spec.Label != "" {
		lock := flock.New(r.labelPath(spec.Label) + ".lock")
		ctx, cancel := context.WithTimeout(ctx, recordLimit)
		defer cancel()
		if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
			return Record{}, nil, fmt.Errorf("wait for another submission of the label %q: %w", spec.Label, err)
		}
		done = func() { _ = lock.Unlock() }
		rec, err := r.Find(spec.Label)
		if !errors.Is(err, ErrNotFound) {
			if err != nil {
				done()
				return Record{}, nil, err
			}
			return rec, done, nil
		}
	}
	rec = Record{ID: NewID(time.Now()), Spec: spec, Submitted: time.Now().UTC()}
	rec.Last = Status{
		ID: rec.ID, Label: spec.Label, Name: spec.Name, State: Queued, ExitCode: -1, Submitted: rec.Submitted,
		OutputDir: filepath.Join(spec.Dir, "runs", rec.ID), TimeLimit: spec.TimeLimit,
	}
	if spec.Label != "" {
		// Until its record is there, the label is free.
		err = durable.Replace(r.labelPath(spec.Label), []byte(rec.ID))
	}
	if err == nil {
		err = r.Save(rec)
	}
	if err != nil {
		done()
		return Record{}, nil, fmt.Errorf("remember job: %w", err)
	}
	return rec, done, nil
}

// Save writes the record, whole or not at all. What says that its job is done
// is never replaced by what says that it is not.
func (r Records) Save(rec Record) error {
	if old, err := r.Get(rec.ID); err == nil && old.Last.Done() && !rec.Last.Done() {
		return nil
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("remember job %s: %w", rec.ID, err)
	}
	if err := durable.Replace(r.path(rec.ID), data); err != nil {
		return fmt.Errorf("remember job %s: %w", rec.ID, err)
	}
	return nil
}

// Forget removes the record of a job that was certainly not accepted.
func (r Records) Forget(id string) error {
	if err := os.Remove(r.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget job %s: %w", id, err)
	}
	return nil
}

// Get returns the record of a job.
func (r Records) Get(id string) (Record, error) {
	var rec Record
	if !ValidID(id) {
		return rec, fmt.Errorf("find job %.40q: %w", id, ErrNotFound)
	}
	data, err := os.ReadFile(r.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return rec, fmt.Errorf("find job %q: %w", id, ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	if err != nil {
		return rec, fmt.Errorf("read what is known of job %s: %w", id, err)
	}
	return rec, nil
}

// Find returns the record of a label.
func (r Records) Find(label string) (Record, error) {
	id, err := os.ReadFile(r.labelPath(label))
	if label == "" || errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("find job labeled %q: %w", label, ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("find job labeled %q: %w", label, err)
	}
	return r.Get(string(id))
}

// All returns the records, newest first, with the errors of those that could
// not be read.
func (r Records) All() ([]Record, error) {
	entries, err := os.ReadDir(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var all []Record
	var errs []error
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !ValidID(id) {
			continue
		}
		rec, err := r.Get(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, rec)
	}
	slices.SortFunc(all, func(x, y Record) int { return cmp.Or(y.Submitted.Compare(x.Submitted), cmp.Compare(y.ID, x.ID)) })
	return all, errors.Join(errs...)
}

func (r Records) path(id string) string { return filepath.Join(r.Dir, id+".json") }

// labelPath is the file that names a label's job. Labels may be any text.
func (r Records) labelPath(label string) string {
	sum := sha256.Sum256([]byte(label))
	return filepath.Join(r.Dir, "labels", hex.EncodeToString(sum[:16]))
}
