package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/durable"
)

// A Receipt says whether the results of a job that is over are where they
// belong, and what they are.
type Receipt struct {
	Job     string    `json:"job"`
	AtRisk  string    `json:"at_risk,omitempty"` // why they may be lost, in one sentence; "" if they are safe
	Files   []File    `json:"files"`             // in OUTPUT_DIR, in order of their paths
	Checked time.Time `json:"checked"`
}

// A File is one result.
type File struct {
	Path   string `json:"path"` // in OUTPUT_DIR, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hex
}

// A Keeper brings results home and vouches for them. A job is done for it only
// when they are there.
type Keeper struct {
	Backend
	Dir string // receipts; only its owner can read it

	// Remote says whether an output such as hf://model/me/x was changed since,
	// with an error that says what is wrong if it was not.
	Remote func(ctx context.Context, output string, since time.Time) error
}

// Secure collects the results of a job that is over and looks whether all that
// it was to leave is there. What was safe once is not looked at again, unless all
// of it is gone from here: then it is brought again, from where it still is. A
// receipt that could not be kept comes with the error.
func (k Keeper) Secure(ctx context.Context, id string) (Receipt, error) {
	status, err := k.Status(ctx, id)
	if err != nil {
		return Receipt{}, fmt.Errorf("secure results: %w", err)
	}
	if !status.Done() {
		return Receipt{}, fmt.Errorf("secure results: job %s is %s", id, status.State)
	}
	if r, err := k.read(id); err == nil && r.AtRisk == "" {
		back, err := k.again(ctx, r, status)
		if err != nil {
			return Receipt{}, err
		}
		if !back {
			return r, nil
		}
	}
	spec, err := k.Spec(ctx, id)
	if err != nil {
		return Receipt{}, fmt.Errorf("secure results: %w", err)
	}
	r := Receipt{Job: id, Checked: time.Now().UTC()}
	if err := k.Collect(ctx, id); err != nil {
		r.AtRisk = fmt.Sprintf("they could not be brought to %s: %v", status.OutputDir, err)
	}
	var vanished []string
	if r.Files, vanished, err = hashed(ctx, status.OutputDir); err != nil {
		return Receipt{}, fmt.Errorf("hash results of job %s: %w", id, err)
	}
	if len(vanished) > 0 && r.AtRisk == "" {
		r.AtRisk = fmt.Sprintf("%s vanished while the results were looked at", strings.Join(vanished, ", "))
	}
	if status.State == Succeeded && r.AtRisk == "" {
		r.AtRisk = k.missing(ctx, spec, status, r.Files)
	}
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	return r, k.write(r)
}

// again brings results that were here and are gone, as after a rewind, and
// reports whether there are any now. Those that were removed where the job ran
// are nobody's to bring.
func (k Keeper) again(ctx context.Context, r Receipt, status Status) (back bool, err error) {
	gone := func() bool {
		_, err := os.Lstat(status.OutputDir)
		return errors.Is(err, fs.ErrNotExist)
	}
	if len(r.Files) == 0 || !status.Removed.IsZero() || !gone() {
		return false, nil
	}
	if err := k.Collect(ctx, r.Job); err != nil {
		return false, fmt.Errorf("bring the results of job %s again, which are gone from %s: %w", r.Job, status.OutputDir, err)
	}
	return !gone(), nil
}

// missing says which outputs are not where they belong, "" if none.
func (k Keeper) missing(ctx context.Context, spec Spec, status Status, files []File) string {
	var gone []string
	for _, output := range spec.Outputs {
		switch {
		case strings.Contains(output, "://"):
			if k.Remote == nil {
				gone = append(gone, output+" (nobody can look there)")
			} else if err := k.Remote(ctx, output, status.Started); err != nil {
				gone = append(gone, fmt.Sprintf("%s (%v)", output, err))
			}
		case !holds(files, output):
			gone = append(gone, output)
		}
	}
	if gone == nil {
		return ""
	}
	return "the job succeeded and did not leave " + strings.Join(gone, ", ")
}

// holds reports whether the output is one of the files, or a folder of some.
func holds(files []File, output string) bool {
	output = strings.TrimSuffix(filepath.ToSlash(filepath.Clean(output)), "/")
	for _, f := range files {
		if f.Path == output || strings.HasPrefix(f.Path, output+"/") || output == "." {
			return true
		}
	}
	return false
}

// hashed lists the regular files below dir, which need not exist, and what was
// there and vanished meanwhile.
func hashed(ctx context.Context, dir string) (files []File, vanished []string, err error) {
	files = []File{}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return files, nil, nil
	}
	gone := func(path string, err error) error {
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		vanished = append(vanished, filepath.Base(path))
		return nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil {
			return gone(path, err)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := hash(dir, path)
		if err != nil {
			return gone(path, err)
		}
		files = append(files, f)
		return nil
	})
	return files, vanished, err
}

func hash(dir, path string) (File, error) {
	file, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = file.Close() }() // only read
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	if err != nil {
		return File{}, err
	}
	rel, err := filepath.Rel(dir, path)
	return File{filepath.ToSlash(rel), n, hex.EncodeToString(sum.Sum(nil))}, err
}

func (k Keeper) path(id string) string { return filepath.Join(k.Dir, id+".json") }

func (k Keeper) read(id string) (Receipt, error) {
	var r Receipt
	if !ValidID(id) {
		return r, ErrNotFound
	}
	data, err := os.ReadFile(k.path(id))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

func (k Keeper) write(r Receipt) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(k.Dir, 0o700)
	}
	if err == nil {
		err = durable.Replace(k.path(r.Job), data)
	}
	if err != nil {
		return fmt.Errorf("keep receipt of job %s: %w", r.Job, err)
	}
	return nil
}
