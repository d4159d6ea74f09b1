package llm

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Errors that callers act on. Providers wrap them.
var (
	ErrContextOverflow = errors.New("the conversation exceeds the model's context window")
	ErrAuth            = errors.New("the model provider refused the credentials")
	ErrCredit          = errors.New("the account with the model provider has no credit left")
	ErrUnreachable     = errors.New("the model could not be reached")
)

// A StatusError is a provider's refusal that carries an HTTP status.
type StatusError struct {
	Status     int
	Code       string        // the provider's own code, "" when it sent none
	Message    string        // what the provider said, without credentials
	RetryAfter time.Duration // 0 when the provider named none
}

func (e *StatusError) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("the provider answered %d (%s): %s", e.Status, e.Code, e.Message)
	}
	return fmt.Sprintf("the provider answered %d: %s", e.Status, e.Message)
}

// Is makes errors.Is see the refusals that callers act on.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrAuth:
		return (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) && !spentQuota(e.Code)
	case ErrCredit:
		return e.Status == http.StatusPaymentRequired || spentQuota(e.Code)
	case ErrContextOverflow:
		return e.Code == "context_length_exceeded" || e.Status == http.StatusRequestEntityTooLarge
	}
	return false
}

// A TransportError is a request that got no whole answer: no connection, a
// reset, a stall, or a stream that was cut.
type TransportError struct{ Err error }

func (e *TransportError) Error() string { return e.Err.Error() }
func (e *TransportError) Unwrap() error { return e.Err }

// spentQuota recognizes the codes for an account without credit.
func spentQuota(code string) bool {
	switch code {
	case "insufficient_quota", "billing_hard_limit_reached", "billing_error", "insufficient_credits":
		return true
	}
	return false
}

// Temporary reports whether making the same request again may help. Spent
// quota does not come back by asking, whatever its status.
func Temporary(err error) bool {
	if e, ok := errors.AsType[*StatusError](err); ok {
		if spentQuota(e.Code) {
			return false
		}
		return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500
	}
	_, transport := errors.AsType[*TransportError](err)
	return transport
}
