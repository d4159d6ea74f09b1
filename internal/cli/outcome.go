package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// An outcome is how a turn ended.
type outcome struct {
	session  string
	answer   string
	err      error
	exit     app.Exit
	steps    int
	usage    llm.Usage
	costUSD  float64
	arts     []tool.Artifact
	duration time.Duration
	localHub bool
}

func newOutcome(c *app.Conversation, err error, duration time.Duration) outcome {
	bill := c.Session.Bill()
	return outcome{
		session:  c.Session.ID,
		answer:   c.Session.Answer(),
		err:      err,
		exit:     app.Classify(err),
		steps:    c.Session.Steps(),
		usage:    bill.Usage,
		costUSD:  math.Round(bill.Cost.USD*1e9) / 1e9, // without the noise of adding up
		arts:     c.Session.Artifacts(),
		duration: duration,
		localHub: c.Session.Opened().Hub == app.LocalHub,
	}
}

// result is the answer, or why there is none.
func (o outcome) result() string {
	if o.err != nil && (o.exit.Reason != "gave_up" || o.answer == "") {
		return o.err.Error()
	}
	return o.answer
}

// The usage in JSON output, in tokens.
type usageJSON struct {
	InputTokens      int  `json:"input_tokens"`
	OutputTokens     int  `json:"output_tokens"`
	CacheReadTokens  int  `json:"cache_read_input_tokens"`
	CacheWriteTokens int  `json:"cache_creation_input_tokens"`
	Estimated        bool `json:"estimated,omitempty"`
}

func newUsage(u llm.Usage) usageJSON {
	return usageJSON{u.Input, u.Output, u.CacheRead, u.CacheWrite, u.Estimated}
}

// An artifact in JSON output has all its fields, empty or not.
type artifactJSON struct {
	Kind   string `json:"kind"`
	URL    string `json:"url"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// jsonPrinter prints one object at the end.
type jsonPrinter struct {
	out io.Writer
	progress
}

func (p *jsonPrinter) end(o outcome) error {
	type report struct {
		SessionID  string         `json:"session_id"`
		Result     string         `json:"result"`
		IsError    bool           `json:"is_error"`
		ExitReason string         `json:"exit_reason"`
		Steps      int            `json:"steps"`
		Usage      usageJSON      `json:"usage"`
		CostUSD    float64        `json:"cost_usd"`
		Artifacts  []artifactJSON `json:"artifacts"`
	}
	arts := []artifactJSON{}
	for _, a := range o.arts {
		arts = append(arts, artifactJSON(a))
	}
	return printJSON(p.out, report{
		SessionID: o.session, Result: o.result(), IsError: o.err != nil, ExitReason: o.exit.Reason,
		Steps: o.steps, Usage: newUsage(o.usage), CostUSD: o.costUSD, Artifacts: arts,
	})
}

// eventsPrinter prints the session's own events as they are saved.
type eventsPrinter struct{ out io.Writer }

func (p eventsPrinter) begin(c *app.Conversation) error {
	for _, ev := range c.Session.Events() {
		if err := p.event(ev); err != nil {
			return err
		}
	}
	return nil
}

func (p eventsPrinter) event(ev session.Event) error {
	if ev.Live() {
		return nil
	}
	return printJSON(p.out, ev.Bare())
}

func (eventsPrinter) end(outcome) error { return nil }

// printJSON prints v as one line.
func printJSON(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// printList prints a list as one line of JSON; an empty one is [], not null.
func printList[T any](w io.Writer, list []T) error {
	if list == nil {
		list = []T{}
	}
	return printJSON(w, list)
}
