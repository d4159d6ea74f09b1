package hfjobs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"ml-intern/internal/hub"
)

// A repository is an output on the Hub.
type repository struct {
	hub.RepoID
	revision string
}

// repositories are the outputs that are on the Hub: only they outlive a job.
func repositories(outputs []string) []repository {
	var all []repository
	for _, output := range outputs {
		if r, err := parseRepository(output); err == nil {
			all = append(all, r)
		}
	}
	return all
}

// parseRepository reads hf://TYPE/ID, with @REVISION perhaps. A type may be in
// the plural, and a model's may be left out.
func parseRepository(text string) (repository, error) {
	id, ok := strings.CutPrefix(text, "hf://")
	if !ok {
		return repository{}, fmt.Errorf("%q is not hf://TYPE/ID", text)
	}
	id, revision, _ := strings.Cut(id, "@")
	typ := hub.Model
	if first, rest, ok := strings.Cut(id, "/"); ok && strings.Count(rest, "/") > 0 {
		id, typ = rest, hub.RepoType(strings.TrimSuffix(first, "s"))
	}
	repo, err := hub.ParseRepo(typ, id)
	return repository{repo, revision}, err
}

// Collect implements job.Backend: it downloads the repositories that are the
// job's outputs, each to a folder of its name in OutputDir. What is whole there
// is left alone.
func (b *Backend) Collect(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err == nil {
		err = rec.Last.Gone()
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range repositories(rec.Spec.Outputs) {
		dir := filepath.Join(rec.Last.OutputDir, string(r.Type)+"s", r.Namespace, r.Name)
		if _, err := b.Hub.Snapshot(ctx, r.RepoID, hub.SnapshotOptions{Revision: r.revision, Dir: dir}); err != nil {
			errs = append(errs, fmt.Errorf("collect %s of job %s: %w", r.RepoID, id, err))
		}
	}
	return errors.Join(errs...)
}
