// Package ledger is the one account of what a session may spend: dollars, or
// tokens where a model's price is unknown.
//
// Its one rule: money is reserved before it is spent. What is reserved counts
// as spent until it is settled, so nothing that starts can end past the cap.
//
// An Account is the sum in memory. Its lines are in the session's log: package
// session computes from it what was spent, and what a crash left reserved.
package ledger

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// ErrCap says that the next step could pass the cap, so it was not begun.
var ErrCap = errors.New("the cost cap is reached")

// An Amount is a price: dollars, or unpriced tokens.
type Amount struct {
	USD    float64 `json:"usd,omitempty"`
	Tokens int     `json:"unpriced_tokens,omitempty"` // only of models whose price is unknown
}

// Plus is the sum of two amounts.
func (a Amount) Plus(b Amount) Amount { return Amount{a.USD + b.USD, a.Tokens + b.Tokens} }

func (a Amount) minus(b Amount) Amount { return Amount{a.USD - b.USD, a.Tokens - b.Tokens} }

// An Account holds what was spent and what is reserved. It is safe for
// concurrent use. A zero cap is no cap.
type Account struct {
	Cap Amount

	mu       sync.Mutex
	spent    Amount
	reserved Amount
}

// Spend books what was spent before, or without a reservation.
func (a *Account) Spend(amount Amount) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent = a.spent.Plus(amount)
}

// Spent is what was spent so far.
func (a *Account) Spent() Amount {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent
}

// Left is what can still be reserved, without a cap math.MaxFloat64 dollars
// and math.MaxInt tokens.
func (a *Account) Left() Amount {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := Amount{math.MaxFloat64, math.MaxInt}
	taken := a.spent.Plus(a.reserved)
	if a.Cap.USD > 0 {
		left.USD = max(a.Cap.USD-taken.USD, 0)
	}
	if a.Cap.Tokens > 0 {
		left.Tokens = max(a.Cap.Tokens-taken.Tokens, 0)
	}
	return left
}

// Share is the part of the cap that is spent, from 0: of dollars or of tokens,
// whichever is more.
func (a *Account) Share() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	share := 0.0
	if a.Cap.USD > 0 {
		share = a.spent.USD / a.Cap.USD
	}
	if a.Cap.Tokens > 0 {
		share = max(share, float64(a.spent.Tokens)/float64(a.Cap.Tokens))
	}
	return share
}

// Reserve sets the worst case of something aside, or fails with ErrCap. The
// caller must call settle once, with what it really cost.
func (a *Account) Reserve(worst Amount) (settle func(actual Amount), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	total := a.spent.Plus(a.reserved).Plus(worst)
	if a.Cap.USD > 0 && total.USD > a.Cap.USD {
		return nil, fmt.Errorf("%w: $%.2f are spent or reserved, the next step may cost $%.2f, the cap is $%.2f",
			ErrCap, total.USD-worst.USD, worst.USD, a.Cap.USD)
	}
	if a.Cap.Tokens > 0 && total.Tokens > a.Cap.Tokens {
		return nil, fmt.Errorf("%w: %d tokens of a model of unknown price are spent or reserved, the next step may take %d, the cap is %d",
			ErrCap, total.Tokens-worst.Tokens, worst.Tokens, a.Cap.Tokens)
	}
	a.reserved = a.reserved.Plus(worst)
	var once sync.Once
	return func(actual Amount) {
		once.Do(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.reserved = a.reserved.minus(worst)
			a.spent = a.spent.Plus(actual)
		})
	}, nil
}
