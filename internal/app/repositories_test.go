package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

func opened(t *testing.T, env map[string]string) *App {
	t.Helper()
	a, err := New(t.Context(), loaded(t, env))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// Names are those that begin as asked, of all kinds, on a real Hub.
func TestRepositories(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	for _, id := range []hub.RepoID{
		{Type: hub.Model, Namespace: "lab", Name: "tiny-1"},
		{Type: hub.Model, Namespace: "lab", Name: "not-tiny"},
		{Type: hub.Dataset, Namespace: "lab", Name: "tiny-1"},
		{Type: hub.Dataset, Namespace: "lab", Name: "Tiny-data"},
		{Type: hub.Model, Namespace: "other", Name: "tiny-1"},
	} {
		if _, err := h.Client.CreateRepo(t.Context(), id, hub.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	a := opened(t, map[string]string{"HF_ENDPOINT": h.URL})
	got, err := a.Repositories(t.Context(), "lab/ti")
	if want := "[{lab/tiny-1 [model dataset]} {lab/Tiny-data [dataset]}]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
	if got, err := a.Repositories(t.Context(), "lab/"); err != nil || len(got) != 3 {
		t.Errorf("all of an owner: %v, %v", got, err)
	}
	if got, err := a.Repositories(t.Context(), "lab"); err != nil || got != nil {
		t.Errorf("without an owner: %v, %v", got, err)
	}
}

// The embedded Hub is asked where it keeps something, and not started for nothing.
func TestRepositoriesOfTheEmbeddedHub(t *testing.T) {
	t.Parallel()
	a := opened(t, map[string]string{"HF_HUB_OFFLINE": "1"}) // it is no network
	if got, err := a.Repositories(t.Context(), "me/x"); err != nil || got != nil || a.hub.url != "" {
		t.Errorf("an empty Hub: %v, %v, at %q", got, err, a.hub.url)
	}
	if _, err := os.Stat(a.hub.dir); err == nil {
		t.Error("it made the folder")
	}
	client, err := a.hubClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateRepo(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "me", Name: "xor"}, hub.CreateOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Repositories(t.Context(), "me/x"); err != nil || fmt.Sprint(got) != "[{me/xor [model]}]" {
		t.Errorf("%v, %v", got, err)
	}
}

// Offline nobody is asked; a Hub that hangs is left when the question is; of a
// thousand names a few are offered.
func TestRepositoriesOfABadHub(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	many := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, "[")
		for i := range 1000 {
			fmt.Fprintf(w, `{"id": "lab/m%d"},`, i)
		}
		fmt.Fprint(w, `{"id": "lab/last"}]`)
	}))
	defer many.Close()
	a := opened(t, map[string]string{"HF_ENDPOINT": many.URL, "HF_HUB_OFFLINE": "1"})
	if got, err := a.Repositories(t.Context(), "lab/m"); err != nil || got != nil || asked.Load() > 0 {
		t.Errorf("offline: %v, %v, %d requests", got, err, asked.Load())
	}
	a = opened(t, map[string]string{"HF_ENDPOINT": many.URL})
	if got, err := a.Repositories(t.Context(), "lab/m"); err != nil || len(got) != offeredRepositories {
		t.Errorf("%d of a thousand, %v", len(got), err)
	}

	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	a = opened(t, map[string]string{"HF_ENDPOINT": hangs.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := a.Repositories(ctx, "lab/m"); err == nil {
		t.Errorf("a Hub that hangs says %v", got)
	}
}
