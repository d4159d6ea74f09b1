package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/fetch"
)

const childDir = "FETCH_TEST_DIR" // set in a child of TestProcesses

// TestChild is the whole life of one process of TestProcesses.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("it is a part of TestProcesses")
	}
	fmt.Println(time.Now().UnixNano())
	c := &fetch.Client{Dir: filepath.Join(dir, "web"), PaceDir: filepath.Join(dir, "pace"), DirBytes: 2 << 20, Trust: true, Pace: map[string]time.Duration{"*": 100 * time.Millisecond}}
	for i := range 4 {
		resp, err := c.Get(t.Context(), fetch.Request{URL: fmt.Sprintf("%s/%d?%d", os.Getenv("FETCH_TEST_URL"), i, os.Getpid()), MaxAge: time.Hour})
		if err != nil || len(resp.Body) != 60<<10 {
			t.Error(err)
		}
	}
}

// Processes of one machine keep the pace together, and the limit of the cache.
func TestProcesses(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []time.Time
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		seen = append(seen, time.Now())
		mu.Unlock()
		_, _ = w.Write([]byte(strings.Repeat("0123456789abcdef", 60<<6)))
	})
	dir := t.TempDir()
	var wg sync.WaitGroup
	began := make([]int64, 4)
	for i := range began {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.count=1")
			cmd.Env = append(os.Environ(), childDir+"="+dir, "FETCH_TEST_URL="+s.URL)
			out, err := cmd.CombinedOutput()
			if _, bad := fmt.Sscan(string(out), &began[i]); err != nil || bad != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if len(seen) != 16 {
		t.Fatalf("%d requests, want 16", len(seen))
	}
	// From when the first process began: when a request arrives says less of when it was sent.
	if took := slices.MaxFunc(seen, time.Time.Compare).Sub(time.Unix(0, slices.Min(began))); took < 1500*time.Millisecond {
		t.Errorf("16 requests in %v", took)
	}
	var size int64
	for _, f := range files(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others", f)
		}
		size += info.Size()
	}
	if size < 60<<10 || size > 2<<20 {
		t.Errorf("the cache has %d bytes", size)
	}
}

// A turn that is far is told at once, a file that is damaged or of another
// time keeps nobody, and a wait ends with its context.
func TestSharedPace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	paced := func() *fetch.Client {
		return &fetch.Client{PaceDir: dir, Pace: map[string]time.Duration{"a.example": 40 * time.Second}, HTTP: far(func(*http.Request) *http.Response { return answer(200, nil, "x") })}
	}
	get := func(in fetch.Request) error {
		in.URL = "https://a.example"
		_, err := paced().Get(t.Context(), in)
		return err
	}
	if err := get(fetch.Request{}); err != nil {
		t.Fatal(err)
	}
	err := get(fetch.Request{Patience: time.Second})
	if busy, ok := errors.AsType[*fetch.BusyError](err); !ok || !errors.Is(err, fetch.ErrBusy) || busy.Refused || busy.Wait < 30*time.Second || !strings.Contains(err.Error(), "requests to a.example wait") {
		t.Errorf("far turn: %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
	defer cancel()
	began := time.Now()
	if _, err := paced().Get(ctx, fetch.Request{URL: "https://a.example"}); err == nil || err.Error() != "enough" || time.Since(began) > 20*time.Second { // its turn is in half a minute
		t.Errorf("canceled: %v after %v", err, time.Since(began))
	}
	for _, text := range []string{"", "null", "{", `{"a.example":{"next":` + fmt.Sprint(time.Now().Add(time.Hour).UnixNano()) + `}}`, `{"a.example":7}`} {
		if err := os.WriteFile(filepath.Join(dir, "pace.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := get(fetch.Request{Patience: time.Second}); err != nil {
			t.Errorf("with %q: %v", text, err)
		}
	}
	paced().Leave(t.Context(), "b.example", 30*time.Second) // by another process
	_, err = paced().Get(t.Context(), fetch.Request{URL: "https://B.example", Patience: 8 * time.Second})
	if busy, ok := errors.AsType[*fetch.BusyError](err); !ok || !busy.Refused || !strings.Contains(err.Error(), "refused a request and is left alone for") {
		t.Errorf("left alone: %v", err)
	}
	// A folder that cannot be written keeps nobody from asking.
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := paced()
	c.PaceDir = file
	if _, err := c.Get(t.Context(), fetch.Request{URL: "https://a.example"}); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), fetch.Request{URL: "https://a.example", Patience: time.Second}); !errors.Is(err, fetch.ErrBusy) {
		t.Errorf("in this process: %v", err)
	}
}

// The configuration may ask for younger answers than a tool does.
func TestFresh(t *testing.T) {
	t.Parallel()
	asked := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
		if r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(304)
			return
		}
		fmt.Fprint(w, "x")
	})
	dir := t.TempDir()
	for i, fresh := range []time.Duration{0, 0, time.Hour, time.Nanosecond} {
		c := &fetch.Client{Dir: dir, Trust: true, Fresh: fresh}
		resp, err := c.Get(t.Context(), fetch.Request{URL: s.URL, MaxAge: 2 * time.Hour})
		if err != nil || resp.Text() != "x" || resp.Cached != (i > 0) {
			t.Fatal(i, resp, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}
