package hook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// maxOutput is how much a hook may print, in bytes of each stream.
const maxOutput = 256 << 10

var (
	errFlood   = errors.New("it printed too much")
	errTimeout = errors.New("it took too long")
)

// run runs one hook. The program and all that it started are gone when run
// returns.
func (r Runner) run(ctx context.Context, h Hook, ev Event) (Answer, error) {
	if h.Check != nil {
		if err := h.Check(); err != nil {
			return Answer{}, err
		}
	}
	in, err := json.Marshal(ev)
	if err != nil {
		return Answer{}, fmt.Errorf("encode event: %w", err)
	}
	limit := cmp.Or(h.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: more than %v", errTimeout, limit))
	defer cancel()
	ctx, flood := context.WithCancelCause(ctx)
	defer flood(nil)
	out, errs := &capped{over: flood}, &capped{over: flood}
	c := shell(ctx, h.Command)
	c.Dir, c.Stdin, c.Stdout, c.Stderr = r.Dir, bytes.NewReader(in), out, errs
	c.Env = append(append([]string{}, r.Env...), "ML_INTERN_PROJECT_DIR="+r.Dir, "CLAUDE_PROJECT_DIR="+r.Dir)
	c.Cancel = func() error { return killGroup(c) }
	c.WaitDelay = time.Second
	err = c.Run()
	if c.Process != nil {
		_ = killGroup(c) // what it left behind
	}
	if cause := context.Cause(ctx); cause != nil {
		return Answer{}, cause
	}
	return h.answer(ev, err, out.text.String(), strings.TrimSpace(errs.text.String()))
}

// answer reads what a program said by its exit status and in words. Whether it
// read what it was told is its own affair.
func (h Hook) answer(ev Event, err error, out, errs string) (Answer, error) {
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case ended && exit.ExitCode() == 2:
		return Answer{Verdict: deny, Reason: cmp.Or(errs, "it gives no reason")}, nil
	case ended:
		return Answer{}, fmt.Errorf("%w: %s", exit, shorten(cmp.Or(errs, "it says nothing")))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return Answer{}, err
	}
	out = strings.TrimSpace(out)
	switch {
	case out == "":
		return Answer{}, nil
	case !strings.HasPrefix(out, "{") && ev.Name == Prompt:
		return Answer{Context: out}, nil
	}
	return parse(ev, out)
}

// A said is what a hook may print. The older decision and the newer one are
// both understood.
type said struct {
	Continue   *bool  `json:"continue"`
	StopReason string `json:"stopReason"`
	Decision   string `json:"decision"`
	Reason     string `json:"reason"`
	Message    string `json:"systemMessage"`
	Context    string `json:"additionalContext"`
	Specific   struct {
		Decision string `json:"permissionDecision"`
		Reason   string `json:"permissionDecisionReason"`
		Context  string `json:"additionalContext"`
	} `json:"hookSpecificOutput"`
}

func parse(ev Event, out string) (Answer, error) {
	var s said
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return Answer{}, fmt.Errorf("it did not print JSON: %w", err)
	}
	a := Answer{
		Reason:  cmp.Or(s.Specific.Reason, s.Reason, s.StopReason, "it gives no reason"),
		Context: cmp.Or(s.Specific.Context, s.Context),
	}
	if s.Message != "" {
		a.Notices = []string{s.Message}
	}
	switch word := cmp.Or(s.Specific.Decision, s.Decision); word {
	case "":
	case allow, "approve":
		a.Verdict = allow
	case ask:
		a.Verdict = ask
	case deny, "block":
		a.Verdict = deny
	default:
		return Answer{}, fmt.Errorf("it printed the decision %.40q, which is none of allow, ask and deny", word)
	}
	if s.Continue != nil && !*s.Continue && (ev.Name == BeforeTool || ev.Name == Prompt) {
		a.Verdict = deny
	}
	return a, nil
}

// capped keeps what is printed, and stops a program that prints too much.
type capped struct {
	text bytes.Buffer // not embedded: its ReadFrom would pass Write by
	over context.CancelCauseFunc
}

func (c *capped) Write(p []byte) (int, error) {
	if c.text.Len()+len(p) > maxOutput {
		c.over(errFlood)
		return 0, errFlood
	}
	return c.text.Write(p)
}
