//go:build linux

package ray_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/ray"
)

// program is Ray's own: `make test-ray` says where it is.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ML_INTERN_TEST_RAY")
	if path == "" {
		t.Skip("no Ray here: `make test-ray` runs this test")
	}
	return path
}

// A cluster is a real Ray head on this machine, and its nodes.
type cluster struct {
	*testing.T
	dir                     string
	port, dashboard, client int
	cpus                    int
	token                   string
	head                    *exec.Cmd
}

// startCluster starts a head. It and all its processes are gone after the test.
func startCluster(t *testing.T, cpus int, token string) *cluster {
	t.Helper()
	program(t)
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("ML_INTERN_TEST_DIR"), "/tmp"), "ray") // paths of sockets must be short
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{T: t, dir: dir, port: freePort(t), dashboard: freePort(t), client: freePort(t), cpus: cpus, token: token}
	t.Cleanup(func() {
		_ = os.RemoveAll(dir)
	})
	c.startHead()
	return c
}

func (c *cluster) startHead() {
	c.Helper()
	c.head = c.start("--head", "--port="+strconv.Itoa(c.port), "--dashboard-host=127.0.0.1", "--dashboard-port="+strconv.Itoa(c.dashboard),
		"--ray-client-server-port="+strconv.Itoa(c.client), "--temp-dir="+c.dir, "--num-cpus="+strconv.Itoa(c.cpus))
	if c.cpus > 0 {
		c.offers(1)
		return
	}
	c.until("the head is one of the nodes", func() bool {
		resp, err := http.Get(c.url() + "/api/v0/nodes?detail=1") //nolint:noctx // a test
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return err == nil && bytes.Contains(data, []byte("ALIVE"))
	})
}

// offers waits until the cluster has so many.
func (c *cluster) offers(n int) []job.Offer {
	c.Helper()
	var offers []job.Offer
	c.until(fmt.Sprintf("there are %d offers", n), func() (ok bool) {
		var err error
		offers, err = c.backend(c.T).Offers(c.Context())
		return err == nil && len(offers) == n
	})
	return offers
}

func (c *cluster) url() string { return "http://127.0.0.1:" + strconv.Itoa(c.dashboard) }

// addNode starts a node of the cluster, which runs what asks for its resource.
func (c *cluster) addNode(cpus int) *exec.Cmd {
	c.Helper()
	return c.start("--address=127.0.0.1:"+strconv.Itoa(c.port), "--num-cpus="+strconv.Itoa(cpus))
}

func (c *cluster) start(args ...string) *exec.Cmd {
	c.Helper()
	args = append([]string{
		"start", "--block", "--disable-usage-stats", "--dashboard-agent-listen-port=0", "--object-store-memory=100000000",
		"--min-worker-port=0", "--max-worker-port=0",
	}, args...)
	cmd := exec.Command(program(c.T), args...)
	cmd.Env = append(os.Environ(), "RAY_USAGE_STATS_ENABLED=0", "RAY_raylet_start_wait_time_s=180", "RAY_AUTH_MODE=disabled", "PATH="+filepath.Dir(program(c.T))+":"+os.Getenv("PATH"))
	if c.token != "" {
		cmd.Env = append(cmd.Env, "RAY_AUTH_MODE=token", "RAY_AUTH_TOKEN="+c.token)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		c.stop(cmd)
		if c.Failed() {
			c.Logf("ray start said: %s", out.String())
		}
	})
	return cmd
}

// stop ends a node with all its processes, as its machine would be switched off.
func (c *cluster) stop(cmd *exec.Cmd) {
	if cmd.ProcessState != nil {
		return
	}
	for _, pid := range below(cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// below lists the processes that a process has started, and those of them.
func below(pid int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var id, parent int
		var state string
		if _, err := fmt.Sscanf(string(data[:bytes.IndexByte(data, ' ')]), "%d", &id); err != nil {
			continue
		}
		if _, err := fmt.Sscanf(string(data[bytes.LastIndexByte(data, ')')+1:]), " %s %d", &state, &parent); err == nil {
			children[parent] = append(children[parent], id)
		}
	}
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		all = append(all, children[todo[0]]...)
		todo = append(todo, children[todo[0]]...)
	}
	return all
}

func (c *cluster) backend(t *testing.T) ray.Backend {
	return ray.Backend{Dir: filepath.Join(t.TempDir(), "state"), URL: c.url(), Token: c.token}
}

// search looks for a secret in all that Ray has written, and says in how much.
func (c *cluster) search(secret string) (files int) {
	c.Helper()
	err := filepath.WalkDir(c.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // Ray goes on meanwhile
		}
		data, err := os.ReadFile(path)
		if err == nil {
			files++
		}
		if bytes.Contains(data, []byte(secret)) {
			c.Errorf("%s holds the secret", path)
		}
		return nil
	})
	if err != nil {
		c.Error(err)
	}
	return files
}

func (c *cluster) until(what string, ok func() bool) {
	c.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("it never came that %s", what)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
