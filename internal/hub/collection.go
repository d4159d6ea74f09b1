package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Collection is a list of things on the Hub that someone keeps together.
type Collection struct {
	Slug        string           `json:"slug"` // its id: owner/title-24hex
	Title       string           `json:"title"`
	Description string           `json:"description"`
	Owner       Owner            `json:"owner"`
	Private     bool             `json:"private"`
	Theme       string           `json:"theme"`
	Position    int              `json:"position"`
	Upvotes     int              `json:"upvotes"`
	Updated     time.Time        `json:"lastUpdated"`
	Items       []CollectionItem `json:"items"` // in a list, only the first few
}

// An Owner is the name of a user or an organization.
type Owner string

// UnmarshalJSON reads a name or an account.
func (o *Owner) UnmarshalJSON(data []byte) error {
	var account struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(data, &account) != nil {
		return json.Unmarshal(data, (*string)(o))
	}
	*o = Owner(account.Name)
	return nil
}

// A CollectionItem is one thing in a collection.
type CollectionItem struct {
	ObjectID string `json:"_id"`  // of the item, not of the thing
	Type     string `json:"type"` // model, dataset, space, paper, collection or bucket
	ID       string `json:"id"`   // of the thing: owner/name; of a paper its number
	Slug     string `json:"slug"` // of a collection
	Position int    `json:"position"`
	Note     Note   `json:"note"`
}

// Note is what people wrote beside an item.
type Note string

// UnmarshalJSON reads a text, alone or with its HTML.
func (n *Note) UnmarshalJSON(data []byte) error {
	var rich struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(data, &rich) != nil {
		return json.Unmarshal(data, (*string)(n))
	}
	*n = Note(rich.Text)
	return nil
}

// A CollectionSpec is a collection to make.
type CollectionSpec struct {
	Title       string `json:"title"`
	Namespace   string `json:"namespace"` // the account's own if ""
	Description string `json:"description,omitempty"`
	Private     bool   `json:"private"`
}

func collectionPath(slug string, more ...string) string {
	path := "/api/collections/" + escapePath(slug)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// CreateCollection makes a collection, or returns the one of that title that
// is there already.
func (c *Client) CreateCollection(ctx context.Context, spec CollectionSpec) (Collection, error) {
	if spec.Namespace == "" {
		who, err := c.WhoAmI(ctx)
		if err != nil {
			return Collection{}, fmt.Errorf("create collection %q: %w", spec.Title, err)
		}
		spec.Namespace = who.Name
	}
	var out Collection
	_, err := c.api(ctx, call{method: "POST", path: "/api/collections"}, spec, &out)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusConflict && e.Slug != "" {
		return c.Collection(ctx, e.Slug)
	}
	if err != nil {
		return Collection{}, fmt.Errorf("create collection %q: %w", spec.Title, err)
	}
	return out, nil
}

// Collection reads a collection.
func (c *Client) Collection(ctx context.Context, slug string) (Collection, error) {
	var out Collection
	if _, err := c.api(ctx, call{method: "GET", path: collectionPath(slug)}, nil, &out); err != nil {
		return Collection{}, fmt.Errorf("get collection %s: %w", slug, err)
	}
	return out, nil
}

// CollectionChange is what to change of a collection; what is nil stays.
type CollectionChange struct {
	Title       *string `json:"title,omitempty"`
	Description *string `json:"description,omitempty"`
	Private     *bool   `json:"private,omitempty"`
	Theme       *string `json:"theme,omitempty"`
	Position    *int    `json:"position,omitempty"`
}

// UpdateCollection changes a collection. A new title gives it another slug.
func (c *Client) UpdateCollection(ctx context.Context, slug string, change CollectionChange) (Collection, error) {
	var out struct {
		Data Collection `json:"data"`
	}
	if _, err := c.api(ctx, call{method: "PATCH", path: collectionPath(slug)}, change, &out); err != nil {
		return Collection{}, fmt.Errorf("change collection %s: %w", slug, err)
	}
	return out.Data, nil
}

// DeleteCollection deletes a collection; what is in it stays on the Hub.
func (c *Client) DeleteCollection(ctx context.Context, slug string) error {
	if _, err := c.api(ctx, call{method: "DELETE", path: collectionPath(slug), once: true}, nil, nil); err != nil {
		return fmt.Errorf("delete collection %s: %w", slug, err)
	}
	return nil
}

// AddToCollection adds a thing at the end of a collection. One that is there
// already is ErrConflict.
func (c *Client) AddToCollection(ctx context.Context, slug, typ, id, note string) (Collection, error) {
	in := map[string]any{"item": map[string]string{"type": typ, "id": id}}
	if note != "" {
		in["note"] = note
	}
	var out Collection
	if _, err := c.api(ctx, call{method: "POST", path: collectionPath(slug, "items")}, in, &out); err != nil {
		return Collection{}, fmt.Errorf("add %s %s to collection %s: %w", typ, id, slug, err)
	}
	return out, nil
}

// UpdateCollectionItem changes the note or the place of an item; what is nil
// stays.
func (c *Client) UpdateCollectionItem(ctx context.Context, slug, objectID string, note *string, position *int) error {
	in := map[string]any{}
	if note != nil {
		in["note"] = *note
	}
	if position != nil {
		in["position"] = *position
	}
	if _, err := c.api(ctx, call{method: "PATCH", path: collectionPath(slug, "items", objectID)}, in, nil); err != nil {
		return fmt.Errorf("change an item of collection %s: %w", slug, err)
	}
	return nil
}

// DeleteCollectionItem takes an item out of a collection.
func (c *Client) DeleteCollectionItem(ctx context.Context, slug, objectID string) error {
	if _, err := c.api(ctx, call{method: "DELETE", path: collectionPath(slug, "items", objectID), once: true}, nil, nil); err != nil {
		return fmt.Errorf("delete an item of collection %s: %w", slug, err)
	}
	return nil
}

// A CollectionFilter says which collections to list.
type CollectionFilter struct {
	Owner string
	Item  string // that have it: models/owner/name, papers/2310.12345 ...
	Sort  string // lastModified, trending or upvotes
	Limit int    // 0 for all
}

// Collections lists collections.
func (c *Client) Collections(ctx context.Context, filter CollectionFilter) iter.Seq2[Collection, error] {
	q := url.Values{}
	for key, v := range map[string]string{"owner": filter.Owner, "item": filter.Item, "sort": filter.Sort} {
		if v != "" {
			q.Set(key, v)
		}
	}
	if filter.Limit > 0 {
		q.Set("limit", strconv.Itoa(min(filter.Limit, 100)))
	}
	path := strings.TrimSuffix("/api/collections?"+q.Encode(), "?")
	return paged[Collection](ctx, c, "list collections", path, filter.Limit)
}
