package chat_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
)

// waitRoom has a model that starts a job, waits for it, and answers.
func waitRoom(t *testing.T) *room {
	t.Helper()
	id := regexp.MustCompile(`\\"job\\":\\"([^"\\]+)\\"`)
	var r *room
	made := make(chan struct{})
	r = newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		<-made
		switch n {
		case 0:
			return call("job_submit", `{"name": "x", "command": ["sh", "-c", "until [ -e '`+filepath.Join(r.dir, "gate")+`' ]; do sleep 0.1; done; echo trained"], "waivers": {"results": "a test"}}`), true
		case 1:
			found := id.FindStringSubmatch(string(r.server.Seen()[1].Body))
			if found == nil {
				return say("there is no job"), true
			}
			return call("job_wait", `{"jobs": ["`+found[1]+`"]}`), true
		}
		return say("answer " + fmt.Sprint(n)), true
	})
	close(made)
	return r
}

// A turn that waits for a job asks no model until the job is over, and then goes
// on by itself.
func TestWaitsForJobs(t *testing.T) {
	t.Parallel()
	r := waitRoom(t)
	g := r.enter(chat.Options{})
	g.must("/approve auto")
	g.Say("train")
	s := g.phase(chat.Waiting)
	if len(s.Waits) != 1 || !strings.HasPrefix(s.Waits[0], "job ") {
		t.Errorf("it waits for %v", s.Waits)
	}
	views, err := g.Jobs()
	if err != nil || len(views) != 1 || !views[0].Mine || views[0].Done {
		t.Errorf("the panel has %+v, %v", views, err)
	}
	if n := len(r.server.Seen()); n != 2 {
		t.Errorf("the model was asked %d times meanwhile", n)
	}
	r.openGate()
	g.phase(chat.Idle)
	if !strings.HasSuffix(g.words(), "answer:answer 2") || !strings.Contains(r.told(2), "succeeded") {
		t.Error(g.words())
	}
}

// A prompt that is said while a turn waits ends the wait, not the job; so do
// words for the turn, and a stop.
func TestSpeakingEndsAWait(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"say", "steer", "stop"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := waitRoom(t)
			g := r.enter(chat.Options{})
			g.must("/approve auto")
			g.Say("train")
			g.phase(chat.Waiting)
			start := time.Now()
			switch how {
			case "say":
				g.Say("do not wait")
			case "steer":
				g.Steer("do not wait")
			case "stop":
				g.Stop()
				g.phase(chat.Idle)
				if took := time.Since(start); took > 30*time.Second { // the job runs on
					t.Errorf("stopping took %s", took)
				}
				g.Say("do not wait")
			}
			g.until("the answer", func(u chat.Update) bool { return u.Event != nil && word(*u.Event) == "answer:answer 2" })
			g.phase(chat.Idle)
			if !strings.Contains(r.told(2), "the person spoke before what you waited for was there") {
				t.Error("the model does not know")
			}
			if strings.Contains(g.words(), "failed") != (how == "stop") {
				t.Error(g.words())
			}
			g.close()
			left := strings.Join(g.Left(), "\n")
			id := regexp.MustCompile(`ml-intern jobs cancel (\S+)`).FindStringSubmatch(left)
			if id == nil {
				t.Fatalf("it parts with %q", left)
			}
			again := r.enter(chat.Options{Continue: true})
			if text := again.must("/jobs cancel " + id[1]).Text; !strings.Contains(text, "canceled") && !strings.Contains(text, "cancelled") {
				t.Errorf("it says %s", text)
			}
		})
	}
}

// A session that waited when it was left waits on when it is opened again, and
// asks no model until the job is over; one that was stopped asks for /retry.
func TestWaitsOnWhenOpenedAgain(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"left", "left, and the job ended", "stopped"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := waitRoom(t)
			g := r.enter(chat.Options{})
			g.must("/approve auto")
			g.Say("train")
			g.phase(chat.Waiting)
			if how == "stopped" {
				g.Stop()
				g.phase(chat.Idle)
			}
			g.close()
			if strings.Contains(g.words(), "failed") != (how == "stopped") {
				t.Error(g.words())
			}
			if how != "left" {
				r.endJob()
			}
			again := r.enter(chat.Options{Continue: true})
			if how == "stopped" {
				again.until("the notice", func(u chat.Update) bool { return strings.Contains(u.Notice, "/retry goes on") })
				if s := again.Now(); s.Phase != chat.Idle || s.Interrupted == "" || len(r.server.Seen()) != 2 {
					t.Errorf("%+v", s)
				}
				return
			}
			again.until("the wait", func(u chat.Update) bool { return u.Ended != nil && u.Ended.Waits })
			if how == "left" {
				if n := len(r.server.Seen()); n != 2 {
					t.Errorf("the model was asked %d times meanwhile", n)
				}
				r.endJob()
			}
			again.until("the answer", func(u chat.Update) bool { return u.Event != nil && word(*u.Event) == "answer:answer 2" })
			again.phase(chat.Idle)
			if n := len(r.server.Seen()); n != 3 || !strings.Contains(r.told(2), "cancel") || strings.Contains(again.story(), "/retry") {
				t.Errorf("the model was asked %d times: %s", n, again.story())
			}
		})
	}
}

// endJob ends the room's only job.
func (r *room) endJob() {
	r.t.Helper()
	a, err := app.New(r.t.Context(), r.config())
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Close()
	jobs, err := a.WatchJobs().Read(r.t.Context(), "")
	if err != nil || len(jobs) != 1 {
		r.t.Fatalf("%v %+v", err, jobs)
	}
	if state, err := a.CancelJob(r.t.Context(), jobs[0].ID); err != nil {
		r.t.Errorf("%s %v", state, err)
	}
}
