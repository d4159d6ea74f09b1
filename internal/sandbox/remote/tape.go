package remote

import (
	"slices"
	"sync"
)

// tapeLimit is how much of a command's output is kept from its head and, again,
// from its tail.
const tapeLimit = 1 << 20

// A tape keeps what a command prints, in bounded memory: its head and its
// tail. Readers follow it from any byte; one that is too slow misses what is
// between the two, and sees that it did.
type tape struct {
	mu      sync.Mutex
	head    []byte
	tail    []byte
	tailAt  int64         // where tail begins
	changed chan struct{} // closed at the next write, and replaced
	over    bool
}

func newTape() *tape { return &tape{changed: make(chan struct{})} }

// Write never fails.
func (t *tape) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := p
	if room := tapeLimit - len(t.head); room > 0 {
		n := min(room, len(rest))
		t.head = append(t.head, rest[:n]...)
		t.tailAt, rest = int64(len(t.head)), rest[n:]
	}
	t.tail = append(t.tail, rest...)
	if extra := len(t.tail) - tapeLimit; extra > tapeLimit { // moved seldom, not at every write
		t.tail = append(t.tail[:0], t.tail[extra:]...)
		t.tailAt += int64(extra)
	}
	t.wake()
	return len(p), nil
}

// end says that nothing will be written any more.
func (t *tape) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.wake()
}

func (t *tape) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// read returns a piece from a byte on, or from the first byte after it that is
// kept, and where it begins. Without one it says whether that is all, and else
// what to wait for.
func (t *tape) read(from int64) (piece []byte, at int64, over bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rest []byte
	at = max(from, t.tailAt)
	switch head := int64(len(t.head)); {
	case from < head:
		rest, at = t.head[from:], from
	case at-t.tailAt > int64(len(t.tail)): // beyond what was printed: what comes next
		at = t.tailAt + int64(len(t.tail))
	default:
		rest = t.tail[at-t.tailAt:]
	}
	return slices.Clone(rest[:min(len(rest), maxPiece)]), at, t.over && len(rest) == 0, t.changed
}
