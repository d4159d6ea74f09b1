package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/hub"
)

var anyRepo = hub.RepoID{Type: hub.Model, Namespace: "a", Name: "b"}

// served is a client of a Hub that answers as the function says.
func served(t *testing.T, answer http.HandlerFunc) *hub.Client {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return &hub.Client{BaseURL: s.URL, Token: "hf_mine"}
}

// Every list ends, however its pages are linked.
func TestListsEnd(t *testing.T) {
	t.Parallel()
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		var n int // 0, 1, 2, 3, 4, 5, 3, 4, 5 …
		_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &n)
		if n++; n == 6 {
			n = 3
		}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?cursor=%d>; rel="next"`, r.Host, r.URL.Path, n))
		fmt.Fprint(w, `[{"path":"x"}]`)
	})
	lists := map[string]func() error{
		"tree": func() error { return last(c.ListTree(t.Context(), anyRepo, hub.TreeOptions{})) },
		"jobs": func() error { return last(c.ListJobs(t.Context(), "a", hub.JobFilter{})) },
		"collections": func() error {
			return last(c.Collections(t.Context(), hub.CollectionFilter{}))
		},
		"commits": func() error { return last(c.ListCommits(t.Context(), anyRepo, "")) },
	}
	for name, list := range lists {
		if err := list(); err == nil || !strings.Contains(err.Error(), "no end") {
			t.Errorf("%s: a circle of pages is %v", name, err)
		}
	}
}

// last is the error that a list ends with.
func last[T any](list func(func(T, error) bool)) (err error) {
	n := 0
	list(func(_ T, e error) bool {
		n++
		err = e
		return n < 1000
	})
	return err
}

// A Hub that gives the same page of discussions for ever.
func TestDiscussionsEnd(t *testing.T) {
	t.Parallel()
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"discussions":[{"num":1},{"num":2}],"count":5,"start":0}`)
	})
	n := 0
	for _, err := range c.ListDiscussions(t.Context(), anyRepo, hub.DiscussionFilter{}) {
		if n++; err != nil || n > 6 {
			t.Fatalf("discussion %d of 5: %v", n, err)
		}
	}
}

// A file that does not end where the Hub said is not written on for ever.
func TestDownloadOfMoreThanWasSaid(t *testing.T) {
	t.Parallel()
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of hello
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Linked-Etag", `"`+sum+`"`)
		w.Header().Set("X-Linked-Size", "5")
		for range 1 << 12 {
			if _, err := io.WriteString(w, strings.Repeat("hello", 1<<12)); err != nil {
				return
			}
		}
	})
	got := &tally{}
	_, err := c.Download(t.Context(), anyRepo, "", "f", got)
	if !errors.Is(err, hub.ErrDamaged) || got.n > 6 {
		t.Errorf("%d bytes were written, and it is %v", got.n, err)
	}
}

type tally struct{ n int }

func (t *tally) Write(p []byte) (int, error) {
	t.n += len(p)
	return len(p), nil
}

// An answer with success that says nothing is no success.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", "null", "[]", "<html>", `{"sha":5,"commitOid":5,"files":5}`} {
		var commits atomic.Int32
		c := served(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "/preupload/"):
				fmt.Fprint(w, `{"files":[{"path":"f","uploadMode":"regular"}]}`)
			case strings.Contains(r.URL.Path, "/commit/"):
				commits.Add(1)
				fmt.Fprint(w, body)
			default:
				fmt.Fprint(w, body)
			}
		})
		out, err := c.Upload(t.Context(), anyRepo, hub.Commit{Files: []hub.File{{Path: "f", Content: []byte("x")}}})
		if err == nil || commits.Load() != 1 {
			t.Errorf("%q: %d commits, %+v", body, commits.Load(), out)
		}
		if commit, err := c.Snapshot(t.Context(), anyRepo, hub.SnapshotOptions{Dir: t.TempDir()}); err == nil {
			t.Errorf("%q: a snapshot of %q", body, commit)
		}
		if _, err := c.Weights(t.Context(), anyRepo, ""); err == nil {
			t.Errorf("%q: weights of no commit", body)
		}
		if _, err := c.WhoAmI(t.Context()); err == nil {
			t.Errorf("%q: an account without a name", body)
		}
	}
}

// A rebase onto an unknown head would drop the check of the parent.
func TestRebaseNeedsTheHead(t *testing.T) {
	t.Parallel()
	var commits atomic.Int32
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/preupload/"):
			fmt.Fprint(w, `{"files":[{"path":"f","uploadMode":"regular"}]}`)
		case strings.Contains(r.URL.Path, "/commit/"):
			commits.Add(1)
			w.WriteHeader(http.StatusPreconditionFailed)
		default:
			fmt.Fprint(w, `{}`)
		}
	})
	_, err := c.Upload(t.Context(), anyRepo, hub.Commit{
		Files: []hub.File{{Path: "f", Content: []byte("x")}}, Parent: strings.Repeat("1", 40), Rebase: true,
	})
	if err == nil || commits.Load() != 1 {
		t.Errorf("%d commits were tried, and it is %v", commits.Load(), err)
	}
}

// What a Hub says is shown, but neither for ever nor to the terminal.
func TestErrorsAreFitToBeShown(t *testing.T) {
	t.Parallel()
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "hf_mine")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "{\"error\":\"\\u001b[2Jno \\u202e hf_mine %s\"}", strings.Repeat("x", 60<<10))
	})
	_, err := c.RepoInfo(t.Context(), anyRepo, "")
	e, ok := errors.AsType[*hub.Error](err)
	if !ok || len(err.Error()) > 8<<10 || strings.ContainsAny(err.Error(), "\x1b\u202e") || strings.Contains(err.Error()+e.RequestID, "hf_mine") {
		t.Errorf("an error has %d bytes: %.200q", len(err.Error()), err)
	}
}

// A signature in an address that cannot be read stays secret.
func TestBadRedirectKeepsTheSignature(t *testing.T) {
	t.Parallel()
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://storage/%zz?signature=secret")
		w.WriteHeader(http.StatusFound)
	})
	_, err := c.Download(t.Context(), anyRepo, "", "f", io.Discard)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("it is %v", err)
	}
}

// Where the Hub is encrypted, nothing leaves encryption.
func TestNoDowngrade(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Add(1)
		io.WriteString(w, "hello")
	}))
	defer plain.Close()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/preupload/"):
			fmt.Fprint(w, `{"files":[{"path":"f","uploadMode":"lfs"}]}`)
		case strings.HasSuffix(r.URL.Path, "/batch"):
			fmt.Fprintf(w, `{"objects":[{"oid":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"actions":{"upload":{"href":"%s/put"}}}]}`, plain.URL)
		default:
			http.Redirect(w, r, plain.URL+"/file", http.StatusFound)
		}
	}))
	defer s.Close()
	c := &hub.Client{BaseURL: s.URL, Token: "hf_mine", HTTP: s.Client()}
	if _, err := c.Download(t.Context(), anyRepo, "", "f", io.Discard); err == nil {
		t.Error("a download left encryption")
	}
	if _, err := c.Upload(t.Context(), anyRepo, hub.Commit{Files: []hub.File{{Path: "f", Content: []byte("hello")}}}); err == nil {
		t.Error("an upload left encryption")
	}
	if n := leaked.Load(); n > 0 {
		t.Errorf("the plain server got %d requests", n)
	}
}

// Whatever a call waits for, it ends soon after its context.
func TestCancelEndsCalls(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is seen
			<-r.Context().Done()
		},
		"limited": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "60"); w.WriteHeader(429) },
		"half": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			io.WriteString(w, "[")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := served(t, answer)
			space := hub.RepoID{Type: hub.Space, Namespace: "a", Name: "b"}
			calls := map[string]func(context.Context) error{
				"info":     func(ctx context.Context) error { _, err := c.RepoInfo(ctx, anyRepo, ""); return err },
				"tree":     func(ctx context.Context) error { return last(c.ListTree(ctx, anyRepo, hub.TreeOptions{})) },
				"download": func(ctx context.Context) error { _, err := c.Download(ctx, anyRepo, "", "f", io.Discard); return err },
				"upload": func(ctx context.Context) error {
					_, err := c.Upload(ctx, anyRepo, hub.Commit{Files: []hub.File{{Path: "f", Content: noise(12<<20, 1)}}})
					return err
				},
				"viewer": func(ctx context.Context) error { _, err := c.Viewer(anyRepo).Splits(ctx); return err },
				"diff":   func(ctx context.Context) error { _, err := c.Compare(ctx, anyRepo, "a", "b"); return err },
				"log":    func(ctx context.Context) error { return last(c.JobLogs(ctx, "a", "1", hub.LogOptions{Follow: true})) },
				"wait":   func(ctx context.Context) error { _, err := c.WaitSpace(ctx, space, nil); return err },
				"whoami": func(ctx context.Context) error { _, err := c.WhoAmINow(ctx); return err },
				"device": func(ctx context.Context) error { _, err := c.StartDevice(ctx, "id"); return err },
			}
			for call, do := range calls {
				t.Run(call, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					defer cancel()
					err := do(ctx)
					if late := time.Since(deadline(ctx)); err == nil || late > 30*time.Second { // all of it hangs for ever
						t.Errorf("it ended %s after its context: %v", late, err)
					}
				})
			}
		})
	}
}

func deadline(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}
