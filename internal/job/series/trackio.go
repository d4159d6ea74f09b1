package series

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver's name is all that is used
)

const (
	trackioBatch  = 5000
	largestAnswer = 64 << 20
)

// Trackio is a project in Trackio's local database, which is only read. All
// versions keep a row a call of log: run, step, time, and the metrics as JSON.
type Trackio struct {
	Path string // of the project's file
	Run  string // every run if empty; then names begin with the run's

	last  int64
	first string // the first run there was
}

// TrackioPath is where Trackio keeps a project: in dir, or if that is empty
// where its variables say.
func TrackioPath(dir, project string, getenv func(string) string) string {
	if dir == "" {
		home := cmp.Or(getenv("HF_HOME"), filepath.Join(cmp.Or(getenv("XDG_CACHE_HOME"), filepath.Join(getenv("HOME"), ".cache")), "huggingface"))
		dir = cmp.Or(getenv("TRACKIO_DIR"), filepath.Join(home, "trackio"))
	}
	safe := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, project)
	return filepath.Join(dir, cmp.Or(safe, "default")+".db")
}

// Read reads on. A file that is not there has nothing to read.
func (t *Trackio) Read(ctx context.Context, add func(Sample)) (err error) {
	if _, err := os.Stat(t.Path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := sql.Open("sqlite", "file://"+(&url.URL{Path: t.Path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)")
	if err != nil {
		return fmt.Errorf("open Trackio's database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for more := true; more; {
		if more, err = t.batch(ctx, db, add); err != nil {
			return fmt.Errorf("read Trackio's database: %w", err)
		}
	}
	return nil
}

// batch reads some rows, and reports whether there may be more.
func (t *Trackio) batch(ctx context.Context, db *sql.DB, add func(Sample)) (bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT id, run_name, step, timestamp, metrics FROM metrics
		WHERE id > ? AND (? = '' OR run_name = ?) ORDER BY id LIMIT ?`, t.last, t.Run, t.Run, trackioBatch)
	if err != nil {
		if strings.Contains(err.Error(), "no such table") { // made a moment ago
			return false, nil
		}
		return false, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var run, when, metrics string
		var step float64
		if err := rows.Scan(&t.last, &run, &step, &when, &metrics); err != nil {
			return false, err
		}
		n++
		t.row(run, step, when, metrics, add)
	}
	return n == trackioBatch, rows.Err()
}

func (t *Trackio) row(run string, step float64, when, metrics string, add func(Sample)) {
	pairs, _, ok := readDict(metrics)
	if !ok {
		return
	}
	prefix := ""
	if t.Run == "" {
		if t.first == "" {
			t.first = run
		}
		if run != t.first {
			prefix = run + ": "
		}
	}
	at, _ := readTime(when)
	for _, p := range pairs {
		if !p.isText {
			add(Sample{Name: prefix + p.name, Value: p.number, Step: step, Axis: Step, Time: at})
		}
	}
}

// A Dashboard is a run on a Trackio server, such as a Space, read by version 1
// of its HTTP API.
type Dashboard struct {
	URL     string // of the server
	Project string
	Run     string
	Token   string // of the Hub, sent to this server only; empty for a public dashboard
	HTTP    *http.Client

	last time.Time // of the newest row that was read
	step float64
	read bool
}

// Read reads on. The server sends the whole run, sampled to 3,000 rows; what
// is not newer than last time is passed over.
func (d *Dashboard) Read(ctx context.Context, add func(Sample)) error {
	rows, err := d.rows(ctx)
	if err != nil {
		return fmt.Errorf("read Trackio dashboard %s: %w", d.URL, err)
	}
	newest, newestStep := d.last, d.step
	for _, row := range rows {
		r := dictReader{s: string(row), nulls: true} // as the server writes NaN
		if !r.dict("", 0) {
			continue
		}
		rec := newRecord(r.pairs)
		// Rows that were sent together have the same time.
		if d.read && (rec.time.Before(d.last) || rec.time.Equal(d.last) && rec.step <= d.step) {
			continue
		}
		switch {
		case rec.time.After(newest):
			newest, newestStep = rec.time, rec.step
		case rec.time.Equal(newest):
			newestStep = max(newestStep, rec.step)
		}
		rec.emit(time.Time{}, add)
	}
	d.last, d.step, d.read = newest, newestStep, true
	return nil
}

func (d *Dashboard) rows(ctx context.Context) ([]json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"kwargs": map[string]any{"project": d.Project, "run": d.Run}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(d.URL, "/")+"/api/get_logs", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if d.Token != "" {
		req.Header.Set("Authorization", "Bearer "+d.Token)
	}
	client := http.Client{Timeout: time.Minute}
	if d.HTTP != nil {
		client = *d.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token stays here
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data  []json.RawMessage `json:"data"`
		Error string            `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil && resp.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("the answer is not of Trackio's API: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, cmp.Or(answer.Error, "no reason given"))
	}
	return answer.Data, nil
}
