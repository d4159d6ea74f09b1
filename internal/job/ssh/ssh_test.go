//go:build unix

package ssh_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/jobtest"
)

func TestBackend(t *testing.T) {
	jobtest.Run(t, func(t *testing.T) job.Backend { return here(t) }, jobtest.Traits{Elsewhere: true})
}

// TestBusybox runs the suite on a machine that has nothing but busybox.
func TestBusybox(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("there is no busybox here")
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	jobtest.Run(t, func(t *testing.T) job.Backend {
		b := here(t)
		bin := filepath.Join(home(b), "bin")
		if err := os.Mkdir(bin, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(string(applets)) {
			if name == "ps" || name == "env" { // for what the suite asks of them
				continue
			}
			if err := os.Symlink(busybox, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}, jobtest.Traits{Elsewhere: true})
}

// TestNoise has a machine whose shell talks before it does anything.
func TestNoise(t *testing.T) {
	t.Parallel()
	b := here(t)
	b.FarDir = "my jobs/of ml-intern"
	write(t, filepath.Join(home(b), "noise"), "Welcome to far!\nml-intern\n\n"+strings.Repeat("x", 200<<10)+"\n")
	s := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"echo", "done"}})
	if done := wait(t, b, s.ID); done.State != job.Succeeded || logged(t, b, s.ID) != "done\n" {
		t.Errorf("the job is %+v and said %q", done, logged(t, b, s.ID))
	}
}

// TestSecrets looks for a job's secret everywhere but in its own log.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const value = "it's hunter2\nand 'more'"
	b := here(t)
	b.Secret = func(name string) (string, bool) { return value, name == "MY_TOKEN" }
	write(t, filepath.Join(home(b), "token"), "hunter2-far")
	spec := job.Spec{Dir: t.TempDir(), Secrets: []string{"MY_TOKEN"}, Command: []string{"sh", "-c", `
		[ -z "$FAR_TOKEN" ] || echo the job has a secret of the machine
		printf '<%s>\nafter\n' "$MY_TOKEN"
		tr '\0' '\n' </proc/$PPID/environ | grep MY_TOKEN
		tr '\0' ' ' </proc/$PPID/cmdline; sleep 1`}}
	s := submit(t, b, spec)
	wait(t, b, s.ID)
	text := logged(t, b, s.ID)
	if !strings.HasPrefix(text, "<"+strings.Repeat("*", len(value))+">\nafter\n") || strings.Contains(text, "hunter2") || strings.Contains(text, "MY_TOKEN") || strings.Contains(text, "secret of") {
		t.Errorf("the log is %q", text)
	}
	raw, err := os.ReadFile(filepath.Join(farJob(b, s.ID), "start/log"))
	if err != nil || !strings.Contains(string(raw), value) {
		t.Fatalf("the job was not given its secret: %q, %v", raw, err)
	}
	for at := int64(0); at <= int64(len(value))+2; at += 3 { // a cursor may be inside
		for _, from := range []int64{at, at - int64(len(raw))} {
			for line, err := range b.Logs(t.Context(), s.ID, from) {
				if err != nil || strings.Contains(line.Text, "unter") || strings.Contains(line.Text, "more") {
					t.Fatalf("from %d on: %q, %v", from, line.Text, err)
				}
			}
		}
	}
	noFileHas(t, home(b), "hunter2\nand")
	noFileHas(t, b.Dir, "hunter2")
	spec.Secrets = []string{"OTHER_TOKEN"}
	if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "OTHER_TOKEN") {
		t.Errorf("without the secret: %+v, %v", s, err)
	}
}

func noFileHas(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "log" {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), text) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestQueue has jobs that need all CPUs: they run one after another.
func TestQueue(t *testing.T) {
	t.Parallel()
	b := here(t)
	offers, err := b.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", `mkdir "$0" && sleep 0.3 && rmdir "$0"`, filepath.Join(t.TempDir(), "alone")}}
	spec.CPUs = offers[0].CPUs
	var ids []string
	for range 4 {
		ids = append(ids, submit(t, b, spec).ID)
	}
	all, err := job.Wait(t.Context(), b, ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(x, y job.Status) int { return x.Started.Compare(y.Started) })
	for i, s := range all {
		if s.State != job.Succeeded {
			t.Errorf("job %d is %+v", i, s)
		}
		if i > 0 && s.Started.Before(all[i-1].Finished) {
			t.Errorf("job %d began at %v, before the one before it ended at %v", i, s.Started, all[i-1].Finished)
		}
	}
}

// TestGPUs has a machine with two GPUs, and one that somebody else uses.
func TestGPUs(t *testing.T) {
	t.Parallel()
	b := here(t)
	program(t, b, "nproc", "echo 8")
	program(t, b, "nvidia-smi", `cat <<EOF
0, NVIDIA A100-SXM4-80GB, 81920, 4
1, NVIDIA A100-SXM4-80GB, 81920, 60000
2, NVIDIA A100-SXM4-80GB, 81920, 4
3, Tesla T4, 15360, 0
EOF`)
	offers, err := b.Offers(t.Context())
	if err != nil || len(offers) != 4 || offers[2].Flavor != "nvidia-a100-sxm4-80gb-x3" || offers[2].FreeGPUs != 2 || offers[3].GPU != "Tesla T4" {
		t.Fatalf("the offers are %+v, %v", offers, err)
	}
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", `echo "gpu $CUDA_VISIBLE_DEVICES"; until [ -e "$0" ]; do sleep 0.05; done`, filepath.Join(t.TempDir(), "go")}}
	spec.Hardware = job.Hardware{GPU: "a100", GPUMemoryMB: 40_000}
	var ids []string
	for range 3 {
		ids = append(ids, submit(t, b, spec).ID)
	}
	spec.Hardware = job.Hardware{Flavor: "tesla-t4-x1"}
	ids = append(ids, submit(t, b, spec).ID) // waits behind the third
	untilLogged(t, b, ids[0], "gpu 0\n")
	untilLogged(t, b, ids[1], "gpu 2\n")
	if s, err := b.Status(t.Context(), ids[2]); err != nil || s.State != job.Queued {
		t.Errorf("the third is %+v, %v", s, err)
	}
	for end := time.Now().Add(time.Minute); offers[2].FreeGPUs != 0 || offers[2].Queued != 2; {
		if offers, err = b.Offers(t.Context()); err != nil || time.Now().After(end) {
			t.Fatalf("the offers are %+v, %v", offers, err)
		}
	}
	if err := b.Cancel(t.Context(), ids[2]); err != nil {
		t.Error(err)
	}
	untilLogged(t, b, ids[3], "gpu 3\n")
	for _, id := range ids {
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if s, err := b.Status(t.Context(), ids[0]); err != nil || !strings.Contains(s.Hardware, "A100") || !strings.HasSuffix(s.Hardware, "GPU 0") {
		t.Errorf("the first is %+v, %v", s, err)
	}
}

// TestPython has scripts that need something, on a machine with uv and on one
// without.
func TestPython(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plain.py"), "print('hi')\n")
	write(t, filepath.Join(dir, "deep/needs.py"), "# /// script\n# requires-python = \">=3.9\"\n# dependencies = [\n#   \"six\",\n# ]\n# ///\nprint('hi')\n")
	b := here(t)
	for _, spec := range []job.Spec{
		{Dir: dir, Script: "deep/needs.py"},
		{Dir: dir, Script: "plain.py", Dependencies: []string{"six"}},
		{Dir: dir, Script: "plain.py", Python: "3.12"},
	} {
		if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "no uv on far") {
			t.Errorf("without uv: %+v, %v", s, err)
		}
	}
	b = here(t)
	program(t, b, "../.local/bin/uv", `echo "$@"`)
	for spec, want := range map[*job.Spec]string{
		{Dir: dir, Script: "deep/needs.py", Args: []string{"-x"}}:                       "run --no-project --quiet --script ./deep/needs.py -x\n",
		{Dir: dir, Script: "plain.py", Python: "3.12", Dependencies: []string{"six>1"}}: "run --no-project --quiet --python 3.12 --with six>1 --script ./plain.py\n",
		{Dir: dir, Script: "plain.py"}:                                                  "hi\n",
	} {
		s := submit(t, b, *spec)
		if wait(t, b, s.ID); logged(t, b, s.ID) != want {
			t.Errorf("%s ran %q, want %q", spec.Script, logged(t, b, s.ID), want)
		}
	}
}

// TestLuggage checks what goes along with a job.
func TestLuggage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"exp/train.py": "", "exp/lib/util.py": "", "exp/.env": "", "exp/.git/config": "", "exp/__pycache__/x.pyc": "",
		"exp/big.bin": strings.Repeat("x", 2<<20), "data/big.bin": strings.Repeat("x", 2<<20), "data/.git/x": "", "other/x": "", "id_rsa": "",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	secretFile := filepath.Join(t.TempDir(), "secret")
	write(t, secretFile, "")
	for name, target := range map[string]string{"exp/out": secretFile, "exp/in": "lib/util.py"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	b := here(t)
	s := submit(t, b, job.Spec{Dir: dir, Script: "exp/train.py", Inputs: []string{"data", "hf://datasets/a/b"}})
	wait(t, b, s.ID)
	var got []string
	work := filepath.Join(farJob(b, s.ID), "start/work") + "/"
	if err := filepath.WalkDir(work, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, work))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := "data/big.bin exp/in exp/lib/util.py exp/train.py"; strings.Join(got, " ") != want {
		t.Errorf("sent were %q, want %q", got, want)
	}
	if text := logged(t, b, s.ID); !strings.Contains(text, "exp/big.bin (2 MB)") {
		t.Errorf("the log is %q", text)
	}
	for input, want := range map[string]string{"../x": "not inside", "nope": "find input nope", "id_rsa": "may hold keys"} {
		if s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: "exp/train.py", Inputs: []string{input}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("input %q: %+v, %v", input, s, err)
		}
	}
}

// TestCollect brings results while the job runs and after, and does not take
// what is not what was made.
func TestCollect(t *testing.T) {
	t.Parallel()
	b := here(t)
	s := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", `
		cd "$OUTPUT_DIR" && mkdir last && echo 1 >last/step && ln -s "$OUTPUT_DIR/last" best && ln -s ../last/step last/same &&
		ln last/step hard && ln -s /etc away && echo 'odd' >'a\b
c' && echo begun
		until [ -e go ]; do sleep 0.05; done; echo 2 >last/step; echo 3 >more`}})
	untilLogged(t, b, s.ID, "begun")
	if err := b.Collect(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	result := func(name, want string) {
		t.Helper()
		if data, err := os.ReadFile(filepath.Join(s.OutputDir, name)); err != nil || string(data) != want {
			t.Errorf("result %q is %q, %v", name, data, err)
		}
	}
	result("best/step", "1\n")
	result("a\\b\nc", "odd\n")
	write(t, filepath.Join(s.OutputDir, "mine"), "mine")
	write(t, filepath.Join(farJob(b, s.ID), "start/out/go"), "")
	wait(t, b, s.ID)

	liar := program(t, b, "sha256sum", `/usr/bin/sha256sum "$@" | sed 's/^\(.\{8\}\).\{8\}/\100000000/'`)
	if err := b.Collect(t.Context(), s.ID); err == nil || !strings.Contains(err.Error(), "did not come as it was made") {
		t.Errorf("with other hashes: %v", err)
	}
	result("best/step", "1\n")
	os.Remove(liar)
	if err := b.Collect(t.Context(), s.ID); err == nil || !strings.Contains(err.Error(), "away -> /etc") {
		t.Errorf("with a link that leads out: %v", err)
	}
	os.Remove(filepath.Join(farJob(b, s.ID), "start/out/away"))
	for range 2 {
		if err := b.Collect(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		result("best/step", "2\n")
		result("last/same", "2\n")
		result("hard", "2\n")
		result("more", "3\n")
		result("mine", "mine")
	}
	if entries, err := os.ReadDir(filepath.Dir(s.OutputDir)); err != nil || len(entries) != 1 {
		t.Errorf("left behind is %v, %v", entries, err)
	}
}
