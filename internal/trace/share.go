package trace

import (
	"cmp"
	"context"
	"crypto/sha1" // git's
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/session"
)

// Who may see a dataset.
const (
	Private = "private"
	Public  = "public"
)

// ErrPublic says that a trace that is meant for few would be seen by all.
var ErrPublic = errors.New("the dataset is public")

// A Target is where traces go.
type Target struct {
	Client     *hub.Client
	Repo       hub.RepoID // a dataset
	Visibility string     // Private or Public
	Narrow     bool       // a dataset that is public may be made private first
	Memory     string     // folder in which uploads keep what spares a later one work
}

// A File is one trace in a dataset.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"bytes"`
	Count

	local string
	git   string // its id as git's, and its sha256: what the Hub knows it by
	sum   string
	there string // what the Hub has at this path; "" for nothing
}

// same reports whether the Hub has this very trace.
func (f File) same() bool { return f.there != "" && (f.there == f.git || f.there == f.sum) }

// A Share is what would go to the Hub: written, looked through, not sent.
type Share struct {
	Files []File
	Count Count
	Size  int64

	New bool   // the dataset does not exist
	Is  string // Private or Public: the dataset, as it is; "" if it is new

	traces []string // in the dataset
	card   bool     // it has one
	target Target
	id     string
}

// Unchanged reports whether the Hub has all of it already.
func (s *Share) Unchanged() bool {
	return !s.New && s.card && s.Is == s.target.Visibility && !slices.ContainsFunc(s.Files, func(f File) bool { return !f.same() })
}

// Updates reports whether the dataset has an earlier trace of the session.
func (s *Share) Updates() bool {
	return slices.ContainsFunc(s.Files, func(f File) bool { return f.there != "" })
}

// FilePath is where the trace of a session is in a dataset. Those of sub-agents
// are with the session that they worked for, which began on that day.
func FilePath(id string, begun time.Time) string {
	return fmt.Sprintf("sessions/%s/%s.jsonl", begun.UTC().Format(time.DateOnly), id)
}

// Others counts the traces of other sessions in the dataset.
func (s *Share) Others() int {
	n := len(s.traces)
	for _, f := range s.Files {
		if slices.Contains(s.traces, f.Path) {
			n--
		}
	}
	return n
}

// Prepare writes the traces of a session, the first of the family, and of its
// sub-agents into the folder, and asks the Hub what it has. Nothing of them is
// sent. A dataset that all can see is refused with ErrPublic if that is not meant.
func Prepare(ctx context.Context, log Log, family []session.Summary, dir string, scrub *Scrubber, to Target) (*Share, error) {
	s := &Share{target: to, id: family[0].ID}
	if name := to.Repo.String(); scrub.Text("name of the dataset", name) != name {
		return nil, errors.New("the name of the dataset holds a secret")
	}
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	for _, about := range family {
		f := File{Path: FilePath(about.ID, family[0].Created), local: filepath.Join(dir, about.ID+".jsonl")}
		if scrub.Text("path", f.Path) != f.Path {
			return nil, fmt.Errorf("the id of session %s holds a secret", about.ID)
		}
		if err := f.write(ctx, log, about, scrub); err != nil {
			return nil, err
		}
		s.Files = append(s.Files, f)
		s.Count.add(f.Count)
		s.Size += f.Size
	}
	return s, s.compare(ctx)
}

// look asks what kind of dataset there is.
func (s *Share) look(ctx context.Context) error {
	info, err := s.target.Client.RepoInfo(ctx, s.target.Repo, "")
	if errors.Is(err, hub.ErrNotFound) {
		s.New, s.Is, s.traces, s.card = true, "", nil, false
		return nil
	}
	if err != nil {
		return err
	}
	if repo := s.target.Repo.String(); info.ID != "" && !strings.EqualFold(info.ID, repo) { // others may see that one
		return fmt.Errorf("the dataset %s was renamed or moved, and is %s now: name that one if you mean it; nothing was sent", repo, info.ID)
	}
	s.New, s.Is, s.traces, s.card = false, Public, nil, false
	if info.Private {
		s.Is = Private
	}
	for _, f := range info.Siblings {
		s.card = s.card || f.Path == "README.md"
		if filepath.Ext(f.Path) == ".jsonl" {
			s.traces = append(s.traces, f.Path)
		}
	}
	if s.Is == Public && s.target.Visibility == Private && !s.target.Narrow {
		return ErrPublic
	}
	return nil
}

// compare asks what the Hub has of the traces.
func (s *Share) compare(ctx context.Context) error {
	if s.New {
		return nil
	}
	var paths []string
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	entries, err := s.target.Client.PathsInfo(ctx, s.target.Repo, "", paths, false)
	for _, e := range entries {
		for i := range s.Files {
			if s.Files[i].Path == e.Path {
				s.Files[i].there = cmp.Or(e.LFS, e.OID)
			}
		}
	}
	return err
}

// write writes the trace, and learns what the Hub would know it by.
func (f *File) write(ctx context.Context, log Log, about session.Summary, scrub *Scrubber) error {
	file, err := os.OpenFile(f.local, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write trace: %w", err)
	}
	f.Count, err = Write(ctx, file, log, about, scrub)
	if err == nil {
		f.Size, err = file.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err == nil {
		sum, git := sha256.New(), sha1.New()
		fmt.Fprintf(git, "blob %d\x00", f.Size)
		_, err = io.Copy(io.MultiWriter(sum, git), file)
		f.sum, f.git = digest(sum), digest(git)
	}
	return errors.Join(err, file.Close())
}

func digest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// A Sent is what sending came to.
type Sent struct {
	Commit    string
	URL       string // of the dataset
	Unchanged bool   // nothing was committed
}

// Send puts the traces into the dataset, by one commit or, if it has them, by
// none: it can be sent again after whatever went wrong. That nobody sees them
// who should not is looked at again before anything leaves.
func (s *Share) Send(ctx context.Context) (Sent, error) {
	to := s.target
	if err := s.look(ctx); err != nil {
		return Sent{}, err
	}
	if s.New {
		if _, err := to.Client.CreateRepo(ctx, to.Repo, hub.CreateOptions{Private: true, ExistOK: true}); err != nil {
			return Sent{}, err
		}
		if err := s.look(ctx); err != nil { // somebody may have been quicker
			return Sent{}, err
		}
		if s.New {
			return Sent{}, fmt.Errorf("the dataset %s cannot be seen with this account", to.Repo)
		}
	}
	if s.Is == Public && to.Visibility == Private {
		if err := s.show(ctx, Private); err != nil {
			return Sent{}, err
		}
	}
	in := hub.Commit{Message: s.message(), Memory: to.Memory}
	for _, f := range s.Files {
		in.Files = append(in.Files, hub.File{Path: f.Path, Local: f.local})
	}
	if !s.card {
		in.Files = append(in.Files, hub.File{Path: "README.md", Content: []byte(Card(to.Repo.Name))})
	}
	made, err := to.Client.Upload(ctx, to.Repo, in)
	if err != nil {
		return Sent{}, err
	}
	sent := Sent{Commit: made.Commit, URL: to.Client.RepoURL(to.Repo), Unchanged: made.Unchanged}
	if s.Is == Private && to.Visibility == Public {
		return sent, s.show(ctx, Public)
	}
	return sent, nil
}

func (s *Share) message() string {
	if s.Updates() {
		return "Update session " + s.id
	}
	return "Add session " + s.id
}

// show changes who may see the dataset, and makes sure that it is so.
func (s *Share) show(ctx context.Context, visibility string) error {
	if err := s.target.Client.UpdateSettings(ctx, s.target.Repo, hub.RepoSettings{Visibility: visibility}); err != nil {
		return err
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	if s.Is != visibility {
		return fmt.Errorf("make the dataset %s %s: the Hub says that it is still %s", s.target.Repo, visibility, s.Is)
	}
	return nil
}

// Withdraw takes traces out of a dataset. Its history keeps them.
func Withdraw(ctx context.Context, c *hub.Client, repo hub.RepoID, id string, paths []string) (Sent, error) {
	there, err := c.PathsInfo(ctx, repo, "", paths, false)
	if err != nil {
		return Sent{}, err
	}
	in := hub.Commit{Message: "Remove session " + id}
	for _, e := range there {
		in.Delete = append(in.Delete, e.Path)
	}
	if len(in.Delete) == 0 {
		return Sent{URL: c.RepoURL(repo), Unchanged: true}, nil
	}
	made, err := c.Upload(ctx, repo, in)
	return Sent{Commit: made.Commit, URL: c.RepoURL(repo)}, err
}
