package preflight

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/weights"
	"ml-intern/internal/job"
)

// answers are what was asked already: the jobs of a sweep ask much the same.
type answers struct {
	mu sync.Mutex
	of map[string]func() (any, error)
}

// asked is the answer to the question with that key, which is asked once.
func asked[T any](a *answers, key string, ask func() (T, error)) (T, error) {
	a.mu.Lock()
	answer, ok := a.of[key]
	if !ok {
		answer = sync.OnceValues(func() (any, error) { return ask() })
		if a.of == nil {
			a.of = make(map[string]func() (any, error))
		}
		a.of[key] = answer
	}
	a.mu.Unlock()
	got, err := answer()
	value, _ := got.(T)
	return value, err
}

// key is a question in words.
func key(words ...any) string {
	data, err := json.Marshal(words)
	if err != nil {
		return fmt.Sprintf("%q", words) // of plain values there is always JSON
	}
	return string(data)
}

// asking is the request with everybody asked once.
func (r Request) asking(a *answers) Request {
	if r.Hub != nil {
		r.Hub = askedHub{r.Hub, a}
	}
	if r.Python != nil {
		r.Python = askedPython{r.Python, a}
	}
	if r.Packages != nil {
		r.Packages = askedPackages{r.Packages, a}
	}
	if r.Installed != nil {
		r.Installed = askedInstalled{r.Installed, a}
	}
	if r.Earlier != nil {
		r.Earlier = askedEarlier{r.Earlier, a}
	}
	return r
}

type askedHub struct {
	Hub
	a *answers
}

func (h askedHub) RepoInfo(ctx context.Context, repo hub.RepoID, rev string) (hub.Info, error) {
	return asked(h.a, key("info", repo, rev), func() (hub.Info, error) { return h.Hub.RepoInfo(ctx, repo, rev) })
}

func (h askedHub) CheckAccess(ctx context.Context, repo hub.RepoID, write bool) error {
	_, err := asked(h.a, key("access", repo, write), func() (any, error) { return nil, h.Hub.CheckAccess(ctx, repo, write) })
	return err
}

func (h askedHub) Weights(ctx context.Context, repo hub.RepoID, rev string) (*weights.Summary, error) {
	return asked(h.a, key("weights", repo, rev), func() (*weights.Summary, error) { return h.Hub.Weights(ctx, repo, rev) })
}

func (h askedHub) DatasetInfo(ctx context.Context, repo hub.RepoID) (hub.DatasetInfo, error) {
	return asked(h.a, key("viewer", repo), func() (hub.DatasetInfo, error) { return h.Hub.Viewer(repo).Info(ctx, "") })
}

// A download is a small file that was fetched.
type download struct {
	info hub.FileInfo
	data []byte
}

func (h askedHub) Download(ctx context.Context, repo hub.RepoID, rev, path string, w io.Writer) (hub.FileInfo, error) {
	got, err := asked(h.a, key("file", repo, rev, path), func() (download, error) {
		var text bytes.Buffer
		info, err := h.Hub.Download(ctx, repo, rev, path, &limitedWriter{w: &text, left: maxConfig})
		return download{info, text.Bytes()}, err
	})
	if err == nil {
		_, err = w.Write(got.data)
	}
	return got.info, err
}

type askedPython struct {
	Python
	a *answers
}

func (p askedPython) Run(ctx context.Context, prog Program) ([]byte, error) {
	return asked(p.a, key("python", prog), func() ([]byte, error) { return p.Python.Run(ctx, prog) })
}

type askedPackages struct {
	Packages
	a *answers
}

func (p askedPackages) Resolve(ctx context.Context, n Needs) (map[string]string, error) {
	return asked(p.a, key("resolve", n), func() (map[string]string, error) { return p.Packages.Resolve(ctx, n) })
}

func (p askedPackages) Unpack(ctx context.Context, name, version string, n Needs) (string, error) {
	return asked(p.a, key("unpack", name, version, n), func() (string, error) { return p.Packages.Unpack(ctx, name, version, n) })
}

type askedInstalled struct {
	Installed
	a *answers
}

func (i askedInstalled) Find(ctx context.Context, modules []string) (Site, error) {
	return asked(i.a, key("installed", modules), func() (Site, error) { return i.Installed.Find(ctx, modules) })
}

type askedEarlier struct {
	Earlier
	a *answers
}

// found is an answer of which there may be none.
type found[T any] struct {
	is T
	ok bool
}

func (e askedEarlier) Smoke(ctx context.Context, sha256 string) (Smoke, bool) {
	f, _ := asked(e.a, key("smoke", sha256), func() (f found[Smoke], _ error) {
		f.is, f.ok = e.Earlier.Smoke(ctx, sha256)
		return f, nil
	})
	return f.is, f.ok
}

// Previous is that of the first job: what it differs in is told of that alone.
func (e askedEarlier) Previous(ctx context.Context, spec job.Spec) (Run, bool) {
	f, _ := asked(e.a, key("previous"), func() (f found[Run], _ error) {
		f.is, f.ok = e.Earlier.Previous(ctx, spec)
		return f, nil
	})
	return f.is, f.ok
}

func (e askedEarlier) Proven(ctx context.Context, sha256 string) bool {
	is, _ := asked(e.a, key("proven", sha256), func() (bool, error) { return e.Earlier.Proven(ctx, sha256), nil })
	return is
}

func (e askedEarlier) Unproven(ctx context.Context, sha256 string) (string, bool) {
	f, _ := asked(e.a, key("unproven", sha256), func() (f found[string], _ error) {
		f.is, f.ok = e.Earlier.Unproven(ctx, sha256)
		return f, nil
	})
	return f.is, f.ok
}
