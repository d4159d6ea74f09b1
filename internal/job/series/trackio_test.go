package series

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The file has what Trackio 0.43 wrote, less the tables that nobody reads here.
func TestTrackio(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd #name?.db")
	tr := Trackio{Path: path}
	var s Set
	if err := tr.Read(t.Context(), s.Add); err != nil {
		t.Errorf("a project that is not there yet: %v", err)
	}
	text, err := os.ReadFile("testdata/trackio-0.43.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file://"+strings.NewReplacer("#", "%23", "?", "%3f").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), string(text)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each row is read once
		if err := tr.Read(t.Context(), s.Add); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "trackio.txt", s.Table(0))

	one := Trackio{Path: path, Run: "second"}
	var only Set
	if err := one.Read(t.Context(), only.Add); err != nil || len(only.All()) != 2 || only.Get("loss") == nil {
		t.Errorf("one run: %d series, %v", len(only.All()), err)
	}

	if _, err := db.ExecContext(t.Context(), `INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('x', '2026-11-26T00:00:00+00:00', 'second', 20, '{"loss": 7}')`); err != nil {
		t.Fatal(err)
	}
	if err := one.Read(t.Context(), only.Add); err != nil || only.Get("loss").N != 21 || only.Get("loss").Last.Value != 7 {
		t.Errorf("what came later: %+v, %v", only.Get("loss"), err)
	}
}

func TestTrackioOdd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := Trackio{Path: path}
	if err := tr.Read(t.Context(), func(Sample) {}); err == nil {
		t.Error("a file that is no database was read")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tr.Read(t.Context(), func(Sample) {}); err != nil {
		t.Errorf("a database without tables yet: %v", err)
	}
}

func TestTrackioPath(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HOME": "/home/me"}
	get := func(name string) string { return env[name] }
	for _, c := range []struct{ dir, project, name, value, want string }{
		{"", "my run/1", "", "", "/home/me/.cache/huggingface/trackio/myrun1.db"},
		{"", "..", "HF_HOME", "/hf", "/hf/trackio/default.db"},
		{"", "a-b_c", "TRACKIO_DIR", "/t", "/t/a-b_c.db"},
		{"/d", "p", "", "", "/d/p.db"},
	} {
		env[c.name] = c.value
		if got := TrackioPath(c.dir, c.project, get); got != filepath.FromSlash(c.want) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// dashboard serves rows as a Trackio server does.
func dashboard(t *testing.T, rows func() string) (url string, requests *[]string) {
	t.Helper()
	requests = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*requests = append(*requests, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, rows())
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	// As Trackio 0.43 answers: rows of one call of bulk_log share a time, NaN is null.
	rows := []string{
		`{"loss": 2.0, "train/acc": 0.0, "timestamp": "2026-11-26T18:56:24.100000+00:00", "step": 0}`,
		`{"loss": null, "note": null, "timestamp": "2026-11-26T18:56:24.100000+00:00", "step": 1}`,
	}
	url, requests := dashboard(t, func() string { return `{"data": [` + strings.Join(rows, ",") + `]}` })
	d := Dashboard{URL: url + "/", Project: "p", Run: "r", Token: "hf_x"}
	var got []string
	read := func() {
		t.Helper()
		if err := d.Read(t.Context(), collect(&got)); err != nil {
			t.Fatal(err)
		}
	}
	read()
	read()
	rows = append(rows, `{"loss": 1.0, "timestamp": "2026-11-26T18:56:24.100000+00:00", "step": 2}`,
		`{"loss": 0.5, "timestamp": "2026-11-26T18:57:24+00:00", "step": 0}`)
	read()
	want := "loss=2@0 step, train/acc=0@0 step, loss=NaN@1 step, loss=1@2 step, loss=0.5@0 step"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("read %s, want %s", text, want)
	}
	if want := `POST /api/get_logs Bearer hf_x {"kwargs":{"project":"p","run":"r"}}`; (*requests)[0] != want {
		t.Errorf("asked %s, want %s", (*requests)[0], want)
	}
}

func TestDashboardRuns(t *testing.T) {
	t.Parallel()
	url, _ := dashboard(t, func() string {
		return `{"data": [{"id": "1", "name": "a", "created_at": "2026-11-26T18:56:28.145290+00:00"}, "b", 3, {}]}`
	})
	d := Dashboard{URL: url, Project: "p"}
	runs, err := d.Runs(t.Context())
	if err != nil || len(runs) != 2 || runs[0].Name != "a" || runs[0].Created.Year() != 2026 || runs[1].Name != "b" {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestDashboardFails(t *testing.T) {
	t.Parallel()
	elsewhere, requests := dashboard(t, func() string { return `{"data": []}` })
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"error":    {http.StatusBadRequest, `{"error": "no such project"}`, "no such project"},
		"page":     {http.StatusOK, `<html>`, "not of Trackio's API"},
		"asleep":   {http.StatusServiceUnavailable, `<html>`, "no reason given"},
		"redirect": {http.StatusFound, ``, "302"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere)
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		d := Dashboard{URL: server.URL, Token: "hf_x"}
		if err := d.Read(t.Context(), func(Sample) {}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hf_x") {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
		if err := d.Read(t.Context(), func(Sample) {}); err == nil {
			t.Errorf("%s: a server that is gone answered", name)
		}
	}
	if len(*requests) != 0 {
		t.Errorf("the token went elsewhere: %v", *requests)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	d := Dashboard{URL: server.URL}
	if err := d.Read(ctx, func(Sample) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that hangs: %v", err)
	}
}

func FuzzDashboardRow(f *testing.F) {
	f.Add(`{"loss": null, "timestamp": "2026-11-26T18:56:24.100000+00:00", "step": 1}`)
	f.Fuzz(func(t *testing.T, row string) {
		if !json.Valid([]byte(row)) {
			return
		}
		tr := Trackio{}
		tr.row("r", 1, "now", row, func(x Sample) { _ = fmt.Sprint(x) })
		r := dictReader{s: row, nulls: true}
		if r.dict("", 0) {
			newRecord(r.pairs).emit(time.Time{}, func(Sample) {})
		}
	})
}

// With TRACKIO_URL a real server is asked: one that has a project demorun with
// a run named first.
func TestRealDashboard(t *testing.T) {
	url := os.Getenv("TRACKIO_URL")
	if url == "" {
		t.Skip("TRACKIO_URL names no server")
	}
	var s Set
	d := Dashboard{URL: url, Project: "demorun", Run: "first"}
	for range 2 {
		if err := d.Read(t.Context(), s.Add); err != nil {
			t.Fatal(err)
		}
	}
	if runs, err := d.Runs(t.Context()); err != nil || len(runs) != 2 || runs[0].Name != "first" || runs[0].Created.IsZero() {
		t.Errorf("runs: %+v, %v", runs, err)
	}
	if loss := s.Get("loss"); loss == nil || loss.N != 20 || loss.Bad != 1 {
		t.Errorf("%+v\n%s", loss, s.Table(0))
	}
}
