package hub_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

// A log that is read piece by piece, by readers that know no more than a mark,
// comes whole and each line once; what is long is not sent again and again.
func TestLogMark(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]time.Duration{"a line a second": time.Second, "many at a time": time.Second / 3000, "all at once": 0} {
		for _, tailed := range []bool{true, false} {
			t.Run(fmt.Sprint(name, tailed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { readByMark(t, each, tailed) })
			})
		}
	}
}

func readByMark(t *testing.T, each time.Duration, tailed bool) {
	var mu sync.Mutex // an answer that nobody reads any more may still be written
	var lines []string
	sent := 0
	c := hubtest.Direct(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		lines := slices.Clone(lines)
		mu.Unlock()
		from := 0
		if n, err := strconv.Atoi(r.URL.Query().Get("tail")); err == nil && tailed {
			from = max(0, len(lines)-n)
		}
		for _, line := range lines[from:] {
			mu.Lock()
			sent++
			mu.Unlock()
			io.WriteString(w, line)
		}
	}))
	var got, want []string
	var kept []byte
	for _, more := range []int{1, 0, 1500, 10, 0, 900, 1200, 1, 5000, 3} { // 1,200 and 5,000 are more than is asked for again
		for range more {
			n := len(lines)
			at := logStart.Add(each * time.Duration(n)).Format(time.RFC3339Nano)
			mu.Lock()
			lines = append(lines, fmt.Sprintf("data: {\"data\":\"line %d\",\"timestamp\":%q}\n\n", n/2, at)) // each text twice
			mu.Unlock()
			want = append(want, fmt.Sprint("line ", n/2))
		}
		var mark hub.LogMark
		if kept != nil {
			if err := json.Unmarshal(kept, &mark); err != nil {
				t.Fatal(err)
			}
		}
		text, err := logText(c.JobLogs(t.Context(), "me", "j", hub.LogOptions{Quiet: time.Second, Mark: &mark}))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, text...)
		if kept, err = json.Marshal(mark); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(kept), "line ") {
			t.Errorf("the mark tells what was printed: %s", kept)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lines were read of %d", len(got), len(want))
	}
	mu.Lock()
	defer mu.Unlock()
	if tailed && each == time.Second && sent > 30_000 {
		t.Errorf("%d lines were sent", sent)
	}
}
