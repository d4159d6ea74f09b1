package preflight

import (
	"context"
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
	"ml-intern/internal/job"
)

// History remembers jobs and trials in a folder, a file each. Any number of
// processes may share it. The caller says what happened.
type History struct {
	Dir string // only its owner can read it

	// Open reports whether a job still runs or waits to; nil means that none
	// does that has not shown progress.
	Open func(ctx context.Context, id string) bool
}

var _ Earlier = History{}

// A remembered job.
type remembered struct {
	Run
	SHA256    string    `json:"sha256"`
	Submitted time.Time `json:"submitted"`
	Progress  bool      `json:"progress"`
}

// Submitted remembers a job whose submission was accepted.
func (h History) Submitted(r Run) error {
	return h.write("job-"+r.ID, remembered{Run: r, SHA256: hashOf([]byte(r.Script)), Submitted: time.Now()})
}

// Progressed notes that a job does what it should: it has logged steps, or
// succeeded. Its script counts as tried from then on.
func (h History) Progressed(id string) error {
	r, err := read[remembered](h, "job-"+id)
	if err != nil || r.Progress {
		return err
	}
	r.Progress = true
	if err := h.write("job-"+id, r); err != nil {
		return err
	}
	if _, err := read[Smoke](h, "smoke-"+r.SHA256); err == nil {
		return nil
	}
	return h.Tried(Smoke{SHA256: r.SHA256})
}

// Tried remembers a trial that went well.
func (h History) Tried(s Smoke) error { return h.write("smoke-"+s.SHA256, s) }

// Smoke implements Earlier.
func (h History) Smoke(_ context.Context, sha256 string) (Smoke, bool) {
	s, err := read[Smoke](h, "smoke-"+sha256)
	return s, err == nil
}

// Previous implements Earlier.
func (h History) Previous(_ context.Context, spec job.Spec) (Run, bool) {
	for _, r := range h.jobs() {
		same := r.Spec.Script == spec.Script && slices.Equal(r.Spec.Command, spec.Command)
		if r.Spec.Dir == spec.Dir && (same || spec.Name != "" && r.Spec.Name == spec.Name) {
			return r.Run, true
		}
	}
	return Run{}, false
}

// Proven implements Earlier.
func (h History) Proven(_ context.Context, sha256 string) bool {
	return slices.ContainsFunc(h.jobs(), func(r remembered) bool { return r.SHA256 == sha256 && r.Progress })
}

// Unproven implements Earlier.
func (h History) Unproven(ctx context.Context, sha256 string) (string, bool) {
	for _, r := range h.jobs() {
		if r.SHA256 == sha256 && !r.Progress && h.Open != nil && h.Open(ctx, r.ID) {
			return r.ID, true
		}
	}
	return "", false
}

// jobs lists the jobs, newest first. What cannot be read is left out: it is
// not worth stopping a job for.
func (h History) jobs() []remembered {
	names, _ := filepath.Glob(filepath.Join(h.Dir, "job-*.json"))
	var all []remembered
	for _, name := range names {
		if r, err := read[remembered](h, strings.TrimSuffix(filepath.Base(name), ".json")); err == nil {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b remembered) int { return b.Submitted.Compare(a.Submitted) })
	return all
}

func read[T any](h History, name string) (v T, err error) {
	data, err := os.ReadFile(h.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return v, fmt.Errorf("find %s: %w", name, job.ErrNotFound)
	}
	if err != nil {
		return v, fmt.Errorf("read what is remembered: %w", err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("read %s: %w", name, err)
	}
	return v, nil
}

func (h History) path(name string) string {
	return filepath.Join(h.Dir, strings.Map(plainRune, name)+".json")
}

func plainRune(r rune) rune {
	if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}

func (h History) write(name string, v any) error {
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return fmt.Errorf("make folder for what is remembered: %w", err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := durable.Replace(h.path(name), data); err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	return nil
}
