package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/llm/llmtest"
)

// On a full disk, where no session opens, a job is still found, stopped and
// removed: that is what makes room.
func TestJobsOnAFullDisk(t *testing.T) {
	d := newDisk(t, "8m")
	s := llmtest.NewServer(
		llmtest.Turn{Calls: []llmtest.TurnCall{use("job_submit", args{"name": "done", "command": []string{"sh", "-c", "seq 200000"}})}},
		llmtest.Turn{Calls: []llmtest.TurnCall{use("job_submit", args{"name": "goes on", "command": []string{"sleep", "600"}})}},
		llmtest.Turn{Text: "done"},
	)
	defer s.Close()
	d.env = []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x", "HF_HUB_OFFLINE=1"}
	if _, stderr, code := d.run("--model", "openai/test", "--approve", "auto", "go"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var all []job.Status
	list := func() {
		t.Helper()
		out, stderr, code := d.run("jobs", "--output", "json")
		if code != 0 || json.Unmarshal([]byte(out), &all) != nil || len(all) != 2 {
			t.Fatalf("exit %d: %s%s", code, out, stderr)
		}
	}
	list()
	for end := time.Now().Add(time.Minute); all[0].State != job.Running && time.Now().Before(end); list() { // else it could not begin on a full disk
		time.Sleep(50 * time.Millisecond)
	}
	defer d.run("jobs", "cancel", all[0].ID)
	if _, stderr, code := d.run("jobs", "wait", all[1].ID); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	d.fill()
	d.wantRefused("is full", "sessions", "ls")
	list()
	if out, stderr, code := d.run("jobs", "cancel", all[0].ID); code != 0 || !strings.Contains(out, "canceled") {
		t.Errorf("cancel: exit %d: %s%s", code, out, stderr)
	}
	if out, stderr, code := d.run("jobs", "clean", "--older-than", "0", "--yes"); code != 0 || !strings.Contains(stderr, "removed") {
		t.Errorf("clean: exit %d: %s%s", code, out, stderr)
	}
	if _, stderr, code := d.run("sessions", "ls"); code != 0 {
		t.Errorf("nothing opens when there is room: exit %d: %s", code, stderr)
	}
}
