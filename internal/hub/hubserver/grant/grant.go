// Package grant keeps the OAuth logins of a server in a folder: codes that
// wait for a person, and the tokens that came of them.
//
// Its one rule: no secret is on disk. A code or a token is found by its hash,
// one file for each, written whole and then renamed, so a kill leaves a login
// as before a step or as after it. Several processes may open one folder; what
// must happen once holds its lock.
package grant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// What went wrong, for errors.Is.
var (
	ErrPending = errors.New("the person has not decided yet")
	ErrSlow    = errors.New("asked too soon")
	ErrExpired = errors.New("the code has ended")
	ErrDenied  = errors.New("the person said no")
	ErrInvalid = errors.New("the grant is not valid")
	ErrMany    = errors.New("too many logins are waiting")
)

const (
	// DeviceLife is how long a person has to enter a code.
	DeviceLife = 15 * time.Minute
	// Interval is the least time between two askings for a code's token.
	Interval = 5 * time.Second
	// TokenLife is how long a token is good.
	TokenLife = 30 * 24 * time.Hour
	// RefreshLife is how long a token can be renewed.
	RefreshLife = 180 * 24 * time.Hour

	// spentLife is how long a used refresh token can be used again: the answer
	// may have been lost on its way.
	spentLife  = 2 * time.Minute
	maxWaiting = 50
	sweepEvery = time.Hour
)

// Prefix begins every token of this package.
const Prefix = "hf_oauth_"

const refreshPrefix = "hf_refresh_"

// A Holder is whose a token is.
type Holder struct {
	Account  string `json:"account"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// A Token is what is known of a token that was given.
type Token struct {
	Holder
	Client  string    `json:"client"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// A Device is a login that waits.
type Device struct {
	Client  string    `json:"client"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	User    string    `json:"user"` // the hash of the user code
	Polled  time.Time `json:"polled,omitzero"`
	Denied  bool      `json:"denied,omitempty"`
	Granted *Holder   `json:"granted,omitempty"`
}

// A Pair is a token with what renews it: the only time that both are known.
type Pair struct {
	Access  string
	Refresh string
	Life    time.Duration
}

// A Store is an open folder.
type Store struct{ dir string }

// Open opens a folder, and makes it if it is not there.
func Open(dir string) (*Store, error) {
	s := &Store{dir}
	for _, sub := range []string{"devices", "users", "tokens", "refresh", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open grants: %w", err)
		}
	}
	return s, nil
}

// Begin starts a login of a client and returns its secret code, and the one
// that a person enters.
func (s *Store) Begin(ctx context.Context, client string) (code, user string, err error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return "", "", err
	}
	defer unlock()
	waiting, err := s.sweep()
	if err != nil {
		return "", "", err
	}
	if waiting >= maxWaiting {
		return "", "", ErrMany
	}
	code, user = rand.Text()+rand.Text(), userCode()
	now := time.Now().UTC()
	d := Device{Client: client, Created: now, Expires: now.Add(DeviceLife), User: hash(plainCode(user))}
	if err := s.write("users", d.User, hash(code)); err != nil {
		return "", "", err
	}
	return code, user, s.write("devices", hash(code), d)
}

// userCode is short, speaks no word, and has no signs that look alike.
func userCode() string {
	const signs = "BCDFGHJKLMNPQRSTVWXZ"
	var b strings.Builder
	for b.Len() < 9 {
		if b.Len() == 4 {
			b.WriteByte('-')
		}
		var one [1]byte
		rand.Read(one[:])
		if n := int(one[0]); n < 240 { // no sign more likely than another
			b.WriteByte(signs[n%len(signs)])
		}
	}
	return b.String()
}

// plainCode takes what a person typed for what they saw.
func plainCode(user string) string {
	return strings.Map(func(r rune) rune {
		if r < 'A' || r > 'Z' {
			return -1
		}
		return r
	}, strings.ToUpper(user))
}

// Waiting is the login that waits for a user code. One that is not there, has
// ended or is decided is ErrExpired.
func (s *Store) Waiting(user string) (Device, error) {
	_, d, err := s.byUser(user)
	return d, err
}

func (s *Store) byUser(user string) (key string, d Device, err error) {
	if err := s.read("users", hash(plainCode(user)), &key); err != nil {
		return "", d, orExpired(err)
	}
	if err := s.read("devices", key, &d); err != nil {
		return "", d, orExpired(err)
	}
	if !time.Now().Before(d.Expires) || d.Denied || d.Granted != nil {
		return "", d, ErrExpired
	}
	return key, d, nil
}

func orExpired(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrExpired
	}
	return err
}

// Decide ends the wait of a login: the holder allows it, or nobody does.
func (s *Store) Decide(ctx context.Context, user string, holder *Holder) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	key, d, err := s.byUser(user)
	if err != nil {
		return err
	}
	d.Granted, d.Denied = holder, holder == nil
	return s.write("devices", key, d)
}

// Redeem gives the token of a login, once, when the person has allowed it.
func (s *Store) Redeem(ctx context.Context, client, code string) (Pair, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return Pair{}, err
	}
	defer unlock()
	var d Device
	key, now := hash(code), time.Now().UTC()
	if err := s.read("devices", key, &d); err != nil {
		return Pair{}, orExpired(err)
	}
	switch {
	case d.Client != client:
		return Pair{}, ErrInvalid
	case !now.Before(d.Expires):
		return Pair{}, ErrExpired
	case d.Denied:
		return Pair{}, errors.Join(ErrDenied, s.end(key, d))
	case d.Granted == nil:
		soon := now.Sub(d.Polled) < Interval-time.Second // clocks and networks are not exact
		d.Polled = now
		if err := s.write("devices", key, d); err != nil {
			return Pair{}, err
		}
		if soon {
			return Pair{}, ErrSlow
		}
		return Pair{}, ErrPending
	}
	pair, err := s.issue(Token{Holder: *d.Granted, Client: client, Created: now, Expires: now.Add(TokenLife)})
	if err != nil {
		return Pair{}, err
	}
	return pair, s.end(key, d)
}

func (s *Store) end(key string, d Device) error {
	return errors.Join(s.remove("users", d.User), s.remove("devices", key))
}

func (s *Store) issue(t Token) (Pair, error) {
	p := Pair{Access: Prefix + rand.Text(), Refresh: refreshPrefix + rand.Text(), Life: t.Expires.Sub(t.Created)}
	if err := s.write("tokens", hash(p.Access), t); err != nil {
		return Pair{}, err
	}
	t.Expires = t.Created.Add(RefreshLife)
	return p, s.write("refresh", hash(p.Refresh), t)
}

// Renew exchanges a refresh token for a new token and a new refresh token. The
// old one can be used again for a short while, in case the answer is lost.
func (s *Store) Renew(ctx context.Context, client, refresh string) (Pair, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return Pair{}, err
	}
	defer unlock()
	if _, err := s.sweep(); err != nil {
		return Pair{}, err
	}
	var t Token
	key, now := hash(refresh), time.Now().UTC()
	if err := s.read("refresh", key, &t); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrInvalid
		}
		return Pair{}, err
	}
	if t.Client != client || !now.Before(t.Expires) {
		return Pair{}, ErrInvalid
	}
	pair, err := s.issue(Token{Holder: t.Holder, Client: client, Created: now, Expires: now.Add(TokenLife)})
	if err != nil {
		return Pair{}, err
	}
	if spent := now.Add(spentLife); spent.Before(t.Expires) {
		t.Expires = spent
		err = s.write("refresh", key, t)
	}
	return pair, err
}

// Find is what is known of a token that is good.
func (s *Store) Find(token string) (Token, bool) {
	var t Token
	if !strings.HasPrefix(token, Prefix) || s.read("tokens", hash(token), &t) != nil {
		return Token{}, false
	}
	return t, time.Now().Before(t.Expires)
}

// sweep removes what has ended, and counts the logins that wait. Tokens are
// looked through only now and then.
func (s *Store) sweep() (waiting int, err error) {
	now := time.Now()
	entries, err := os.ReadDir(filepath.Join(s.dir, "devices"))
	if err != nil {
		return 0, fmt.Errorf("sweep grants: %w", err)
	}
	for _, e := range entries {
		var d Device
		if s.read("devices", e.Name(), &d) == nil && now.Before(d.Expires) {
			waiting++
			continue
		}
		if err := s.end(e.Name(), d); err != nil {
			return 0, err
		}
	}
	var last time.Time
	if s.read("tmp", "swept", &last) == nil && now.Sub(last).Abs() < sweepEvery {
		return waiting, nil
	}
	for _, sub := range []string{"tokens", "refresh"} {
		if err := s.sweepTokens(sub, now); err != nil {
			return 0, err
		}
	}
	s.sweepTemp(now)
	return waiting, s.write("tmp", "swept", now.UTC())
}

func (s *Store) sweepTokens(sub string, now time.Time) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, sub))
	if err != nil {
		return fmt.Errorf("sweep grants: %w", err)
	}
	for _, e := range entries {
		var t Token
		if err := s.read(sub, e.Name(), &t); err == nil && !now.Before(t.Expires) {
			if err := s.remove(sub, e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepTemp removes what killed processes left behind, and user codes whose
// login was never written.
func (s *Store) sweepTemp(now time.Time) {
	for _, sub := range []string{"tmp", "users"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			continue // the next sweep tries again
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > sweepEvery {
				_ = os.Remove(filepath.Join(s.dir, sub, e.Name()))
			}
		}
	}
}

// lock takes the folder's lock from all other goroutines and processes.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	l := flock.New(filepath.Join(s.dir, "lock"))
	if _, err := l.TryLockContext(ctx, 3*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock grants: %w", err)
	}
	return func() { _ = l.Close() }, nil
}

// hash is the name of a secret's file. Secrets are long and random, or short
// lived: it need not be slow.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (s *Store) read(sub, name string, v any) error {
	data, err := os.ReadFile(filepath.Join(s.dir, sub, name))
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	return nil
}

// write puts a value in its file in one step.
func (s *Store) write(sub, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write grant: %w", err)
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "new-*")
	if err != nil {
		return fmt.Errorf("write grant: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, sub, name))
	}
	if err != nil {
		return fmt.Errorf("write grant: %w", err)
	}
	if d, err := os.Open(filepath.Join(s.dir, sub)); err == nil { // not every system can sync a folder
		_ = d.Sync()
		d.Close()
	}
	return nil
}

func (s *Store) remove(sub, name string) error {
	if name == "" {
		return nil
	}
	if err := os.Remove(filepath.Join(s.dir, sub, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove grant: %w", err)
	}
	return nil
}
