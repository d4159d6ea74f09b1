package job_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
)

// faraway is a backend whose results have to be fetched.
type faraway struct {
	job.Backend
	spec   job.Spec
	status job.Status
	files  map[string]string
	err    error
	asked  int
}

func (f *faraway) Status(context.Context, string) (job.Status, error) { return f.status, nil }
func (f *faraway) Spec(context.Context, string) (job.Spec, error)     { return f.spec, nil }
func (f *faraway) Collect(context.Context, string) error {
	f.asked++
	for name, text := range f.files {
		path := filepath.Join(f.status.OutputDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	return f.err
}

func TestSecure(t *testing.T) {
	t.Parallel()
	pushed := map[string]bool{"hf://model/me/x": true}
	for name, c := range map[string]struct {
		outputs []string
		files   map[string]string
		err     error
		state   job.State
		risk    string // "" for safe
	}{
		"nothing was asked for":  {nil, map[string]string{"a/b": "x"}, nil, job.Succeeded, ""},
		"a file and a folder":    {[]string{"model.bin", "ckpt/"}, map[string]string{"model.bin": "w", "ckpt/1/x": "y"}, nil, job.Succeeded, ""},
		"a file is missing":      {[]string{"model.bin", "eval.json"}, map[string]string{"model.bin": "w"}, nil, job.Succeeded, "did not leave eval.json"},
		"a like name":            {[]string{"model"}, map[string]string{"model.bin": "w"}, nil, job.Succeeded, "did not leave model"},
		"it was pushed":          {[]string{"hf://model/me/x"}, nil, nil, job.Succeeded, ""},
		"it was not pushed":      {[]string{"hf://model/me/y"}, nil, nil, job.Succeeded, "did not leave hf://model/me/y (not pushed)"},
		"not brought home":       {nil, nil, errors.New("connection lost"), job.Succeeded, "connection lost"},
		"a failed job owes none": {[]string{"model.bin"}, map[string]string{"log": "x"}, nil, job.Failed, ""},
	} {
		dir := t.TempDir()
		f := &faraway{
			spec: job.Spec{Outputs: c.outputs}, files: c.files, err: c.err,
			status: job.Status{ID: "j1", State: c.state, OutputDir: filepath.Join(dir, "out"), Started: time.Now()},
		}
		k := job.Keeper{Backend: f, Dir: filepath.Join(dir, "receipts"), Remote: func(_ context.Context, output string, _ time.Time) error {
			if !pushed[output] {
				return errors.New("not pushed")
			}
			return nil
		}}
		r, err := k.Secure(t.Context(), "j1")
		if err != nil || !strings.Contains(r.AtRisk, c.risk) || (c.risk == "") != (r.AtRisk == "") || len(r.Files) != len(c.files) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		for _, file := range r.Files {
			if file.Bytes != int64(len(c.files[file.Path])) || len(file.SHA256) != 64 {
				t.Errorf("%s: %+v", name, file)
			}
		}
		again, err := k.Secure(t.Context(), "j1")
		if err != nil || fmt.Sprint(again.Files) != fmt.Sprint(r.Files) {
			t.Errorf("%s: then %+v, %v", name, again, err)
		}
		if want := 1 + len(c.risk)/max(len(c.risk), 1); f.asked != want { // what is at risk is looked at again
			t.Errorf("%s: collected %d times, want %d", name, f.asked, want)
		}
	}
}

// Results that are gone from here are brought again, as long as they are somewhere.
func TestSecureAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	f := &faraway{files: map[string]string{"model.bin": "w"}, spec: job.Spec{Outputs: []string{"model.bin"}}, status: job.Status{ID: "j1", State: job.Succeeded, OutputDir: out}}
	k := job.Keeper{Backend: f, Dir: filepath.Join(dir, "receipts")}
	secure := func(asked int, risk string) {
		t.Helper()
		r, err := k.Secure(t.Context(), "j1")
		if (err != nil) != (risk != "") || risk != "" && !strings.Contains(err.Error(), risk) || (len(r.Files) == 1) != (risk == "") || f.asked != asked {
			t.Errorf("%+v, %v, collected %d times", r, err, f.asked)
		}
	}
	remove := func(path string) {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	secure(1, "")
	remove(out)
	secure(3, "") // and looked at as the first time
	if _, err := os.Stat(filepath.Join(out, "model.bin")); err != nil {
		t.Error(err)
	}
	remove(out)
	f.err = errors.New("connection lost")
	f.files = nil
	secure(4, "bring the results of job j1 again")
	f.err = nil
	secure(5, "") // where they were here alone, nothing brings them
	f.status.Removed = time.Now()
	secure(5, "")
}

func TestSecureTooSoon(t *testing.T) {
	t.Parallel()
	k := job.Keeper{Backend: &faraway{status: job.Status{ID: "j1", State: job.Running}}, Dir: t.TempDir()}
	if _, err := k.Secure(t.Context(), "j1"); err == nil || !strings.Contains(err.Error(), "job j1 is running") {
		t.Errorf("got %v", err)
	}
}

// A cleaner removes a file while the results are looked at: it is asked before
// each of them.
type cleaner struct {
	context.Context
	path  string
	asked int
}

func (c *cleaner) Err() error {
	if c.asked++; c.asked == 2 { // the folder was read
		return os.Remove(c.path)
	}
	return nil
}

func TestSecureWhileFilesVanish(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	f := &faraway{files: map[string]string{"a": "x", "b": "y", "c": "z"}, status: job.Status{ID: "j1", State: job.Succeeded, OutputDir: out}}
	k := job.Keeper{Backend: f, Dir: filepath.Join(dir, "receipts")}
	r, err := k.Secure(&cleaner{Context: t.Context(), path: filepath.Join(out, "b")}, "j1")
	if err != nil || len(r.Files) != 2 || !strings.Contains(r.AtRisk, "b vanished") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := k.Secure(t.Context(), "j1"); err != nil || len(r.Files) != 3 || r.AtRisk != "" {
		t.Errorf("looked at again: %+v, %v", r, err)
	}
}
