//go:build unix

package local

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/job"
)

// TestLogSegments writes logs of all sizes around the borders of segments of
// eight bytes, and reads them from every cursor.
func TestLogSegments(t *testing.T) {
	t.Parallel()
	for size := range 60 {
		log := logFile{dir: t.TempDir(), segment: 8}
		w := &logWriter{log: log}
		text := strings.Repeat("abcd\n", 12)[:size]
		for rest := text; rest != ""; {
			n := min(len(rest), 1+size%11)
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		// What is kept: two segments from the beginning, and the last two.
		head := min(size, 16)
		tail := max(head, (size-1)/8*8-8)
		for from := range size + 2 {
			var got strings.Builder
			next := int64(from)
			for line, err := range log.lines(int64(from)) {
				if err != nil {
					t.Fatal(err)
				}
				if gap := fmt.Sprintf("[%d bytes of output were dropped here]", line.Next-next); line.Text == gap {
					got.WriteString("#")
				} else {
					got.WriteString(line.Text)
				}
				next = line.Next
			}
			want := text[min(from, size):]
			if tail > head {
				want = text[min(from, head):head] + "#" + text[tail:]
				if from >= tail {
					want = text[min(from, size):]
				}
			}
			if want = strings.ReplaceAll(want, "\n", ""); got.String() != want {
				t.Fatalf("%d bytes from %d: got %q, want %q", size, from, got.String(), want)
			}
			if end := int64(max(from, size)); next != end {
				t.Fatalf("%d bytes from %d: the end is %d", size, from, next)
			}
		}
	}
}

// TestLogWithoutRoom takes the log's folder away for a while.
func TestLogWithoutRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := logFile{dir: dir + "/log", segment: 100}
	w := &logWriter{log: log}
	write := func(text string) {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("Write returned %d, %v", n, err)
		}
	}
	write("lost\n")
	write("lost too\n")
	if err := os.Mkdir(log.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write("kept\n")
	var got []string
	for line, err := range log.lines(0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line.Text)
	}
	if want := []string{"", "[14 bytes of output could not be written]", "kept"}; !slices.Equal(got, want) {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

// TestLogCut cuts and removes segments of a log while it is written.
func TestLogCut(t *testing.T) {
	t.Parallel()
	log := logFile{dir: t.TempDir(), segment: 8}
	w := &logWriter{log: log}
	all := func(from int64) (got []string) {
		for line, err := range log.lines(from) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(line.Text, " ", line.Next))
		}
		return got
	}
	want := func(from int64, want ...string) {
		t.Helper()
		if got := all(from); !slices.Equal(got, want) {
			t.Errorf("from %d there is %q, want %q", from, got, want)
		}
	}
	_, _ = w.Write([]byte("abc\ndef\nghi\njkl\n"))
	if err := os.Truncate(log.path(0), 4); err != nil {
		t.Fatal(err)
	}
	want(0, "abc 4", "[4 bytes of output were dropped here] 8", "ghi 12", "jkl 16")
	want(6, "[2 bytes of output were dropped here] 8", "ghi 12", "jkl 16")
	if err := os.Truncate(log.path(1), 4); err != nil {
		t.Fatal(err)
	}
	want(8, "ghi 12")
	want(16)
	_, _ = w.Write([]byte("mno\n"))
	want(16, "mno 20")
	if err := os.Truncate(log.path(2), 0); err != nil {
		t.Fatal(err)
	}
	want(16)
	want(20)
	_, _ = w.Write([]byte("pqr\n"))
	want(20, "pqr 24")
	for n := range int64(3) {
		if err := os.Remove(log.path(n)); err != nil {
			t.Fatal(err)
		}
	}
	want(0)
	want(-5)
	_, _ = w.Write([]byte("stu\n"))
	want(24, "stu 28")
	want(0, "[24 bytes of output were dropped here] 24", "stu 28")
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"print(1)": nil,
		"# /// script\n# dependencies = ['a']\n# ///\n":                                             {"a"},
		"# /// script\n# dependencies = [\"a[x,y]>=1; python_version<'3.9'\"]\n# ///\n":             {"a[x,y]>=1; python_version<'3.9'"},
		"import x\n\n# /// script\n#\n# dependencies = [ # ]\n#  'a', # 'b'\n#  'c',\n# ]\n# ///\n": {"a", "c"},
		"# /// script\n# requires-python = '>=3.11'\n# ///\n":                                       nil,
		"# /// script\n# dependencies = ['a']\n":                                                    nil, // no end: no block
		"# /// other\n# dependencies = ['a']\n# ///\n":                                              nil,
		"'''\n /// script\n'''\n# dependencies = ['a']\n":                                           nil,
		"# /// script\n# dependencies = [\n# ///\n":                                                 nil,
		"# /// script\n# dependencies = [\"a\n# ///\n":                                              {"a\n"},
	} {
		if got := dependencies(metadata(source)); !slices.Equal(got, want) {
			t.Errorf("%q needs %q, want %q", source, got, want)
		}
	}
}

// TestRequirements adds to what scripts ask for, and writes it as a script.
func TestRequirements(t *testing.T) {
	t.Parallel()
	more := []string{"b>=2; python_version<'4'", `odd "\ é`}
	for block, want := range map[string]string{
		"":                         "dependencies = [MORE]\n",
		"dependencies = []\n":      "dependencies = [MORE]\n",
		"dependencies=[ 'a',\n]\n": "dependencies=[MORE 'a',\n]\n",
		"requires-python = '>=3.9'\n\n[tool.x]\ndependencies = ['c']\n": "dependencies = [MORE]\nrequires-python = '>=3.9'\n\n[tool.x]\ndependencies = ['c']\n",
	} {
		got := addDependencies(block, more)
		if list := `"b\u003e=2; python_version\u003c'4'", "odd \"\\ é", `; got != strings.ReplaceAll(want, "MORE", list) {
			t.Errorf("%q became %q", block, got)
		}
		if back := metadata(requirements{Block: got}.script()); back != got {
			t.Errorf("%q was written as %q", got, back)
		}
		if addDependencies(block, nil) != block {
			t.Errorf("%q was changed for nothing", block)
		}
	}
	r := requirements{Block: "dependencies = []\n"}
	key := r.key([]string{"UV_INDEX_URL=https://me:hunter2@host/simple", "PATH=/x"})
	if key != r.key([]string{"PATH=/y", "UV_INDEX_URL=https://host/simple"}) {
		t.Error("a password changes the key")
	}
	if key == r.key(nil) || key == (requirements{Block: r.Block, Python: "3.12"}).key([]string{"UV_INDEX_URL=https://host/simple"}) {
		t.Error("another index, or python, has the same key")
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	kills := memoryKills()
	for name, c := range map[string]struct {
		verdict verdict
		code    int
		kills   int
		state   job.State
		reason  string
	}{
		"good":             {verdict{}, 0, kills, job.Succeeded, ""},
		"bad":              {verdict{}, 2, kills, job.Failed, "exit code 2"},
		"crash":            {verdict{}, 139, kills, job.Failed, "segmentation"},
		"killed":           {verdict{}, 137, -1, job.Failed, "from outside"},
		"stopped":          {verdict{job.TimedOut, "time", 0}, 143, kills, job.TimedOut, "time"},
		"stopped, exits 0": {verdict{job.TimedOut, "time", 0}, 0, kills, job.TimedOut, "time"},
	} {
		if e := judge(c.verdict, c.code, c.kills); e.State != c.state || e.ExitCode != c.code || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if kills > 0 {
		if e := judge(verdict{}, 137, kills-1); e.State != job.OutOfMemory {
			t.Errorf("killed when memory ran out: %+v", e)
		}
	}
}

func metadata(source string) string {
	toml, _ := job.Metadata([]byte(source))
	return toml
}
