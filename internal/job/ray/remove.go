package ray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"time"

	"ml-intern/internal/job"
)

var _ job.Remover = Backend{}

// janitorWait is how long a node may take to remove a job's folder.
const janitorWait = time.Minute

// left are the files of a job that are here.
func (b Backend) left(id string) []string {
	return []string{b.logPath(id), b.logPath(id) + ".lock", b.packagePath(id)}
}

// Leftover implements job.Remover.
func (b Backend) Leftover(ctx context.Context, id string) (int64, error) {
	rec, err := b.records().Get(id)
	if err != nil || !rec.Last.Removed.IsZero() {
		return 0, err
	}
	var sum int64
	for _, path := range b.left(id) {
		if info, err := os.Lstat(path); err == nil {
			sum += info.Size()
		}
	}
	var all listing
	if _, _, err := b.shimFile(ctx, rec, "results.json", &all); err != nil {
		return sum, fmt.Errorf("measure what job %s has left: %w", id, err)
	}
	if !b.Shared { // else they are in the workspace
		for _, r := range all.Files {
			sum += r.Size
		}
	}
	return sum, nil
}

// Remove implements job.Remover: a small job on the job's node removes its
// folders, and Ray forgets it. What was on a node that is gone went with it.
func (b Backend) Remove(ctx context.Context, id string) error {
	status, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	return b.records().Remove(status, func(rec job.Record) error {
		if err := b.clean(ctx, rec); err != nil {
			return err
		}
		err := b.once(ctx, http.MethodDelete, "/api/jobs/"+refOf(rec), nil, nil)
		var status *statusError
		if err != nil && !errors.As(err, &status) { // Ray may not know it any more
			return err
		}
		errs := []error{}
		for _, path := range b.left(id) {
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

// clean has the folders of a job removed from its node.
func (b Backend) clean(ctx context.Context, rec job.Record) error {
	nodes, err := b.nodes(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(nodes, func(n node) bool { return n.ID == rec.Kept[keptNode] })
	if at < 0 {
		return nil
	}
	ref := "ml-intern-janitor-" + job.NewID(time.Now())
	body, err := json.Marshal(request{
		ID: ref, Resources: map[string]float64{nodes[at].place(): 0.001}, RuntimeEnv: map[string]any{},
		Entrypoint: sweeper(refOf(rec)), Metadata: map[string]string{"job_name": "removes what " + rec.ID + " has left"},
	})
	if err != nil {
		return fmt.Errorf("write the request for %s: %w", ref, err)
	}
	if err := b.once(ctx, http.MethodPost, "/api/jobs/", body, nil); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, janitorWait)
	defer stop()
	for {
		info, err := b.job(ctx, ref)
		switch {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", ref, err)
		case info.Status == "SUCCEEDED":
			_ = b.once(ctx, http.MethodDelete, "/api/jobs/"+ref, nil, nil) // a line less in Ray's list
			return nil
		case info.Status == "FAILED" || info.Status == "STOPPED":
			return fmt.Errorf("its node could not remove them: see %s there", ref)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", ref, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sweeper is the shell line that removes the folders of shim.py, which are
// beside the log that this line writes to. rm follows no link.
func sweeper(ref string) string {
	return `exec 3>&1; logs=$(dirname "$(readlink -f /proc/self/fd/3)"); [ "$(basename "$logs")" = logs ] || exit 1; ` +
		`set -- "$logs/ml-intern-` + ref + `" "${logs%/logs}/ml-intern/` + ref + `"; ` +
		`find "$@" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null; rm -rf -- "$@"`
}
