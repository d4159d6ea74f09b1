package rows

import (
	"context"
	"sync"
)

const (
	maxTables = 64 // that are remembered
	maxBusy   = 2  // that are gone through at once
)

// A Cache remembers the tables of commits, the last ones used. A commit never
// changes, so neither does what is remembered.
type Cache struct {
	busy chan struct{}

	mu     sync.Mutex
	tables map[string]*entry
	clock  int64
}

// An entry is a table, or one that is being looked through.
type entry struct {
	turn  chan struct{} // holds one token: who has it may look
	table *Table
	used  int64
}

// NewCache makes an empty cache.
func NewCache() *Cache {
	return &Cache{busy: make(chan struct{}, maxBusy), tables: map[string]*entry{}}
}

// Table returns the table of a split. The key names the repository and the
// commit. Who asks while someone else looks waits for that one.
func (c *Cache) Table(ctx context.Context, key string, config Config, split Split) (*Table, error) {
	e := c.entry(key + "\x00" + config.Name + "\x00" + split.Name)
	select {
	case <-e.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { e.turn <- struct{}{} }()
	if e.table != nil {
		return e.table, nil
	}
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.busy }()
	t, err := open(ctx, config, split, c.busy)
	if err == nil {
		e.table = t
	}
	return t, err
}

func (c *Cache) entry(key string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	e := c.tables[key]
	if e == nil {
		c.forgetOne()
		e = &entry{turn: make(chan struct{}, 1)}
		e.turn <- struct{}{}
		c.tables[key] = e
	}
	e.used = c.clock
	return e
}

// forgetOne makes room.
func (c *Cache) forgetOne() {
	if len(c.tables) < maxTables {
		return
	}
	oldest := ""
	for key, e := range c.tables {
		if oldest == "" || e.used < c.tables[oldest].used {
			oldest = key
		}
	}
	delete(c.tables, oldest)
}
