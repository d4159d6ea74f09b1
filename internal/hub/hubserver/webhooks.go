package hubserver

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/webhook"
)

// hooks is the kind of document that keeps an account's webhooks.
const hooks = "webhooks"

// webhooksAPI serves what is under /api/settings/webhooks.
func (s *Server) webhooksAPI(x *exchange, method string, seg []string) error {
	if x.who == nil {
		return refuse(http.StatusUnauthorized, "Unauthorized", noPassword)
	}
	if len(seg) == 0 && method == http.MethodGet {
		var list webhook.List
		if err := s.store.Document(hooks, x.who.Name, &list); err != nil {
			return err
		}
		if list.Hooks == nil {
			list.Hooks = []*webhook.Hook{}
		}
		return s.ok(x, list.Hooks)
	}
	if len(seg) > 2 {
		return noRoute(x)
	}
	if len(seg) == 1 && method == http.MethodGet {
		var list webhook.List
		if err := s.store.Document(hooks, x.who.Name, &list); err != nil {
			return err
		}
		h, err := list.Find(seg[0])
		if err != nil {
			return webhookRefusal(err)
		}
		return s.ok(x, map[string]any{"webhook": h})
	}
	return s.changeHook(x, method, seg)
}

func webhookRefusal(err error) error {
	switch {
	case errors.Is(err, webhook.ErrMissing):
		return refuse(http.StatusNotFound, "NotFound", err.Error())
	case errors.Is(err, webhook.ErrInvalid):
		return badRequest(err.Error())
	}
	return err
}

// changeHook creates, changes or deletes a webhook.
func (s *Server) changeHook(x *exchange, method string, seg []string) error {
	if err := s.mayWrite(x, x.who.Name); err != nil {
		return err
	}
	var in webhook.Request
	plain := method == http.MethodPost && len(seg) < 2
	if plain {
		if err := decode(x, &in); err != nil {
			return err
		}
	}
	enable := method == http.MethodPost && len(seg) == 2 && slices.Contains([]string{"enable", "disable"}, seg[1])
	remove := method == http.MethodDelete && len(seg) == 1
	if !plain && !enable && !remove {
		return noRoute(x)
	}
	ctx, cancel := x.detached()
	defer cancel()
	var list webhook.List
	var h *webhook.Hook
	err := s.store.UpdateDocument(ctx, hooks, x.who.Name, &list, func() (err error) {
		switch {
		case len(seg) == 0:
			h, err = list.Create(in)
			return err
		case remove:
			return list.Delete(seg[0])
		}
		if h, err = list.Find(seg[0]); err != nil {
			return err
		}
		if enable {
			h.Disabled = seg[1] == "disable"
			return nil
		}
		return h.Change(in)
	})
	if err != nil {
		return webhookRefusal(err)
	}
	if remove {
		return s.ok(x, map[string]any{"success": true})
	}
	return s.ok(x, map[string]any{"webhook": h})
}

// announced are the scopes of what the routes change.
var announced = map[string]string{
	"commit": "repo.content", "branch": "repo.content", "tag": "repo.content", "super-squash": "repo.content", "lfs-files": "repo.content", "settings": "repo.config",
	"discussions": "repo.content", // a merge, a pull request
}

// announce tells the webhooks of a change that a route has made.
func (s *Server) announce(c *repoCall, action string) {
	scope, ok := announced[action]
	if !ok {
		return
	}
	after, err := s.store.Repo(c.repo.RepoID)
	if err != nil {
		return // gone again
	}
	more := map[string]any{}
	if refs := changedRefs(c.repo.Refs, after.Refs); len(refs) > 0 {
		more["updatedRefs"] = refs
	} else if scope == "repo.content" {
		return // nothing has changed
	}
	s.tell(c.exchange, after, "update", scope, more)
}

func changedRefs(before, after map[string]string) []map[string]any {
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, after)
	var out []map[string]any
	for _, ref := range slices.Sorted(maps.Keys(all)) {
		if before[ref] == after[ref] {
			continue
		}
		v := map[string]any{"ref": ref, "oldSha": nil, "newSha": nil}
		if sha := before[ref]; sha != "" {
			v["oldSha"] = sha
		}
		if sha := after[ref]; sha != "" {
			v["newSha"] = sha
		}
		out = append(out, v)
	}
	return out
}

// tell sends an event to the webhooks that want it. An account that may not
// see a repository is not told of it.
func (s *Server) tell(x *exchange, repo *gitstore.Repo, action, scope string, more map[string]any) {
	owners, err := s.store.Documents(hooks)
	if err != nil || len(owners) == 0 {
		return
	}
	payload := map[string]any{
		"event": map[string]any{"action": action, "scope": scope},
		"repo": map[string]any{
			"type": repo.Type, "name": repo.String(), "id": repo.ID, "private": repo.Private,
			"headSha": repo.Refs[gitstore.MainBranch], "owner": map[string]any{"id": accountID(repo.Namespace)},
			"url": map[string]any{"web": x.base() + "/" + repo.Path(), "api": x.base() + "/api/" + string(repo.Type) + "s/" + repo.String()},
		},
	}
	maps.Copy(payload, more)
	accounts := s.accounts()
	for _, owner := range owners {
		i := slices.IndexFunc(accounts, func(a Account) bool { return a.Name == owner })
		if i < 0 || repo.Private && !s.member(&accounts[i], repo.Namespace) {
			continue
		}
		var list webhook.List
		if err := s.store.Document(hooks, owner, &list); err != nil {
			s.log.Error("hub server could not read webhooks", "error", err)
			continue
		}
		for _, h := range list.Hooks {
			if h.Wants("repo", string(repo.Type), repo.Namespace, repo.String()) {
				s.sender.Send(x.Context(), *h, payload)
			}
		}
	}
}

// tellMove sends the event of a repository that has another name now.
func (s *Server) tellMove(x *exchange, from, to hub.RepoID) {
	repo, err := s.store.Repo(to)
	if err != nil {
		return // gone again
	}
	before := *repo
	before.RepoID = from
	owner := map[string]any{"id": accountID(to.Namespace)}
	s.tell(x, &before, "move", "repo", map[string]any{"movedTo": map[string]any{"name": to.String(), "owner": owner}})
}
