package strongbox

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Patience is how long a keyring may take for one thing.
const Patience = 2 * time.Second

// service is what this program calls itself in keyrings.
const service = "ml-intern"

// A Desktop is the keyring of the person's desktop, bounded in time. Once it has
// not answered it is not asked again: who waits for it waits once.
type Desktop struct {
	Ring     Ring
	Patience time.Duration // Patience if 0

	mu   sync.Mutex
	hung error
}

// Find finds the keyring by variables of the process, nil if there is none. It
// does not ask whether it answers.
func Find(getenv func(string) string) Ring {
	ring := system(getenv)
	if ring == nil {
		return nil
	}
	return &Desktop{Ring: ring}
}

// ask calls do, bounded in time.
func (d *Desktop) ask(ctx context.Context, do func(ctx context.Context) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung != nil {
		return d.hung
	}
	patience := d.Patience
	if patience == 0 {
		patience = Patience
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := do(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		d.hung = fmt.Errorf("the keyring does not answer within %v", patience)
		return d.hung
	}
	return err
}

// Get implements Ring.
func (d *Desktop) Get(ctx context.Context, name string) (secret []byte, err error) {
	err = d.ask(ctx, func(ctx context.Context) error {
		secret, err = d.Ring.Get(ctx, name)
		return err
	})
	return secret, err
}

// Set implements Ring.
func (d *Desktop) Set(ctx context.Context, name string, secret []byte) error {
	return d.ask(ctx, func(ctx context.Context) error { return d.Ring.Set(ctx, name, secret) })
}

// Delete implements Ring.
func (d *Desktop) Delete(ctx context.Context, name string) error {
	return d.ask(ctx, func(ctx context.Context) error { return d.Ring.Delete(ctx, name) })
}

// Check keeps something in a keyring, reads it and removes it.
func Check(ctx context.Context, ring Ring) error {
	const name = "check"
	if err := intoRing(ctx, ring, name, []byte(`"nothing"`)); err != nil {
		return err
	}
	return ring.Delete(ctx, name)
}
