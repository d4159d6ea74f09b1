package app

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"ml-intern/internal/agent"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/session"
)

// Causes with which a front end cancels a turn's context.
var (
	ErrInterrupted = errors.New("interrupted by the person")
	ErrTimeBudget  = errors.New("the time budget is spent")
)

// ErrUsage marks a mistake in how the program was called or configured.
var ErrUsage = errors.New("wrong usage")

// An Exit is how a run ends: the process's exit code, the reason that JSON
// output and the log carry, and what the person can do about it.
type Exit struct {
	Code   int
	Reason string
	Hint   string
}

// Classify is the one place that turns errors into exits. A nil error is an
// answer. The codes are documented in docs/exit-codes.md.
func Classify(err error) Exit {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return Exit{0, "answered", ""}
	case is(ErrInterrupted):
		return Exit{130, "interrupted", "go on with: ml-intern --continue"}
	case is(ErrTimeBudget):
		return Exit{7, "time_budget", "go on with: ml-intern --continue --time-budget DURATION"}
	case is(agent.ErrApproval):
		return Exit{3, "approval", "decide at a terminal: ml-intern --continue --approve ask; or leave it"}
	case is(agent.ErrHook):
		return Exit{1, "hook", "change the prompt, or the hook: ml-intern config show"}
	case is(login.ErrNoToken, login.ErrExpired, ErrNoAccount):
		return Exit{4, "auth", "log in with: ml-intern login"}
	case is(login.ErrIdentity) && !is(context.Canceled, hub.ErrUnreachable):
		return Exit{4, "auth", "check the trusted publisher of HF_OIDC_RESOURCE on the Hub; without that variable HF_TOKEN is used"}
	case is(hub.ErrGated, hub.ErrPaymentRequired, hub.ErrRateLimited, hub.ErrUnauthorized, hub.ErrNotFound, hub.ErrConflict):
		return classifyHub(err)
	case isOAuth(err):
		return Exit{4, "auth", "try again: ml-intern login; or paste a token: ml-intern login --token -"}
	case is(llm.ErrAuth, catalog.ErrNoKey):
		return Exit{4, "auth", "check the key of the provider or the Hub; ml-intern doctor shows what is set"}
	case is(ledger.ErrCap):
		return Exit{5, "cost_cap", "go on with a higher --max-cost or --max-tokens: ml-intern --continue --max-cost USD"}
	case is(agent.ErrSteps):
		return Exit{6, "step_limit", "go on with: ml-intern --continue --max-steps N"}
	case is(llm.ErrUnreachable):
		return Exit{8, "unreachable", "go on when the model answers again: ml-intern --continue"}
	case is(ErrUsage):
		return Exit{2, "usage", "see: ml-intern --help"}
	case is(ErrRefused):
		return Exit{1, "changed", "look at those files; to overwrite them too, give --force: they are kept as they are now, so that it can be undone"}
	case is(session.ErrBusy):
		return Exit{1, "busy", "wait for the other process, or work on a copy: --fork"}
	case is(agent.ErrWindow):
		return Exit{1, "context", "go on with a model of a larger window: ml-intern --continue --model ID; or begin anew"}
	case is(llm.ErrCredit):
		return Exit{1, "credit", "add credit, or go on with another model: ml-intern --continue --model ID"}
	case is(agent.ErrGaveUp):
		return Exit{1, "gave_up", ""}
	case is(agent.ErrLoop, agent.ErrEmpty):
		return Exit{1, "guard", ""}
	case is(context.Canceled, context.DeadlineExceeded):
		return Exit{130, "interrupted", "go on with: ml-intern --continue"}
	case is(hub.ErrUnreachable):
		return Exit{1, "hub_unreachable", "check the network, and HF_ENDPOINT if it is set; --hub local needs none"}
	}
	return Exit{1, "error", ""}
}

// classifyHub tells what can be done about an answer of the Hub that says no.
func classifyHub(err error) Exit {
	e, ok := errors.AsType[*hub.Error](err)
	if !ok {
		e = &hub.Error{}
	}
	switch {
	case errors.Is(err, hub.ErrGated):
		where := cmp.Or(e.AskURL, "its page")
		if e.Status == http.StatusUnauthorized {
			return Exit{1, "gated", "log in with: ml-intern login; then ask for access at " + where}
		}
		return Exit{1, "gated", "ask for access at " + where + ", and try again when it is granted"}
	case errors.Is(err, hub.ErrPaymentRequired):
		return Exit{1, "payment", "add credit in the account's billing settings on the Hub, or take hardware that costs nothing"}
	case errors.Is(err, hub.ErrRateLimited):
		when := "in a few minutes"
		if e.Wait > 0 {
			when = "in " + e.Wait.String()
		}
		return Exit{1, "rate_limited", "try again " + when + "; with an account the limits are higher: ml-intern whoami shows whose token is used"}
	case errors.Is(err, hub.ErrUnauthorized):
		return Exit{4, "auth", "ml-intern whoami shows whose token is used and what it may do; log in with: ml-intern login"}
	case errors.Is(err, hub.ErrConflict):
		return Exit{1, "conflict", "somebody changed it meanwhile, or it is there already: look at it, then try again"}
	}
	return Exit{1, "not_found", "check the name; what is private is seen only with a token of its owner: ml-intern whoami"}
}

func isOAuth(err error) bool {
	_, ok := errors.AsType[*hub.OAuthError](err)
	return ok
}
