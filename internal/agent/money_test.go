package agent_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// disk is a Store whose process can die: from then on nothing is saved.
type disk struct {
	session.Store
	events []session.Event
	lives  int // appends until death
}

var errDead = errors.New("the process is dead")

func (d *disk) Append(_ context.Context, _ string, evs ...session.Event) error {
	if d.lives--; d.lives < 0 {
		return errDead
	}
	d.events = append(d.events, evs...)
	return nil
}

func (d *disk) Load(context.Context, string, int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for _, ev := range d.events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// bank is a provider that keeps its own books: what it really charges.
type bank struct {
	r       *rand.Rand
	tokens  float64 // that its tokenizer makes of a byte
	price   llm.Price
	charged float64
}

func (b *bank) next(_ int, req llm.Request) llmtest.Reply {
	size := 0
	for _, m := range req.Messages {
		_, most := session.Estimate(m)
		size += most
	}
	usage := llm.Usage{Input: 1 + int(float64(size)*b.tokens), Output: 1 + b.r.IntN(max(req.MaxOutput, 1))}
	if b.r.IntN(3) == 0 {
		usage.CacheRead = b.r.IntN(usage.Input)
		usage.CacheWrite = usage.Input - usage.CacheRead
	}
	switch b.r.IntN(8) {
	case 0:
		return llmtest.Reply{Err: &llm.StatusError{Status: 503}}
	case 1: // what came before the break is charged
		text := strings.Repeat("words ", 1+b.r.IntN(20))
		b.charged += b.price.USD(llm.Usage{Input: 1, Output: 1})
		return llmtest.Reply{Chunks: []llm.Chunk{{Text: text}}, Err: &llm.TransportError{Err: errors.New("reset")}}
	}
	b.charged += b.price.USD(usage)
	reply := llmtest.Call(fmt.Sprint("c", b.r.Uint64()), "big", "{}")
	if b.r.IntN(12) == 0 {
		reply = llmtest.Say("done")
	}
	last := len(reply.Chunks) - 1
	reply.Chunks[last].End = &llm.End{Reason: reply.Chunks[last].End.Reason, Usage: usage}
	return reply
}

// Whatever calls, failures and crashes come in whatever order, the provider
// never charges more than the cap, and no run is told that it spent less than
// the provider charged.
func TestNeverADollarPastTheCap(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 7))
		limit := 0.01 + r.Float64()*0.5
		b := &bank{r: r, tokens: 0.15 + 0.85*r.Float64(), price: llm.Price{Input: 3, Output: 15, CacheRead: 0.3, CacheWrite: 3.75}}
		model := &llmtest.Script{Price: b.price, Output: 4000, Window: 20_000 * r.IntN(2), Next: b.next}
		store := &disk{lives: 1000}
		s, err := session.New(t.Context(), store, session.Opened{ID: "s"}, "go")
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for range 6 { // lives
			store.lives = r.IntN(60)
			a := newAgent(t, model, big(1000+r.IntN(20_000)))
			a.Ledger = &ledger.Account{Cap: ledger.Amount{USD: limit}}
			a.Ledger.Spend(s.Bill().Cost)
			a.Retry = llm.RetryOptions{Wait: time.Nanosecond}
			a.Guards = nil
			last = run(t.Context(), a, s, "")
			store.lives = 1 << 30
			if s, err = session.Open(t.Context(), store, "s"); err != nil {
				t.Fatal(err)
			}
		}
		if bill := s.Bill().Cost.USD; b.charged > limit || bill > limit+1e-9 || b.charged > bill+1e-9 {
			t.Fatalf("seed %d: the provider charged $%.4f, the log says $%.4f, the cap is $%.4f; %v", seed, b.charged, bill, limit, last)
		}
	}
}

// A call that cannot end below the cap is not made; a smaller reply is asked
// for while there is money for one.
func TestRepliesShrinkToTheMoney(t *testing.T) {
	t.Parallel()
	script := &llmtest.Script{Price: llm.Price{Input: 1, Output: 100}, Output: 50_000, Next: func(n int, _ llm.Request) llmtest.Reply {
		reply := llmtest.Call(fmt.Sprint(n), "big", "{}")
		reply.Chunks[1].End = &llm.End{Reason: llm.EndCalls, Usage: llm.Usage{Input: 100, Output: 4000}}
		return reply
	}}
	a := newAgent(t, script, big(100))
	a.Ledger.Cap.USD = 2
	s := begin(t, openStore(t, t.TempDir()))
	err := run(t.Context(), a, s, "")
	if !errors.Is(err, ledger.ErrCap) {
		t.Fatalf("got %v", err)
	}
	limits := []int{}
	for _, req := range script.Requests() {
		limits = append(limits, req.MaxOutput)
	}
	if len(limits) < 4 || limits[0] >= 20_000 || limits[len(limits)-1] < 2000 || s.Bill().Cost.USD > 2 {
		t.Errorf("limits %v, spent %v", limits, s.Bill().Cost)
	}
	if n := strings.Count(kinds(s), "notice"); n < 2 {
		t.Errorf("%d warnings: %s", n, kinds(s))
	}
}

// Counts that cannot be are not believed, neither for money nor for the window.
func TestAbsurdUsage(t *testing.T) {
	t.Parallel()
	for name, usage := range map[string]llm.Usage{
		"absurd":   {Input: 1 << 40, Output: 1 << 40},
		"negative": {Input: -5, Output: -1 << 40},
		"cache":    {Input: 100, Output: 1, CacheRead: 500},
		"zero":     {},
	} {
		reply := llmtest.Say("done")
		reply.Chunks[1].End = &llm.End{Reason: llm.EndStop, Usage: usage}
		a := newAgent(t, &llmtest.Script{Price: llm.Price{Input: 1, Output: 1}, Window: 128_000, Replies: []llmtest.Reply{reply}})
		a.Ledger.Cap.USD = 1
		s := begin(t, openStore(t, t.TempDir()))
		if err := run(t.Context(), a, s, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		bill := s.Bill()
		if bill.Cost.USD < 0 || bill.Cost.USD > 1 || bill.Usage.Input < 0 || bill.Usage.Input > 10_000 {
			t.Errorf("%s: %+v", name, bill)
		}
	}
}

// A tool that costs money is set aside for at its worst, and refused past the cap.
func TestToolsThatSpend(t *testing.T) {
	t.Parallel()
	runs := 0
	spec := tool.Spec{Effect: tool.Spends, ToolSpec: llm.ToolSpec{Name: "rent"}, Impact: func(string) tool.Impact {
		return tool.Impact{Effect: tool.Spends, CostUSD: 3}
	}}
	rent := tool.New(spec, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		runs++
		return tool.Output{Text: "rented", CostUSD: 1}, nil
	})
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Calls(llm.ToolCall{ID: "1", Name: "rent", Args: "{}"}, llm.ToolCall{ID: "2", Name: "rent", Args: "{}"}),
		llmtest.Call("3", "rent", "{}"), llmtest.Say("done"),
	}}, rent)
	a.Ledger.Cap.USD, a.Guards = 5, nil
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.Bill().Cost.USD; runs != 2 || got != 2 || a.Ledger.Spent().USD != 2 {
		t.Errorf("%d runs, $%v on the bill, $%v spent", runs, got, a.Ledger.Spent().USD)
	}
	if !strings.Contains(s.Messages()[3].Parts[0].Result.Text, "cost cap") {
		t.Errorf("the model is told %q", s.Messages()[3].Parts[0].Result.Text)
	}
	lines := s.Bill().Lines
	if last := lines[len(lines)-1]; last.For != "tool" || last.Name != "rent" || last.Calls != 2 {
		t.Errorf("lines %+v", lines)
	}
}

// The next model takes over when one is out of reach or credit, for this turn;
// the log says so and nothing that was shown stays valid.
func TestFailover(t *testing.T) {
	t.Parallel()
	down := func(n int, _ llm.Request) llmtest.Reply {
		return llmtest.Reply{Chunks: []llm.Chunk{{Text: "half"}}, Err: &llm.StatusError{Status: 503}}
	}
	first := &llmtest.Script{ID: "a", Next: down}
	broke := &llmtest.Script{ID: "b", Next: func(int, llm.Request) llmtest.Reply {
		return llmtest.Reply{Err: &llm.StatusError{Status: 402}}
	}}
	third := &llmtest.Script{ID: "c", Next: func(int, llm.Request) llmtest.Reply { return llmtest.Say("hello") }}
	a := newAgent(t, first)
	a.Models = []llm.Model{first, broke, third}
	a.Retry = llm.RetryOptions{Tries: 2, Wait: time.Millisecond}
	s := begin(t, openStore(t, t.TempDir()))
	shown := ""
	for ev, err := range a.Run(t.Context(), s, "") {
		if err != nil {
			t.Fatal(err)
		}
		if c := ev.Chunk; c != nil {
			if shown += c.Text; c.Restart {
				shown = ""
			}
		}
	}
	if shown != "hello" || s.Model() != "c" || strings.Count(kinds(s), "switched") != 2 {
		t.Errorf("shown %q, model %q, %s", shown, s.Model(), kinds(s))
	}
	if err := run(t.Context(), a, s, "again"); err != nil || len(first.Requests()) != 4 {
		t.Errorf("the next turn: %v, %d requests to the first", err, len(first.Requests()))
	}
	a.Models = a.Models[:2]
	if err := run(t.Context(), a, s, "once more"); !errors.Is(err, llm.ErrCredit) {
		t.Errorf("with no other left: %v", err)
	}
}

// A model that does not keep the limit its money was set aside for is hung up
// on, and not asked again: each time would cost as much.
func TestEndlessReply(t *testing.T) {
	t.Parallel()
	endless := llmtest.Reply{}
	for range 400 {
		endless.Chunks = append(endless.Chunks, llm.Chunk{Text: strings.Repeat("words ", 200)})
	}
	model := &llmtest.Script{Price: llm.Price{Input: 1, Output: 10}, Output: 2000, Next: func(int, llm.Request) llmtest.Reply { return endless }}
	a := newAgent(t, model)
	a.Ledger.Cap.USD = 1
	a.Retry = llm.RetryOptions{Wait: time.Nanosecond}
	s := begin(t, openStore(t, t.TempDir()))
	err := run(t.Context(), a, s, "")
	if err == nil || errors.Is(err, llm.ErrUnreachable) || len(model.Requests()) != 1 || s.Bill().Cost.USD > 1 || s.Bill().Cost.USD == 0 {
		t.Errorf("%v after %d requests, %+v", err, len(model.Requests()), s.Bill().Cost)
	}
}

// A job is booked at its worst when it starts, at what it cost when it is
// over, whoever sees that first, and at nothing twice.
func TestJobsAreBookedAtTheirWorst(t *testing.T) {
	t.Parallel()
	spec := tool.Spec{Effect: tool.Spends, Resumable: true, ToolSpec: llm.ToolSpec{Name: "submit"}, Impact: func(string) tool.Impact {
		return tool.Impact{Effect: tool.Spends, CostUSD: 3}
	}}
	runs := 0
	submit := tool.New(spec, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		runs++
		return tool.Output{Text: "sent", Charges: []tool.Charge{{Label: fmt.Sprint("s/", runs), Job: fmt.Sprint("job", runs), USD: 3}}}, nil
	})
	wait := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "wait"}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		return tool.Output{Text: "over", Charges: []tool.Charge{{Label: "s/1", Job: "job1", USD: 0.5, Final: true}, {Label: "s/1", Job: "job1", USD: 3}}}, nil
	})
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Calls(llm.ToolCall{ID: "1", Name: "submit", Args: "{}"}, llm.ToolCall{ID: "2", Name: "submit", Args: "{}"}),
		llmtest.Call("3", "wait", "{}"), llmtest.Call("4", "submit", "{}"), llmtest.Say("done"), llmtest.Say("bye"),
	}}, submit, wait)
	a.Ledger.Cap.USD, a.Guards = 5, nil
	var asked [][]tool.Charge
	a.Charges = func(_ context.Context, open []tool.Charge) []tool.Charge {
		asked = append(asked, open)
		if len(asked) == 1 { // at the end of the first turn it still runs
			return []tool.Charge{{Label: "s/2", Job: "job2", USD: 3}}
		}
		return []tool.Charge{{Label: "s/2", Job: "job2", USD: 1, Final: true}}
	}
	store := openStore(t, t.TempDir())
	s := begin(t, store)
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	// The second does not fit beside the first; when the first is over, another does.
	if got := s.Bill().Cost.USD; runs != 2 || got != 3.5 || a.Ledger.Spent().USD != 3.5 || !s.Answered() {
		t.Fatalf("%d jobs, $%v on the bill, $%v spent, answered %v", runs, got, a.Ledger.Spent().USD, s.Answered())
	}
	if open := s.OpenJobs(); len(open) != 1 || open[0].Job != "job2" {
		t.Errorf("open are %v", open)
	}
	if err := run(t.Context(), a, s, "and now?"); err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(t.Context(), store, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	bill := s.Bill()
	if bill.Cost.USD != 1.5 || a.Ledger.Spent().USD != 1.5 || len(s.OpenJobs()) != 0 || len(asked) != 2 {
		t.Errorf("$%v on the bill, $%v spent, open %v, asked %v", bill.Cost.USD, a.Ledger.Spent().USD, s.OpenJobs(), asked)
	}
	for _, line := range bill.Lines {
		if line.For == "job" && (line.Open.USD != 0 || line.Calls != 1) {
			t.Errorf("line %+v", line)
		}
	}
}

// A call that a stop cuts short counts at its worst, in the account as on the
// bill, until it is finished or given up; never twice.
func TestStoppedSpendingCountsOnce(t *testing.T) {
	t.Parallel()
	for _, prompt := range []string{"", "something else"} {
		spec := tool.Spec{Effect: tool.Spends, Resumable: true, ToolSpec: llm.ToolSpec{Name: "submit"}, Impact: func(string) tool.Impact {
			return tool.Impact{Effect: tool.Spends, CostUSD: 3}
		}}
		ctx, stop := context.WithCancel(t.Context())
		submit := tool.New(spec, func(ctx context.Context, _ struct{}, call tool.Call) (tool.Output, error) {
			stop()
			if err := ctx.Err(); err != nil {
				return tool.Output{}, err
			}
			select {
			case <-ctx.Done():
				return tool.Output{}, ctx.Err()
			case <-time.After(20 * time.Millisecond): // the second time
			}
			return tool.Output{Text: "sent", Charges: []tool.Charge{{Label: call.ID, Job: "job1", USD: 2}}}, nil
		})
		a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "submit", "{}"), llmtest.Say("done"), llmtest.Say("bye")}}, submit)
		a.Ledger.Cap.USD, a.Guards = 10, nil
		s := begin(t, openStore(t, t.TempDir()))
		if err := run(ctx, a, s, ""); err == nil {
			t.Fatal("the turn was not stopped")
		}
		if bill := s.Bill().Cost.USD; bill != 3 || a.Ledger.Spent().USD != 3 {
			t.Errorf("after the stop: $%v on the bill, $%v spent", bill, a.Ledger.Spent().USD)
		}
		if err := run(t.Context(), a, s, prompt); err != nil {
			t.Fatal(err)
		}
		want := 2.0
		if prompt != "" {
			want = 3 // it may have been sent
		}
		if bill := s.Bill().Cost.USD; bill != want || a.Ledger.Spent().USD != want {
			t.Errorf("after %q: $%v on the bill, $%v spent, want $%v", prompt, bill, a.Ledger.Spent().USD, want)
		}
		// A job of that label turns up, or was never sent: it is on the bill once.
		a.Charges = func(_ context.Context, open []tool.Charge) []tool.Charge {
			return []tool.Charge{{Label: open[0].Label, Job: "job1", USD: 0.25, Final: true}}
		}
		if err := run(t.Context(), a, s, "and now?"); err != nil {
			t.Fatal(err)
		}
		if bill := s.Bill(); bill.Cost.USD != 0.25 || a.Ledger.Spent().USD != 0.25 || bill.Lines[len(bill.Lines)-1].Name != "job1" {
			t.Errorf("in the end: %+v, $%v spent", bill, a.Ledger.Spent().USD)
		}
	}
}

// What is set aside for a call is what it was judged by, whatever it would cost
// a moment later.
func TestPriceRisesAfterTheJudgement(t *testing.T) {
	t.Parallel()
	asked := 0
	spec := tool.Spec{Effect: tool.Spends, ToolSpec: llm.ToolSpec{Name: "rent"}, Impact: func(string) tool.Impact {
		asked++
		return tool.Impact{Effect: tool.Spends, CostUSD: float64(asked)}
	}}
	var worst float64
	rent := tool.New(spec, func(_ context.Context, _ struct{}, call tool.Call) (tool.Output, error) {
		worst = call.WorstUSD
		return tool.Output{Text: "rented", CostUSD: call.WorstUSD}, nil
	})
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "rent", "{}"), llmtest.Say("done")}}, rent)
	a.Guards = nil
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if worst != 1 || s.Bill().Cost.USD != 1 {
		t.Errorf("$%v were set aside, $%v are on the bill", worst, s.Bill().Cost.USD)
	}
}
