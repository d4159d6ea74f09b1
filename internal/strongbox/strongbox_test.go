package strongbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/strongbox"
)

// A ring is a keyring in memory, that may refuse.
type ring struct {
	mu      sync.Mutex
	all     map[string][]byte
	refuses error // to be asked
	forgets bool  // what it is given
}

func (r *ring) Get(_ context.Context, name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuses != nil {
		return nil, r.refuses
	}
	if r.all[name] == nil {
		return nil, strongbox.ErrNone
	}
	return bytes.Clone(r.all[name]), nil
}

func (r *ring) Set(_ context.Context, name string, secret []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuses == nil && !r.forgets {
		if r.all == nil {
			r.all = make(map[string][]byte)
		}
		r.all[name] = bytes.Clone(secret)
	}
	return r.refuses
}

func (r *ring) Delete(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuses == nil {
		delete(r.all, name)
	}
	return r.refuses
}

// A keep is a box with what its test knows of it.
type keep struct {
	*testing.T
	strongbox.Box
	ring *ring
}

func newKeep(t *testing.T, use strongbox.Use) keep {
	t.Helper()
	r := &ring{}
	return keep{t, strongbox.Box{File: filepath.Join(t.TempDir(), "state", "keep.json"), Ring: r, Use: use}, r}
}

func (k keep) has(name, want string) {
	k.Helper()
	got, err := k.Get(k.Context(), name)
	var flat bytes.Buffer
	if len(got) > 0 && err == nil {
		err = json.Compact(&flat, got)
	}
	if err != nil || flat.String() != want {
		k.Errorf("%s is %.100q, %v; want %.100q", name, got, err, want)
	}
}

// inFile reports whether the file holds the text, and that others cannot read it.
func (k keep) inFile(text string) bool {
	k.Helper()
	data, err := os.ReadFile(k.File)
	if err != nil {
		k.Fatal(err)
	}
	if info, err := os.Stat(k.File); err != nil || info.Mode().Perm() != 0o600 {
		k.Errorf("%v, %v", info, err)
	}
	return strings.Contains(string(data), text)
}

func (k keep) put(name, secret string) strongbox.Place {
	k.Helper()
	place, err := k.Put(k.Context(), name, json.RawMessage(secret))
	if err != nil {
		k.Fatal(err)
	}
	return place
}

// A secret is in one place, the keyring if it answers, and goes when it is removed.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, use := range []strongbox.Use{"", strongbox.Auto, strongbox.KeyringOnly, strongbox.FileOnly} {
		t.Run(string(use), func(t *testing.T) {
			t.Parallel()
			k := newKeep(t, use)
			if k.Has("a") {
				t.Error("there is something in an empty box")
			}
			k.has("a", "")
			place := k.put("a", `{"token":"hush"}`)
			k.put("b", `"other"`)
			if in := use != strongbox.FileOnly; place.Keyring != in || len(k.ring.all) == 2 != in || k.inFile("hush") == in || place.Why != nil {
				t.Errorf("%+v, keyring %v", place, k.ring.all)
			}
			err := k.Renew(t.Context(), "a", func(was json.RawMessage) (json.RawMessage, error) {
				return bytes.Replace(was, []byte("hush"), []byte("new"), 1), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			k.has("a", `{"token":"new"}`)
			if names, err := k.Names(); err != nil || fmt.Sprint(names) != "[a b]" {
				t.Error(names, err)
			}
			for _, want := range []bool{true, false} {
				if was, err := k.Remove(t.Context(), "a"); err != nil || was != want {
					t.Error(was, err)
				}
			}
			k.has("a", "")
			k.has("b", `"other"`)
			if k.inFile("new") || len(k.ring.all) > 1 {
				t.Errorf("left: %v", k.ring.all)
			}
		})
	}
}

// Where the keyring does not answer, or does not keep, the file takes it, and it is
// said why; unless that is not wanted.
func TestRefusedByKeyring(t *testing.T) {
	t.Parallel()
	for _, r := range []*ring{{refuses: strongbox.ErrLocked}, {forgets: true}} {
		k := newKeep(t, strongbox.Auto)
		k.Ring, k.ring = r, r
		if place := k.put("a", `"hush"`); place.Keyring || place.Why == nil || !k.inFile("hush") {
			t.Errorf("%+v", place)
		}
		k.has("a", `"hush"`)
		k.Use = strongbox.KeyringOnly
		if _, err := k.Put(t.Context(), "a", json.RawMessage(`"next"`)); err == nil || k.inFile("next") {
			t.Error("it is in the file:", err)
		}
	}
}

// A keyring that does not answer any more has what it has: that is said, a new
// secret takes its place, and an old one can be given up.
func TestKeyringIsAway(t *testing.T) {
	t.Parallel()
	k := newKeep(t, strongbox.Auto)
	k.put("a", `"hush"`)
	k.put("b", `"other"`)
	k.ring.refuses = strongbox.ErrLocked
	if _, err := k.Get(t.Context(), "a"); !errors.Is(err, strongbox.ErrLocked) {
		t.Error(err)
	}
	if err := k.Renew(t.Context(), "a", func(json.RawMessage) (json.RawMessage, error) { t.Error("of nothing"); return nil, nil }); !errors.Is(err, strongbox.ErrLocked) {
		t.Error(err)
	}
	if !k.Has("a") {
		t.Error("it is not named")
	}
	k.put("a", `"again"`)
	k.has("a", `"again"`)
	if was, err := k.Remove(t.Context(), "b"); !was || !errors.Is(err, strongbox.ErrLocked) {
		t.Error(was, err)
	}
	k.has("b", "")
}

// What is in the wrong place moves, and however often the process ends in between,
// it is somewhere.
func TestSettle(t *testing.T) {
	t.Parallel()
	k := newKeep(t, strongbox.FileOnly)
	k.put("a", `{"token":"hush"}`)
	k.put("b", `"other"`)
	k.Use = strongbox.Auto
	k.ring.refuses = strongbox.ErrLocked
	if err := k.Settle(t.Context()); !errors.Is(err, strongbox.ErrLocked) || !k.inFile("hush") {
		t.Error(err)
	}
	k.ring.refuses = nil
	// It was killed when the first was in the keyring and the file not yet written.
	before, err := os.ReadFile(k.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.File, before, 0o600); err != nil {
		t.Fatal(err)
	}
	k.has("a", `{"token":"hush"}`)
	for range 2 {
		if err := k.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.has("a", `{"token":"hush"}`)
		k.has("b", `"other"`)
	}
	if k.inFile("hush") || k.inFile("other") || len(k.ring.all) != 2 {
		t.Errorf("keyring %v", k.ring.all)
	}
	k.Use = strongbox.FileOnly
	if err := k.Settle(t.Context()); err != nil || !k.inFile("hush") || len(k.ring.all) != 0 {
		t.Error(err, k.ring.all)
	}
	k.has("a", `{"token":"hush"}`)
}

// Two folders of state have two secrets of one name, and many processes one.
func TestShared(t *testing.T) {
	t.Parallel()
	k, other := newKeep(t, strongbox.Auto), newKeep(t, strongbox.Auto)
	other.Ring, other.ring = k.Ring, k.ring
	k.put("n", `0`)
	other.put("n", `100`)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := k.Renew(t.Context(), "n", func(was json.RawMessage) (json.RawMessage, error) {
				var n int
				err := json.Unmarshal(was, &n)
				return json.RawMessage(fmt.Sprint(n + 1)), err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	k.has("n", "20")
	other.has("n", "100")
}

// A moving keyring is one out of which another process takes things, just before
// it is asked for them.
type moving struct {
	strongbox.Ring
	move func()
}

func (m moving) Get(ctx context.Context, name string) ([]byte, error) {
	m.move()
	return m.Ring.Get(ctx, name)
}

// What another process moves, or removes, while it is looked for is where it is now.
func TestMovedMeanwhile(t *testing.T) {
	t.Parallel()
	k := newKeep(t, strongbox.Auto)
	k.put("n", `{"token":"hush"}`)
	file := k.Box
	file.Use = strongbox.FileOnly
	k.Ring = moving{k.ring, func() {
		if err := file.Settle(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	k.has("n", `{"token":"hush"}`)
	k.Ring = k.ring
	if err := k.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Ring = moving{k.ring, func() {
		if _, err := file.Remove(t.Context(), "n"); err != nil {
			t.Error(err)
		}
	}}
	if got, err := k.Get(t.Context(), "n"); got != nil || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// A waiting keyring never answers.
type waiting struct{ asked int }

func (w *waiting) Get(ctx context.Context, _ string) ([]byte, error) {
	w.asked++
	<-ctx.Done()
	return nil, ctx.Err()
}

func (w *waiting) Set(ctx context.Context, name string, _ []byte) error {
	_, err := w.Get(ctx, name)
	return err
}

func (w *waiting) Delete(ctx context.Context, name string) error { return w.Set(ctx, name, nil) }

// Who waits for a keyring that hangs waits once.
func TestWaitsOnce(t *testing.T) {
	t.Parallel()
	w := &waiting{}
	d := &strongbox.Desktop{Ring: w, Patience: time.Millisecond}
	k := newKeep(t, strongbox.Auto)
	k.Ring = d
	for _, name := range []string{"a", "b", "c"} {
		if place := k.put(name, `"hush"`); place.Keyring || !strings.Contains(fmt.Sprint(place.Why), "does not answer within 1ms") {
			t.Errorf("%+v", place)
		}
	}
	if w.asked != 1 {
		t.Errorf("it was asked %d times", w.asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	patient := &strongbox.Desktop{Ring: w, Patience: time.Hour} // who gave up was not kept waiting
	if err := patient.Set(ctx, "a", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _ = patient.Set(ctx, "a", nil); w.asked != 3 {
		t.Errorf("it was asked %d times", w.asked)
	}
}
