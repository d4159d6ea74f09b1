package bench_test

import (
	"bytes"
	"fmt"
	"net/http"

	"ml-intern/internal/llm/llmtest"
)

// An overlap counts how much of what was sent before is sent again, byte for
// byte, at the start of the next request. That much a provider can cache.
type overlap struct{ same, all int }

// add compares a request with the one before it, whose end is left out:
// it closes the list of messages.
func (o *overlap) add(before, after []byte) {
	before = bytes.TrimSuffix(before, []byte("]}"))
	o.all += len(before)
	o.same += commonPrefix(before, after)
}

func (o *overlap) addAll(seen []llmtest.Seen) {
	for i := range seen[1:] {
		o.add(seen[i].Body, seen[i+1].Body)
	}
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (o *overlap) percent() float64 { return 100 * float64(o.same) / float64(o.all) }

// prefixes measures how much of each request a provider has seen before.
func (w *world) prefixes() []row {
	var steps, resumes, retries, fresh overlap
	home := w.home()
	first := w.run(w.ours, home, echoes(20, history(200_000)...), "one prompt")
	steps.addAll(first.seen)

	second := w.run(w.ours, home, echoes(3), "--continue", "and another")
	resumes.add(first.seen[len(first.seen)-1].Body, second.seen[0].Body)
	steps.addAll(second.seen)

	faulty := w.run(w.ours, w.home(), func(n int, _ []byte) llmtest.Turn {
		switch n {
		case 0:
			return bash("echo 0")
		case 1:
			return llmtest.Turn{Status: http.StatusServiceUnavailable}
		case 2:
			return llmtest.Turn{Text: "half an answer", Chunk: 4, CutAfter: 2}
		}
		return llmtest.Turn{Text: "done"}
	}, "one prompt")
	retries.addAll(faulty.seen)

	// A new session of the folder sends the tools, the system prompt and, if
	// it is the same, the prompt again.
	again := w.run(w.ours, w.home(), echoes(0), "one prompt")
	fresh.add(first.seen[0].Body, again.seen[0].Body)
	other := w.run(w.ours, w.home(), echoes(0), "Something else")
	prompt := []byte(`{"role":"user"`)
	fresh.add(first.seen[0].Body[:bytes.LastIndex(first.seen[0].Body, prompt)], other.seen[0].Body)

	sum := overlap{}
	for _, o := range []overlap{steps, resumes, retries, fresh} {
		sum.same, sum.all = sum.same+o.same, sum.all+o.all
	}
	return []row{{
		"17", "bytes of a request that the next one repeats as its prefix",
		fmt.Sprintf("%.2f %%: steps %.2f, resumes %.2f, retries %.2f, new sessions of the folder %.2f",
			sum.percent(), steps.percent(), resumes.percent(), retries.percent(), fresh.percent()),
		"100 %", holds(sum.same == sum.all),
	}}
}
