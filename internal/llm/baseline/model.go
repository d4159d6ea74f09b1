// Package baseline is a model without a neural network: rules that train a
// good baseline on a table. It needs no key, no network and no clock, and goes
// through the same loop, policy and tools as any other model.
//
// Its one rule: a reply is a function of the request alone. The job is written
// as steps, each a plain function that asks for tool calls and reads their
// results. For every reply all steps run again from the start; a call whose
// result is in the transcript gives that result, and the first one without
// becomes the reply. So a session that was killed anywhere goes on where it
// was. When something goes wrong, the reply says so and ends as failed.
package baseline

import (
	"context"
	"fmt"
	"iter"

	"ml-intern/internal/llm"
)

// ID is how the model is named.
const ID = "builtin/baseline"

// Model is the built-in rule-based model. It holds nothing.
type Model struct{}

// Info implements llm.Model.
func (Model) Info() llm.Info { return llm.Info{ID: ID, Price: &llm.Price{}} }

// Stream implements llm.Model.
func (Model) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		if ctx.Err() != nil {
			yield(llm.Chunk{}, context.Cause(ctx))
			return
		}
		a := reply(req)
		if a.text != "" && !yield(llm.Chunk{Text: a.text}, nil) {
			return
		}
		for i := range a.calls {
			if !yield(llm.Chunk{Call: &a.calls[i]}, nil) {
				return
			}
		}
		yield(llm.Chunk{End: &llm.End{Reason: a.reason, Usage: usage(req, a)}}, nil)
	}
}

// answer is a whole reply.
type answer struct {
	text   string
	calls  []llm.ToolCall
	reason string
}

// reply runs the steps over the transcript until one needs something.
func reply(req llm.Request) answer {
	w := replay(req)
	if refusal := w.refusal(); refusal != nil {
		return w.close(refusal)
	}
	for i, step := range steps {
		w.step = i
		if err := step.run(w); err != nil {
			return w.close(err)
		}
	}
	return w.close(&end{text: "There is nothing left to do."}) // the last step always ends the job
}

// close turns what ended the steps into a reply, the plan brought up to date.
func (w *work) close(err error) answer {
	var a answer
	switch err := err.(type) { //nolint:errorlint // steps wrap neither need nor end
	case *need:
		a = answer{text: err.say, calls: err.calls, reason: llm.EndCalls}
		if plan, stale := w.plan(nil); stale {
			a.calls = append([]llm.ToolCall{plan}, a.calls...)
		}
	case *end:
		a = answer{text: err.text, reason: llm.EndStop}
		if err.failed {
			a.reason = llm.EndFailed
		}
		if plan, stale := w.plan(err); stale {
			a = answer{text: "Closing the plan.", calls: []llm.ToolCall{plan}, reason: llm.EndCalls}
		}
	default:
		a = answer{text: "This should not happen: " + err.Error(), reason: llm.EndFailed}
	}
	for i := range a.calls {
		a.calls[i].ID = fmt.Sprintf("call_%d", w.total+i+1)
	}
	return a
}

// usage estimates tokens. Nothing is charged for them.
func usage(req llm.Request, a answer) llm.Usage {
	input, output := len(req.System), len(a.text)
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			input += len(p.Text)
			if p.Call != nil {
				input += len(p.Call.Args)
			}
			if p.Result != nil {
				input += len(p.Result.Text)
			}
		}
	}
	for _, c := range a.calls {
		output += len(c.Args)
	}
	return llm.Usage{Input: input/4 + 1, Output: output/4 + 1, Estimated: true}
}
