// Package space knows what a Space is besides its repository: hardware,
// secrets, variables, and the stage that it is in.
//
// Its one rule: a stage is computed, never stored. It follows from what was
// done to the Space, what its repository has, and the time, so it is right
// after any crash and on every server that shares the folder. This package runs
// nothing: stages pass as they would, and a caller that runs a program says with
// Follow what that does. A State belongs to the caller, who
// keeps it with the repository.
package space

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"ml-intern/internal/lazyregexp"
)

// What went wrong, for errors.Is.
var (
	ErrInvalid = errors.New("not valid")
	ErrPayment = errors.New("payment is required")
	ErrStatic  = errors.New("not for a static Space")
)

// State is what is kept about a Space.
type State struct {
	Flavor    string           `json:"flavor,omitempty"`  // FreeFlavor if ""
	Sleep     int              `json:"sleep,omitempty"`   // seconds without a start; 0 for the default, -1 for never
	Paused    bool             `json:"paused,omitempty"`  //
	DevMode   bool             `json:"devMode,omitempty"` //
	Started   time.Time        `json:"started,omitzero"`  // the last start that somebody asked for
	Built     time.Time        `json:"built,omitzero"`    // the last build that somebody asked for
	Secrets   map[string]Value `json:"secrets,omitempty"`
	Variables map[string]Value `json:"variables,omitempty"`
	Volumes   []Volume         `json:"volumes,omitempty"`
}

// A Value is a secret's or a variable's.
type Value struct {
	Value       string    `json:"value"`
	Description string    `json:"description,omitempty"`
	Updated     time.Time `json:"updated"`
}

// A Volume is a repository or a bucket that the Space has as a folder.
type Volume struct {
	Type      string `json:"type"`
	Source    string `json:"source"`
	MountPath string `json:"mountPath"`
	Revision  string `json:"revision,omitempty"`
	ReadOnly  *bool  `json:"readOnly,omitempty"`
	Path      string `json:"path,omitempty"`
}

// A Setting is a secret or a variable as a client sends it.
type Setting struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description"`
}

// Bounds of what is kept about one Space.
const (
	maxSettings    = 200
	maxValue       = 64 << 10
	maxKey         = 256
	maxDescription = 1000
	maxVolumes     = 50
	maxSleep       = 366 * 24 * 3600
)

var keyPattern = lazyregexp.New(`^[a-zA-Z][_a-zA-Z0-9]*$`)

// SetSecret sets a secret. The Space starts anew.
func (s *State) SetSecret(in Setting, now time.Time) error {
	if _, taken := s.Variables[in.Key]; taken {
		return fmt.Errorf("%w: there is a variable %s already", ErrInvalid, in.Key)
	}
	return s.set(&s.Secrets, in, now)
}

// SetVariable sets a variable. The Space starts anew.
func (s *State) SetVariable(in Setting, now time.Time) error {
	if _, taken := s.Secrets[in.Key]; taken {
		return fmt.Errorf("%w: there is a secret %s already", ErrInvalid, in.Key)
	}
	return s.set(&s.Variables, in, now)
}

func (s *State) set(values *map[string]Value, in Setting, now time.Time) error {
	_, known := (*values)[in.Key]
	switch {
	case !keyPattern.MatchString(in.Key) || len(in.Key) > maxKey:
		return fmt.Errorf("%w: the key %.40q must be a letter, then letters, digits and _", ErrInvalid, in.Key)
	case len(in.Value) > maxValue:
		return fmt.Errorf("%w: the value of %s has more than %d bytes", ErrInvalid, in.Key, maxValue)
	case utf8.RuneCountInString(in.Description) > maxDescription:
		return fmt.Errorf("%w: the description of %s has more than %d characters", ErrInvalid, in.Key, maxDescription)
	case !known && len(s.Secrets)+len(s.Variables) >= maxSettings:
		return fmt.Errorf("%w: a Space has at most %d secrets and variables", ErrInvalid, maxSettings)
	}
	if *values == nil {
		*values = map[string]Value{}
	}
	(*values)[in.Key] = Value{in.Value, in.Description, now}
	s.start(now)
	return nil
}

// DeleteSecret takes a secret away.
func (s *State) DeleteSecret(key string, now time.Time) { s.unset(s.Secrets, key, now) }

// DeleteVariable takes a variable away.
func (s *State) DeleteVariable(key string, now time.Time) { s.unset(s.Variables, key, now) }

func (s *State) unset(values map[string]Value, key string, now time.Time) {
	if _, known := values[key]; known {
		delete(values, key)
		s.start(now)
	}
}

// start is what any change leads to. A Space that is paused stays so.
func (s *State) start(now time.Time) { s.Started = now }

// SetHardware moves the Space. With paid, the account can have what costs.
func (s *State) SetHardware(flavor string, paid bool, now time.Time) error {
	if !slices.ContainsFunc(flavors, func(h Hardware) bool { return h.Name == flavor }) {
		return fmt.Errorf("%w: there is no hardware %.40q", ErrInvalid, flavor)
	}
	if costs(flavor) && !paid {
		return fmt.Errorf("%w for %s: this account has no credit", ErrPayment, flavor)
	}
	s.Flavor = flavor
	s.start(now)
	return nil
}

// SetSleep sets after how many seconds the Space sleeps, -1 for never.
func (s *State) SetSleep(seconds int) error {
	if seconds != -1 && (seconds < 1 || seconds > maxSleep) {
		return fmt.Errorf("%w: the sleep time must be some seconds, or -1 for never", ErrInvalid)
	}
	s.Sleep = seconds
	return nil
}

// Environ is what the program of the Space of that name finds in its
// environment.
func (s *State) Environ(id, host string) map[string]string {
	env := map[string]string{"SPACE_ID": id, "SPACE_HOST": host}
	for _, values := range []map[string]Value{s.Variables, s.Secrets} {
		for key, v := range values {
			env[key] = v.Value
		}
	}
	return env
}

// SleepAfter is for how long nobody may use the Space before it sleeps; 0 for
// ever.
func (s *State) SleepAfter() time.Duration { return time.Duration(s.sleepSeconds()) * time.Second }

// Pause stops the Space until it is restarted.
func (s *State) Pause() { s.Paused = true }

// Restart starts the Space; with factory it is built anew.
func (s *State) Restart(factory bool, now time.Time) {
	s.Paused = false
	s.Started = now
	if factory {
		s.Built = now
	}
}

// SetVolumes replaces the volumes.
func (s *State) SetVolumes(volumes []Volume, now time.Time) error {
	if len(volumes) > maxVolumes {
		return fmt.Errorf("%w: a Space has at most %d volumes", ErrInvalid, maxVolumes)
	}
	mounts := map[string]bool{}
	for i, v := range volumes {
		repo := slices.Contains([]string{"model", "dataset", "space"}, v.Type)
		switch {
		case !repo && v.Type != "bucket":
			return fmt.Errorf("%w: a volume's type is bucket, model, dataset or space", ErrInvalid)
		case v.Source == "" || len(v.Source)+len(v.Path)+len(v.Revision) > 1000:
			return fmt.Errorf("%w: a volume needs a source", ErrInvalid)
		case len(v.MountPath) < 2 || v.MountPath[0] != '/' || len(v.MountPath) > 500 || mounts[v.MountPath]:
			return fmt.Errorf("%w: a volume needs a mountPath of its own that begins with /", ErrInvalid)
		case repo && v.ReadOnly != nil && !*v.ReadOnly:
			return fmt.Errorf("%w: a volume of a repository is read-only", ErrInvalid)
		}
		if repo {
			yes := true
			volumes[i].ReadOnly = &yes
		}
		mounts[v.MountPath] = true
	}
	s.Volumes = volumes
	s.start(now)
	return nil
}
