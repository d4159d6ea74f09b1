package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ml-intern/internal/session"
	"ml-intern/internal/session/sessiontest"
	"ml-intern/internal/session/sqlite"
)

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) session.Store { return open(t, filepath.Join(t.TempDir(), "s.db")) })
}

// A path may hold whatever a folder's name may.
func TestStrangePaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "50%20", "a#b", "it's ü", "a&b=c;d"} {
		path := filepath.Join(t.TempDir(), name, "deep", "s.db")
		put(t, open(t, path), 1)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if runtime.GOOS != "windows" {
		put(t, open(t, filepath.Join(t.TempDir(), "what?mode=memory", "s.db")), 1)
	}
}

func put(t *testing.T, s session.Store, seq int64) {
	t.Helper()
	if err := s.Append(t.Context(), "a", reply(seq)); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are Unix's")
	}
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, filepath.Join(dir, "s.db"))
	put(t, s, 1)
	release, err := s.Lease(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	seen := 0
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		seen++
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || seen < 5 { // folder, database, log, leases, lease
		t.Errorf("saw %d files, %v", seen, err)
	}
}

// The log that makes appends safe is a property of the file.
func TestWriteAheadLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	open(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var mode string
	if err := db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
}

// raw changes a closed store behind its back.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that cannot be used is named, with what to do, and stays as it is.
func TestUnusableFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  []string
	}{
		{"not a database", func(t *testing.T, path string) {
			write(t, path, strings.Repeat("this is not a database ", 300))
		}, []string{"damaged", "move it", ".recover"}},
		{"a newer schema", func(t *testing.T, path string) {
			raw(t, path, "PRAGMA user_version = 99")
		}, []string{"newer ml-intern", "schema 99", "nothing was changed", "update"}},
		{"another program's", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			raw(t, path, "CREATE TABLE events (x)")
		}, []string{"another program", "nothing was changed"}},
		{"a folder", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, []string{"directory"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s.db")
			s, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, 1)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, path)
			before, _ := os.ReadFile(path)
			_, err = sqlite.Open(t.Context(), path)
			if err == nil {
				t.Fatal("it was opened")
			}
			for _, want := range append(tt.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Damage in the middle is found when it is met, and nothing is made up.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range int64(200) {
		put(t, s, seq+1)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(data); i++ {
		data[i] = 0xAA
	}
	write(t, path, string(data))
	s = open(t, path)
	for _, e := range s.Load(t.Context(), "a", 0) {
		err = e
	}
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("load gave %v", err)
	}
	if err := s.Append(t.Context(), "a", reply(201)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("append gave %v", err)
	}
}

func TestFoldersThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	if _, err := sqlite.Open(t.Context(), filepath.Join(file, "s.db")); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("below a file: %v", err)
	}
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("nothing is read-only for this account")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, "s.db")); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("in a read-only folder: %v", err)
	}
}

// Two stores on one file, as two processes have them, keep leases apart.
func TestLeaseOfTwoStores(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	one, two := open(t, path), open(t, path)
	release, err := one.Lease(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Lease(t.Context(), "a"); !errors.Is(err, session.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = two.Lease(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), "a", reply(1)); err == nil {
		t.Error("a closed store saved an event")
	}
	if _, err := s.List(t.Context()); err == nil {
		t.Error("a closed store has a list")
	}
}
