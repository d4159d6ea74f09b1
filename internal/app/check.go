package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
)

// A Proof is what one tiny call showed of a model.
type Proof struct {
	What   string `json:"what"` // "text", "streaming", "tool call", "effort" or "caching"
	State  string `json:"state"`
	Detail string `json:"detail"`
}

// What a Proof found.
const (
	proofOK   = "ok"
	proofNo   = "no"
	proofNote = "note" // neither: it could not be seen
)

// A ModelCheck is what five tiny calls showed.
type ModelCheck struct {
	Model   string    `json:"model"`
	Proofs  []Proof   `json:"proofs"`
	Usage   llm.Usage `json:"usage"`
	CostUSD float64   `json:"cost_usd"`
	Priced  bool      `json:"priced"`
}

// checkOutput bounds the replies of a check, in tokens: room for a thought.
const checkOutput = 1024

// CheckModel proves with five tiny calls that the model answers: text,
// streaming, a tool call, effort and caching. The error is that of the first
// call: a model that gives no text is of no use.
func CheckModel(ctx context.Context, cfg *config.Config, id string) (ModelCheck, error) {
	renewLogin(ctx, cfg, id)
	m, err := model(cfg, id)
	if err != nil {
		return ModelCheck{}, err
	}
	c := checker{ctx: ctx, model: m, check: ModelCheck{Model: id, Priced: m.Info().Price != nil}}
	err = c.run()
	return c.check, err
}

type checker struct {
	ctx   context.Context //nolint:containedctx // of this check alone
	model llm.Model
	check ModelCheck
}

func (c *checker) run() error {
	text, err := c.ask(say("Answer with the word ready and nothing else."))
	if err != nil {
		c.add("text", proofNo, err.Error())
		return err
	}
	c.add("text", proofOK, fmt.Sprintf("%.60q in %.1f s", strings.TrimSpace(text.reply.Message.Text()), text.took.Seconds()))
	c.streaming()
	c.toolCall()
	c.effort()
	c.caching()
	if text.reply.Message.Text() == "" {
		c.check.Proofs[0] = Proof{"text", proofNo, "the reply was empty"}
		return fmt.Errorf("check model %s: %w", c.check.Model, errEmptyCheck)
	}
	return nil
}

var errEmptyCheck = errors.New("it answers with no text")

func (c *checker) add(what, state, detail string) {
	c.check.Proofs = append(c.check.Proofs, Proof{what, state, detail})
}

func say(text string) llm.Request {
	return llm.Request{MaxOutput: checkOutput, Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: text}}}}}
}

// asked is one call and what was seen of it.
type asked struct {
	reply   llm.Reply
	pieces  int
	notices []string
	took    time.Duration
}

func (c *checker) ask(req llm.Request) (asked, error) {
	var a asked
	var sum llm.Collector
	start := time.Now()
	for chunk, err := range llm.Retry(c.model, llm.RetryOptions{Tries: 3, Total: time.Minute}).Stream(c.ctx, req) {
		if err != nil {
			return a, err
		}
		if chunk.Text != "" || chunk.Reasoning != "" {
			a.pieces++
		}
		if chunk.Notice != "" {
			a.notices = append(a.notices, chunk.Notice)
		}
		sum.Add(chunk)
	}
	a.took = time.Since(start)
	a.reply, _ = sum.Reply()
	c.check.Usage = c.check.Usage.Add(a.reply.End.Usage)
	c.check.CostUSD += c.model.Info().Price.USD(a.reply.End.Usage)
	return a, nil
}

func (c *checker) streaming() {
	a, err := c.ask(say("Count from one to thirty in words."))
	switch {
	case err != nil:
		c.add("streaming", proofNo, err.Error())
	case a.pieces < 2:
		c.add("streaming", proofNo, "the whole reply came in one piece")
	default:
		c.add("streaming", proofOK, fmt.Sprintf("%d pieces in %.1f s", a.pieces, a.took.Seconds()))
	}
}

func (c *checker) toolCall() {
	req := say("Use the tool add to add 19 and 23. Do not answer yourself.")
	req.Tools = []llm.ToolSpec{{
		Name: "add", Description: "Add two numbers.",
		Schema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}`),
	}}
	a, err := c.ask(req)
	calls := a.reply.Message.Calls()
	switch {
	case err != nil:
		c.add("tool call", proofNo, err.Error())
	case len(calls) == 0:
		c.add("tool call", proofNo, fmt.Sprintf("it answered %.60q instead", a.reply.Message.Text()))
	case calls[0].Name != "add" || !json.Valid([]byte(calls[0].Args)):
		c.add("tool call", proofNo, fmt.Sprintf("it called %s with %.80q", calls[0].Name, calls[0].Args))
	default:
		c.add("tool call", proofOK, calls[0].Name+" "+calls[0].Args)
	}
}

func (c *checker) effort() {
	req := say("Answer with the word ready and nothing else.")
	req.Effort = "low"
	a, err := c.ask(req)
	switch {
	case err != nil:
		c.add("effort", proofNo, err.Error())
	case len(a.notices) > 0:
		c.add("effort", proofNo, a.notices[0])
	default:
		c.add("effort", proofOK, "low is taken, or left out where the model has no levels")
	}
}

// caching asks with a prefix that is long enough for every provider's cache,
// twice if need be.
func (c *checker) caching() {
	req := say("Answer with the word ready and nothing else.")
	req.System = strings.Repeat("This line is here to be long enough for a cache. ", 500)
	req.Session = "ml-intern-check"
	for try := range 2 {
		a, err := c.ask(req)
		if err != nil {
			c.add("caching", proofNo, err.Error())
			return
		}
		if u := a.reply.End.Usage; u.CacheRead > 0 {
			c.add("caching", proofOK, fmt.Sprintf("%d of %d tokens came from the cache", u.CacheRead, u.Input))
			return
		}
		if try == 0 && c.model.Info().Price == nil && a.reply.End.Usage.Estimated {
			break // a server that does not count says nothing of a cache either
		}
	}
	c.add("caching", proofNote, "not seen: the server reports no cached tokens")
}
