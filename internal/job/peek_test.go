//go:build unix

package job_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/job"
)

// peek runs the far half here, and remembers what it brought.
func peek(t *testing.T, dir string, known map[string]job.Mark) map[string]string {
	t.Helper()
	var in, complaints bytes.Buffer
	if err := job.WritePeek(&in, known); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "sh", "-c", job.PeekShell+"\npeek \"$0\"", dir)
	c.Stdin, c.Stderr = &in, &complaints
	out, err := c.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	pieces, err := job.ReadPeek(bytes.NewReader(out))
	if err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	got := map[string]string{}
	for _, p := range pieces {
		got[p.Name] = string(p.Data)
		if p.Anew {
			got[p.Name] = "anew: " + got[p.Name]
		}
		known[p.Name] = p.Mark
	}
	return got
}

func TestPeek(t *testing.T) {
	t.Parallel()
	dir, known := t.TempDir(), map[string]job.Mark{}
	put := func(name, text string, flag int) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	want := func(all map[string]string) {
		t.Helper()
		got := peek(t, dir, known)
		for name, text := range all {
			if got[name] != text {
				t.Errorf("%s: %q, want %q", name, got[name], text)
			}
		}
		if len(got) != len(all) {
			t.Errorf("got %q", got)
		}
	}
	want(nil)
	put("data.csv", "no metrics", 0)
	put(".hidden/metrics.csv", "no", 0)
	put("metrics.csv", "step,loss\n", 0)
	put("a b/it's  a \"log\" $(x).jsonl", "{}\n{", 0)
	put("runs/events.out.tfevents.1.host", "\x00\x01\n \xff", 0)
	put("empty_log.csv", "", 0)
	want(map[string]string{
		"metrics.csv": "anew: step,loss\n", "a b/it's  a \"log\" $(x).jsonl": "anew: {}\n{", "runs/events.out.tfevents.1.host": "anew: \x00\x01\n \xff",
	})
	want(nil)
	put("metrics.csv", "1,0.5\n", os.O_APPEND)
	put("a b/it's  a \"log\" $(x).jsonl", "}\n", os.O_APPEND)
	want(map[string]string{"metrics.csv": "1,0.5\n", "a b/it's  a \"log\" $(x).jsonl": "}\n"})
	put("metrics.csv", "step,loss,acc\n1,0.5,\n", os.O_TRUNC)
	put("runs/events.out.tfevents.1.host", "new", os.O_TRUNC)
	want(map[string]string{"metrics.csv": "anew: step,loss,acc\n1,0.5,\n", "runs/events.out.tfevents.1.host": "anew: new"})

	// What is more than one answer holds comes with the next.
	long := strings.Repeat("0123456789abcdef", 5<<16)
	put("big_log.csv", long, 0)
	first := peek(t, dir, known)["big_log.csv"]
	if rest := peek(t, dir, known)["big_log.csv"]; first != "anew: "+long[:4<<20] || rest != long[4<<20:] {
		t.Errorf("%d bytes, then %d, of %d", len(first), len(rest), len(long))
	}
	want(nil)
}

func FuzzReadPeek(f *testing.F) {
	f.Add([]byte("0 3 3 17 ./metrics.csv\nabc3 1 4 5 ./metrics.csv\nd"))
	f.Add([]byte("0 99999999999 3 17 ./metrics.csv\nabc"))
	f.Add([]byte("0 3 3 17 ./../../x\nabc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pieces, err := job.ReadPeek(bytes.NewReader(data))
		for _, p := range pieces {
			if !filepath.IsLocal(p.Name) || len(p.Data) == 0 || p.Mark.Size < int64(len(p.Data)) {
				t.Errorf("%+v, %v", p, err)
			}
		}
	})
}
