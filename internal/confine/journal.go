package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/confine/gitdir"
)

// A journal is a file that says what is to be put right after a command, for the
// case that this process cannot: it is killed, say. It is there while the command
// runs, locked, and its time is that at which this process was last alive.
type journal struct {
	path string
	lock *flock.Flock
	stop chan struct{}
	beat sync.WaitGroup
}

// An intent is what stands in a journal.
type intent struct {
	Rules   Rules             `json:"rules"`
	Missing []string          `json:"missing"`
	Links   map[string]string `json:"links"`
	Files   map[string][]kept `json:"files"`  // of a bare cell
	States  map[string]string `json:"states"` // see survey
	Known   map[string]bool   `json:"known"`
	Partly  bool              `json:"partly"`
	Began   time.Time         `json:"began"`
}

// A kept is an entry in a journal.
type kept struct {
	Rel  string      `json:"rel"`
	Mode fs.FileMode `json:"mode"`
	Data []byte      `json:"data,omitempty"`
}

// Times of a journal.
const (
	beatAfter = 100 * time.Millisecond // a command that is over by then was not worth a wait for the disk
	beatEvery = time.Second
	beatLate  = 30 * time.Second // that a busy machine may be late
)

// begin writes the journal of a command, nil where none is kept or none can be:
// then what a kill leaves stays.
func (g guard) begin(s survey, files map[string][]entry) *journal {
	dir := g.rules.Journal
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return nil
	}
	in := intent{Rules: g.rules, Missing: g.missing, Links: g.links, States: s.states, Known: s.known, Partly: s.partly, Began: s.began, Files: make(map[string][]kept)}
	for p, all := range files {
		for _, e := range all {
			in.Files[p] = append(in.Files[p], kept{e.rel, e.mode, e.data})
		}
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil
	}
	f, err := os.CreateTemp(dir, "*.new") // 0600
	if err != nil {
		return nil
	}
	j := &journal{path: f.Name()[:len(f.Name())-len("new")] + "json", lock: flock.New(f.Name()), stop: make(chan struct{})}
	_, err = f.Write(text)
	locked := false
	if err == nil {
		locked, err = j.lock.TryLock() // before it has the name that others look for
	}
	if err == nil && locked {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil || !locked {
		_ = errors.Join(j.lock.Close(), f.Close(), os.Remove(f.Name())) // a full disk
		return nil
	}
	j.beat.Go(func() { j.live(f) })
	return j
}

// live keeps the journal's time until the command has ended.
func (j *journal) live(f *os.File) {
	defer f.Close() //nolint:errcheck // it was written
	select {
	case <-j.stop:
		return
	case <-time.After(beatAfter):
	}
	_ = f.Sync() // without it a power cut may cost the journal
	for {
		select {
		case <-j.stop:
			return
		case <-time.After(beatEvery):
			now := time.Now()
			_ = os.Chtimes(j.path, now, now)
		}
	}
}

// end removes the journal: all is put right.
func (j *journal) end() {
	if j == nil {
		return
	}
	close(j.stop)
	j.beat.Wait()
	_ = errors.Join(os.Remove(j.path), j.lock.Close()) // one that stays finds nothing to do
}

// Recover puts right what commands have left whose program was killed while they
// ran, by the journals in the folder, and says what. What somebody has changed
// after that is theirs.
func Recover(dir string) []string {
	half, _ := filepath.Glob(filepath.Join(dir, "*.new")) // the patterns are good
	for _, name := range half {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > beatLate {
			_ = os.Remove(name) // its command was not begun
		}
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	var notes []string
	for _, name := range names {
		lock := flock.New(name, flock.SetFlag(os.O_RDWR)) // never made: it may be gone
		if ok, err := lock.TryLock(); err != nil || !ok { // its process lives
			continue
		}
		notes = append(notes, recoverFrom(name)...)
		_ = errors.Join(os.Remove(name), lock.Close()) // else it is gone through again, to no effect
	}
	return notes
}

func recoverFrom(name string) []string {
	info, err := os.Stat(name)
	if err != nil {
		return nil // another process was faster
	}
	text, err := os.ReadFile(name)
	var in intent
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err != nil {
		return []string{fmt.Sprintf("a command was running when the program ended, and what it left cannot be told: look at the hooks and settings of repositories that are new (%v)", err)}
	}
	ended := info.ModTime().Add(beatLate)
	g := guard{rules: in.Rules, links: maps.Clone(in.Links)}
	for _, p := range in.Missing {
		if !gitdir.ChangedAfter(p, ended) {
			g.missing = append(g.missing, p)
		}
	}
	maps.DeleteFunc(g.links, func(p, _ string) bool { return gitdir.ChangedAfter(p, ended) })
	files := make(map[string][]entry)
	for p, all := range in.Files {
		if gitdir.ChangedAfter(p, ended) {
			continue
		}
		for _, e := range all {
			files[p] = append(files[p], entry{e.Rel, e.Mode, e.Data})
		}
	}
	s := survey{repos: &repositories{}, states: in.States, known: in.Known, partly: in.Partly, began: in.Began, ended: ended}
	return slices.Concat(g.putBack(files), g.restore(), s.after(in.Rules))
}
