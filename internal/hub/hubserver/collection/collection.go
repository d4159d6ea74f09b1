// Package collection is the lists of repositories, papers and other things
// that people keep on a Hub.
//
// Its one rule: all collections of an account are one Shelf, which is read and
// saved whole, so that no two have one title and an item is in a collection
// once, whoever else is at work. A Shelf belongs to the caller, who keeps it.
package collection

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/lazyregexp"
)

// What went wrong, for errors.Is.
var (
	ErrMissing = errors.New("not found")
	ErrInvalid = errors.New("not valid")
	ErrItem    = errors.New("already in the collection")
)

// An ExistsError says that the account has a collection of that title.
type ExistsError struct{ Slug string }

func (e *ExistsError) Error() string { return "you already have this collection: " + e.Slug }

// Bounds of what is kept.
const (
	maxCollections = 500
	maxItems       = 1000
	maxTitle       = 60
	maxDescription = 150
	maxNote        = 500
)

// A Shelf has the collections of one account, in the order that it wants them.
type Shelf struct {
	Collections []*Collection `json:"collections"`
}

// A Collection is a list of things.
type Collection struct {
	ID          string    `json:"id"` // 24 hex digits
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Private     bool      `json:"private"`
	Theme       string    `json:"theme"`
	Updated     time.Time `json:"updated"`
	Items       []Item    `json:"items"`
}

// An Item is one thing in a collection.
type Item struct {
	ObjectID string `json:"objectId"` // 24 hex digits
	Type     string `json:"type"`
	ID       string `json:"id"` // of the thing
	Note     string `json:"note,omitempty"`
}

// A Spec is what a client wants of a new collection.
type Spec struct {
	Title       string
	Description string
	Private     bool
}

// A Change is what to change; what is nil stays.
type Change struct {
	Title       *string `json:"title"`
	Description *string `json:"description"`
	Private     *bool   `json:"private"`
	Theme       *string `json:"theme"`
	Position    *int    `json:"position"`
}

var (
	notSlug = lazyregexp.New(`[^a-z0-9]+`)
	themes  = []string{"orange", "blue", "green", "purple", "pink", "indigo"}
)

// types are the kinds of things that can be in a collection.
var types = []string{"model", "dataset", "space", "paper", "collection", "bucket"}

// Slug is the name of the collection in addresses, behind its owner's: its
// title, and its id, which alone counts.
func (c *Collection) Slug() string {
	title := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(c.Title), "-"), "-")
	if title == "" {
		return c.ID
	}
	return title + "-" + c.ID
}

// IDOf finds the id in a slug.
func IDOf(slug string) string { return slug[max(0, len(slug)-24):] }

// Find returns the collection of an id.
func (s *Shelf) Find(id string) (*Collection, error) {
	for _, c := range s.Collections {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("collection %w", ErrMissing)
}

func (s *Shelf) titled(title string) *Collection {
	i := slices.IndexFunc(s.Collections, func(c *Collection) bool { return c.Title == title })
	if i < 0 {
		return nil
	}
	return s.Collections[i]
}

// Create makes a collection.
func (s *Shelf) Create(spec Spec, now time.Time) (*Collection, error) {
	c := &Collection{ID: newID(now), Theme: themes[0], Private: spec.Private}
	if err := c.describe(&spec.Title, &spec.Description); err != nil {
		return nil, err
	}
	if other := s.titled(c.Title); other != nil {
		return nil, &ExistsError{other.Slug()}
	}
	if len(s.Collections) >= maxCollections {
		return nil, fmt.Errorf("%w: an account has at most %d collections", ErrInvalid, maxCollections)
	}
	c.Updated = now
	s.Collections = append(s.Collections, c)
	return c, nil
}

func (c *Collection) describe(title, description *string) error {
	if title != nil {
		if c.Title = strings.TrimSpace(*title); c.Title == "" || utf8.RuneCountInString(c.Title) > maxTitle {
			return fmt.Errorf("%w: a title has 1 to %d characters", ErrInvalid, maxTitle)
		}
	}
	if description != nil {
		if c.Description = strings.TrimSpace(*description); utf8.RuneCountInString(c.Description) > maxDescription {
			return fmt.Errorf("%w: a description has at most %d characters", ErrInvalid, maxDescription)
		}
	}
	return nil
}

// Update changes a collection. After an error the Shelf must not be saved.
func (s *Shelf) Update(id string, change Change, now time.Time) (*Collection, error) {
	c, err := s.Find(id)
	if err != nil {
		return nil, err
	}
	if change.Title != nil {
		if other := s.titled(strings.TrimSpace(*change.Title)); other != nil && other != c {
			return nil, &ExistsError{other.Slug()}
		}
	}
	if err := c.describe(change.Title, change.Description); err != nil {
		return nil, err
	}
	if change.Private != nil {
		c.Private = *change.Private
	}
	if change.Theme != nil {
		if !slices.Contains(themes, *change.Theme) {
			return nil, fmt.Errorf("%w: the themes are %s", ErrInvalid, strings.Join(themes, ", "))
		}
		c.Theme = *change.Theme
	}
	if change.Position != nil {
		s.Collections = moved(s.Collections, slices.Index(s.Collections, c), *change.Position)
	}
	c.Updated = now
	return c, nil
}

// Position is the collection's place on the shelf.
func (s *Shelf) Position(c *Collection) int { return slices.Index(s.Collections, c) }

// Delete takes a collection away.
func (s *Shelf) Delete(id string) error {
	c, err := s.Find(id)
	if err != nil {
		return err
	}
	i := slices.Index(s.Collections, c)
	s.Collections = slices.Delete(s.Collections, i, i+1)
	return nil
}

// Add puts an item at the end.
func (c *Collection) Add(typ, id, note string, now time.Time) error {
	switch {
	case !slices.Contains(types, typ):
		return fmt.Errorf("%w: an item is one of %s", ErrInvalid, strings.Join(types, ", "))
	case id == "" || len(id) > 200:
		return fmt.Errorf("%w: an item needs an id", ErrInvalid)
	case utf8.RuneCountInString(note) > maxNote:
		return fmt.Errorf("%w: a note has at most %d characters", ErrInvalid, maxNote)
	case len(c.Items) >= maxItems:
		return fmt.Errorf("%w: a collection has at most %d items", ErrInvalid, maxItems)
	case c.Has(typ, id):
		return fmt.Errorf("%s %s is %w", typ, id, ErrItem)
	}
	c.Items = append(c.Items, Item{ObjectID: newID(now), Type: typ, ID: id, Note: note})
	c.Updated = now
	return nil
}

// Has reports whether a thing is in the collection.
func (c *Collection) Has(typ, id string) bool {
	return slices.ContainsFunc(c.Items, func(it Item) bool { return it.Type == typ && it.ID == id })
}

func (c *Collection) item(objectID string) (int, error) {
	i := slices.IndexFunc(c.Items, func(it Item) bool { return it.ObjectID == objectID })
	if i < 0 {
		return 0, fmt.Errorf("item %w in the collection", ErrMissing)
	}
	return i, nil
}

// UpdateItem changes an item's note or place; what is nil stays.
func (c *Collection) UpdateItem(objectID string, note *string, position *int, now time.Time) error {
	i, err := c.item(objectID)
	if err != nil {
		return err
	}
	if note != nil {
		if utf8.RuneCountInString(*note) > maxNote {
			return fmt.Errorf("%w: a note has at most %d characters", ErrInvalid, maxNote)
		}
		c.Items[i].Note = *note
	}
	if position != nil {
		c.Items = moved(c.Items, i, *position)
	}
	c.Updated = now
	return nil
}

// DeleteItem takes an item out.
func (c *Collection) DeleteItem(objectID string, now time.Time) error {
	i, err := c.item(objectID)
	if err != nil {
		return err
	}
	c.Items = slices.Delete(c.Items, i, i+1)
	c.Updated = now
	return nil
}

// moved is the list with the element at from put at to, or at the end nearest
// to it.
func moved[T any](list []T, from, to int) []T {
	v := list[from]
	list = slices.Delete(list, from, from+1)
	return slices.Insert(list, min(max(to, 0), len(list)), v)
}

// newID is shaped like the Hub's: seconds, then chance, in hex.
func newID(now time.Time) string {
	id := make([]byte, 12)
	rand.Read(id)
	sec := now.Unix()
	id[0], id[1], id[2], id[3] = byte(sec>>24), byte(sec>>16), byte(sec>>8), byte(sec)
	return hex.EncodeToString(id)
}
