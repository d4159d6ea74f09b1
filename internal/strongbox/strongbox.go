// Package strongbox keeps secrets of a person: in the keyring of their desktop if
// one answers, else in a file that only they can read.
//
// Its one rule: a secret leaves a place only once it has been read back from the
// other, and the file, which names all that there is, says where each of them is.
// So whatever ends this process, a secret is where the file says, and the next one
// goes on. Nothing here asks the person anything: a keyring that is locked is one
// that does not answer, and so is one that takes longer than Patience. The Box owns
// its file, and in the keyring the items of this program.
package strongbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"

	"ml-intern/internal/durable"
)

// A Ring keeps secrets by name. What it cannot do at once is an error.
type Ring interface {
	Get(ctx context.Context, name string) ([]byte, error) // ErrNone if there is none
	Set(ctx context.Context, name string, secret []byte) error
	Delete(ctx context.Context, name string) error // nil if there is none
}

// Errors of a Ring.
var (
	ErrNone   = errors.New("the keyring has no such secret")
	ErrLocked = errors.New("the keyring is locked")

	errNoRing = errors.New("there is no keyring here")
)

// A Use says where a Box keeps things.
type Use string

// The uses.
const (
	Auto        Use = "auto"    // in the keyring, else in the file
	KeyringOnly Use = "keyring" // without a keyring it is an error
	FileOnly    Use = "file"
)

// A Box keeps secrets, which are JSON, by name. Several processes may use it.
type Box struct {
	File string // "" to keep nothing
	Ring Ring   // nil for none
	Use  Use    // Auto if ""
}

// A Place is where a secret is.
type Place struct {
	Keyring bool
	Why     error // why it is not in the keyring, though it should be
}

// held stands in the file for what is in the keyring.
type held struct {
	Keyring string `json:"keyring"`
}

// inRing is the item of the keyring that a value of the file stands for, "" for none.
func inRing(value json.RawMessage) string {
	var h held
	if json.Unmarshal(value, &h) != nil {
		return "" // a secret that is no object
	}
	return h.Keyring
}

// item names a secret in the keyring, which is one for all folders of state.
func (b Box) item(name string) string {
	sum := sha256.Sum256([]byte(b.File))
	return name + " #" + hex.EncodeToString(sum[:4])
}

// Names lists what there is.
func (b Box) Names() ([]string, error) {
	all, err := b.read()
	return slices.Sorted(maps.Keys(all)), err
}

// Has reports whether there is a secret of that name, without asking the keyring.
func (b Box) Has(name string) bool {
	all, err := b.read()
	return err == nil && all[name] != nil
}

// Get returns a secret, nil if there is none. Another process may move it between
// the look into the file and the one into the keyring: then it looks again.
func (b Box) Get(ctx context.Context, name string) (json.RawMessage, error) {
	all, err := b.read()
	if err != nil {
		return nil, err
	}
	secret, err := b.value(ctx, all[name])
	if !errors.Is(err, ErrNone) {
		return secret, err
	}
	now, again := b.read()
	if again != nil || bytes.Equal(now[name], all[name]) {
		return nil, err
	}
	return b.value(ctx, now[name])
}

func (b Box) value(ctx context.Context, value json.RawMessage) (json.RawMessage, error) {
	item := inRing(value)
	if item == "" {
		return value, nil
	}
	if b.Ring == nil {
		return nil, fmt.Errorf("it is in the keyring: %w", errNoRing)
	}
	secret, err := b.Ring.Get(ctx, item)
	if err != nil {
		return nil, fmt.Errorf("it is in the keyring: %w", err)
	}
	return secret, nil
}

// Put keeps a secret, in place of what was there.
func (b Box) Put(ctx context.Context, name string, secret json.RawMessage) (place Place, err error) {
	err = b.change(func(all map[string]json.RawMessage) error {
		place, err = b.put(ctx, all, name, secret)
		return err
	})
	return place, err
}

// Renew replaces a secret by what do makes of it, which no other process does
// meanwhile.
func (b Box) Renew(ctx context.Context, name string, do func(was json.RawMessage) (json.RawMessage, error)) error {
	return b.change(func(all map[string]json.RawMessage) error {
		was, err := b.value(ctx, all[name])
		if err != nil {
			return err
		}
		now, err := do(was)
		if err != nil || bytes.Equal(was, now) {
			return err
		}
		_, err = b.put(ctx, all, name, now)
		return err
	})
}

// Remove removes a secret, and reports whether there was one. What a keyring that
// does not answer has of it stays there: that is the error, and it is forgotten
// all the same.
func (b Box) Remove(ctx context.Context, name string) (was bool, err error) {
	var left error
	err = b.change(func(all map[string]json.RawMessage) error {
		item := inRing(all[name])
		_, was = all[name]
		delete(all, name)
		if err := b.write(all); err != nil || item == "" || b.Ring == nil {
			return err
		}
		if err := b.Ring.Delete(ctx, item); err != nil {
			left = fmt.Errorf("remove %q from the keyring: %w", item, err)
		}
		return nil
	})
	return was, errors.Join(err, left)
}

// Settle moves what is in the file into the keyring, or back, where it belongs
// there and where that can be done. If all is in its place it asks no keyring.
func (b Box) Settle(ctx context.Context) error {
	all, err := b.read()
	if err != nil || len(b.misplaced(all)) == 0 {
		return err
	}
	return b.change(func(all map[string]json.RawMessage) error {
		for _, name := range b.misplaced(all) {
			secret, err := b.value(ctx, all[name])
			if err != nil {
				return err
			}
			if place, err := b.put(ctx, all, name, secret); err != nil || place.Why != nil {
				return errors.Join(err, place.Why) // the next one would fare no better
			}
		}
		return nil
	})
}

func (b Box) misplaced(all map[string]json.RawMessage) []string {
	var names []string
	for name, value := range all {
		if (inRing(value) != "") != b.rings() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// rings reports whether things belong into the keyring.
func (b Box) rings() bool { return b.Ring != nil && b.Use != FileOnly }

// put keeps a secret and writes the file. all is what the file holds.
func (b Box) put(ctx context.Context, all map[string]json.RawMessage, name string, secret json.RawMessage) (Place, error) {
	before := inRing(all[name])
	var why error
	if b.rings() {
		item := b.item(name)
		if why = intoRing(ctx, b.Ring, item, secret); why == nil {
			mark, err := json.Marshal(held{item})
			if err != nil {
				return Place{}, err
			}
			all[name] = mark
			return Place{Keyring: true}, b.write(all)
		}
	}
	if b.Use == KeyringOnly {
		return Place{}, fmt.Errorf("keep it in the keyring: %w", cmp.Or(why, errNoRing))
	}
	all[name] = secret
	err := b.write(all)
	if err == nil && before != "" && b.Ring != nil {
		_ = b.Ring.Delete(ctx, before) // what is left there is used by nobody
	}
	return Place{Why: why}, err
}

// intoRing keeps a secret in the keyring, and has seen it there.
func intoRing(ctx context.Context, ring Ring, item string, secret []byte) error {
	if err := ring.Set(ctx, item, secret); err != nil {
		return err
	}
	back, err := ring.Get(ctx, item)
	if err == nil && !bytes.Equal(back, secret) {
		err = errors.New("the keyring does not give back what it was given")
	}
	return err
}

func (b Box) read() (map[string]json.RawMessage, error) {
	all := make(map[string]json.RawMessage)
	if b.File == "" {
		return all, nil
	}
	text, err := os.ReadFile(b.File)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read secrets: %s: %w; remove the file and log in again", b.File, err)
	}
	return all, nil
}

func (b Box) write(all map[string]json.RawMessage) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = durable.Replace(b.File, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	return nil
}

// change calls do with what the file holds, while no other process changes it.
func (b Box) change(do func(all map[string]json.RawMessage) error) error {
	if b.File == "" {
		return errors.New("keep secrets: there is no file for them")
	}
	if err := os.MkdirAll(filepath.Dir(b.File), 0o700); err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	lock := flock.New(b.File + ".lock")
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	defer lock.Unlock() //nolint:errcheck // closing the file unlocks it too
	all, err := b.read()
	if err != nil {
		return err
	}
	return do(all)
}
