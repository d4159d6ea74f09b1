package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ml-intern/internal/durable"
)

// A record is what of a session was told to whom. It is a file, written before
// something is sent and after.
type record struct {
	file string

	To   map[string]*told `json:"destinations"`
	Said []time.Time      `json:"said,omitempty"` // when the model said something by its tool, lately
}

// told is what a destination was told.
type told struct {
	At      place  `json:"at"`                // up to here all is done with
	Sending string `json:"sending,omitempty"` // what is being sent: at the next start, what is in doubt
	Sent    int    `json:"sent"`
	Lost    []Loss `json:"lost,omitempty"` // the latest
}

// A Loss is a message that did not arrive, or may not have.
type Loss struct {
	ID    string    `json:"id"`
	Event string    `json:"event,omitempty"`
	Time  time.Time `json:"time"`
	Error string    `json:"error"`
}

const maxLosses = 10 // that are kept of a destination

func (t *told) lose(l Loss) {
	t.Lost = append(t.Lost, l)
	t.Lost = t.Lost[max(len(t.Lost)-maxLosses, 0):]
}

// loadRecord reads the record of a session, an empty one if there is none.
func loadRecord(file string) (*record, error) {
	r := &record{file: file, To: make(map[string]*told)}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was told to whom: %w", err)
	}
	if r.To == nil {
		r.To = make(map[string]*told)
	}
	for name, t := range r.To {
		if t == nil {
			r.To[name] = &told{}
		}
	}
	return r, nil
}

func (r *record) save() error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write down what is told: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.file), 0o700); err != nil {
		return fmt.Errorf("write down what is told: %w", err)
	}
	if err := durable.Replace(r.file, data); err != nil {
		return fmt.Errorf("write down what is told: %w", err)
	}
	return nil
}

// File is the record of a session in the folder of state.
func File(state, session string) string { return filepath.Join(state, "notify", session+".json") }

// Losses lists what did not arrive lately, by destination, of the sessions whose
// records are in the folder of state: the latest are read.
func Losses(state string) (map[string][]Loss, error) {
	entries, err := os.ReadDir(filepath.Join(state, "notify"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what was told to whom: %w", err)
	}
	all := make(map[string][]Loss)
	for _, e := range entries[max(len(entries)-maxRecords, 0):] { // whose names sort by time
		r, err := loadRecord(filepath.Join(state, "notify", e.Name()))
		if err != nil {
			continue // of another session
		}
		for name, t := range r.To {
			all[name] = append(all[name], t.Lost...)
		}
	}
	for name, losses := range all {
		slices.SortFunc(losses, func(a, b Loss) int { return a.Time.Compare(b.Time) })
		all[name] = slices.DeleteFunc(losses, func(l Loss) bool { return time.Since(l.Time) > 7*maxAge })
	}
	return all, nil
}

const maxRecords = 200 // that are looked through
