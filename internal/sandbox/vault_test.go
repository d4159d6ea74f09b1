//go:build unix

package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
// says so when it could not help.
func TestVaultHoldsLargeFiles(t *testing.T) {
	t.Parallel()
	sb := guarded(t, map[string]string{"small.pt": "x"})
	large := filepath.Join(sb.Dir, "large.pt")
	for line, want := range map[string]string{
		"rm large.pt": "the file from before is", "printf new | dd of=large.pt conv=notrunc 2>/dev/null": "too large to keep",
	} {
		if err := firstOf(os.WriteFile(large, []byte("head"), 0o600), os.Truncate(large, 300<<20)); err != nil {
			t.Fatal(err)
		}
		out, err := sb.Exec(t.Context(), sandbox.Command{Line: line})
		if err != nil || len(out.Kept) != 1 {
			t.Fatalf("%s: %+v, %v", line, out, err)
		}
		if !strings.Contains(out.Kept[0].String(), want) && out.Kept[0].Copy == "" { // a file system that clones keeps both
			t.Errorf("%s: %s", line, out.Kept[0])
		}
	}
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
