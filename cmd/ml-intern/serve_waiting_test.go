//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// waits is a model that starts a job, waits for it, and is done.
func waits(t *testing.T) *llmtest.Server {
	t.Helper()
	id := regexp.MustCompile(`\\"job\\":\\"([^"\\]+)\\"`)
	var s *llmtest.Server
	made := make(chan struct{})
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		switch n {
		case 0:
			return calls(makes("submit1", "job_submit", map[string]any{"name": "x", "command": []string{"sh", "-c", "sleep 600; echo trained"}, "waivers": map[string]any{"results": "a test"}})), true
		case 1:
			if found := id.FindStringSubmatch(string(s.Seen()[1].Body)); found != nil {
				return calls(makes("wait1", "job_wait", map[string]any{"jobs": []string{found[1]}})), true
			}
		}
		return llmtest.Turn{Text: "it is over"}, true
	})
	close(made)
	t.Cleanup(s.Close)
	return s
}

// endJob ends the only job of the host's home.
func (s *host) endJob() {
	s.Helper()
	run := func(args ...string) []byte {
		c := exec.CommandContext(s.Context(), program(s.T), args...)
		c.Env, c.Dir = s.cmd.Env, s.dir
		out, err := c.Output()
		if err != nil {
			s.Fatalf("%v: %v: %s", args, err, out)
		}
		return out
	}
	var jobs []struct{ ID, State string }
	if out := run("jobs", "ls", "--output", "json"); json.Unmarshal(out, &jobs) != nil || len(jobs) != 1 || jobs[0].State != "running" {
		s.Fatalf("%s", out)
	}
	run("jobs", "cancel", jobs[0].ID)
}

// untilWaits waits until the session waits for its job, with no page that looks.
func (s *host) untilWaits(id string) {
	s.Helper()
	var entry struct {
		Live *struct {
			Phase string
			Waits []string
		}
		State *struct{ Phase string }
	}
	for late := time.Now().Add(90 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text := s.ask("GET", "/api/sessions/"+id, nil, http.StatusOK, &entry)
		if entry.Live != nil && entry.Live.Phase == "waiting" && len(entry.Live.Waits) == 1 && entry.State.Phase == "waiting" {
			return
		}
		if time.Now().After(late) {
			s.Fatalf("it does not wait: %s", text)
		}
	}
}

// untilOver waits until the session has its answer, and is idle.
func (s *host) untilOver(id string) {
	s.Helper()
	tale := s.follow(id, 0)
	at := tale.answer("it is over")
	tale.phase(at, "idle")
	tale.whole(0)
	tale.end()
}

// asked is the number of the first question.
func (t *tale) asked() int {
	t.Helper()
	i := t.until("question", 0, func(m message) bool { return m.kind == "ask" })
	var ask struct{ ID int }
	if err := json.Unmarshal([]byte(t.at(i).data), &ask); err != nil || ask.ID < 1 {
		t.Fatalf("%v %s", err, t.at(i).data)
	}
	return ask.ID
}

// A session that waits for a job wakes by itself, without a page and without a
// model call meanwhile: also when the server was ended or killed while it waited,
// and when the job ended before the server was there again.
func TestServeWaits(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stays", "killed", "killed, and the job ended", "ended"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			model := waits(t)
			s := serves(t, t.TempDir(), t.TempDir(), model.URL)
			id := s.begin("train", "mode", "auto")
			s.untilWaits(id)
			s.ask("PATCH", "/api/sessions/"+id, map[string]string{"mode": "strict"}, http.StatusOK, nil)
			tale := s.follow(id, 0)
			tale.until("the mode", 0, func(m message) bool { return m.id != "" && strings.Contains(m.data, `"chose":{"mode":"strict"}`) })
			tale.end()
			if how != "stays" {
				if how == "ended" {
					if err := s.end(syscall.SIGTERM); err != nil {
						t.Errorf("the server ended with %v", err)
					}
				} else {
					_ = s.end(os.Kill)
				}
				if strings.HasSuffix(how, "the job ended") {
					s.endJob()
				}
				s = serves(t, s.home, s.dir, model.URL)
			}
			if how != "killed, and the job ended" {
				s.untilWaits(id)
				if n := len(model.Seen()); n != 2 {
					t.Errorf("the model was asked %d times meanwhile", n)
				}
				s.endJob()
			}
			s.untilOver(id)
			if n := len(model.Seen()); n != 3 {
				t.Errorf("the model was asked %d times in all", n)
			}
			var entry struct{ State struct{ Mode string } }
			if s.ask("GET", "/api/sessions/"+id, nil, http.StatusOK, &entry); entry.State.Mode != "strict" {
				t.Errorf("the mode that was set while it waited is %s", entry.State.Mode)
			}
		})
	}
}

// What was killed at work, or asked, is not taken up: somebody has it go on, and
// is asked again.
func TestServeTakesUpWaitsOnly(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"at work", "asking"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			model := llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
				switch {
				case n == 0 && how == "at work":
					return llmtest.Turn{Hang: true}, true
				case n == 0:
					return calls(makes("bash01", "bash", map[string]any{"command": "echo one"})), true
				}
				return llmtest.Turn{Text: "it is over"}, true
			})
			t.Cleanup(model.Close)
			s := serves(t, t.TempDir(), t.TempDir(), model.URL)
			id := s.begin("work", "mode", "strict")
			before := 0 // the number of the question that nobody answers
			if how == "asking" {
				tale := s.follow(id, 0)
				before = tale.asked()
			}
			for late := time.Now().Add(time.Minute); len(model.Seen()) == 0 && time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
			}
			_ = s.end(os.Kill)
			s = serves(t, s.home, s.dir, model.URL)
			tale := s.follow(id, 0)
			tale.until("caught up", 0, func(m message) bool { return m.kind == "caught_up" })
			var entry struct {
				Live, State any
				Ended       string
			}
			s.ask("GET", "/api/sessions/"+id, nil, http.StatusOK, &entry)
			if entry.Live != nil || entry.State != nil || entry.Ended != "unfinished" {
				t.Errorf("%+v", entry)
			}
			s.ask("POST", "/api/sessions/"+id+"/continue", nil, http.StatusAccepted, nil)
			if how == "asking" {
				yes := func(ask, status int) {
					s.ask("POST", "/api/sessions/"+id+"/answers", map[string]any{"ask": ask, "decisions": []any{map[string]string{"call_id": "bash01", "verdict": "allow"}}}, status, nil)
				}
				now := tale.asked()
				yes(before, http.StatusConflict) // of a page that has not heard that there is another
				yes(now, http.StatusNoContent)
			}
			tale.answer("it is over")
			s.untilOver(id)
			tale.whole(0)
			s.ask("POST", "/api/sessions/"+id+"/continue", nil, http.StatusConflict, nil)
		})
	}
}

// A session that waits is waited on by the plain chat that opens it, also with
// nobody at a terminal, and by no model call.
func TestPlainWaitsOn(t *testing.T) {
	t.Parallel()
	model := waits(t)
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	id := s.begin("train", "mode", "auto")
	s.untilWaits(id)
	_ = s.end(syscall.SIGTERM)
	c := exec.CommandContext(t.Context(), program(t), "--plain", "--resume", id, "--model", "openai/test", "--hub", "local")
	c.Dir, c.Env = s.dir, s.cmd.Env
	said := &lockedBuffer{}
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(90 * time.Second); !strings.Contains(said.String(), "without any model call"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("it says %s", said)
		}
	}
	if n := len(model.Seen()); n != 2 {
		t.Errorf("the model was asked %d times meanwhile", n)
	}
	s.endJob()
	if err := c.Wait(); err != nil || !strings.Contains(said.String(), "it is over") || strings.Contains(said.String(), "/retry") {
		t.Errorf("%v: %s", err, said)
	}
}
