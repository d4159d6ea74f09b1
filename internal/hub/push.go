package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A push is an upload under way.
type push struct {
	client  *Client
	repo    RepoID
	in      Commit
	notes   notes
	uploads []*upload
	head    string // of the branch, as the Hub last said
	split   int    // commits of at most so many files; 0 for one commit
}

func (p *push) run(ctx context.Context) (Committed, error) {
	if err := p.in.check(); err != nil {
		return Committed{}, err
	}
	if err := p.client.checkCard(ctx, p.repo, p.in.Files); err != nil {
		return Committed{}, err
	}
	var err error
	if p.notes, err = openNotes(p.in.Memory); err != nil {
		return Committed{}, err
	}
	if err := p.offerAll(ctx); err != nil {
		return Committed{}, err
	}
	var out Committed
	changed := p.changed()
	for _, u := range p.uploads {
		if u.ignored {
			out.Skipped = append(out.Skipped, u.Path)
		}
	}
	if len(changed) == 0 && len(p.in.Delete) == 0 {
		out.Unchanged = true
		return p.atHead(ctx, p.head, out)
	}
	return p.commitAll(ctx, changed, out)
}

// atHead describes the branch as it is.
func (p *push) atHead(ctx context.Context, head string, out Committed) (Committed, error) {
	if head == "" {
		info, err := p.client.RepoInfo(ctx, p.repo, p.in.Revision)
		if err == nil {
			err = info.checkSHA()
		}
		if err != nil {
			return Committed{}, err
		}
		head = info.SHA
	}
	out.Commit, out.URL = head, p.client.RepoURL(p.repo)+"/commit/"+head
	return out, nil
}

// changed lists the files that a commit must have.
func (p *push) changed() []*upload {
	var changed []*upload
	for _, u := range p.uploads {
		if p.wants(u) {
			changed = append(changed, u)
		}
	}
	return changed
}

func (p *push) wants(u *upload) bool { return !u.ignored && (!u.same() || p.in.deletes(u.Path)) }

const (
	groupFiles = preuploadChunk
	groupBytes = 512 << 20
)

// groups cuts the files into pieces of work.
func (p *push) groups() ([][]*upload, error) {
	var groups [][]*upload
	var now []*upload
	bytes := int64(0)
	for _, f := range p.in.Files {
		u := &upload{File: f}
		if err := u.weigh(); err != nil {
			return nil, err
		}
		if len(now) == groupFiles || bytes > 0 && bytes+u.size > groupBytes {
			groups, now, bytes = append(groups, now), nil, 0
		}
		now, bytes = append(now, u), bytes+u.size
		p.uploads = append(p.uploads, u)
	}
	if len(now) > 0 {
		groups = append(groups, now)
	}
	return groups, nil
}

// offerAll asks how to send each file and sends the large ones. While one
// group is sent, the next is read for its hashes.
func (p *push) offerAll(ctx context.Context) error {
	groups, err := p.groups()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready := make(chan []*upload, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ready)
		for _, group := range groups {
			err := inParallel(ctx, 0, group, func(ctx context.Context, u *upload) error { return u.look(ctx, p.notes) })
			if err != nil {
				cancel(err)
				return
			}
			ready <- group
		}
	})
	for group := range ready {
		if ctx.Err() == nil {
			if err := p.offer(ctx, group); err != nil {
				cancel(err)
			}
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (p *push) offer(ctx context.Context, group []*upload) error {
	head, err := p.client.preupload(ctx, p.repo, p.in, group)
	if err != nil {
		return err
	}
	p.head = head
	if err := inParallel(ctx, 0, group, func(ctx context.Context, u *upload) error { return u.settle(ctx, p.notes) }); err != nil {
		return err
	}
	var changed []*upload
	for _, u := range group {
		u.sample = nil
		if p.wants(u) {
			changed = append(changed, u)
		} else {
			p.in.Progress.tell(u.Path, u.size, u.size)
		}
	}
	return p.sendLarge(ctx, changed)
}

// maxInline is how much of files that are not large one commit has, if there
// may be several.
const maxInline = 128 << 20

// commits cuts the changes into what each commit has.
func (p *push) commits(changed []*upload) [][]*upload {
	if p.split <= 0 {
		return [][]*upload{changed}
	}
	commits := [][]*upload{nil}
	inline := int64(0)
	for _, u := range changed {
		size := u.size
		if u.large {
			size = 0
		}
		last := len(commits) - 1
		if len(commits[last]) == p.split || len(commits[last]) > 0 && inline+size > maxInline {
			commits, inline, last = append(commits, nil), 0, last+1
		}
		commits[last], inline = append(commits[last], u), inline+size
	}
	return commits
}

func (p *push) commitAll(ctx context.Context, changed []*upload, out Committed) (Committed, error) {
	commits := p.commits(changed)
	for i, files := range commits {
		in := p.in
		if len(commits) > 1 {
			in.Message = fmt.Sprintf("%s (part %d of %d)", in.title(), i+1, len(commits))
		}
		if i > 0 {
			in.Delete = nil // done by the first
			if in.Parent != "" {
				in.Parent = out.Commit
			}
			if in.Pull { // the first has opened it
				in.Pull, in.Revision = false, PullRef(out.Pull)
			}
		}
		if err := p.commitOne(ctx, in, files, &out); err != nil {
			if i > 0 {
				err = fmt.Errorf("part %d of %d: %w", i+1, len(commits), err)
			}
			return Committed{}, err
		}
	}
	return out, nil
}

// commitOne makes one commit. If somebody else was quicker, and the caller did
// not say on which commit it must be, it is tried once more on the new one.
func (p *push) commitOne(ctx context.Context, in Commit, files []*upload, out *Committed) error {
	made, err := p.client.commit(ctx, p.repo, in, files)
	if errors.Is(err, ErrConflict) && in.Parent == "" && ctx.Err() == nil {
		if p.head, err = p.client.preupload(ctx, p.repo, in, files); err == nil {
			made, err = p.client.commit(ctx, p.repo, in, files)
		}
	}
	if err != nil {
		head, ok := p.client.arrived(ctx, p.repo, in, files, p.head, err)
		if !ok || in.Pull {
			return err
		}
		*out, err = p.atHead(ctx, head, *out)
		if err != nil {
			return err
		}
	} else {
		out.Commit, out.URL = made.OID, made.URL
	}
	if in.Pull {
		out.PullURL, out.Pull = made.PullURL, pullNumber(made.PullURL)
	}
	p.head = out.Commit
	out.Commits++
	for _, u := range files {
		if !u.large {
			p.in.Progress.tell(u.Path, u.size, u.size)
		}
	}
	return nil
}
