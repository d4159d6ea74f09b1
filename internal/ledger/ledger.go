// Package ledger is the one account of what a session may spend: dollars, or
// tokens where a model's price is unknown.
//
// Its one rule: money is reserved before it is spent. What is reserved counts
// as spent until it is settled, so nothing that starts can end past the cap.
package ledger

import (
	"errors"
	"fmt"
	"sync"
)

// ErrCap says that the next step could pass the cap, so it was not begun.
var ErrCap = errors.New("the cost cap is reached")

// An Amount is a price: dollars, or unpriced tokens.
type Amount struct {
	USD    float64
	Tokens int // only of models whose price is unknown
}

func (a Amount) plus(b Amount) Amount  { return Amount{a.USD + b.USD, a.Tokens + b.Tokens} }
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
	a.spent = a.spent.plus(amount)
}

// Spent is what was spent so far.
func (a *Account) Spent() Amount {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent
}

// Reserve sets the worst case of something aside, or fails with ErrCap. The
// caller must call settle once, with what it really cost.
func (a *Account) Reserve(worst Amount) (settle func(actual Amount), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	total := a.spent.plus(a.reserved).plus(worst)
	if a.Cap.USD > 0 && total.USD > a.Cap.USD {
		return nil, fmt.Errorf("%w: $%.2f are spent or reserved, the next step may cost $%.2f, the cap is $%.2f",
			ErrCap, total.USD-worst.USD, worst.USD, a.Cap.USD)
	}
	if a.Cap.Tokens > 0 && total.Tokens > a.Cap.Tokens {
		return nil, fmt.Errorf("%w: %d tokens of a model of unknown price are spent or reserved, the next step may take %d, the cap is %d",
			ErrCap, total.Tokens-worst.Tokens, worst.Tokens, a.Cap.Tokens)
	}
	a.reserved = a.reserved.plus(worst)
	var once sync.Once
	return func(actual Amount) {
		once.Do(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.reserved = a.reserved.minus(worst)
			a.spent = a.spent.plus(actual)
		})
	}, nil
}
