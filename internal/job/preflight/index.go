package preflight

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
)

// Needs are packages that a job asks for.
type Needs struct {
	Requirements []string // as of PEP 508
	Python       string   // version or range; "" for any
	Linux        bool     // not for this machine but for Linux on x86_64
}

// Packages knows which packages would be installed, and what is in them.
type Packages interface {
	// Resolve returns the version of every package that the needs bring, by
	// its normalized name. ErrConflict means that there is no such set.
	Resolve(ctx context.Context, n Needs) (map[string]string, error)

	// Unpack returns a folder with the modules of one package.
	Unpack(ctx context.Context, name, version string, n Needs) (string, error)
}

// ErrConflict means that packages do not exist, or not together.
var ErrConflict = errors.New("the packages cannot be installed together")

// An Index asks the package index by uv. It takes wheels alone, so nothing of
// a package runs.
type Index struct {
	Dir string // where unpacked packages are kept; any number of processes may share it
	UV  string // uv of the PATH if empty

	Wall Wall // around all that runs; it must leave Dir writable
}

const indexLimit = 90 * time.Second

// ErrNoUV means that packages cannot be asked for.
var ErrNoUV = errors.New("there is no uv here, which knows packages")

func (x Index) run(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, indexLimit)
	defer cancel()
	uv, err := exec.LookPath(cmp.Or(x.UV, "uv"))
	if err != nil {
		return "", ErrNoUV
	}
	cmd := exec.CommandContext(ctx, uv, args...)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = os.TempDir(), strings.NewReader(stdin), time.Second
	cmd.Env = append(bareEnviron(), "UV_NO_PROGRESS=1", "UV_NO_CONFIG=1", "UV_PYTHON_DOWNLOADS=never")
	for _, name := range []string{"UV_CACHE_DIR", "XDG_CACHE_HOME", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	out, failed := &bounded{max: maxAnswer}, &bounded{max: 16 << 10}
	cmd.Stdout, cmd.Stderr = out, failed
	done, err := x.Wall.put(cmd)
	if err != nil {
		return "", err
	}
	defer done()
	if err := cmd.Run(); err != nil {
		return failed.String(), fmt.Errorf("run uv: %w", cmp.Or(ctx.Err(), err))
	}
	return out.String(), nil
}

var pinned = lazyregexp.New(`(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)`)

// fresh is how long an answer of the index holds: between two corrections of a
// script nothing new comes out.
const fresh = time.Hour

// Resolve implements Packages.
func (x Index) Resolve(ctx context.Context, n Needs) (map[string]string, error) {
	kept := ""
	if key, err := json.Marshal(n); err == nil && x.Dir != "" {
		kept = filepath.Join(x.Dir, "resolved-"+hashOf(key)+".json")
	}
	var versions map[string]string
	if info, err := os.Stat(kept); err == nil && time.Since(info.ModTime()) < fresh {
		if data, err := os.ReadFile(kept); err == nil && json.Unmarshal(data, &versions) == nil && len(versions) > 0 {
			return versions, nil
		}
	}
	versions, err := x.resolve(ctx, n)
	if err == nil && kept != "" {
		if data, err := json.Marshal(versions); err == nil && os.MkdirAll(x.Dir, 0o700) == nil {
			_ = os.WriteFile(kept, data, 0o600) // else it is asked again; half of it is no JSON
		}
	}
	return versions, err
}

func (x Index) resolve(ctx context.Context, n Needs) (map[string]string, error) {
	args := append([]string{"pip", "compile", "-", "--no-header", "--no-annotate", "--quiet", "--only-binary", ":all:"}, n.platform()...)
	out, err := x.run(ctx, strings.Join(n.Requirements, "\n"), args...)
	switch {
	case err == nil:
	case errors.Is(err, ErrNoUV) || ctx.Err() != nil:
		return nil, err
	case strings.Contains(out, "usable wheels") || strings.Contains(out, "is disabled"):
		return nil, errors.New("some of them come as source alone, which is built only when the job starts")
	case strings.Contains(out, "No solution found") || strings.Contains(out, "not found in the package registry"):
		return nil, fmt.Errorf("%w: %s", ErrConflict, brief(out))
	default:
		return nil, fmt.Errorf("%w: %s", err, brief(out))
	}
	versions := map[string]string{}
	for _, m := range pinned.FindAllStringSubmatch(out, -1) {
		versions[normalized(m[1])] = m[2]
	}
	return versions, nil
}

var (
	exactPython = lazyregexp.New(`^\d+\.\d+(\.\d+)?$`)
	leastPython = lazyregexp.New(`^\s*[>~]=\s*(\d+\.\d+)`)
)

func (n Needs) platform() []string {
	var args []string
	switch {
	case exactPython.MatchString(n.Python):
		args = append(args, "--python-version", n.Python)
	case leastPython.MatchString(n.Python): // what uv run takes is at least this, and usually a later one
		args = append(args, "--python-version", atLeast(leastPython.FindStringSubmatch(n.Python)[1], "3.12"))
	case n.Linux:
		args = append(args, "--python-version", "3.12") // of uv's images
	}
	if n.Linux {
		args = append(args, "--python-platform", "x86_64-unknown-linux-gnu")
	}
	return args
}

// atLeast is the later of two versions such as 3.9 and 3.12.
func atLeast(a, b string) string {
	var minorA, minorB int
	_, _ = fmt.Sscanf(a, "3.%d", &minorA) // 0 is early enough
	_, _ = fmt.Sscanf(b, "3.%d", &minorB)
	if minorA > minorB {
		return a
	}
	return b
}

// Unpack implements Packages.
func (x Index) Unpack(ctx context.Context, name, version string, n Needs) (string, error) {
	if x.Dir == "" {
		return "", errors.New("unpack a package: no folder was named for it")
	}
	dir := filepath.Join(x.Dir, filepath.Base(name+"-"+version))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(x.Dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder for packages: %w", err)
	}
	part, err := os.MkdirTemp(x.Dir, "part-")
	if err != nil {
		return "", fmt.Errorf("make folder for packages: %w", err)
	}
	defer os.RemoveAll(part)
	args := []string{"pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", part, name + "==" + version}
	if out, err := x.run(ctx, "", append(args, n.platform()...)...); err != nil {
		return "", fmt.Errorf("unpack %s %s: %w: %s", name, version, err, brief(out))
	}
	if err := os.Rename(part, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // not by another process meanwhile
			return "", fmt.Errorf("keep package: %w", err)
		}
	}
	return dir, nil
}

func normalized(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

// separators are what PEP 503 takes for one.
var separators = lazyregexp.New(`[-_.]+`)

// brief is what a program said, in a line.
func brief(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) > 600 {
		line = strings.ToValidUTF8(line[:600], "") + "…"
	}
	return line
}
