package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub"
)

// lockWait is how long another process may hold the lock of the stored tokens;
// it may be waiting for the network.
const lockWait = 30 * time.Second

// maxStored bounds the file of stored tokens, in bytes.
const maxStored = 4 << 20

func storedPath(tokenFile string) string {
	return filepath.Join(filepath.Dir(tokenFile), "stored_tokens")
}

// readFile reads the stored tokens. A file that is not there is empty; damage
// says what the official client could not read either.
func readFile(path string) (f *file, damage, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &file{}, nil, nil
	}
	if err == nil && info.Size() > maxStored {
		return &file{}, fmt.Errorf("it has more than %d bytes", maxStored), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return &file{}, nil, fmt.Errorf("read the stored tokens: %w", err)
	}
	f, damage = parse(string(text))
	if damage != nil {
		f = &file{}
	}
	return f, damage, nil
}

// change is the one way to write the files. It holds the lock that the
// official client takes, so no change of either program is lost. The function
// gets the stored tokens and returns the new active token: "" removes it, nil
// leaves it to whoever set it. Each file is replaced in one step.
func (k *Keyring) change(ctx context.Context, do func(f *file) (active *string, err error)) error {
	path := hub.TokenFile(k.Getenv)
	if path == "" {
		return errNoPlace
	}
	stored := storedPath(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the token: %w", err)
	}
	unlock, err := lock(ctx, stored+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	f, damage, err := readFile(stored)
	if err != nil {
		return err
	}
	before := f.String()
	active, err := do(f)
	if err != nil {
		return err
	}
	if damage != nil { // what it held may still be worth something to a person
		if err := os.Rename(stored, stored+".damaged"); err != nil {
			return fmt.Errorf("set the damaged file of stored tokens aside: %w", err)
		}
	}
	if active != nil && *active == "" { // logged out comes first
		if err := remove(path); err != nil {
			return err
		}
	}
	if text := f.String(); text != before || damage != nil {
		if err := writeOrRemove(stored, text); err != nil {
			return err
		}
	}
	if active != nil && *active != "" {
		return writeSecret(path, *active)
	}
	return nil
}

// Ready says why a token could not be kept, if so.
func (k *Keyring) Ready() error {
	path := hub.TokenFile(k.Getenv)
	if path == "" {
		return errNoPlace
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the token: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("prepare to keep the token: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

var errNoPlace = errors.New("there is no place for the token: set HOME or HF_HOME")

func lock(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	l := flock.New(path, flock.SetPermissions(0o664))
	if _, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for the lock of the stored tokens: %w", err)
	}
	return func() { _ = l.Close() }, nil // the file stays: others wait on it
}

// settle waits until nobody is between the two files: who renews a token writes
// the stored ones first, and for a moment the active one is in none of them.
func settle(stored string) {
	l := flock.New(stored+".lock", flock.SetPermissions(0o664))
	defer l.Close()
	for range 50 { // a second; what is written meanwhile takes no longer
		if locked, err := l.TryLock(); locked || err != nil { // where nothing can be locked, nobody writes
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func writeOrRemove(path, text string) error {
	if text == "" {
		return remove(path)
	}
	return writeSecret(path, text)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// writeSecret puts a text that only this person may read at path, in one step.
// A link stays a link.
func writeSecret(path, text string) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir := filepath.Dir(path)
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // for nobody else
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails once it is renamed, as it should
	_, err = temp.WriteString(text)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil { // not every system can sync a folder
		_ = d.Sync()
		d.Close()
	}
	return nil
}

// A Stored is what Save did.
type Stored struct {
	Account hub.Account
	Name    string // of the token
	Path    string // of the file that makes it the active one
	Expires time.Time
	Renews  bool // it is renewed by itself
}

// Save asks the Hub whose token it is and makes it the active one, for this
// program and the official client. A token that the Hub refuses changes
// nothing.
func (k *Keyring) Save(ctx context.Context, t hub.OAuthToken) (Stored, error) {
	value := clean(t.Access)
	if err := checkShape(value); err != nil {
		return Stored{}, err
	}
	account, err := k.client(value).WhoAmI(ctx)
	if err != nil {
		return Stored{}, err
	}
	out := Stored{Account: account, Path: hub.TokenFile(k.Getenv), Expires: t.Expires(time.Now()), Renews: t.Refresh != ""}
	out.Name = sectionName(account.Auth.AccessToken.DisplayName)
	if account.Auth.AccessToken.DisplayName == "" {
		out.Name = sectionName("oauth-" + account.Name)
	}
	err = k.change(ctx, func(f *file) (*string, error) {
		k.fill(f.put(out.Name), value, clean(t.Refresh), out.Expires)
		return &value, nil
	})
	if err != nil {
		return Stored{}, fmt.Errorf("keep the token: %w", err)
	}
	return out, nil
}

// fill writes a token into its section; what an older one of the name had and
// this one lacks goes.
func (k *Keyring) fill(s *section, value, refresh string, expires time.Time) {
	s.set(keyToken, value)
	s.set(keyRefresh, refresh)
	s.set(keyExpires, "")
	if !expires.IsZero() {
		s.set(keyExpires, strconv.FormatInt(expires.Unix(), 10))
	}
	s.set(keyHub, "")
	if k.base() != publicHub {
		s.set(keyHub, k.base())
	}
}

// Names lists the stored tokens.
func (k *Keyring) Names() ([]string, error) {
	path := hub.TokenFile(k.Getenv)
	if path == "" {
		return nil, nil
	}
	f, damage, err := readFile(storedPath(path))
	if err != nil || damage != nil {
		return nil, err
	}
	var names []string
	for _, s := range f.sections {
		if s.get(keyToken) != "" {
			names = append(names, s.name)
		}
	}
	return names, nil
}

// ErrNoName says that no token of that name is stored.
var ErrNoName = errors.New("no token of that name is stored")

// Forget removes the stored token of that name, or all of them if name is "",
// and the active token if it is among them. It tells the names of those that
// went, and whether the active one did.
func (k *Keyring) Forget(ctx context.Context, name string) (gone []string, active bool, err error) {
	if !k.anyStored() {
		if name != "" {
			err = ErrNoName
		}
		return nil, false, err
	}
	err = k.change(ctx, func(f *file) (*string, error) {
		if name != "" && f.find(name) == nil {
			return nil, ErrNoName
		}
		now := k.activeText()
		active = name == "" && now != ""
		for _, s := range slices.Clone(f.sections) {
			value := clean(s.get(keyToken))
			if name == "" && value == "" || name != "" && s.name != name {
				continue
			}
			gone = append(gone, s.name)
			active = active || value == now
			f.remove(s)
		}
		if active {
			return new(string), nil
		}
		return nil, nil
	})
	return gone, active, err
}

// activeText is the token file's, "" if there is none.
func (k *Keyring) activeText() string {
	text, err := os.ReadFile(hub.TokenFile(k.Getenv))
	if err != nil {
		return ""
	}
	return clean(string(text))
}

// anyStored saves those who never logged in the folder.
func (k *Keyring) anyStored() bool {
	path := hub.TokenFile(k.Getenv)
	if path == "" {
		return false
	}
	for _, p := range []string{path, storedPath(path)} {
		if _, err := os.Lstat(p); err == nil {
			return true
		}
	}
	return false
}
