package hubserver

import (
	"fmt"
	"net/http"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/community"
)

const (
	maxAskForm   = 64 << 10
	maxAskFields = 100
)

// askAccess takes the form in which one asks to read a gated repository.
func (s *Server) askAccess(x *exchange, id hub.RepoID) error {
	c, err := s.repoCall(x, id, see)
	if err == nil {
		err = s.mayJoinAsReader(x)
	}
	if err != nil {
		return err
	}
	c.Body = http.MaxBytesReader(c, c.Body, maxAskForm)
	if strings.HasPrefix(c.Request.Header.Get("Content-Type"), "multipart/") {
		err = c.ParseMultipartForm(maxAskForm)
	} else {
		err = c.ParseForm()
	}
	if err != nil {
		return badRequest("the form cannot be read: " + err.Error())
	}
	if len(c.PostForm) > maxAskFields {
		return badRequest("the form has too many fields")
	}
	fields := map[string]string{}
	for key, v := range c.PostForm {
		fields[key] = strings.Join(v, ", ")
	}
	ctx, cancel := c.detached()
	defer cancel()
	if _, err := s.board().Ask(ctx, c.repo.RepoID, c.who.Name, fields); err != nil {
		return err
	}
	c.Header().Set("Location", "/"+c.repo.Path())
	c.WriteHeader(http.StatusSeeOther)
	return nil
}

// mayJoinAsReader is for what everyone with an account may do, even with a
// token that only reads.
func (s *Server) mayJoinAsReader(x *exchange) error {
	if x.who == nil {
		return refuse(http.StatusUnauthorized, "Unauthorized", noPassword)
	}
	return nil
}

// accessRequests lists the requests that stand as the path says.
func (s *Server) accessRequests(c *repoCall) error {
	access := community.Access(c.args[0])
	switch access {
	case community.Pending, community.Accepted, community.Rejected:
	default:
		return badRequest("requests are pending, accepted or rejected")
	}
	if c.repo.Gated == "" {
		return badRequest(c.repo.String() + " is not gated")
	}
	p, err := newPage(c.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	all, err := s.board().Requests(c.repo.RepoID, access)
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for _, r := range cut(c.exchange, p, all, c.URL.EscapedPath()) {
		user := authorJSON(r.User)
		user["user"], user["reasonToFollow"] = r.User, ""
		v := map[string]any{"requestId": r.ID, "user": user, "status": r.Access, "timestamp": stamp(r.Time), "grantedBy": nil, "fields": r.Fields}
		if r.Fields == nil {
			v["fields"] = map[string]string{}
		}
		if r.Reason != "" {
			v["rejectionReason"] = r.Reason
		}
		out = append(out, v)
	}
	return s.ok(c.exchange, out)
}

// handleAccess answers requests, grants access without one, and takes a request
// back.
func (s *Server) handleAccess(c *repoCall) error {
	if c.args[0] == "cancel" {
		return s.cancelAccess(c)
	}
	if err := s.mayWrite(c.exchange, c.repo.Namespace); err != nil {
		return err
	}
	var in struct {
		User    string           `json:"user"`
		ID      string           `json:"userId"`
		Request string           `json:"requestId"`
		Status  community.Access `json:"status"`
		Reason  string           `json:"rejectionReason"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	var user string
	var err error
	if in.Request != "" {
		user, err = s.board().Asker(c.repo.RepoID, in.Request)
	} else {
		user, err = s.userOf(in.User, in.ID)
	}
	if err != nil {
		return err
	}
	if c.repo.Gated == "" {
		return badRequest(c.repo.String() + " is not gated")
	}
	ctx, cancel := c.detached()
	defer cancel()
	switch c.args[0] {
	case "handle":
		err = s.board().Handle(ctx, c.repo.RepoID, user, in.Status, in.Reason)
	case "grant":
		err = s.board().Grant(ctx, c.repo.RepoID, user)
	default:
		return noRoute(c.exchange)
	}
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

func (s *Server) cancelAccess(c *repoCall) error {
	if err := s.mayJoinAsReader(c.exchange); err != nil {
		return err
	}
	ctx, cancel := c.detached()
	defer cancel()
	if err := s.board().Cancel(ctx, c.repo.RepoID, c.who.Name); err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

// userOf finds the account that a request names, by its name or its id.
func (s *Server) userOf(name, id string) (string, error) {
	if name == "" && id != "" {
		for _, a := range s.opts.Tokens {
			if accountID(a.Name) == id {
				name = a.Name
			}
		}
		if accountID(s.opts.User) == id {
			name = s.opts.User
		}
	}
	if name == "" || !s.known(name) {
		return "", refuse(http.StatusNotFound, "NotFound", fmt.Sprintf("there is no user %q", name+id))
	}
	return name, nil
}
