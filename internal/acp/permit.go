package acp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
)

// errWithdrawn takes a question back: the turn was stopped.
var errWithdrawn = errors.New("the question is not open any more")

// A question is a call as the editor shows it to the person who decides.
type question struct {
	approval.Request
	call sdk.ToolCallUpdate
}

// The answers that a person can give.
const (
	allowOnce    = "allow_once"
	allowSession = "allow_session"
	allowAlways  = "allow_always"
	rejectOnce   = "reject_once"
)

// options are the answers to a question. Those for more than this call name the
// rule that they make.
func (q question) options() []sdk.PermissionOption {
	list := []sdk.PermissionOption{{OptionId: allowOnce, Name: "Allow once", Kind: sdk.PermissionOptionKindAllowOnce}}
	if rules := ruleWords(q.Remember); rules != "" {
		list = append(list,
			sdk.PermissionOption{OptionId: allowSession, Name: "Allow in this session: " + rules, Kind: sdk.PermissionOptionKindAllowAlways},
			sdk.PermissionOption{OptionId: allowAlways, Name: "Always allow: " + rules, Kind: sdk.PermissionOptionKindAllowAlways})
	}
	return append(list, sdk.PermissionOption{OptionId: rejectOnce, Name: "Reject", Kind: sdk.PermissionOptionKindRejectOnce})
}

func ruleWords(rules []approval.Rule) string {
	var all []string
	for _, u := range rules {
		all = append(all, oneLine(u.String(), 300))
	}
	return strings.Join(all, "; ")
}

// ask puts the questions of a step one after the other, as rules that one answer
// makes decide the next.
func (t *thread) ask(ctx context.Context, ask *chat.Ask, questions []question) {
	var decisions []approval.Decision
	var given []string
	for _, q := range questions {
		if covered(q.Remember, given) {
			decisions = append(decisions, approval.Decision{Verdict: approval.Allow})
			continue
		}
		var resp sdk.RequestPermissionResponse
		err := t.wire.ask(ctx, sdk.ClientMethodSessionRequestPermission, sdk.RequestPermissionRequest{SessionId: t.id, ToolCall: q.call, Options: q.options()}, &resp)
		if ctx.Err() != nil {
			return // the turn is stopped
		}
		d, ok := decided(q, resp, err)
		if !ok {
			t.cancel()
			return
		}
		if d.For != approval.Once {
			for _, u := range q.Remember {
				given = append(given, u.String())
			}
		}
		decisions = append(decisions, d)
	}
	ask.Answer(decisions)
}

// covered reports whether rules that were given allow all that is asked for.
func covered(asked []approval.Rule, given []string) bool {
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(u approval.Rule) bool { return !slices.Contains(given, u.String()) })
}

// decided reads the editor's answer; not ok if the turn is cancelled. Whatever is
// no yes is a no.
func decided(q question, resp sdk.RequestPermissionResponse, err error) (d approval.Decision, ok bool) {
	deny := func(reason string) (approval.Decision, bool) {
		return approval.Decision{Verdict: approval.Deny, Reason: reason}, true
	}
	switch {
	case err != nil:
		return deny("the person could not be asked: " + oneLine(err.Error(), 300))
	case resp.Outcome.Cancelled != nil && resp.Outcome.Cancelled.Outcome == "cancelled": // not what the library makes of nothing
		return approval.Decision{}, false
	case resp.Outcome.Selected == nil:
		return deny("the editor gave no answer that is known here")
	}
	id := resp.Outcome.Selected.OptionId
	if !slices.ContainsFunc(q.options(), func(o sdk.PermissionOption) bool { return o.OptionId == id }) {
		return deny(fmt.Sprintf("the editor gave an answer that was not to be chosen: %.60q", string(id)))
	}
	switch id {
	case allowOnce:
		return approval.Decision{Verdict: approval.Allow}, true
	case allowSession:
		return approval.Decision{Verdict: approval.Allow, For: approval.Session}, true
	case allowAlways:
		return approval.Decision{Verdict: approval.Allow, For: approval.Always}, true
	}
	return deny("")
}

// reasons are what a person needs to decide besides the call itself.
func reasons(r approval.Request) string {
	var b strings.Builder
	line := func(what string, words ...string) {
		if text := strings.Join(words, ", "); text != "" {
			fmt.Fprintf(&b, "- %s: %s\n", what, oneLine(text, 2000))
		}
	}
	i := r.Impact
	line("asked because", r.Reason)
	if i.CostUSD > 0 {
		line("costs", fmt.Sprintf("up to $%.2f", i.CostUSD))
	}
	line("files", i.Paths...)
	line("reaches", i.Hosts...)
	line("repository", i.Repo)
	line("is given", i.Secrets...)
	return b.String()
}
