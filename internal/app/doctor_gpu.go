package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/confine"
)

// gpuTest asks the driver and then CUDA itself, which may see less.
const gpuTest = `nvidia-smi -L 2>&1
python3 - <<'END' 2>&1
import ctypes
try: cuda = ctypes.CDLL("libcuda.so.1")
except OSError as e: print("CUDA: cannot be loaded:", e)
else:
    n = ctypes.c_int(0)
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(n))
    print("CUDA: fails with", code) if code else print("CUDA: sees", n.value)
END`

// gpuTime is more than a driver needs that is not loaded yet.
const gpuTime = 30 * time.Second

// gpuCheck says what commands see of the GPUs, by trying it as one of them.
func gpuCheck(ctx context.Context, cfg *config.Config) Check {
	nodes := confine.GPUs()
	if len(nodes) == 0 {
		return Check{"gpu", stateNote, "none that commands could be given: there is no /dev/nvidia*, /dev/kfd or /dev/dri", "nothing needs to be done: jobs on other machines have theirs"}
	}
	ctx, cancel := context.WithTimeout(ctx, gpuTime)
	defer cancel()
	text, err := insideOnce(ctx, cfg, gpuTest)
	seen := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
	c := Check{Name: "gpu", State: stateOK, Detail: fmt.Sprintf("for jobs that ask for one, and for commands when it was granted; inside the confinement, with %s: %s", strings.Join(nodes, " "), seen)}
	switch {
	case err != nil:
		c.State, c.Detail, c.Mend = stateNote, "not tried: "+err.Error(), "commands run once the confinement does"
	case !strings.Contains(text, "CUDA: sees") || strings.Contains(text, "CUDA: sees 0"):
		c.State, c.Mend = stateNote, "commands have no GPU by CUDA; install NVIDIA's driver if there is such a GPU, and see whether nvidia-smi works outside"
	}
	return c
}

// insideOnce runs a shell line as a command of a session would be, and returns
// what it prints.
func insideOnce(ctx context.Context, cfg *config.Config, line string) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	rules, err := confinement(cfg, cfg.Dir)
	if err != nil {
		return "", err
	}
	rules.GPUs = true
	cells := confine.New(rules, exe, ConfinedCommand)
	defer func() { _ = cells.Close() }() // nothing runs in them any more
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("open pipe: %w", err)
	}
	defer r.Close()
	text := make(chan string)
	go func() {
		data, _ := io.ReadAll(io.LimitReader(r, 16<<10)) // what came until then
		text <- string(data)
	}()
	_, err = cells.Run(ctx, confine.Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", line}, Dir: rules.Temp, Output: w, Env: []string{"PATH=" + cfg.Getenv("PATH")},
	})
	_ = w.Close() // nothing was written by us
	return <-text, err
}
