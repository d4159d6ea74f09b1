package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

// A script is a Hub whose log answers differently each time it is asked for.
// The last answer is given again.
type script struct {
	answers []func(w http.ResponseWriter, r *http.Request)
	asked   []string // with the query
	stage   func(asked int) hub.JobStage
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/logs") {
		fmt.Fprintf(w, `{"id": "j", "status": {"stage": %q}}`, s.stage(len(s.asked)))
		return
	}
	n := min(len(s.asked), len(s.answers)-1)
	s.asked = append(s.asked, r.URL.RequestURI())
	s.answers[n](w, r)
}

var logStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// says are events, one for each second.
func says(from int, lines ...string) string {
	var b strings.Builder
	for i, line := range lines {
		at := logStart.Add(time.Duration(from+i) * time.Second).Format(time.RFC3339Nano)
		fmt.Fprintf(&b, "data: {\"data\":%q,\"timestamp\":%q}\n\n", line, at)
	}
	return b.String()
}

// same are events of one time.
func same(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(says(7, line))
	}
	return b.String()
}

type answer = func(w http.ResponseWriter, r *http.Request)

// whole is an answer that ends as it should; cut one that breaks off.
func whole(text string) answer {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func broken(text string) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, text)
		panic(http.ErrAbortHandler)
	}
}

// silent is an answer that goes on without a word.
func silent(text string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, text)
		<-r.Context().Done()
	}
}

// alive is an answer without a line but signs of life.
func alive(text string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		for io.WriteString(w, text); pause(r.Context(), 30*time.Second); {
			if _, err := io.WriteString(w, ": keep-alive\n\n"); err != nil {
				return
			}
		}
	}
}

// pause returns false when the client is gone.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func refusal(status int) answer {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func doneAfter(n int) func(int) hub.JobStage {
	return func(asked int) hub.JobStage {
		if asked >= n {
			return hub.JobCompleted
		}
		return hub.JobRunning
	}
}

func TestJobLogs(t *testing.T) {
	t.Parallel()
	all := says(0, "===== Job started at 2026-01-02 03:04:05 =====", "a", "b", "b", "c")
	want := []string{"a", "b", "b", "c"}
	part := all[:strings.Index(all, `"b"`)+20]
	for name, c := range map[string]struct {
		answers []answer
		done    int // after how many answers the job has ended
		opts    hub.LogOptions
		want    []string
		err     bool
		asked   int
	}{
		"at once":               {answers: []answer{whole(all)}, done: 1, want: want, asked: 1},
		"no empty line at end":  {answers: []answer{whole(strings.TrimSpace(all))}, done: 1, want: want, asked: 1},
		"cut in mid-event":      {answers: []answer{broken(part), whole(all)}, done: 1, want: want, asked: 2},
		"cut at each event":     {answers: cuts(all), done: 1, want: want, asked: 7},
		"ends too early":        {answers: []answer{whole(part), whole(all)}, done: 2, want: want, asked: 2},
		"empty":                 {answers: []answer{whole("")}, done: 3, asked: 3},
		"silent and done":       {answers: []answer{silent(all)}, done: 1, want: want, asked: 1},
		"silent for ever":       {answers: []answer{silent(part), whole(all)}, done: 2, want: want, asked: 2},
		"odd events":            {answers: []answer{whole(":\n\ndata: \n\ndata: {\n\ndata: 7\n\nevent: x\ndata: {}\n\n" + all)}, done: 1, want: want, asked: 1},
		"windows line ends":     {answers: []answer{whole(strings.ReplaceAll(all, "\n", "\r\n"))}, done: 1, want: want, asked: 1},
		"refused":               {answers: []answer{broken(part), refusal(404)}, done: 9, want: []string{"a"}, err: true, asked: 2},
		"broken for ever":       {answers: []answer{broken("")}, done: 1, err: true, asked: 5},
		"another log":           {answers: []answer{broken(says(0, "a", "b")), whole(says(60, "x", "y"))}, done: 1, want: []string{"a", "b", "x", "y"}, asked: 2},
		"the beginning is gone": {answers: []answer{broken(says(0, "a", "b", "c")), whole(says(1, "b", "c", "d"))}, done: 1, want: []string{"a", "b", "c", "d"}, asked: 2},
		"gone twice":            {answers: []answer{broken(says(0, "a", "b")), broken(says(1, "b", "c")), whole(says(1, "b", "c", "d"))}, done: 1, want: []string{"a", "b", "c", "d"}, asked: 3},
		"one time":              {answers: []answer{broken(says(0, "a") + same("b", "c")), whole(same("b", "c", "d"))}, done: 1, want: []string{"a", "b", "c", "d"}, asked: 2},
		"tail":                  {answers: []answer{broken(says(3, "b")), whole(all)}, done: 1, opts: hub.LogOptions{Tail: 1}, want: []string{"b", "c"}, asked: 2},
		"without times":         {answers: []answer{broken("data: {\"data\":\"a\"}\n\n"), whole("data: {\"data\":\"a\"}\n\ndata: {\"data\":\"b\"}\n\n")}, done: 1, want: []string{"a", "b"}, asked: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: c.answers, stage: doneAfter(c.done)}
				c.opts.Follow = true
				got, err := logText(hubtest.Direct(s).JobLogs(t.Context(), "me", "j", c.opts))
				if !slices.Equal(got, c.want) || (err != nil) != c.err || len(s.asked) != c.asked {
					t.Errorf("read %q, %v in %d answers; want %q in %d", got, err, len(s.asked), c.want, c.asked)
				}
			})
		})
	}
}

// cuts are answers that break off after one event more each time.
func cuts(all string) []answer {
	var out []answer
	for n := range strings.Count(all, "\n\n") + 1 {
		out = append(out, broken(strings.Join(strings.SplitAfter(all, "\n\n")[:n], "")))
	}
	return append(out, whole(all))
}

func logText(lines func(func(hub.LogLine, error) bool)) (text []string, err error) {
	for line, err := range lines {
		if err != nil {
			return text, err
		}
		text = append(text, line.Text)
	}
	return text, nil
}

// What is not followed ends when nothing more comes, or when all that there
// was has come.
func TestLogsOfNow(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", logStart.Add(3*time.Second).Format(http.TimeFormat))
		for i := 0; pause(r.Context(), time.Second); i++ {
			if _, err := io.WriteString(w, says(i, fmt.Sprint(i))); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		answer answer
		want   []string
	}{
		"nothing more": {silent(says(0, "a\n")), []string{"a"}},
		"the end":      {whole(says(0, "a")), []string{"a"}},
		"prints on":    {endless, []string{"0", "1", "2", "3", "4"}},
		"nothing":      {alive(""), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := &script{answers: []answer{c.answer}}
				got, err := logText(hubtest.Direct(s).SpaceLogs(t.Context(), hub.RepoID{Namespace: "me", Name: "s"}, true, hub.LogOptions{}))
				if !slices.Equal(got, c.want) || err != nil {
					t.Errorf("read %q, %v; want %q", got, err, c.want)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
				if want := "/api/spaces/me/s/logs/build"; !slices.Equal(s.asked, []string{want}) {
					t.Errorf("asked for %q, want %q", s.asked, want)
				}
			})
		})
	}
}

// A Space's log is followed for as long as the caller likes.
func TestFollowEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		s := &script{answers: []answer{alive(says(0, "a"))}}
		got, err := logText(hubtest.Direct(s).SpaceLogs(ctx, hub.RepoID{Namespace: "me", Name: "s"}, false, hub.LogOptions{Follow: true}))
		if !slices.Equal(got, []string{"a"}) || !errors.Is(err, context.DeadlineExceeded) || len(s.asked) != 1 {
			t.Errorf("read %q, %v in %d answers", got, err, len(s.asked))
		}
	})
}

// A caller that has enough ends the reading and its connection.
func TestLogsStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{alive(says(0, "a", "b"))}, stage: doneAfter(9)}
		for line, err := range hubtest.Direct(s).JobLogs(t.Context(), "me", "j", hub.LogOptions{Follow: true}) {
			if err != nil || line.Text != "a" || !line.Time.Equal(logStart) {
				t.Fatalf("read %v, %v", line, err)
			}
			break
		}
	})
}

// A line may be as long as it likes; what is too long for an event is left out.
func TestLongLogLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300_000)
	s := &script{answers: []answer{whole(says(0, long, strings.Repeat("y", 2<<20), "z"))}, stage: doneAfter(1)}
	got, err := logText(hubtest.Direct(s).JobLogs(t.Context(), "me", "j", hub.LogOptions{Follow: true}))
	if err != nil || !slices.Equal(got, []string{long, "z"}) {
		t.Errorf("read %d lines, %v", len(got), err)
	}
}
