package ray

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inShim runs lines of Python that see the names of shim.py.
func inShim(t *testing.T, code, input string) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing: shim.py cannot be tried here")
	}
	cmd := exec.CommandContext(t.Context(), path, "-c", "exec(compile(open('shim.py').read().replace('if __name__', 'if 0 and __name__'), 'shim.py', 'exec'))\n"+code)
	cmd.Env = append(os.Environ(), `RAY_JOB_CONFIG_JSON_ENV_VAR={"metadata": {"ml_intern": "{}"}}`)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// TestFrames reads what the shim writes of odd output, from every place in it.
func TestFrames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	inShim(t, `
log = Log(sys.stdin.read(), 1 << 20)
for piece in (b"one\n", b"tw", b"o = 2 + 1\n\n", b"\xff\x00\r50%\r", b":7 3=x\n", b"end"):
    log.write(piece)`, path)
	whole := "one\ntwo = 2 + 1\n\n\xff\x00\r50%\r:7 3=x\nend"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for from := range len(whole) + 1 {
		var out bytes.Buffer
		next := int64(from)
		reached, err := unframe(bufio.NewReader(bytes.NewReader(data)), &out, &next)
		if err != nil || !reached || out.String() != whole[from:] || next != int64(len(whole)) {
			t.Errorf("from %d on there is %q up to %d, %v", from, out.String(), next, err)
		}
	}
	for cut := range data { // a reader may see a part, or the end only
		var out bytes.Buffer
		next := int64(0)
		if _, err := unframe(bufio.NewReader(bytes.NewReader(data[:cut])), &out, &next); err != nil || !strings.HasPrefix(whole, out.String()) {
			t.Errorf("of the first %d bytes comes %q, %v", cut, out.String(), err)
		}
		if cut > 0 && data[cut-1] == '\n' {
			out.Reset()
			next = 0
			if reached, err := unframe(bufio.NewReader(bytes.NewReader(data[cut:])), &out, &next); err != nil || out.Len() > 0 || reached && cut < len(data) && len(data[cut:]) > 0 {
				t.Errorf("of the bytes from %d on comes %q, %v, %v", cut, out.String(), reached, err)
			}
		}
	}
}

// TestLogOnFullDisk tears frames.
func TestLogOnFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	inShim(t, `
log = Log(sys.stdin.read(), 1 << 20)
whole, room = os.write, 30
def write(fd, data):
    global room
    if fd != log.fd or room is None:
        return whole(fd, data)
    if not room:
        raise OSError(28, "full")
    n = whole(fd, data[:room])
    room -= n
    return n
os.write = write
log.write(b"first\nsecond\nthird is torn\n")
log.write(b"nothing of this\n")
room = None
log.write(b"after\n")`, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	next := int64(0)
	_, err = unframe(bufio.NewReader(bytes.NewReader(data)), &out, &next)
	if text := out.String(); err != nil || !strings.HasPrefix(text, "first\nsecond\n") || !strings.HasSuffix(text, "lost: the disk was full]\nafter\n") || strings.Contains(text, "torn") || int64(len(text)) != next {
		t.Errorf("the log is %q up to %d, %v", text, next, err)
	}
}

// TestLogPastItsBound keeps a beginning and an end.
func TestLogPastItsBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	inShim(t, `
log = Log(sys.stdin.read(), 1 << 16)
for i in range(200000):
    log.write(b"line %d\n" % i)
log.flush(LATE_BYTES)`, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	next := int64(0)
	_, err = unframe(bufio.NewReader(bytes.NewReader(data)), &out, &next)
	if text := out.String(); err != nil || len(text) > 1<<19 || !strings.HasPrefix(text, "line 0\n") || !strings.HasSuffix(text, "line 199999\n") || !strings.Contains(text, "bytes of output were dropped here]\n") {
		t.Errorf("the log has %d bytes and ends with %q, %v", len(text), text[max(0, len(text)-100):], err)
	}
}

// TestSealed opens in Python what Go has sealed, and with the key of nobody else.
func TestSealed(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := hex.EncodeToString(key.PublicKey().Bytes())
	values := map[string]string{"A": "hunter2", "B": strings.Repeat("ü\n\"<&", 3000)}
	box, err := seal(public, "ref", values)
	if err != nil || strings.Contains(string(box), "hunter2") {
		t.Fatalf("sealed: %.100s, %v", box, err)
	}
	out := inShim(t, `
private, public, box = bytes.fromhex(sys.stdin.readline()), bytes.fromhex(sys.stdin.readline()), json.loads(sys.stdin.readline())
assert x25519(private, (9).to_bytes(32, "little")) == public
assert unseal(private, public, "other", box) is None
assert unseal(os.urandom(32), public, "ref", box) is None
for part in ("text", "tag"):
    assert unseal(private, public, "ref", dict(box, **{part: "00" + box[part][2:] if box[part][:2] != "00" else "01" + box[part][2:]})) is None
print(json.dumps(unseal(private, public, "ref", box)))`, hex.EncodeToString(key.Bytes())+"\n"+public+"\n"+string(box)+"\n")
	var got map[string]string
	if err := json.Unmarshal([]byte(out), &got); err != nil || got["A"] != values["A"] || got["B"] != values["B"] {
		t.Errorf("the job gets %.100q, %v", out, err)
	}
	for _, bad := range []string{"", "zz", "00", strings.Repeat("00", 32)} {
		if box, err := seal(bad, "ref", values); err == nil {
			t.Errorf("sealed for the key %q: %s", bad, box)
		}
	}
}

// TestX25519 tries the vectors of RFC 7748.
func TestX25519(t *testing.T) {
	out := inShim(t, `
f = bytes.fromhex
print(x25519(f("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"), f("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")).hex())
nine = (9).to_bytes(32, "little")
print(x25519(nine, nine).hex())`, "")
	if out != "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552\n422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079\n" {
		t.Errorf("the shim reckons %s", out)
	}
}

// TestVeil hides secrets however the output is cut.
func TestVeil(t *testing.T) {
	out := inShim(t, `
text = b"a hunter2 b hunter2x hunt hunterhunter2 two\nlines hunter"
want = b"a [secret A] b [secret B] hunt hunter[secret A] [secret C] hunter"
secrets = {"A": "hunter2", "B": "hunter2x", "C": "two\nlines", "D": "b"}
for first in range(len(text) + 1):
    for second in range(first, len(text) + 1, 3):
        veil = Veil(secrets)
        got = veil.over(text[:first]) + veil.over(text[first:second]) + veil.over(text[second:]) + veil.over(b"", last=True)
        assert got == want, (first, second, got)
veil = Veil(secrets)
assert veil.over(b"10% ") == b"10% "
print("ok")`, "")
	if out != "ok\n" {
		t.Errorf("the shim says %q", out)
	}
}

// TestBlocks reads a file as Ray gave it until 2.45.
func TestBlocks(t *testing.T) {
	whole := strings.Repeat("0123456789", 20_000)
	var marked strings.Builder
	for rest := whole; rest != ""; {
		n := min(len(rest), blockSize)
		marked.WriteString("1" + rest[:n])
		rest = rest[n:]
	}
	f := nodeFile{Reader: bufio.NewReader(strings.NewReader(marked.String()))}
	f.unmark()
	if got, err := io.ReadAll(f.Reader); err != nil || string(got) != whole {
		t.Errorf("it is %d bytes, %v", len(got), err)
	}
	f = nodeFile{Reader: bufio.NewReader(strings.NewReader("0Closing HTTP stream due to internal server error.\nA file is not found at: /x"))}
	f.unmark()
	if _, err := f.Peek(1); !gone(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestGaugeInShim has a driver's program that answers, one that hangs, and none:
// the shim waits for none of them, and none counts as the job's.
func TestGaugeInShim(t *testing.T) {
	dir := t.TempDir()
	smi := filepath.Join(dir, "nvidia-smi")
	if err := os.WriteFile(smi, []byte("#!/bin/sh\necho '0, GPU-aa, A100, 0, 1, 2'\n[ ! -e \"$0.hangs\" ] || exec sleep 100\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	out := inShim(t, `
dir = sys.stdin.read()
os.environ.update(PATH=dir + ":" + os.environ["PATH"], CUDA_VISIBLE_DEVICES="0")
CONFIG.update(gpus=1, gpu_query="--query-gpu=x")
def look(now, late=False):
    g = Gauge(dir + "/gauge.json", dir)
    g.step(now)
    if g.child:
        print(descendants())
    if late:
        g.step(now + 11)
    while g.child:
        g.reaped(os.wait()[0])
    g.step(now + 1)
    with open(dir + "/gauge.json") as f:
        said = json.load(f)
    print(said["visible"], repr(said["gpus"]), 0 < said["free"] <= said["total"], OURS, g.child)
look(100.0)
open(dir + "/nvidia-smi.hangs", "w").close()
look(100.0, late=True)
os.remove(dir + "/nvidia-smi")
os.environ["PATH"] = dir
look(100.0)`, dir)
	want := `[]
0 '0, GPU-aa, A100, 0, 1, 2\n' True set() None
[]
0 '' True set() None
0 '' True set() None
`
	if out != want {
		t.Errorf("it says\n%s, want\n%s", out, want)
	}
}
