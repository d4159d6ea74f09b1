package checkpoint_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ml-intern/internal/checkpoint"
)

// A world is a workspace in which turns and a person take turns.
type world struct {
	*rapid.T
	tb      testing.TB
	dir     string
	store   checkpoint.Store
	taken   []checkpoint.Taken
	before  []map[string]string // the workspace before each turn
	touched []map[string]bool   // what the person did since each turn began
	theirs  []map[string]string // and what they made of files, if no turn changed that again
}

// Where things are done: few places, so that much happens at the same ones.
func places() []string {
	return []string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/x", "l", "n\xfe"}
}

// do does one thing to one place, whatever is there. It returns the places
// that it may have changed.
func (w *world) do(who string, i int) {
	rel := rapid.SampledFrom(places()).Draw(w.T, "place")
	path := filepath.Join(w.dir, rel)
	other := rapid.SampledFrom(places()).Draw(w.T, "other")
	what := rapid.SampledFrom([]string{"write", "write", "append", "delete", "folder", "link", "chmod", "rename", "same"}).Draw(w.T, "what")
	switch what { // errors are part of life: the place may be below a file
	case "write":
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		_ = os.Remove(path)
		_ = os.WriteFile(path, fmt.Appendf(nil, "%s %d", who, i), 0o644)
	case "append":
		if f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err == nil {
			fmt.Fprintf(f, " and %s", who)
			_ = f.Close()
		}
	case "same": // what everybody may write
		_ = os.WriteFile(path, []byte("same"), 0o644)
	case "delete":
		_ = os.RemoveAll(path)
	case "folder":
		_ = os.Remove(path)
		_ = os.MkdirAll(path, 0o755)
	case "link":
		_ = os.Remove(path)
		_ = os.Symlink(other, path)
	case "chmod":
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			_ = os.Chmod(path, 0o755)
		}
	case "rename":
		if other != rel && !strings.HasPrefix(other, rel+"/") {
			_ = os.RemoveAll(filepath.Join(w.dir, other))
			_ = os.Rename(path, filepath.Join(w.dir, other))
		}
	}
}

// some does up to n things, and returns the paths that differ afterwards.
func (w *world) some(who string, n int) map[string]bool {
	was := snapshot(w.tb, w.dir)
	for i := range rapid.IntRange(0, n).Draw(w.T, who) {
		w.do(who, len(w.taken)*100+i)
	}
	is := snapshot(w.tb, w.dir)
	changed := map[string]bool{}
	for path := range maps.Keys(was) {
		if was[path] != is[path] {
			changed[path] = true
		}
	}
	for path := range maps.Keys(is) {
		if was[path] != is[path] {
			changed[path] = true
		}
	}
	return changed
}

func (w *world) take(kind string) {
	w.taken = append(w.taken, take(w.tb, w.store, kind))
}

func (w *world) person(n int) {
	was := look(w.tb, w.dir)
	changed := w.some("person", n)
	is := look(w.tb, w.dir)
	for path := range changed {
		for i := range w.touched {
			w.touched[i][path] = true
			if is[path] != was[path] && is[path] != "" && is[path][0] != 'd' {
				w.theirs[i][path] = is[path]
			}
		}
	}
}

func (w *world) turn() {
	w.before = append(w.before, look(w.tb, w.dir))
	w.touched, w.theirs = append(w.touched, map[string]bool{}), append(w.theirs, map[string]string{})
	w.take(checkpoint.Before)
	w.some("agent", 6)
	w.take(checkpoint.After)
}

// concerns reports whether the person did something at the path, above or below.
func concerns(touched map[string]bool, path string) bool {
	for p := range touched {
		if p == path || strings.HasPrefix(p, path+"/") || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// A rewind brings back exactly what was, beside files that are the person's
// own, or refuses for something that the person did. Nothing that the person
// wrote is lost, and all of it can be undone.
func TestRewindIsExactOrRefuses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links and modes are those of other systems")
	}
	refusals, exact := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		do(t, err)
		w := &world{T: rt, tb: t, dir: dir, store: open(t, dir)}
		w.some("agent", 8) // what is there at first
		for range rapid.IntRange(1, 4).Draw(rt, "turns") {
			w.turn()
			w.person(2)
		}
		back := rapid.IntRange(0, len(w.before)-1).Draw(rt, "back to")
		want, touched, now := w.before[back], w.touched[back], look(t, dir)
		p := plan(t, w.store, points(w.taken[2*back:]...))
		for _, c := range append(p.Refused(), kept(p)...) {
			if !concerns(touched, c.Path) {
				rt.Fatalf("%s: %s %s, and the person did nothing there", c.Path, c.Do, c.Refused)
			}
		}
		for path, text := range w.theirs[back] {
			saved := func(c checkpoint.Change) bool { return c.Path == path && (c.Refused != "" || c.Do == checkpoint.Keep) }
			if now[path] == text && want[path] != text && !slices.ContainsFunc(p.Changes, saved) {
				rt.Fatalf("%s is what the person made it and would be lost", path)
			}
		}
		safe := take(t, w.store, checkpoint.Before)
		if len(p.Refused()) > 0 {
			refusals++
			if err := p.Apply(t.Context(), false); err == nil {
				rt.Fatal("it was not refused")
			}
			if d := differences(now, look(t, dir)); d != "" {
				rt.Fatalf("a refused rewind changed something:\n%s", d)
			}
			return
		}
		exact++
		if err := p.Apply(t.Context(), false); err != nil {
			rt.Fatal(err)
		}
		is := look(t, dir)
		for _, c := range kept(p) {
			if is[c.Path] != now[c.Path] {
				rt.Fatalf("%s is the person's and was changed", c.Path)
			}
			delete(is, c.Path)
			for above := filepath.Dir(c.Path); above != "."; above = filepath.Dir(above) {
				if _, was := want[above]; !was {
					delete(is, above)
				}
			}
		}
		if d := differences(want, is); d != "" {
			rt.Fatalf("it is not as it was:\n%s", d)
		}
		undo := plan(t, w.store, points(safe, take(t, w.store, checkpoint.After)))
		if err := undo.Apply(t.Context(), false); err != nil {
			rt.Fatal(err)
		}
		if d := differences(now, look(t, dir)); d != "" {
			rt.Fatalf("undone, it is not as it was before:\n%s", d)
		}
	})
	if refusals == 0 || exact == 0 {
		t.Errorf("%d refusals, %d rewinds: one of them was never tried", refusals, exact)
	}
}

// look is a snapshot without times: a file that was written with what it had is
// left alone.
func look(tb testing.TB, dir string) map[string]string {
	all := snapshot(tb, dir)
	for path, text := range all {
		if parts := strings.Split(text, " "); len(parts) == 3 && parts[0] != "->" {
			all[path] = parts[0] + " " + parts[1]
		}
	}
	return all
}

func kept(p *checkpoint.Plan) []checkpoint.Change {
	return slices.DeleteFunc(slices.Clone(p.Changes), func(c checkpoint.Change) bool { return c.Do != checkpoint.Keep })
}
