//go:build unix

package watch_test

import (
	"database/sql"
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

	"ml-intern/internal/job"
	"ml-intern/internal/job/watch"
)

// awaitText waits until a job has printed a text.
func awaitText(t *testing.T, b job.Backend, id, text string) {
	t.Helper()
	for range 2000 {
		for line := range b.Logs(t.Context(), id, 0) {
			if strings.Contains(line.Text, text) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q was never printed", text)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Bearer hf_x":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/api/get_runs_for_project":
			fmt.Fprintf(w, `{"data": [{"name": "old", "created_at": "2020-01-01T00:00:00+00:00"}, {"name": "mine", "created_at": %q}]}`, now)
		case strings.Contains(string(body), `"run":"mine"`):
			fmt.Fprintf(w, `{"data": [{"reward": 0.5, "step": 1, "timestamp": %q}]}`, now)
		default:
			io.WriteString(w, `{"data": [{"reward": 0, "step": 1, "timestamp": "2020-01-01T00:00:00+00:00"}]}`)
		}
	}))
	defer server.Close()
	b := here(t, 2)
	dir := t.TempDir()
	text, err := os.ReadFile("../series/testdata/trackio-0.43.sql")
	if err != nil {
		t.Fatal(err)
	}
	fixture := filepath.Join(t.TempDir(), "p.db")
	db, err := sql.Open("sqlite", fixture)
	if err == nil {
		_, err = db.ExecContext(t.Context(), string(text))
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	script := `mkdir $OUTPUT_DIR/trackio; cp "$1" $OUTPUT_DIR/trackio/p.db
printf 'step,val_loss\n1,0.5\n' > $OUTPUT_DIR/metrics.csv
echo "{'loss': 2.5, 'epoch': 1}"; echo ' 45%|####      | 45/100 [00:10<00:12,  4.50it/s]'; printf "{'loss': 1"
while [ ! -e go ]; do sleep 0.05; done; echo ".5, 'epoch': 2}"; printf "{'loss': 0.25, 'epoch': 3}"`
	status, err := b.Submit(t.Context(), job.Spec{
		Name: "train", Dir: dir, Command: []string{"sh", "-c", script, "sh", fixture},
		Env: map[string]string{"TRACKIO_SPACE_ID": "me/board", "TRACKIO_PROJECT": "p", "TRACKIO_DIR": "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &watch.Metrics{Backend: b, Dashboard: func(space string) (string, string) {
		if space != "me/board" {
			t.Errorf("the dashboard %s was asked for", space)
		}
		return server.URL, "hf_x"
	}}
	awaitText(t, b, status.ID, "{'loss': 1")
	for range 2 {
		r, err := m.Read(t.Context(), status.ID)
		if err != nil || r.Missing != nil {
			t.Fatalf("%v, %v", err, r.Missing)
		}
		loss, val, reward := r.Set.Get("loss"), r.Set.Get("val_loss"), r.Set.Get("reward")
		if loss == nil || loss.N != 1 || loss.Last.Value != 2.5 || val == nil || val.N != 1 || reward == nil || reward.N != 1 || reward.Last.Value != 0.5 {
			t.Errorf("while it runs:\n%s", r)
		}
		if !strings.HasPrefix(r.String(), "job "+status.ID+" is running, at 45 % (45 of 100), 12 s left by its own estimate\nmetric") {
			t.Errorf("%s", r)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(t.Context(), b, []string{status.ID}, nil); err != nil {
		t.Fatal(err)
	}
	r, err := m.Read(t.Context(), status.ID)
	if err != nil || r.Set.Get("loss").N != 3 || r.Set.Get("loss").Last.Value != 0.25 {
		t.Errorf("when it is done: %v\n%s", err, r)
	}
	if r.Set.Get("train/acc") != nil {
		t.Error("values of another day are taken for the job's")
	}
	server.Close()
	if r, err := m.Read(t.Context(), status.ID); err != nil || r.Missing == nil || !strings.Contains(r.String(), "not all could be read") {
		t.Errorf("a dashboard that is gone: %v", err)
	}
	if _, err := m.Read(t.Context(), "none"); err == nil {
		t.Error("a job that is not there has metrics")
	}
}
