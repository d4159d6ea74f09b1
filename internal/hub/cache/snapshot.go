package cache

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"ml-intern/internal/hub"
)

// SnapshotOptions say what to have of a repository.
type SnapshotOptions struct {
	Revision string // main if ""
	hub.Filter
	Workers  int // files at a time; 8 if 0
	Progress hub.Progress
}

// Snapshot returns a folder with the files of a revision, after those that are
// not in the cache have been fetched. If the Hub cannot be asked, it is the one
// that was there, unless that is known to lack files.
func (c *Cache) Snapshot(ctx context.Context, repo hub.RepoID, opts SnapshotOptions) (string, error) {
	f, rev, err := c.open(repo, opts.Revision)
	if err != nil {
		return "", fmt.Errorf("download %s: %w", repo, err)
	}
	dir, err := f.fetchAll(ctx, rev, opts)
	if err != nil {
		return "", fmt.Errorf("download %s: %w", repo, err)
	}
	return dir, nil
}

func (f *folder) fetchAll(ctx context.Context, rev string, opts SnapshotOptions) (string, error) {
	there, local := f.findAll(rev, opts.Filter)
	if f.cache.Offline {
		return there, local
	}
	commit, tree, err := f.look(ctx, rev, local == nil)
	switch {
	case err == nil:
	case ctx.Err() != nil || local != nil || answersFor(err, "RevisionNotFound"):
		return "", err
	default:
		return there, nil
	}
	files, err := opts.pick(tree)
	if err != nil {
		return "", err
	}
	missing := files[:0:0]
	for _, e := range files {
		if !isWhole(f.pointer(commit, e.Path), e.Size) {
			missing = append(missing, e)
		} else if opts.Progress != nil {
			opts.Progress(e.Path, e.Size, e.Size)
		}
	}
	if len(missing) == 0 && exists(f.snapshot(commit)) {
		_ = f.setRef(rev, commit) // the cache may be one that can only be read
		return f.snapshot(commit), nil
	}
	if err := f.prepare(); err != nil {
		return "", err
	}
	if err := f.setRef(rev, commit); err != nil {
		return "", err
	}
	work, inner := errgroup.WithContext(ctx)
	work.SetLimit(cmp.Or(max(opts.Workers, 0), 8))
	for _, e := range missing {
		if inner.Err() != nil {
			break
		}
		work.Go(func() error { return f.bringListed(inner, commit, e, opts.Progress) })
	}
	return f.snapshot(commit), cmp.Or(work.Wait(), context.Cause(ctx))
}

func (f *folder) bringListed(ctx context.Context, commit string, e hub.Entry, progress hub.Progress) error {
	want := e.File(commit)
	err := checkInfo(want)
	if err == nil {
		_, err = f.bring(ctx, e.Path, want, progress)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	return nil
}

// look asks which commit a revision is, and what is in it.
func (f *folder) look(ctx context.Context, rev string, hurry bool) (string, listing, error) {
	commit := rev
	if !commitHash.MatchString(rev) {
		hurried, cancel := f.cache.patience(ctx, hurry)
		info, err := f.cache.Client.RepoInfo(hurried, f.repo, rev)
		cancel()
		if err != nil {
			return "", nil, err
		}
		if commit = info.SHA; !commitHash.MatchString(commit) {
			return "", nil, fmt.Errorf("the server says that the revision is commit %q: it is no Hub", commit)
		}
	}
	tree, err := f.tree(ctx, commit)
	return commit, tree, err
}

// pick lists the files that are wanted, in order.
func (o SnapshotOptions) pick(tree listing) ([]hub.Entry, error) {
	var files []hub.Entry
	for path, e := range tree {
		if !o.Match(path) {
			continue
		}
		if err := checkPath(path); err != nil {
			return nil, err
		}
		files = append(files, e)
	}
	slices.SortFunc(files, func(a, b hub.Entry) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

// findAll finds a snapshot on the disk. Whether it is whole can be said if its
// listing is there.
func (f *folder) findAll(rev string, filter hub.Filter) (string, error) {
	commit := f.commit(rev)
	if commit == "" || !exists(f.snapshot(commit)) {
		return "", fmt.Errorf("revision %s: %w", rev, ErrNotCached)
	}
	tree, _ := f.readTree(commit)
	lacking, example := 0, ""
	for path, e := range tree {
		if filter.Match(path) && !isWhole(f.pointer(commit, path), e.Size) {
			lacking, example = lacking+1, path
		}
	}
	if lacking > 0 {
		return "", fmt.Errorf("%d files of commit %s, %s among them: %w", lacking, commit, example, ErrNotCached)
	}
	return f.snapshot(commit), nil
}
