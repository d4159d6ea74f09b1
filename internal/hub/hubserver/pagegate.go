package hubserver

import (
	"net/http"
	"net/url"

	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/web"
)

// gate is what one sees who may not read a gated repository: how their request
// stands, or the form to make one. It is nil for who may read.
func (v *repoView) gate() (*web.Gate, error) {
	if v.gated() == "" {
		return nil, nil //nolint:nilnil // there is no gate for them
	}
	text, err := v.s.readFile(v.commit, "README.md")
	if err != nil {
		return nil, err
	}
	says := parseCard(firstText(text)).parsed.Gate()
	g := &web.Gate{Heading: says.Heading, Description: says.Description, Button: says.Button, URL: v.base + "/ask-access", Auto: v.repo.Gated == "auto"}
	if says.Prompt != "" {
		g.Prompt = v.markdown("").HTML([]byte(says.Prompt))
	}
	if v.who == nil {
		g.Login = loginURL(v.base)
		return g, nil
	}
	access, err := v.s.board().Access(v.repo.RepoID, v.who.Name)
	if err != nil {
		return nil, err
	}
	g.Pending, g.Rejected = access == community.Pending, access == community.Rejected
	for _, q := range says.Questions {
		g.Questions = append(g.Questions, web.Question(q))
	}
	return g, nil
}

func loginURL(to string) string { return "/login?to=" + url.QueryEscape(to) }

// account is who is asking, for the head of a page; with a way to say so for
// one who did not.
func (s *Server) person(x *exchange) web.Person {
	switch {
	case !s.opts.Auth:
		return web.Person{}
	case x.who == nil:
		return web.Person{Login: loginURL(x.URL.RequestURI())}
	}
	return web.Person{Name: x.who.Name}
}

// askPage leads to where the form is.
func (s *Server) askPage(x *exchange, repo *gitstore.Repo) error {
	x.Header().Set("Location", "/"+repo.Path())
	x.WriteHeader(http.StatusSeeOther)
	return nil
}
