package ledger_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"ml-intern/internal/ledger"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	a := &ledger.Account{Cap: ledger.Amount{USD: 5}}
	settle, err := a.Reserve(ledger.Amount{USD: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reserve(ledger.Amount{USD: 2}); !errors.Is(err, ledger.ErrCap) {
		t.Errorf("a reservation past the cap: %v", err)
	}
	settle(ledger.Amount{USD: 1})
	settle(ledger.Amount{USD: 1}) // a second call books nothing
	if got := a.Spent().USD; got != 1 {
		t.Errorf("spent %v", got)
	}
	if _, err := a.Reserve(ledger.Amount{USD: 4}); err != nil {
		t.Errorf("what fits exactly is refused: %v", err)
	}
}

// Whatever the schedule, as long as nothing costs more than its worst case the
// sum never passes the cap.
func TestNeverPastTheCap(t *testing.T) {
	t.Parallel()
	for range 200 {
		a := &ledger.Account{Cap: ledger.Amount{USD: 10, Tokens: 1000}}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					worst := ledger.Amount{USD: rand.Float64() * 2, Tokens: rand.IntN(200)}
					settle, err := a.Reserve(worst)
					if err != nil {
						continue
					}
					share := rand.Float64()
					settle(ledger.Amount{USD: worst.USD * share, Tokens: int(float64(worst.Tokens) * share)})
				}
			})
		}
		wg.Wait()
		if s := a.Spent(); s.USD > 10 || s.Tokens > 1000 {
			t.Fatalf("spent %+v", s)
		}
	}
}
