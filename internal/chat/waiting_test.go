package chat_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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
