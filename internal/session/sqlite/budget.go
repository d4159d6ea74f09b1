package sqlite

import "sync"

// A budget bounds what is read ahead. Its one reader takes, its one caller gives
// back.
type budget struct {
	mu    sync.Mutex
	more  sync.Cond
	left  int
	ended bool
}

func newBudget(n int) *budget {
	b := &budget{left: n}
	b.more.L = &b.mu
	return b
}

// take takes n, and waits until something is left: of what is larger than all,
// there is one piece.
func (b *budget) take(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left -= n
	for b.left <= 0 && !b.ended {
		b.more.Wait()
	}
}

// give gives n back.
func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	b.more.Signal()
}

// end has nobody wait any more.
func (b *budget) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.more.Signal()
}
