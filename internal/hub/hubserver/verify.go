package hubserver

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"ml-intern/internal/hub/hubserver/grant"
	"ml-intern/internal/markup"
)

//go:embed verify.html
var verifyHTML string

// verifyData is what verify.html shows.
type verifyData struct {
	Code     string
	Account  string // who allows it, "" if a token must tell
	AskToken bool
	Problem  string
	Done     string // the end: there is no form any more
}

func (s *Server) verifyData(code string) *verifyData {
	d := &verifyData{Code: code, AskToken: s.opts.Auth}
	if !s.opts.Auth {
		d.Account = s.opts.User
	}
	return d
}

// verifyPage asks a person for the code that a program showed them.
func (s *Server) verifyPage(x *exchange, code string) error {
	d := s.verifyData(code)
	if code == "" {
		return s.showVerify(x, http.StatusOK, d)
	}
	if _, err := s.grants.Waiting(code); errors.Is(err, grant.ErrExpired) {
		d.Problem = "No login waits for this code: it is mistyped, was used, or has ended."
	} else if err != nil {
		return err
	}
	return s.showVerify(x, http.StatusOK, d)
}

// decide takes the person's decision. It must come from our own page: a page
// of another origin must not log anybody in.
func (s *Server) decide(x *exchange) error {
	if err := s.origin.Check(x.Request); err != nil {
		return refuse(http.StatusForbidden, "Forbidden", "a page of another origin may not log in here")
	}
	in, err := formOrJSON(x)
	if err != nil {
		return err
	}
	d := s.verifyData(in.Get("user_code"))
	holder, problem := s.holder(in.Get("token"))
	if problem != "" {
		d.Problem = problem
		return s.showVerify(x, http.StatusUnauthorized, d)
	}
	d.Done = "Allowed. Go back to the program: it is logged in as " + holder.Account + "."
	switch in.Get("decision") {
	case "allow":
	case "deny":
		holder, d.Done = nil, "Refused. The program gets no token."
	default:
		return badRequest("decision must be allow or deny")
	}
	if err := s.grants.Decide(x.Context(), d.Code, holder); errors.Is(err, grant.ErrExpired) {
		d.Done, d.Problem = "", "No login waits for this code: it is mistyped, was used, or has ended."
		return s.showVerify(x, http.StatusNotFound, d)
	} else if err != nil {
		return err
	}
	return s.showVerify(x, http.StatusOK, d)
}

// holder is who decides. A token that came of a login cannot make others: it
// would outlive itself.
func (s *Server) holder(token string) (*grant.Holder, string) {
	if !s.opts.Auth {
		return &grant.Holder{Account: s.opts.User}, ""
	}
	a, known, err := s.account(token)
	if _, came := s.grants.Find(token); came || !known || err != nil {
		return nil, "This is not an access token of this server."
	}
	return &grant.Holder{Account: a.Name, ReadOnly: a.ReadOnly}, ""
}

// showVerify sends the page. It may load nothing, be framed by nobody, and
// send its form nowhere else.
func (s *Server) showVerify(x *exchange, status int, d *verifyData) error {
	set, err := markup.New(map[string]string{"verify": verifyHTML}, nil)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := set.Write(&out, "verify", d); err != nil {
		return fmt.Errorf("make page: %w", err)
	}
	h := x.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin") // with none a form has no origin to check
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	x.WriteHeader(status)
	if x.Method != http.MethodHead {
		_, _ = x.Write(out.Bytes()) // a client that is gone cannot be told
	}
	return nil
}
