//go:build unix

package sandbox_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/sandbox"
)

// guarded is a workspace with a vault and these files.
func guarded(t *testing.T, files map[string]string) sandbox.Local {
	t.Helper()
	sb := local(t)
	sb.Vault = sandbox.NewVault(filepath.Join(t.TempDir(), "kept"), sb.Dir)
	for name, text := range files {
		path := filepath.Join(sb.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return sb
}

// What a command does to weights and data is said, and what was there before
// can be had.
func TestVaultKeepsWhatCommandsDestroy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		kept []string
	}{
		"nothing":               {"cat runs/a/model.safetensors; touch -a data.csv", nil},
		"deleted":               {"rm -r runs", []string{"runs/a/model.safetensors", "runs/b/model.pt"}},
		"written over":          {"echo new > data.csv", []string{"data.csv"}},
		"replaced":              {"echo new > x && mv x data.csv", []string{"data.csv"}},
		"cut short":             {": > runs/b/model.pt", []string{"runs/b/model.pt"}},
		"moved":                 {"mv runs best", nil},
		"moved over another":    {"mv runs/a/model.safetensors runs/b/model.pt", []string{"runs/b/model.pt"}},
		"text is not precious":  {"echo new > notes.txt; rm -r .venv", nil},
		"the command fails too": {"rm data.csv; exit 3", []string{"data.csv"}},
	} {
		before := map[string]string{
			"runs/a/model.safetensors": "weights", "runs/b/model.pt": "more weights", "data.csv": "a,b", "notes.txt": "n", ".venv/x.pt": "v", "empty.pt": "",
		}
		sb := guarded(t, before)
		for range 2 { // the second time it has it already
			if out, err := sb.Exec(t.Context(), sandbox.Command{Line: "true"}); err != nil || out.Kept != nil {
				t.Fatalf("%s: %+v, %v", name, out, err)
			}
		}
		out, err := sb.Exec(t.Context(), sandbox.Command{Line: c.line})
		if err != nil || len(out.Kept) != len(c.kept) {
			t.Errorf("%s: kept %v, %v", name, out.Kept, err)
			continue
		}
		for i, k := range out.Kept {
			data, err := os.ReadFile(k.Copy)
			if k.Path != c.kept[i] || err != nil || string(data) != before[k.Path] {
				t.Errorf("%s: %s holds %q, %v", name, k, data, err)
			}
		}
	}
}

// A large file is held by a link: that costs nothing, outlives deleting, and
// never passes for the file from before once it was written into.
func TestVaultHoldsLargeFiles(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"small.pt": "x"})
	for line, survives := range map[string]bool{
		"rm large.pt": true, "echo > x; mv x large.pt": true,
		": > large.pt": false, "printf new | dd of=large.pt conv=notrunc": false, "printf new | dd of=large.pt conv=notrunc; mv large.pt large.old": false,
	} {
		large(t, filepath.Join(sb.Dir, "large.pt"), 300<<20)
		k := kept(t, sb, line, 1)[0]
		switch {
		case k.Copy != "": // a file system that clones keeps all
			f, err := os.Open(k.Copy)
			if err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 4)
			_, err = f.Read(head)
			if info, _ := f.Stat(); err != nil || string(head) != "head" || info.Size() != 300<<20 {
				t.Errorf("%s: %s begins with %q, %v", line, k, head, err)
			}
			_ = f.Close()
		case survives || !strings.Contains(k.String(), "could not be kept: it was written into"):
			t.Errorf("%s: %s", line, k)
		}
		_ = os.Remove(filepath.Join(sb.Dir, "large.pt"))
	}
}

// large makes a file of a day ago that has no bytes on the disk but the first.
func large(t *testing.T, path string, size int64) {
	t.Helper()
	then := time.Now().Add(-24 * time.Hour)
	if err := firstOf(os.WriteFile(path, []byte("head"), 0o600), os.Truncate(path, size), os.Chtimes(path, then, then)); err != nil {
		t.Fatal(err)
	}
}

// kept runs a command that is to destroy n files.
func kept(t *testing.T, sb sandbox.Local, line string, n int) []sandbox.Kept {
	t.Helper()
	out, err := sb.Exec(t.Context(), sandbox.Command{Line: line, Timeout: time.Minute})
	if err != nil || len(out.Kept) != n {
		t.Fatalf("%s: %q, kept %v, %v", line, out.Text, out.Kept, err)
	}
	return out.Kept
}

// What one process holds another does not forget.
func TestVaultIsShared(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"small.csv": "a,b"})
	large(t, filepath.Join(sb.Dir, "large.pt"), 300<<20)
	kept(t, sb, "true", 0)
	out, err := sb.Exec(t.Context(), sandbox.Command{Line: "rm *.pt *.csv; echo gone; sleep 0.1", Log: func(string) { kept(t, sb, "true", 0) }})
	if err != nil || len(out.Kept) != 2 || out.Kept[0].Copy == "" || out.Kept[1].Copy == "" {
		t.Errorf("kept %v, %v", out.Kept, err)
	}
	large(t, filepath.Join(sb.Dir, "large.pt"), 300<<20)
	out, err = sb.Exec(t.Context(), sandbox.Command{Line: "echo x; sleep 0.1", Log: func(string) { kept(t, sb, "rm large.pt", 1) }})
	if err != nil || len(out.Kept) != 1 || out.Kept[0].Copy == "" {
		t.Errorf("what another command deleted meanwhile: kept %v, %v", out.Kept, err)
	}
}

// What a command destroyed before its process was killed is kept by the next.
func TestVaultRescuesAfterACrash(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("VAULT_CRASH"); dir != "" {
		sb := sandbox.Local{Dir: dir, Env: os.Environ(), Vault: sandbox.Vault{Dir: os.Getenv("VAULT_DIR")}}
		_, _ = sb.Exec(t.Context(), sandbox.Command{Line: "rm gone.pt; echo new > over.csv; mv moved.pt to.pt; kill -9 $PPID; sleep 9"})
		t.Fatal("this process still lives")
	}
	sb := guarded(t, map[string]string{"over.csv": "a,b", "left.pt": "x"})
	large(t, filepath.Join(sb.Dir, "gone.pt"), 300<<20)
	large(t, filepath.Join(sb.Dir, "moved.pt"), 300<<20)
	crash := exec.Command(os.Args[0], "-test.run=^TestVaultRescuesAfterACrash$")
	crash.Env = append(os.Environ(), "VAULT_CRASH="+sb.Dir, "VAULT_DIR="+sb.Vault.Dir)
	if out, err := crash.CombinedOutput(); err == nil || crash.ProcessState.Exited() {
		t.Fatalf("it was not killed: %s", out)
	}
	sizes := map[string]int64{"over.csv": 3, "gone.pt": 300 << 20}
	for _, k := range kept(t, sb, "true", 2) {
		if info, err := os.Stat(k.Copy); err != nil || info.Size() != sizes[k.Path] {
			t.Errorf("%s: %v", k, err)
		}
	}
	kept(t, sb, "true", 0)
}

// What a job writes beside the agent is not the command's doing.
func TestVaultSkipsFoldersOfJobs(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"runs/1/a.ckpt": "1", "runs/2/a.ckpt": "2"})
	sb.Vault.Skip = func(context.Context) []string { return []string{filepath.Join(sb.Dir, "runs/1"), "/elsewhere"} }
	if k := kept(t, sb, "rm -r runs", 1)[0]; k.Path != "runs/2/a.ckpt" {
		t.Errorf("%s", k)
	}
}

// The oldest of what is kept goes when all is too much, never the newest.
func TestVaultIsBounded(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"small.csv": "x"})
	var copies []string
	for range 3 {
		large(t, filepath.Join(sb.Dir, "large.pt"), 16<<30)
		copies = append(copies, kept(t, sb, "rm large.pt", 1)[0].Copy)
	}
	kept(t, sb, "true", 0)
	for i, path := range copies {
		if _, err := os.Stat(path); (err == nil) != (i == 2) {
			t.Errorf("copy %d: %v", i, err)
		}
	}
}

// To take hold costs a command none of its time, and ends with ctx.
func TestVaultTakesItsOwnTime(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"a.pt": "x"})
	kept(t, sb, "true", 0)
	lock := flock.New(filepath.Join(sb.Vault.Dir, "lock"))
	if err := lock.Lock(); err != nil { // as another process that tidies up
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := sb.Exec(ctx, sandbox.Command{Line: "touch ran"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it waited: %v", err)
	}
	if _, err := os.Stat(filepath.Join(sb.Dir, "ran")); err == nil {
		t.Error("the command ran though ctx had ended")
	}
	const limit = 5 * time.Second // the command needs less, and waits for longer
	time.AfterFunc(limit+time.Second, func() { _ = lock.Unlock() })
	out, err := sb.Exec(t.Context(), sandbox.Command{Line: "echo hi", Timeout: limit})
	if err != nil || out.TimedOut || out.Text != "hi\n" || out.Seconds > limit.Seconds() {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestVaultStopsCopying(t *testing.T) {
	t.Parallel()
	sb := guarded(t, nil)
	large(t, filepath.Join(sb.Dir, "a.pt"), 250<<20)
	if exec.Command("cp", "--reflink=always", filepath.Join(sb.Dir, "a.pt"), filepath.Join(sb.Dir, "a")).Run() == nil {
		t.Skip("nothing is copied on a disk that clones")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := sb.Exec(ctx, sandbox.Command{Line: "true"})
	if held, _ := os.ReadDir(filepath.Join(sb.Vault.Dir, "held")); !errors.Is(err, context.DeadlineExceeded) || len(held) > 0 {
		t.Errorf("it holds %v, %v", held, err)
	}
}

// What cannot be kept is said, and kept as soon as that is possible.
func TestVaultSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	for part, later := range map[string]int{"held": 0, "kept": 1} { // a file in place of the folder, as a disk that is full
		sb := guarded(t, map[string]string{"a.pt": "weights"})
		block := filepath.Join(sb.Vault.Dir, part)
		if err := firstOf(os.MkdirAll(sb.Vault.Dir, 0o700), os.WriteFile(block, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if k := kept(t, sb, "rm a.pt", 1)[0]; k.Copy != "" || !strings.Contains(k.String(), "a.pt was overwritten or deleted, and could not be kept: not a directory") {
			t.Errorf("%s: %s", part, k)
		}
		_ = os.Remove(block)
		for _, k := range kept(t, sb, "true", later) {
			if data, err := os.ReadFile(k.Copy); string(data) != "weights" {
				t.Errorf("%s, %v", k, err)
			}
		}
	}
}

// A command that is stopped has destroyed what it has.
func TestVaultKeepsWhatStoppedCommandsDestroy(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"a.pt": "x"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, err := sb.Exec(ctx, sandbox.Command{Line: "rm a.pt; echo x; sleep 60", Timeout: 20 * time.Second, Log: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) || len(out.Kept) != 1 {
		t.Errorf("kept %v, %v", out.Kept, err)
	}
}

// A vault inside the workspace is nothing that git should see.
func TestVaultInsideTheWorkspace(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"a.pt": "x"})
	sb.Vault.Dir = filepath.Join(sb.Dir, "own", "kept")
	for range 2 {
		kept(t, sb, "true", 0)
	}
	if data, err := os.ReadFile(filepath.Join(sb.Vault.Dir, ".gitignore")); string(data) != "*\n" {
		t.Errorf("%q, %v", data, err)
	}
	if entries, _ := os.ReadDir(filepath.Join(sb.Vault.Dir, "held")); len(entries) != 1 {
		t.Errorf("it holds itself: %v", entries)
	}
}

// A workspace may come with links where its vault would be: what they lead to is
// somebody's, and stays as it is.
func TestVaultFollowsNoLinks(t *testing.T) {
	t.Parallel()
	for _, at := range []string{".ml-intern", ".ml-intern/kept", ".ml-intern/kept/held", ".ml-intern/kept/kept", ".ml-intern/kept/running"} {
		sb := guarded(t, map[string]string{"a.pt": "x"})
		sb.Vault.Dir = filepath.Join(sb.Dir, ".ml-intern", "kept")
		home := t.TempDir()
		for _, name := range []string{"notes", "held/notes", "kept/held/notes", "kept/20010101-000000.000000/notes", "20010101-000000.000000/notes"} {
			if err := errors.Join(os.MkdirAll(filepath.Join(home, filepath.Dir(name)), 0o700), os.WriteFile(filepath.Join(home, name), []byte("mine"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		before := listing(t, home)
		link := filepath.Join(sb.Dir, filepath.FromSlash(at))
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(home, link)); err != nil {
			t.Fatal(err)
		}
		out, err := sb.Exec(t.Context(), sandbox.Command{Line: "rm a.pt"})
		if err != nil || len(out.Kept) != 1 || !strings.Contains(out.Kept[0].Lost, "a link") {
			t.Errorf("%s: %v, %+v", at, err, out.Kept)
		}
		if err := os.WriteFile(filepath.Join(sb.Dir, "b.pt"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sb.WriteFile(t.Context(), "b.pt", []byte("y")); err == nil {
			t.Errorf("%s: what could not be kept was written over", at)
		}
		if after := listing(t, home); after != before {
			t.Errorf("%s: there was\n%s\nand there is\n%s", at, before, after)
		}
	}
}

// listing names all that is below a folder.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestVaultKeepsWhatIsWrittenOver(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"data.csv": "a,b", "train.py": "x"})
	for name, want := range map[string]bool{"data.csv": true, "train.py": false, "new.csv": false} {
		kept, err := sb.WriteFile(t.Context(), name, []byte("new"))
		if err != nil || (kept.Copy != "") != want {
			t.Errorf("%s: %+v, %v", name, kept, err)
		}
	}
}

func BenchmarkVault(b *testing.B) {
	sb := sandbox.Local{Dir: b.TempDir(), Vault: sandbox.Vault{Dir: b.TempDir()}}
	for i := range 10_000 {
		path := filepath.Join(sb.Dir, "d", string(rune('a'+i%20)), strings.Repeat("x", 1+i/20%100)+string(rune('a'+i/2000))+".py")
		if i%100 == 0 {
			path += ".pt"
		}
		if err := firstOf(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := sb.Exec(b.Context(), sandbox.Command{Line: "true"}); err != nil {
			b.Fatal(err)
		}
	}
}
