package hubserver

import (
	"cmp"
	"errors"
	"html"
	"net/http"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/collection"
)

// shelves is the kind of document that keeps an account's collections.
const shelves = "collections"

// itemsInList is how many items of a collection a list shows.
const itemsInList = 4

// collectionsAPI serves what is under /api/collections.
func (s *Server) collectionsAPI(x *exchange, method string, seg []string) error {
	switch {
	case len(seg) == 0 && method == http.MethodGet:
		return s.listCollections(x)
	case len(seg) == 0 && method == http.MethodPost:
		return s.createCollection(x)
	case len(seg) < 2 || len(seg) > 4 || len(seg) > 2 && seg[2] != "items":
		return noRoute(x)
	}
	c := &collectionCall{x, seg[0], collection.IDOf(seg[1])}
	switch {
	case len(seg) == 2 && method == http.MethodGet:
		return s.getCollection(c)
	case len(seg) == 2 && method == http.MethodPatch:
		return s.patchCollection(c)
	case len(seg) == 2 && method == http.MethodDelete:
		return s.deleteCollection(c)
	case len(seg) == 3 && method == http.MethodPost:
		return s.addItem(c)
	case len(seg) == 4 && method == http.MethodPatch:
		return s.patchItem(c, seg[3])
	case len(seg) == 4 && method == http.MethodDelete:
		return s.deleteItem(c, seg[3])
	}
	return noRoute(x)
}

// A collectionCall is a request about one collection.
type collectionCall struct {
	*exchange
	owner string
	id    string
}

func collectionRefusal(owner string, err error) error {
	exists, there := errors.AsType[*collection.ExistsError](err)
	switch {
	case there:
		return &refusal{http.StatusConflict, "Conflict", err.Error(), map[string]any{"slug": owner + "/" + exists.Slug}}
	case errors.Is(err, collection.ErrMissing):
		return refuse(http.StatusNotFound, "NotFound", err.Error())
	case errors.Is(err, collection.ErrItem):
		return refuse(http.StatusConflict, "Conflict", err.Error())
	case errors.Is(err, collection.ErrInvalid):
		return badRequest(err.Error())
	}
	return err
}

// mayShelve says why the one who asks must not change an account's
// collections, if so.
func (s *Server) mayShelve(x *exchange, owner string) error {
	if x.who == nil {
		return refuse(http.StatusUnauthorized, "Unauthorized", noPassword)
	}
	return s.mayWrite(x, owner)
}

// reshelve changes the collections of an account, if the one who asks may.
func (s *Server) reshelve(x *exchange, owner string, change func(*collection.Shelf) error) error {
	if err := s.mayShelve(x, owner); err != nil {
		return err
	}
	ctx, cancel := x.detached()
	defer cancel()
	var shelf collection.Shelf
	err := s.store.UpdateDocument(ctx, shelves, owner, &shelf, func() error { return change(&shelf) })
	return collectionRefusal(owner, err)
}

func (s *Server) createCollection(x *exchange) error {
	var in struct {
		Title       string `json:"title"`
		Namespace   string `json:"namespace"`
		Description string `json:"description"`
		Private     bool   `json:"private"`
		Item        *struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"item"`
	}
	if err := decode(x, &in); err != nil {
		return err
	}
	if in.Namespace == "" && x.who != nil {
		in.Namespace = x.who.Name
	}
	if in.Item != nil {
		if err := s.mayCollect(x, in.Item.Type, in.Item.ID); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	var made map[string]any
	err := s.reshelve(x, in.Namespace, func(shelf *collection.Shelf) error {
		c, err := shelf.Create(collection.Spec{Title: in.Title, Description: in.Description, Private: in.Private}, now)
		if err == nil && in.Item != nil {
			err = c.Add(in.Item.Type, in.Item.ID, "", now)
		}
		if err == nil {
			made = s.describeCollection(x, in.Namespace, shelf, c, 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.ok(x, made)
}

// shelf reads the collections of an account.
func (s *Server) shelf(owner string) (*collection.Shelf, error) {
	var shelf collection.Shelf
	return &shelf, s.store.Document(shelves, owner, &shelf)
}

func (s *Server) getCollection(c *collectionCall) error {
	shelf, err := s.shelf(c.owner)
	if err != nil {
		return err
	}
	found, err := shelf.Find(c.id)
	if err == nil && found.Private && !s.member(c.who, c.owner) {
		err = collection.ErrMissing
	}
	if err != nil {
		return collectionRefusal(c.owner, err)
	}
	return s.ok(c.exchange, s.describeCollection(c.exchange, c.owner, shelf, found, 0))
}

func (s *Server) patchCollection(c *collectionCall) error {
	var in collection.Change
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	var out map[string]any
	err := s.reshelve(c.exchange, c.owner, func(shelf *collection.Shelf) error {
		changed, err := shelf.Update(c.id, in, time.Now().UTC())
		if err == nil {
			out = s.describeCollection(c.exchange, c.owner, shelf, changed, 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true, "data": out})
}

func (s *Server) deleteCollection(c *collectionCall) error {
	err := s.reshelve(c.exchange, c.owner, func(shelf *collection.Shelf) error { return shelf.Delete(c.id) })
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

// inside changes what is in a collection, and answers with it.
func (s *Server) inside(c *collectionCall, change func(*collection.Collection) error) error {
	var out map[string]any
	err := s.reshelve(c.exchange, c.owner, func(shelf *collection.Shelf) error {
		found, err := shelf.Find(c.id)
		if err == nil {
			err = change(found)
		}
		if err == nil {
			out = s.describeCollection(c.exchange, c.owner, shelf, found, 0)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.ok(c.exchange, out)
}

func (s *Server) addItem(c *collectionCall) error {
	var in struct {
		Item struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"item"`
		Note string `json:"note"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	if err := s.mayShelve(c.exchange, c.owner); err != nil {
		return err
	}
	if err := s.mayCollect(c.exchange, in.Item.Type, in.Item.ID); err != nil {
		return err
	}
	return s.inside(c, func(found *collection.Collection) error {
		return found.Add(in.Item.Type, in.Item.ID, in.Note, time.Now().UTC())
	})
}

func (s *Server) patchItem(c *collectionCall, objectID string) error {
	var in struct {
		Note     *string `json:"note"`
		Position *int    `json:"position"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	return s.inside(c, func(found *collection.Collection) error {
		return found.UpdateItem(objectID, in.Note, in.Position, time.Now().UTC())
	})
}

func (s *Server) deleteItem(c *collectionCall, objectID string) error {
	return s.inside(c, func(found *collection.Collection) error { return found.DeleteItem(objectID, time.Now().UTC()) })
}

// visible reports whether a thing of a collection may be seen by the one who
// asks. Papers, and what this server knows nothing of, are there for all.
func (s *Server) visible(x *exchange, typ, id string) bool {
	switch typ {
	case "model", "dataset", "space":
		repo, err := hub.ParseRepo(hub.RepoType(typ), id)
		if err != nil || string(repo.Type) != typ {
			return false
		}
		_, err = s.open(x, repo)
		return err == nil
	case "collection":
		owner, slug, _ := strings.Cut(id, "/")
		shelf, err := s.shelf(owner)
		if err != nil {
			return false
		}
		c, err := shelf.Find(collection.IDOf(slug))
		return err == nil && (!c.Private || s.member(x.who, owner))
	}
	return true
}

// mayCollect says why a thing cannot be put into a collection, if so.
func (s *Server) mayCollect(x *exchange, typ, id string) error {
	if !s.visible(x, typ, id) {
		return refuse(http.StatusNotFound, "NotFound", "there is no "+typ+" "+id)
	}
	return nil
}

// describeCollection is a collection as the Hub writes it, with at most so
// many items if most is above 0.
func (s *Server) describeCollection(x *exchange, owner string, shelf *collection.Shelf, c *collection.Collection, most int) map[string]any {
	items := []map[string]any{}
	for i, it := range c.Items {
		if most > 0 && len(items) == most {
			break
		}
		if !s.visible(x, it.Type, it.ID) { // deleted or made private since
			continue
		}
		v := map[string]any{"_id": it.ObjectID, "id": it.ID, "type": it.Type, "position": i}
		if it.Note != "" {
			v["note"] = map[string]any{"text": it.Note, "html": html.EscapeString(it.Note)}
		}
		if it.Type == "collection" {
			v["slug"] = it.ID
		}
		items = append(items, v)
	}
	return map[string]any{
		"slug": owner + "/" + c.Slug(), "title": c.Title, "description": c.Description, "gating": false,
		"owner":       map[string]any{"_id": accountID(owner), "name": owner, "fullname": owner, "type": "user", "avatarUrl": ""},
		"lastUpdated": stamp(c.Updated), "position": shelf.Position(c), "private": c.Private, "theme": c.Theme,
		"upvotes": 0, "isUpvotedByUser": false, "items": items, "shareUrl": x.base() + "/collections/" + owner + "/" + c.Slug(),
	}
}

// shown is a collection with what a list needs to know.
type shown struct {
	owner string
	shelf *collection.Shelf
	*collection.Collection
}

func (s *Server) listCollections(x *exchange) error {
	q := x.URL.Query()
	if !slices.Contains([]string{"", "lastModified", "trending", "upvotes"}, q.Get("sort")) {
		return badRequest("sort must be lastModified, trending or upvotes")
	}
	p, err := newPage(q, 100, 100)
	if err != nil {
		return err
	}
	owners := values(q, "owner")
	if len(owners) == 0 {
		if owners, err = s.store.Documents(shelves); err != nil {
			return err
		}
	}
	items := values(q, "item")
	for _, paper := range values(q, "paper") {
		items = append(items, "papers/"+paper)
	}
	var found []shown
	for _, owner := range owners {
		shelf, err := s.shelf(owner)
		if err != nil {
			return err
		}
		for _, c := range shelf.Collections {
			if (!c.Private || s.member(x.who, owner)) && s.hasItem(x, c, items) {
				found = append(found, shown{owner, shelf, c})
			}
		}
	}
	slices.SortFunc(found, func(a, b shown) int {
		return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID))
	})
	out := []map[string]any{}
	for _, c := range cut(x, p, found, x.URL.EscapedPath()) {
		v := s.describeCollection(x, c.owner, c.shelf, c.Collection, itemsInList)
		delete(v, "position") // the official client counts by itself, and fails if it is told
		out = append(out, v)
	}
	return s.ok(x, out)
}

// hasItem reports whether a collection has one of the items, "models/x/y", if
// any are asked for. It has none that the one who asks may not see.
func (s *Server) hasItem(x *exchange, c *collection.Collection, items []string) bool {
	for _, want := range items {
		typ, id, _ := strings.Cut(want, "/")
		if typ = strings.TrimSuffix(typ, "s"); c.Has(typ, id) && s.visible(x, typ, id) {
			return true
		}
	}
	return len(items) == 0
}
