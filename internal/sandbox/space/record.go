package space

import (
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

	"ml-intern/internal/durable"
	"ml-intern/internal/lazyregexp"
)

// Prefix begins the names of sandboxes, which end with a hash of the call that made them.
const Prefix = "ml-intern-sandbox-"

var namePattern = lazyregexp.New(`^` + Prefix + `[0-9a-f]{12}$`)

// Name is what the sandbox of a call is named: it is found again by that.
func Name(label string) string {
	sum := sha256.Sum256([]byte(label))
	return Prefix + hex.EncodeToString(sum[:6])
}

// A Record is what this machine knows of a sandbox that it made. It is written
// before the Hub is asked for anything, so that a kill loses none.
type Record struct {
	Name       string        `json:"name"`
	Owner      string        `json:"owner"`
	Label      string        `json:"label"` // session and call
	Hardware   string        `json:"hardware"`
	USDPerHour float64       `json:"usd_per_hour"`
	Limit      time.Duration `json:"limit"` // for so long it may be used
	Sleep      time.Duration `json:"sleep"` // without use, until it costs nothing
	Secret     string        `json:"secret,omitempty"`
	Created    time.Time     `json:"created"`
	Instance   string        `json:"instance,omitempty"` // of the server in it
	Gone       time.Time     `json:"gone,omitzero"`      // it was deleted
}

// Worst is what the sandbox can cost, in dollars, if nobody is there to delete
// it: after its limit nobody uses it, and then it sleeps.
func (r Record) Worst() float64 { return r.USDPerHour * (r.Limit + r.Sleep).Hours() }

// end is until when it may be used.
func (r Record) end() time.Time { return r.Created.Add(r.Limit) }

// Over reports whether it costs nothing any more.
func (r Record) Over(now time.Time) bool {
	return !r.Gone.IsZero() || now.After(r.end().Add(r.Sleep))
}

// Cost is what it cost so far, in dollars; less, if it was built or slept for
// some of the time.
func (r Record) Cost(now time.Time) float64 {
	if !r.Gone.IsZero() {
		now = r.Gone
	}
	return r.USDPerHour * min(max(now.Sub(r.Created), 0), r.Limit+r.Sleep).Hours()
}

// Of reports whether the session made it.
func (r Record) Of(session string) bool { return strings.HasPrefix(r.Label, session+"/") }

func (s *Spaces) path(name string) string { return filepath.Join(s.Dir, name+".json") }

// Record returns what is known of a sandbox, or fs.ErrNotExist.
func (s *Spaces) Record(name string) (r Record, err error) {
	if !namePattern.MatchString(name) {
		return r, fmt.Errorf("sandbox %.60q: %w", name, fs.ErrNotExist)
	}
	data, err := os.ReadFile(s.path(name))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read what is known of sandbox %s: %w", name, err)
	}
	return r, nil
}

// Records returns what is known of all sandboxes of a session that were not
// deleted; of all sessions if it is "".
func (s *Spaces) Records(session string) ([]Record, error) {
	files, err := filepath.Glob(filepath.Join(s.Dir, Prefix+"*.json"))
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	var all []Record
	var errs []error
	for _, file := range files {
		r, err := s.Record(strings.TrimSuffix(filepath.Base(file), ".json"))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.Gone.IsZero() && (session == "" || r.Of(session)) {
			all = append(all, r)
		}
	}
	return all, errors.Join(errs...)
}

// keep writes a record for its owner alone: it has the secret.
func (s *Spaces) keep(r Record) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.MkdirAll(s.Dir, 0o700)
	}
	if err == nil {
		err = durable.Replace(s.path(r.Name), data)
	}
	if err != nil {
		return fmt.Errorf("keep what is known of sandbox %s: %w", r.Name, err)
	}
	return nil
}

// newSecret has 130 bits.
func newSecret() string { return rand.Text() }
