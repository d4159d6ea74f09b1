package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

const (
	killRounds = 40
	killSteps  = 30
)

// A victim is one session that is killed again and again until it answers.
type victim struct {
	*world
	home   string
	ledger string // file to which each call adds its number
	url    string
	shown  []session.Event // results on standard output: of each process, all so far
	kills  int
}

// kills lets sessions be killed at random moments and holds their logs to
// what must be true however often that happens.
func (w *world) kills() []row {
	fsync := w.fsync()
	var sum findings
	var prefix overlap
	took := 400 * time.Millisecond // for the first kill
	kills := 0
	for i := range killRounds {
		v := &victim{world: w, home: w.home(), ledger: filepath.Join(w.workspace, fmt.Sprintf("ledger-%d", i))}
		seen := v.live(took)
		log := v.log()
		took = 40*time.Millisecond + log[len(log)-1].Time.Sub(log[0].Time)/2 // start, and half of the work
		kills += v.kills
		prefix.addAll(seen)
		f := v.findings(log, seen)
		sum.shown, sum.interrupted = sum.shown+f.shown, sum.interrupted+f.interrupted
		sum.lost, sum.twice, sum.wrong = sum.lost+f.lost, sum.twice+f.twice, sum.wrong+f.wrong
	}
	return []row{
		{
			"19", "SIGKILL at random moments: finished results lost, calls run twice, histories that are not valid",
			fmt.Sprintf("%d, %d, %d; %d kills of %d sessions of %d steps, %d results compared, %d calls reported as interrupted",
				sum.lost, sum.twice, sum.wrong, kills, killRounds, killSteps, sum.shown, sum.interrupted),
			"0, 0, 0", holds(sum.lost+sum.twice+sum.wrong == 0),
		},
		{"17", "the same prefixes, across those kills", fmt.Sprintf("%.2f %%", prefix.percent()), "100 %", holds(prefix.same == prefix.all)},
		{"", "floor: one fsync of 600 new bytes", fmt.Sprintf("%.2f ms; n = 300", milliseconds(median(fsync))), "", ""},
	}
}

// next is the script: the call after those that the request knows of. A reply
// that a kill has lost is given again.
func (v *victim) next(_ int, body []byte) llmtest.Turn {
	n := len(calls(body))
	if n == killSteps {
		return llmtest.Turn{Text: "done"}
	}
	return bash(fmt.Sprintf("echo %d >> %s; echo did %d", n, v.ledger, n))
}

// live starts the session, kills it up to three times after a random part of
// the time, and lets it end. It returns all requests.
func (v *victim) live(took time.Duration) []llmtest.Seen {
	v.Helper()
	s := serve(v.next)
	defer s.Close()
	v.url = s.URL
	for kill := 0; ; kill++ {
		args := []string{"go"}
		if v.saved() {
			args = []string{"--continue"}
		}
		var after time.Duration
		if kill < 3 {
			after = time.Duration(rand.Int64N(int64(took)))
		}
		if v.start(after, args...) {
			return s.Seen()
		}
		v.kills++
	}
}

// saved reports whether there is a session to go on with.
func (v *victim) saved() bool {
	return strings.Contains(string(v.output("sessions", "ls", "--output", "json")), `"id"`)
}

// start runs the program and reports whether it ended by itself.
func (v *victim) start(killAfter time.Duration, args ...string) (ended bool) {
	v.Helper()
	c := v.command(v.home, v.url, v.ours.exe, slices.Concat(v.ours.args, []string{"--output", "events"}, args)...)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Start(); err != nil {
		v.Fatal(err)
	}
	var killed atomic.Bool
	if killAfter > 0 {
		timer := time.AfterFunc(killAfter, func() {
			killed.Store(true)
			if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				v.Error(err)
			}
		})
		defer timer.Stop()
	}
	err := c.Wait()
	v.note(out.Bytes())
	if err != nil && !killed.Load() {
		v.Fatalf("ml-intern %v: %v\n%s", args, err, problems.String())
	}
	return err == nil
}

// note keeps the results among the events that were printed.
func (v *victim) note(out []byte) {
	for line := range bytes.Lines(out) {
		var ev session.Event
		if json.Unmarshal(line, &ev) == nil && ev.Result != nil { // the last line may be cut
			v.shown = append(v.shown, ev)
		}
	}
}

func (v *victim) output(args ...string) []byte {
	v.Helper()
	out, err := v.command(v.home, v.url, v.ours.exe, args...).Output()
	if err != nil {
		v.Fatalf("ml-intern %v: %v", args, err)
	}
	return out
}

// log reads the events of the only session.
func (v *victim) log() []session.Event {
	v.Helper()
	var list []session.Summary
	if err := json.Unmarshal(v.output("sessions", "ls", "--output", "json"), &list); err != nil || len(list) != 1 {
		v.Fatalf("%d sessions, %v", len(list), err)
	}
	var log []session.Event
	for line := range bytes.Lines(v.output("sessions", "show", list[0].ID, "--output", "events")) {
		var ev session.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			v.Fatal(err)
		}
		log = append(log, ev)
	}
	return log
}

// findings count what went wrong in a session.
type findings struct {
	shown       int // calls whose result was printed
	interrupted int // results that say so, which is right for a call that was running
	lost        int // printed results that the log has not, or not so
	twice       int // calls that started or ran more than once
	wrong       int // gaps, calls without one result, requests that a provider would refuse
}

func (v *victim) findings(log []session.Event, seen []llmtest.Seen) (f findings) {
	v.Helper()
	results, starts, number := map[string][]session.Event{}, map[string]int{}, map[string]int{}
	for i, ev := range log {
		if ev.Seq != int64(i+1) {
			f.wrong++
		}
		switch {
		case ev.Reply != nil:
			for _, call := range ev.Reply.Message.Calls() {
				number[call.ID] = len(number)
			}
		case ev.Started != nil:
			starts[ev.Started.CallID]++
		case ev.Result != nil:
			results[ev.Result.CallID] = append(results[ev.Result.CallID], ev)
		}
	}
	distinct := map[string]bool{}
	for _, ev := range v.shown {
		distinct[ev.Result.CallID] = true
		kept := results[ev.Result.CallID]
		if len(kept) != 1 || !kept[0].Time.Equal(ev.Time) || kept[0].Result.Text != ev.Result.Text {
			f.lost++
		}
	}
	f.shown = len(distinct)
	ran := v.ran()
	for id, n := range number {
		if ran[n] > 1 || starts[id] > 1 {
			f.twice++
		}
		if len(results[id]) != 1 {
			f.wrong++
			continue
		}
		switch text := results[id][0].Result.Text; {
		case strings.HasPrefix(text, "interrupted"):
			f.interrupted++
		case !strings.HasPrefix(text, fmt.Sprintf("did %d\n", n)) || ran[n] != 1:
			f.wrong++
		}
	}
	last := len(log) - 1
	for last > 0 && log[last].Aside() {
		last--
	}
	if len(number) != killSteps || log[last].Reply == nil {
		f.wrong++
	}
	for _, s := range seen {
		if !paired(s.Body) {
			f.wrong++
		}
	}
	return f
}

// ran counts how often each call did its work.
func (v *victim) ran() map[int]int {
	v.Helper()
	text, err := os.ReadFile(v.ledger)
	if err != nil {
		v.Fatal(err)
	}
	ran := map[int]int{}
	for field := range strings.FieldsSeq(string(text)) {
		var n int
		if _, err := fmt.Sscan(field, &n); err != nil {
			v.Fatal(err)
		}
		ran[n]++
	}
	return ran
}

// A wire message is what the checks need of one.
type wireMessage struct {
	Role       string
	ToolCallID string                `json:"tool_call_id"`
	ToolCalls  []struct{ ID string } `json:"tool_calls"`
}

func messages(body []byte) []wireMessage {
	var req struct{ Messages []wireMessage }
	if err := json.Unmarshal(body, &req); err != nil {
		return nil
	}
	return req.Messages
}

// calls lists the ids of all calls in a request.
func calls(body []byte) (ids []string) {
	for _, m := range messages(body) {
		for _, c := range m.ToolCalls {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// paired reports whether each call of the request is followed by its result,
// and nothing else is a result.
func paired(body []byte) bool {
	var open []string
	for _, m := range messages(body) {
		if m.Role == "tool" {
			i := slices.Index(open, m.ToolCallID)
			if i < 0 {
				return false
			}
			open = slices.Delete(open, i, i+1)
			continue
		}
		if len(open) > 0 {
			return false
		}
		for _, c := range m.ToolCalls {
			open = append(open, c.ID)
		}
	}
	return len(open) == 0 && len(messages(body)) > 0
}

// fsync measures what one durable write costs at least on this disk.
func (w *world) fsync() (took []time.Duration) {
	w.Helper()
	f, err := os.Create(filepath.Join(w.dir, "fsync"))
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	line := bytes.Repeat([]byte("x"), 600)
	for range 300 {
		start := time.Now()
		if _, err := f.Write(line); err != nil {
			w.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			w.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	return took
}
