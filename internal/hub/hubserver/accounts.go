package hubserver

import (
	"cmp"
	"maps"
	"net/http"
	"slices"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/space"
)

// moreAPI serves the parts of the API that are about no repository. It tells
// whether the address is one of its own.
func (s *Server) moreAPI(x *exchange, method string, seg []string) (bool, error) {
	switch seg[0] {
	case "jobs":
		return true, s.jobsAPI(x, method, seg[1:])
	case "scheduled-jobs":
		return true, s.scheduledJobs(x, method, seg[1:])
	case "collections":
		return true, s.collectionsAPI(x, method, seg[1:])
	case "telemetry":
		return true, s.ok(x, map[string]any{})
	case "agent-harnesses": // what coding agents are known by: none here
		return true, s.ok(x, map[string]any{"standardEnvVars": []any{}, "harnesses": map[string]any{}})
	}
	if len(seg) == 2 && method == http.MethodGet && seg[0] == "spaces" {
		switch seg[1] {
		case "hardware":
			return true, s.ok(x, space.Flavors())
		case "templates":
			return true, s.spaceTemplates(x)
		}
	}
	if len(seg) > 1 && seg[0] == "settings" && seg[1] == "webhooks" {
		return true, s.webhooksAPI(x, method, seg[2:])
	}
	if len(seg) == 3 && method == http.MethodGet {
		switch seg[0] + "/" + seg[2] {
		case "users/overview":
			return true, s.userOverview(x, seg[1])
		case "organizations/overview":
			return true, s.orgOverview(x, seg[1])
		case "organizations/members":
			return true, s.orgMembers(x, seg[1])
		}
	}
	return false, nil
}

// accounts lists the accounts that the server knows, each once, with the most
// that its tokens allow.
func (s *Server) accounts() []Account {
	if !s.opts.Auth {
		return []Account{{Name: s.opts.User}}
	}
	all := slices.Collect(maps.Values(s.opts.Tokens))
	list, err := s.users.Users()
	if err != nil {
		s.log.Error("hub server could not read its users", "error", err)
	}
	for _, u := range list {
		all = append(all, accountOf(u))
	}
	rank := func(a Account) string {
		if a.ReadOnly {
			return a.Name + "\x01" // after those that may write
		}
		return a.Name + "\x00"
	}
	slices.SortFunc(all, func(a, b Account) int { return cmp.Compare(rank(a), rank(b)) })
	return slices.CompactFunc(all, func(a, b Account) bool { return a.Name == b.Name })
}

func (s *Server) members(org string) []string {
	var names []string
	for _, a := range s.accounts() {
		if slices.Contains(a.Orgs, org) {
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	return names
}

// counts is how much a namespace has that the one who asks may see.
func (s *Server) counts(x *exchange, namespace string) (map[hub.RepoType]int, int, error) {
	n, sum := map[hub.RepoType]int{}, 0
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		repos, err := s.store.Repos(typ)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range repos {
			if r.Namespace == namespace && (!r.Private || s.member(x.who, namespace)) {
				n[typ]++
				sum++
			}
		}
	}
	return n, sum, nil
}

func (s *Server) userOverview(x *exchange, name string) error {
	i := slices.IndexFunc(s.accounts(), func(a Account) bool { return a.Name == name })
	if i < 0 {
		return refuse(http.StatusNotFound, "NotFound", "This user does not exist")
	}
	n, _, err := s.counts(x, name)
	if err != nil {
		return err
	}
	orgs := []map[string]any{}
	for _, org := range s.accounts()[i].Orgs {
		orgs = append(orgs, map[string]any{"id": accountID(org), "name": org, "fullname": org, "avatarUrl": ""})
	}
	return s.ok(x, map[string]any{
		"_id": accountID(name), "user": name, "fullname": name, "type": "user", "avatarUrl": "", "isPro": false, "details": "",
		"numModels": n[hub.Model], "numDatasets": n[hub.Dataset], "numSpaces": n[hub.Space],
		"numDiscussions": 0, "numPapers": 0, "numUpvotes": 0, "numLikes": 0, "numFollowers": 0, "numFollowing": 0,
		"orgs": orgs, "isFollowing": false, "createdAt": accountTime,
	})
}

const accountTime = "2024-01-01T00:00:00.000Z"

// orgOverview describes an organization: a namespace that accounts share, or,
// on a server where all is everyone's, one that has something.
func (s *Server) orgOverview(x *exchange, name string) error {
	n, sum, err := s.counts(x, name)
	if err != nil {
		return err
	}
	members := s.members(name)
	user := slices.ContainsFunc(s.accounts(), func(a Account) bool { return a.Name == name })
	if user || len(members) == 0 && (s.opts.Auth || sum == 0) {
		return refuse(http.StatusNotFound, "NotFound", "This organization does not exist")
	}
	return s.ok(x, map[string]any{
		"_id": accountID(name), "name": name, "fullname": name, "type": "org", "avatarUrl": "", "details": "", "isVerified": false,
		"numModels": n[hub.Model], "numDatasets": n[hub.Dataset], "numSpaces": n[hub.Space],
		"numUsers": len(members), "numFollowers": 0, "isFollowing": false,
	})
}

func (s *Server) orgMembers(x *exchange, name string) error {
	members := s.members(name)
	if len(members) == 0 {
		return refuse(http.StatusNotFound, "NotFound", "This organization does not exist")
	}
	out := []map[string]any{}
	for _, user := range members {
		out = append(out, map[string]any{
			"_id": accountID(user), "user": user, "fullname": user, "type": "user", "avatarUrl": "", "isPro": false, "role": "write",
		})
	}
	p, err := newPage(x.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	return s.ok(x, cut(x, p, out, x.URL.EscapedPath()))
}
