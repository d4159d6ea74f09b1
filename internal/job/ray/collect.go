package ray

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"ml-intern/internal/job"
)

// A listing is results.json: what is in OUTPUT_DIR. Of a job that is over it is
// final, and has hashes.
type listing struct {
	Final bool     `json:"final"`
	Count int      `json:"count"`
	Files []result `json:"files"`
}

type result struct {
	Path   string      `json:"path"`
	Size   int64       `json:"size"`
	Mode   fs.FileMode `json:"mode"`
	SHA256 string      `json:"sha256"`
}

// Collect implements job.Backend. Files that are here already are not fetched
// again.
func (b Backend) Collect(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err == nil {
		err = rec.Last.Gone()
	}
	if err != nil || b.Shared {
		return err
	}
	if rec, err = b.settle(ctx, rec); err != nil {
		return fmt.Errorf("collect results: %w", err)
	}
	if rec.Last.Started.IsZero() {
		return nil
	}
	var all listing
	found, marked, err := b.shimFile(ctx, rec, "results.json", &all)
	switch {
	case err != nil:
		return fmt.Errorf("collect results: %w", err)
	case !found && !rec.Last.Done():
		return nil
	case !found:
		return fmt.Errorf("collect results of job %s: they are gone with its node", id)
	case all.Count > len(all.Files):
		err = fmt.Errorf("the job left %d files, more than the %d that are brought; put them into one archive", all.Count, len(all.Files))
	}
	return errors.Join(err, b.fetchResults(ctx, rec, all, marked))
}

func (b Backend) fetchResults(ctx context.Context, rec job.Record, all listing, marked bool) error {
	rel, err := filepath.Rel(rec.Spec.Dir, rec.Last.OutputDir)
	if err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	// Inside the workspace, whatever links are in it.
	workspace, err := os.OpenRoot(rec.Spec.Dir)
	if err != nil {
		return fmt.Errorf("open the job's folder: %w", err)
	}
	defer workspace.Close()
	if err := workspace.MkdirAll(rel, 0o755); err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	root, err := workspace.OpenRoot(rel)
	if err != nil {
		return fmt.Errorf("open output folder: %w", err)
	}
	defer root.Close()
	var errs []error
	for _, r := range all.Files {
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		if err := b.fetchResult(ctx, rec, root, r, marked); err != nil && (all.Final || !gone(err)) {
			errs = append(errs, fmt.Errorf("collect %s of job %s: %w", r.Path, rec.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (b Backend) fetchResult(ctx context.Context, rec job.Record, root *os.Root, r result, marked bool) error {
	name := filepath.FromSlash(r.Path)
	if !filepath.IsLocal(name) {
		return errors.New("its name leads out of the output folder")
	}
	if here(root, name, r) {
		return nil
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part")
	err := repeat(ctx, func() error { return b.download(ctx, rec, root, part, r, marked) })
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		_ = root.Remove(part) // may never have been there
	}
	return err
}

// here reports whether the very file was fetched before.
func here(root *os.Root, name string, r result) bool {
	if r.SHA256 == "" {
		return false
	}
	file, err := root.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != r.Size {
		return false
	}
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == r.SHA256
}

var errOther = errors.New("what came is not the file that the job left")

func (b Backend) download(ctx context.Context, rec job.Record, root *os.Root, part string, r result, marked bool) error {
	file, err := root.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, r.Mode&0o777|0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := b.copyFile(ctx, rec.Kept[keptNode], shimPath(rec, path.Join("output", r.Path)), marked, io.MultiWriter(file, sum))
	if err == nil && r.SHA256 != "" && (n != r.Size || hex.EncodeToString(sum.Sum(nil)) != r.SHA256) {
		err = errOther
	}
	return errors.Join(err, file.Close())
}

// copyFile copies any file of a node's logs, which comes in the way that is
// known by now.
func (b Backend) copyFile(ctx context.Context, node, name string, marked bool, to io.Writer) (int64, error) {
	f, err := b.openAny(ctx, node, name, marked)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(to, f.Reader)
}
