package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/confine"
	"ml-intern/internal/durable"
	"ml-intern/internal/job"
)

// The folders of a Backend's Dir and the files of a job's folder.
const (
	jobsDir   = "jobs"
	tmpDir    = "tmp"    // jobs that are being written
	labelsDir = "labels" // the job of each label

	queueDir   = "queue"   // see queue.go
	grantedDir = "granted" // likewise
	lookedFile = "looked"  // changed when the queue was moved last

	specFile    = "spec.json"
	startedFile = "started.json"
	doneFile    = "done.json"
	reserveFile = "done.tmp"
	cancelFile  = "cancel"
	handingFile = "handing" // locked by whoever gives the job's secrets to its shim
	lockFile    = "lock"
	scriptDir   = "script"
	shimLogFile = "shim.log"
	removedFile = "removed.json"
)

// A record is spec.json: what was asked for and what it came to at Submit.
type record struct {
	ID           string    `json:"id"`
	Spec         job.Spec  `json:"spec"`
	Argv         []string  `json:"argv"`
	ImportDir    string    `json:"import_dir,omitempty"` // where the script's own modules are
	ScriptSHA256 string    `json:"script_sha256,omitempty"`
	OutputDir    string    `json:"output_dir"`
	Submitted    time.Time `json:"submitted"`
	Place        int64     `json:"place"` // in the queue
	Hardware     string    `json:"hardware,omitempty"`
	HasGPUs      bool      `json:"has_gpus,omitempty"` // the machine
	Need         need      `json:"need"`

	Requirements *requirements `json:"requirements,omitempty"` // nil if there is nothing to install

	Environ  []string `json:"environ,omitempty"`   // the submitter's, less what may not be kept
	TokenHub string   `json:"token_hub,omitempty"` // the Hub that the submitter's HF_TOKEN is for
	Shim     []string `json:"shim"`                // how the next job's shim is started

	Rules *confine.Rules `json:"rules,omitempty"` // nil if the job is not confined
	Cell  []string       `json:"cell,omitempty"`
	Way   *Way           `json:"way,omitempty"`
}

// A start is started.json: it identifies the job's first process.
type start struct {
	PID  int       `json:"pid"`
	Mark string    `json:"mark"` // tells it from later processes of the same number
	At   time.Time `json:"at"`
}

// An end is done.json.
type end struct {
	State    job.State `json:"state"`
	ExitCode int       `json:"exit_code"`
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at"`
}

// A folder is the folder of one job.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

func (f folder) has(name string) bool {
	_, err := os.Lstat(f.path(name))
	return err == nil
}

// read decodes one of the folder's files; ok is false if there is none.
func (f folder) read(name string, v any) (ok bool, err error) {
	data, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", f.path(name), err)
	}
	return true, nil
}

// status is what the files say. A job that has started and is not done is
// running, unless its lock is free.
func (f folder) status() (job.Status, error) {
	var rec record
	if ok, err := f.read(specFile, &rec); err != nil {
		return job.Status{}, err
	} else if !ok {
		return job.Status{}, fmt.Errorf("find job %q: %w", filepath.Base(string(f)), job.ErrNotFound)
	}
	s := job.Status{
		ID: rec.ID, Label: rec.Spec.Label, Name: rec.Spec.Name,
		State: job.Queued, ExitCode: -1, Submitted: rec.Submitted,
		OutputDir: rec.OutputDir, ScriptSHA256: rec.ScriptSHA256, Hardware: rec.Hardware, TimeLimit: rec.Spec.TimeLimit,
	}
	// The end first: when it is there, so is the start.
	var e end
	ended, err := f.read(doneFile, &e)
	if err != nil {
		return s, err
	}
	var st start
	if started, err := f.read(startedFile, &st); err != nil {
		return s, err
	} else if started {
		s.State, s.Started, s.PID = job.Running, st.At, st.PID
	}
	if ended {
		s.State, s.ExitCode, s.Reason, s.Finished = e.State, e.ExitCode, e.Reason, e.At
		var gone removal
		_, err = f.read(removedFile, &gone)
		s.Removed = gone.At
	}
	return s, err
}

// mark makes an empty file.
func (f folder) mark(name string) error {
	file, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close(), durable.SyncDir(string(f)))
}

// write puts a file in place, all of it or nothing, and makes it last.
func (f folder) write(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err == nil {
		err = durable.Replace(f.path(name), data)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// A reserve is room on the disk for done.json, taken before the job can fill
// the disk.
type reserve struct {
	folder folder
	file   *os.File
}

const reserveSize = 4 << 10

func (f folder) reserve() (*reserve, error) {
	// Not truncated: the room that a killed shim has taken is kept.
	file, err := os.OpenFile(f.path(reserveFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make room for the job's end: %w", err)
	}
	_, err = file.Write(make([]byte, reserveSize))
	if err = errors.Join(err, file.Sync()); err != nil {
		return nil, errors.Join(fmt.Errorf("make room for the job's end: %w", err), file.Close())
	}
	return &reserve{folder: f, file: file}, nil
}

// finish makes the reserve done.json.
func (r *reserve) finish(e end) error {
	e.Reason = clip(e.Reason, reserveSize/8) // a character may take six bytes in JSON
	data, err := json.MarshalIndent(e, "", "\t")
	if err == nil {
		_, err = r.file.WriteAt(data, 0)
	}
	if err == nil {
		err = r.file.Truncate(int64(len(data)))
	}
	if err = errors.Join(err, r.file.Sync(), r.file.Close()); err == nil {
		err = os.Rename(r.folder.path(reserveFile), r.folder.path(doneFile))
	}
	if err != nil {
		return fmt.Errorf("record the job's end: %w", err)
	}
	return durable.SyncDir(string(r.folder))
}

// clip shortens text to n bytes.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len("…")], "") + "…"
}
