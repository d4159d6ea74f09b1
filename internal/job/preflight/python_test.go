package preflight_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"ml-intern/internal/job/preflight"
)

// A kept Python is one process for all scripts of a test, which saves its start
// for each. Interpreter is what users have, and has tests of its own.
type keptPython struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

const keeper = `
import io, json, sys
class In: pass
out, codes = sys.stdout, {}
for line in sys.__stdin__:
    ask = json.loads(line)
    code = codes.setdefault(ask["code"], None) or compile(ask["code"], "program", "exec")
    codes[ask["code"]] = code
    sys.stdin, sys.stdout = In(), io.StringIO()
    sys.stdin.buffer = io.BytesIO(ask["input"].encode())
    try:
        exec(code, {"__name__": "__main__"})
        answer = {"out": sys.stdout.getvalue()}
    except BaseException as e:
        answer = {"error": repr(e)}
    out.write(json.dumps(answer) + "\n")
    out.flush()
`

func keepPython(t testing.TB) *keptPython {
	t.Helper()
	needPython(t)
	cmd := exec.Command("python3", "-I", "-S", "-c", keeper)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends then
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &keptPython{in: in, out: bufio.NewReader(out)}
}

// Run implements preflight.Python.
func (k *keptPython) Run(_ context.Context, p preflight.Program) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := json.NewEncoder(k.in).Encode(map[string]string{"code": p.Code, "input": string(p.Input)}); err != nil {
		return nil, err
	}
	line, err := k.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var answer struct{ Out, Error string }
	if err := json.Unmarshal(line, &answer); err != nil || answer.Error != "" {
		return nil, fmt.Errorf("%s: %w", answer.Error, err)
	}
	return []byte(answer.Out), nil
}

// minor is the second number of its version.
func (k *keptPython) minor(t testing.TB) int {
	t.Helper()
	out, err := k.Run(t.Context(), preflight.Program{Code: "import sys; sys.stdout.write(str(sys.version_info[1]))"})
	n, err2 := strconv.Atoi(string(out))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return n
}
