package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The queue is two folders. queue has a file for each job that waits, named so
// that they sort by submission; granted has a file for each job that was
// chosen, which says what of the machine is its own until it is done. It is the
// same file, so a full disk does not keep a job from its turn.
// Whoever ends a job, submits one or looks at one that waits takes the lock,
// drops the grants of jobs that are done and chooses anew. So jobs that wait
// have no process, and the queue goes on when all who filled it are gone.
//
// Neither folder has to survive a power cut: what is missing there is put back
// by whoever looks at the job.

// A need is what a job waits for, on the machine as it was at Submit.
type need struct {
	CPUs      int   `json:"cpus"`
	Slots     int   `json:"slots"` // the CPUs of all jobs
	MemoryMB  int64 `json:"memory_mb,omitempty"`
	MachineMB int64 `json:"machine_mb,omitempty"` // the memory of all jobs; 0 if unknown
	GPUs      int   `json:"gpus,omitempty"`
	Among     []int `json:"among,omitempty"` // the GPUs that would do
}

// A grant is what a job has of the machine.
type grant struct {
	CPUs     []int `json:"cpus"`
	MemoryMB int64 `json:"memory_mb,omitempty"`
	GPUs     []int `json:"gpus,omitempty"`
}

// add joins the grants of several jobs.
func (g grant) add(other grant) grant {
	return grant{append(g.CPUs, other.CPUs...), g.MemoryMB + other.MemoryMB, append(g.GPUs, other.GPUs...)}
}

// fit chooses for a job from what is not in use. If that is not enough it
// returns what there is.
func (used grant) fit(n need) (g grant, ok bool) {
	for cpu := range n.Slots {
		if len(g.CPUs) < n.CPUs && !slices.Contains(used.CPUs, cpu) {
			g.CPUs = append(g.CPUs, cpu)
		}
	}
	for _, gpu := range n.Among {
		if len(g.GPUs) < n.GPUs && !slices.Contains(used.GPUs, gpu) {
			g.GPUs = append(g.GPUs, gpu)
		}
	}
	if g.MemoryMB = n.MemoryMB; n.MachineMB > 0 {
		g.MemoryMB = min(n.MemoryMB, max(n.MachineMB-used.MemoryMB, 0))
	}
	// With other numbers of CPUs than ours in use there may be too many.
	free := n.Slots - len(used.CPUs)
	return g, len(g.CPUs) == n.CPUs && n.CPUs <= free && len(g.GPUs) == n.GPUs && g.MemoryMB == n.MemoryMB
}

// place is the name of a job in the queue.
func (r record) place() string { return fmt.Sprintf("%019d-%s", r.Place, r.ID) }

// lastPlace is a place behind all that wait, also if the clock was set back.
func (b Backend) lastPlace(now time.Time) int64 {
	place := now.UnixNano()
	if names, _ := fileNames(filepath.Join(b.Dir, queueDir)); len(names) > 0 {
		number, _, _ := strings.Cut(names[len(names)-1], "-")
		if last, err := strconv.ParseInt(number, 10, 64); err == nil {
			place = max(place, last+1)
		}
	}
	return place
}

// grantSize is room for a grant.
const grantSize = 2 << 10

// enqueue lets a job wait. The file has room for the grant.
func (b Backend) enqueue(r record) error {
	if err := os.WriteFile(b.queued(r), bytes.Repeat([]byte(" "), grantSize), 0o600); err != nil {
		return fmt.Errorf("queue job: %w", err)
	}
	return nil
}

func (b Backend) queued(r record) string     { return filepath.Join(b.Dir, queueDir, r.place()) }
func (b Backend) grantPath(id string) string { return filepath.Join(b.Dir, grantedDir, id) }

// A chosen job waits for its shim. While the hold is open nobody else starts
// one.
type chosen struct {
	folder folder
	hold   *os.File // nil if the job has a shim that waits
}

// lookPause is how often those who only look at queued jobs move the queue.
const lookPause = 100 * time.Millisecond

// look moves the queue unless somebody has done so just now.
func (b Backend) look(ctx context.Context) error {
	if info, err := os.Stat(filepath.Join(b.Dir, lookedFile)); err == nil {
		if age := time.Since(info.ModTime()); age >= 0 && age < lookPause {
			return nil
		}
	}
	return b.advance(ctx)
}

// advance gives what is free of the machine to the jobs that wait, in their
// order, and sees to it that every job that was chosen has a shim.
func (b Backend) advance(ctx context.Context) error {
	unlock, err := lockExclusive(ctx, filepath.Join(b.Dir, lockFile))
	if err != nil {
		return fmt.Errorf("lock jobs: %w", err)
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Join(b.Dir, lookedFile), now, now) // only saves work
	all, err := b.choose()
	unlock()
	errs := []error{err}
	for _, c := range all {
		if c.hold == nil {
			b.nudge(c.folder)
			continue
		}
		if err := b.startShim(ctx, c.folder); err != nil {
			errs = append(errs, fmt.Errorf("start job %s: %w", filepath.Base(string(c.folder)), err))
		}
		c.hold.Close()
	}
	return errors.Join(errs...)
}

// choose returns the jobs that need a shim or a nudge. The caller has the lock.
func (b Backend) choose() (all []chosen, err error) {
	used, all, err := b.granted()
	if err != nil {
		return nil, err
	}
	names, err := fileNames(filepath.Join(b.Dir, queueDir))
	if err != nil {
		return all, err
	}
	for _, name := range names {
		rec, f, ok := b.waiting(name)
		if !ok {
			continue
		}
		shim, err := b.holder(f)
		if err != nil || f.has(cancelFile) || len(rec.Spec.Secrets) > 0 && shim == 0 {
			continue // it waits for one who cancels it, or who has its secrets
		}
		// What there is of what a job needs is kept for it. So a small job passes
		// a large one only if it does not delay it.
		g, fits := used.fit(rec.Need)
		used = used.add(g)
		if fits {
			c := chosen{folder: f}
			if c.hold, err = b.give(rec, g); err != nil {
				return all, err
			}
			if shim != 0 {
				c.hold.Close()
				c.hold = nil
			}
			all = append(all, c)
		}
		if len(used.CPUs) >= rec.Need.Slots {
			break // nothing is left for anybody
		}
	}
	return all, nil
}

// waiting returns the job of a name in the queue, and removes the name if it
// does not wait.
func (b Backend) waiting(name string) (rec record, f folder, ok bool) {
	_, id, _ := strings.Cut(name, "-")
	f = b.folder(id)
	there, err := f.read(specFile, &rec)
	if err != nil {
		return rec, f, false // whoever looks at it is told
	}
	if !there || f.has(doneFile) || f.has(startedFile) || b.hasGrant(id) {
		_ = os.Remove(filepath.Join(b.Dir, queueDir, name))
		return rec, f, false
	}
	return rec, f, true
}

// granted returns what is in use, and the jobs that have lost their shim.
func (b Backend) granted() (used grant, dead []chosen, err error) {
	ids, err := fileNames(filepath.Join(b.Dir, grantedDir))
	if err != nil {
		return used, nil, err
	}
	for _, id := range ids {
		path, f := b.grantPath(id), b.folder(id)
		if !f.has(specFile) || f.has(doneFile) {
			_ = os.Remove(path)
			continue
		}
		g, err := b.grantOf(id)
		if err != nil { // half written when the machine went down: it waits again
			_ = os.Remove(path)
			continue
		}
		if shim, err := b.holder(f); err == nil && shim == 0 && !f.has(doneFile) {
			if b.requeue(f) {
				continue
			}
			if hold, ok := holdFile(path, 0); ok {
				dead = append(dead, chosen{f, hold})
			}
		}
		used = used.add(g)
	}
	return used, dead, nil
}

// requeue lets a job wait again that was chosen and has lost the shim that had
// its secrets.
func (b Backend) requeue(f folder) bool {
	var rec record
	if ok, err := f.read(specFile, &rec); !ok || err != nil || len(rec.Spec.Secrets) == 0 || f.has(startedFile) {
		return false
	}
	hold, ok := holdFile(b.grantPath(rec.ID), 0)
	if !ok {
		return false // one is being started
	}
	defer hold.Close()
	return os.Rename(b.grantPath(rec.ID), b.queued(rec)) == nil
}

// give turns a place in the queue into a grant. It is held until the returned
// file is closed.
func (b Backend) give(r record, g grant) (hold *os.File, err error) {
	data, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("grant job: %w", err)
	}
	hold, ok := holdFile(b.queued(r), 0)
	if !ok {
		return nil, fmt.Errorf("grant job: %s is locked", b.queued(r))
	}
	// What was written when a crash came may be longer.
	data = append(data, bytes.Repeat([]byte(" "), max(grantSize-len(data), 0))...)
	if _, err = hold.WriteAt(data, 0); err == nil {
		err = os.Rename(b.queued(r), b.grantPath(r.ID))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("grant job: %w", err), hold.Close())
	}
	return hold, nil
}

// grantOf reads a job's grant; fs.ErrNotExist if it has none.
func (b Backend) grantOf(id string) (g grant, err error) {
	data, err := os.ReadFile(b.grantPath(id))
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		return g, fmt.Errorf("read grant of job %s: %w", id, err)
	}
	return g, nil
}

func (b Backend) hasGrant(id string) bool {
	_, err := os.Lstat(b.grantPath(id))
	return err == nil
}

// fileNames lists a folder, sorted; one that is not there is empty.
func fileNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
