package confine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Cells runs commands by the same rules, each in a cell. It makes cells as they
// are needed and keeps those that are free. Close it.
type Cells struct {
	program   []string // that is a cell: this one with ConfinedCommand
	rules     Rules
	workspace []string // the first of what may be written, for Explain
	off       []string // layers that a test leaves out

	mu     sync.Mutex
	free   []*cell
	closed bool
	form   form
	said   bool // see firstBare
	held   held
	repos  repositories

	repoLock sync.Mutex // of repos: to look takes a while
}

// A form is how cells are walled off.
type form int

const (
	formOpen  form = iota // not known yet: the first cell tells
	formNamed             // in namespaces
	formBare              // without
)

// maxFree is how many cells wait for the next command.
const maxFree = 4

// New takes the rules for commands and the program that is a cell when it is
// started: this one with ConfinedCommand. It starts nothing yet.
func New(rules Rules, program ...string) *Cells {
	return &Cells{program: program, rules: rules.Settle(), workspace: slices.Clone(rules.Writable[:min(len(rules.Writable), 1)])}
}

// Rules are those by which commands run.
func (c *Cells) Rules() Rules {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rules.real()
}

// Open lets commands write more folders from now on, by their real paths: a link
// opens nothing. What is hidden or protected
// below them stays so, and so are the hooks and start files of a project there.
func (c *Cells) Open(paths ...string) {
	defer func() {
		c.repoLock.Lock()
		defer c.repoLock.Unlock()
		c.repos.took = 0 // the next look is a new one
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules.Writable = append(slices.Clone(c.rules.Writable), paths...)
	slices.Sort(c.rules.Writable)
	c.rules.Writable = slices.Compact(c.rules.Writable)
	for _, path := range paths {
		c.rules.Protected = append(slices.Clone(c.rules.Protected), ProjectPaths(path)...)
		if len(c.rules.Trees) > 0 {
			c.rules.Trees = append(slices.Clone(c.rules.Trees), path)
		}
	}
}

// OpenGPUs gives commands the GPUs of this machine from now on.
func (c *Cells) OpenGPUs() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules.GPUs = true
}

func (c *Cells) formNow() form {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.form
}

func (c *Cells) settle(f form) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.form = f
}

// Close ends the cells, and what runs in them.
func (c *Cells) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cell := range c.free {
		cell.end()
	}
	c.free = nil
	return nil
}

var errClosed = errors.New("the cells for commands are closed")

// take returns a free cell that was made for the files as they are now, or nil.
func (c *Cells) take(files string) (*cell, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("confine command: %w", errClosed)
	}
	var found *cell
	var kept []*cell
	for _, cell := range c.free {
		switch {
		case cell.files != files:
			cell.end()
		case found == nil:
			found = cell
		default:
			kept = append(kept, cell)
		}
	}
	c.free = kept
	return found, nil
}

// give takes a cell back whose command has ended.
func (c *Cells) give(cell *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.free) >= maxFree {
		cell.end()
		return
	}
	c.free = append(c.free, cell)
}
