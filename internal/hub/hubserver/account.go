package hubserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/users"
)

// account finds whose token it is, in a time that tells nothing of the others.
func (s *Server) account(token string) (found Account, ok bool, err error) {
	sum := sha256.Sum256([]byte(token))
	for secret, a := range s.opts.Tokens {
		want := sha256.Sum256([]byte(secret))
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
			found, ok = a, true
		}
	}
	if ok {
		return found, ok, nil
	}
	if found, ok = s.granted(token); ok {
		return found, ok, nil
	}
	u, ok, err := s.users.Find(token)
	return accountOf(u), ok, err
}

func accountOf(u users.User) Account {
	return Account{Name: u.Name, Orgs: u.Orgs, ReadOnly: u.ReadOnly()}
}

// member reports whether the namespace is the account's own or one of its
// organizations. Without Auth every namespace is everyone's.
func (s *Server) member(who *Account, namespace string) bool {
	if !s.opts.Auth {
		return true
	}
	return who != nil && (who.All || who.Name == namespace || slices.Contains(who.Orgs, namespace))
}

// mayWrite says why the one who asks must not write to a namespace, if so.
func (s *Server) mayWrite(x *exchange, namespace string) error {
	switch {
	case x.who == nil:
		return noRepo(x)
	case !s.member(x.who, namespace):
		return refuse(http.StatusForbidden, "Forbidden", "Forbidden: you don't have the rights to write to "+namespace)
	case x.who.ReadOnly:
		return refuse(http.StatusForbidden, "Forbidden", "Forbidden: pass a token with the write role")
	}
	return nil
}

// mayJoin says why the one who asks must not take part in what goes on in a
// repository that they may read, if so.
func (s *Server) mayJoin(x *exchange) error {
	switch {
	case x.who == nil:
		return noRepo(x)
	case x.who.ReadOnly:
		return refuse(http.StatusForbidden, "Forbidden", "Forbidden: pass a token with the write role")
	}
	return nil
}

// known reports whether there is an account of that name.
func (s *Server) known(user string) bool {
	if !s.opts.Auth {
		return user != ""
	}
	_, ok := s.named(user)
	return ok
}

// open finds a repository that the one who asks may know of.
func (s *Server) open(x *exchange, id hub.RepoID) (*gitstore.Repo, error) {
	repo, err := s.store.Repo(id)
	if err != nil {
		return nil, err
	}
	if repo.Private && !s.member(x.who, id.Namespace) {
		return nil, noRepo(x)
	}
	if repo.Disabled {
		return nil, refuse(http.StatusForbidden, "Forbidden", disabledText)
	}
	return repo, nil
}

// mayRead says why the one who asks must not read a repository's files.
func (s *Server) mayRead(x *exchange, repo *gitstore.Repo) error {
	switch {
	case repo.Gated == "" || s.member(x.who, repo.Namespace):
		return nil
	case x.who == nil:
		return refuse(http.StatusUnauthorized, "GatedRepo", "Access to "+string(repo.Type)+" "+repo.String()+" is restricted. You must have access to it and be authenticated to access it. Please log in.")
	}
	if access, err := s.board().Access(repo.RepoID, x.who.Name); err != nil || access == community.Accepted {
		return err
	}
	return refuse(http.StatusForbidden, "GatedRepo", "Access to "+string(repo.Type)+" "+repo.String()+
		" is restricted and you are not in the authorized list. Visit "+x.base()+"/"+repo.Path()+" to ask for access.")
}

func (s *Server) whoami(x *exchange) error {
	if x.who == nil {
		return refuse(http.StatusUnauthorized, "Unauthorized", noPassword)
	}
	role := "write"
	if x.who.ReadOnly {
		role = "read"
	}
	orgs := []map[string]any{}
	for _, name := range x.who.Orgs {
		orgs = append(orgs, map[string]any{
			"type": "org", "id": accountID(name), "name": name, "fullname": name, "email": nil,
			"canPay": false, "periodEnd": nil, "avatarUrl": "", "roleInOrg": role, "isEnterprise": false,
		})
	}
	return s.ok(x, map[string]any{
		"type": "user", "id": accountID(x.who.Name), "name": x.who.Name, "fullname": x.who.Name,
		"emailVerified": true, "isPro": false, "canPay": false, "billingMode": "prepaid", "periodEnd": nil,
		"avatarUrl": "", "orgs": orgs, "auth": s.credential(x, role),
	})
}

// credential is how the one who asks showed who it is.
func (s *Server) credential(x *exchange, role string) map[string]any {
	if t, ok := s.grants.Find(x.token()); ok {
		return map[string]any{"type": "oauth", "expiresAt": t.Expires.Format("2006-01-02T15:04:05.000Z")}
	}
	return map[string]any{"type": "access_token", "accessToken": map[string]any{
		"displayName": x.who.Name, "role": role, "createdAt": "2024-01-01T00:00:00.000Z",
	}}
}

// accountID is shaped like the Hub's ids and always the same for a name.
func accountID(name string) string {
	sum := sha256.Sum256([]byte("account " + name))
	return hex.EncodeToString(sum[:12])
}
