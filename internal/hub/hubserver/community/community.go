// Package community keeps what people say and do about repositories:
// discussions, pull requests, likes, and requests for access.
//
// Its one rule: what git and people must agree on is decided by the state of
// the repository alone. The notes kept here are written first and count only
// once that state names them, so a pull request is opened, or merged, with its
// conversation or not at all. Who may do what is for the caller to decide.
package community

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// What went wrong, for errors.Is.
var (
	ErrMissing = errors.New("not found")                       // no such discussion, comment or request
	ErrState   = errors.New("not possible in its state")       // closing what is closed, and the like
	ErrInvalid = errors.New("not valid")                       // a text that is empty or too long
	ErrFull    = errors.New("too long to be kept, start anew") // a discussion has its bounds
)

func isMissing(err error) bool { return errors.Is(err, ErrMissing) }

// Bounds of what people can write.
const (
	MinTitle   = 3
	MaxTitle   = 200
	MaxComment = 65536
	maxNote    = 16 << 20
)

// A Board keeps the conversations of the repositories of a store.
type Board struct{ Store *gitstore.Store }

// readNote decodes a note into v, which stays as it is if there is none.
func (b Board) readNote(id hub.RepoID, name string, v any) (found bool, err error) {
	data, err := b.Store.Note(id, name)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("read note %s of %s: it is damaged: %w", name, id, err)
	}
	return true, nil
}

// putNote writes a note of a repository that is held.
func (b Board) putNote(id hub.RepoID, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write note %s of %s: %w", name, id, err)
	}
	if len(data) > maxNote {
		return fmt.Errorf("write note %s of %s: %w", name, id, ErrFull)
	}
	return b.Store.PutNote(id, name, append(data, '\n'))
}

func newID() string {
	id := make([]byte, 12)
	rand.Read(id)
	return hex.EncodeToString(id)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// checkText is the text as it is kept, if it can be.
func checkText(what, text string, least, most int) (string, error) {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\ufffd"))
	n := utf8.RuneCountInString(text)
	switch {
	case n == 0 && least > 0:
		return "", fmt.Errorf("%w: the %s is empty", ErrInvalid, what)
	case n < least:
		return "", fmt.Errorf("%w: the %s has %d characters, %d are the least", ErrInvalid, what, n, least)
	case n > most:
		return "", fmt.Errorf("%w: the %s has %d characters, %d are the most", ErrInvalid, what, n, most)
	}
	return text, nil
}

func checkTitle(title string, least int) (string, error) {
	title, err := checkText("title", title, least, MaxTitle)
	return strings.Join(strings.Fields(title), " "), err
}

func checkComment(text string) (string, error) { return checkText("comment", text, 1, MaxComment) }
