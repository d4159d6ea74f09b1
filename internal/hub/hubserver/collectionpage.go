package hubserver

import (
	"net/http"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/collection"
	"ml-intern/internal/hub/hubserver/web"
)

// collectionPage shows what a collection has that the one who asks may see.
func (s *Server) collectionPage(x *exchange, owner, slug string) error {
	shelf, err := s.shelf(owner)
	if err != nil {
		return err
	}
	found, err := shelf.Find(collection.IDOf(slug))
	if err != nil || found.Private && !s.member(x.who, owner) {
		return collectionRefusal(owner, collection.ErrMissing)
	}
	view := web.Index{Owner: found.Title}
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		g := web.Group{Name: groupName(typ), URL: "/" + string(typ) + "s"}
		for _, it := range found.Items {
			id, err := hub.ParseRepo(typ, it.ID)
			if it.Type != string(typ) || err != nil || !s.visible(x, it.Type, it.ID) {
				continue
			}
			repo, err := s.store.Repo(id)
			if err != nil {
				continue // gone since
			}
			g.Repos = append(g.Repos, web.Listed{Name: repo.String(), URL: "/" + repo.Path(), Private: repo.Private, Modified: repo.Modified})
		}
		if g.Count = len(g.Repos); g.Count > 0 {
			view.Groups = append(view.Groups, g)
		}
	}
	return s.pages.Write(x, x.Request, http.StatusOK, web.Frame{Title: found.Title, View: view, Person: s.person(x)})
}
