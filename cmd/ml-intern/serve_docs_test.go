//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// What the page on serve says to paste works when it is pasted.
func TestServeExamples(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the examples need curl: ", err)
		}
		t.Skip("the examples need curl: ", err)
	}
	page, err := os.ReadFile("../../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "For what follows:\n")
	script, _, ended := strings.Cut(rest, "\n| request")
	if !found || !ended || !strings.Contains(script, "curl") {
		t.Fatal("docs/serve.md has no example")
	}
	model := plays(t, llmtest.Turn{Text: "hello from the model"})
	home := t.TempDir()
	bash := exec.CommandContext(t.Context(), "bash", "-c", script)
	bash.Dir = home
	bash.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + filepath.Dir(program(t)) + ":" + os.Getenv("PATH"), "OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL=" + model.URL}
	out, err := bash.CombinedOutput()
	for _, want := range []string{`"version":`, `{"id":"`, "event: caught_up", "hello from the model", "| for | name |", "# say hello"} {
		if !strings.Contains(strings.ToLower(string(out)), strings.ToLower(want)) {
			t.Errorf("there is no %q in (%v)\n%s", want, err, out)
		}
	}
}

// TestServeMeasured measures what an open session takes that does nothing, and how
// long a piece of a reply takes from the model to a reader. It says so and judges
// nothing.
func TestServeMeasured(t *testing.T) {
	if os.Getenv("ML_INTERN_TEST_MEASURE") == "" {
		t.Skip("set ML_INTERN_TEST_MEASURE to measure")
	}
	const sessions, pieces = 50, 100
	model := llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		if n < sessions {
			return llmtest.Turn{Text: "it is over"}, true
		}
		return llmtest.Turn{Text: strings.Repeat("four", pieces), Chunk: 4, PaceMS: 50}, true
	})
	t.Cleanup(model.Close)
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	resident := func() int {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		kb, err := strconv.Atoi(strings.Fields(after(string(status), "VmRSS:"))[0])
		if err != nil {
			t.Fatal(err)
		}
		return kb
	}
	s.untilOver(s.begin("one"))
	before := resident()
	for range sessions - 1 {
		s.untilOver(s.begin("one"))
	}
	time.Sleep(5 * time.Second)
	t.Logf("%d KB with one session, %d KB with %d: %d KB each", before, resident(), sessions, (resident()-before)/(sessions-1))

	tale := s.follow(s.begin("stream"), 0)
	var came []time.Time
	for i := 0; len(came) < pieces; i++ {
		i = tale.until("a piece", i, func(m message) bool { return m.event().Chunk != nil && m.event().Chunk.Text != "" })
		came = append(came, time.Now())
		if tale.at(i).event().Chunk.Text != "four" {
			t.Fatal("pieces were joined: the machine is too slow for this")
		}
	}
	var took []time.Duration
	for i, wrote := range model.Wrote(sessions) {
		took = append(took, came[min(i, pieces-1)].Sub(wrote))
	}
	slices.Sort(took)
	t.Logf("a piece of a reply is read after %s (median), %s (90 of 100)", took[len(took)/2], took[len(took)*9/10])
}
