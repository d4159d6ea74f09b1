package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Account is who a token belongs to, and what the token may do.
type Account struct {
	ID            string     `json:"id"`
	Type          string     `json:"type"` // user, org or app
	Name          string     `json:"name"`
	FullName      string     `json:"fullname"`
	Email         string     `json:"email,omitempty"`
	EmailVerified bool       `json:"emailVerified"`
	IsPro         bool       `json:"isPro"`
	CanPay        bool       `json:"canPay"`
	BillingMode   string     `json:"billingMode,omitempty"` // prepaid or postpaid
	PeriodEnd     int64      `json:"periodEnd,omitempty"`   // of the plan, in Unix seconds
	AvatarURL     string     `json:"avatarUrl"`
	Orgs          []Org      `json:"orgs"`
	Auth          Credential `json:"auth"`
}

// An Org is an organization of an account.
type Org struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	FullName       string          `json:"fullname"`
	Email          string          `json:"email,omitempty"`
	CanPay         bool            `json:"canPay"`
	PeriodEnd      int64           `json:"periodEnd,omitempty"` // of the plan, in Unix seconds
	AvatarURL      string          `json:"avatarUrl"`
	Plan           string          `json:"plan,omitempty"`                 // team, enterprise, plus or academia
	Role           string          `json:"roleInOrg,omitempty"`            // admin, write, contributor, read, no_access or custom
	Restrictions   []string        `json:"securityRestrictions,omitempty"` // what it asks of its members: mfa, sso …
	ResourceGroups []ResourceGroup `json:"resourceGroups,omitempty"`
}

// A ResourceGroup is a part of an organization with rights of its own.
type ResourceGroup struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
}

// A Credential is how the account showed who it is.
type Credential struct {
	Type      string `json:"type"`
	ExpiresAt Moment `json:"expiresAt,omitzero"`
	Resource  struct {
		Sub string `json:"sub"` // the one repository or user that it is good for
	} `json:"resource,omitzero"`
	AccessToken AccessToken `json:"accessToken,omitzero"` // empty for OAuth
}

// An AccessToken is what the Hub tells of a token that a person made.
type AccessToken struct {
	DisplayName string     `json:"displayName"`
	Role        string     `json:"role"` // read, write, god or fineGrained
	CreatedAt   Moment     `json:"createdAt,omitzero"`
	FineGrained FineGrants `json:"fineGrained,omitzero"`
}

// FineGrants are the rights of a fine-grained token.
type FineGrants struct {
	CanReadGatedRepos bool        `json:"canReadGatedRepos"`
	Global            []string    `json:"global,omitempty"`
	Scoped            []FineGrant `json:"scoped,omitempty"`
}

// A FineGrant is what a token may do with one entity.
type FineGrant struct {
	Entity struct {
		ID   string `json:"_id"`
		Name string `json:"name"`
		Type string `json:"type"` // user, org, model, dataset, space …
	} `json:"entity"`
	Permissions []string `json:"permissions"`
}

// A Moment is a time that the Hub wrote; one that cannot be read is zero.
type Moment struct{ time.Time }

// UnmarshalJSON reads RFC 3339, or seconds since 1970.
func (m *Moment) UnmarshalJSON(data []byte) error {
	var seconds int64
	if json.Unmarshal(data, &seconds) == nil && seconds > 0 {
		m.Time = time.Unix(seconds, 0).UTC()
	} else if json.Unmarshal(data, &m.Time) != nil {
		m.Time = time.Time{}
	}
	return nil
}

// UnmarshalJSON takes what it understands: a field that the Hub sends in
// another shape than today stays empty, as long as there is a name.
func (a *Account) UnmarshalJSON(data []byte) error {
	type plain Account
	var p plain
	err := json.Unmarshal(data, &p)
	if _, odd := errors.AsType[*json.UnmarshalTypeError](err); odd && p.Name != "" {
		err = nil
	}
	if err == nil && p.Name == "" {
		err = errors.New("the account has no name")
	}
	if err == nil {
		*a = Account(p)
	}
	return err
}

// Plan is what the account pays for: "PRO", or "free".
func (a Account) Plan() string {
	if a.IsPro {
		return "PRO"
	}
	return "free"
}

// Role is what the token may do: read, write, god or fineGrained; "oauth" for
// one that was made by logging in, whose rights the Hub does not list.
func (a Account) Role() string {
	switch {
	case a.Auth.AccessToken.Role != "":
		return a.Auth.AccessToken.Role
	case a.Auth.Resource.Sub != "":
		return "resource"
	}
	return "oauth"
}

// CanWrite reports whether the token may write to repositories of the
// namespace, as far as its account tells. The Hub has the last word.
func (a Account) CanWrite(namespace string) bool {
	switch a.Role() {
	case "read", "resource":
		return false
	case "fineGrained":
		return a.mayWriteWithin(namespace)
	}
	return a.member(namespace)
}

// CanWriteRepo reports the same for one repository: a token may be for it
// alone.
func (a Account) CanWriteRepo(repo RepoID) bool {
	if sub := a.Auth.Resource.Sub; sub != "" && a.Role() == "resource" {
		return strings.EqualFold(sub, repo.Path())
	}
	for _, g := range a.Auth.AccessToken.FineGrained.Scoped {
		if g.Entity.Type == string(repo.Type) && strings.EqualFold(g.Entity.Name, repo.String()) && g.writes() {
			return true
		}
	}
	return a.CanWrite(repo.Namespace)
}

// CanPublish reports whether there is anything that the token may write to.
func (a Account) CanPublish() bool {
	switch a.Role() {
	case "read":
		return false
	case "resource":
		return strings.Contains(a.Auth.Resource.Sub, "/")
	case "fineGrained":
		return slices.ContainsFunc(a.Auth.AccessToken.FineGrained.Scoped, FineGrant.writes)
	}
	return true
}

func (g FineGrant) writes() bool { return slices.Contains(g.Permissions, "repo.write") }

func (a Account) mayWriteWithin(namespace string) bool {
	return slices.ContainsFunc(a.Auth.AccessToken.FineGrained.Scoped, func(g FineGrant) bool {
		owner := g.Entity.Type == "user" || g.Entity.Type == "org"
		return owner && strings.EqualFold(g.Entity.Name, namespace) && g.writes()
	})
}

// member reports whether the namespace is the account's own or of an
// organization in which it may write.
func (a Account) member(namespace string) bool {
	if strings.EqualFold(a.Name, namespace) {
		return true
	}
	return slices.ContainsFunc(a.Orgs, func(o Org) bool {
		return strings.EqualFold(o.Name, namespace) && o.Role != "read" && o.Role != "no_access"
	})
}

// WhoAmI asks whose token this is. The Hub limits this call much more than
// others: ask once, or set Who.
func (c *Client) WhoAmI(ctx context.Context) (Account, error) {
	if c.Who != nil {
		return c.Who(ctx)
	}
	var who Account
	if _, err := c.api(ctx, call{method: "GET", path: "/api/whoami-v2"}, nil, &who); err != nil {
		return Account{}, fmt.Errorf("ask who I am: %w", err)
	}
	return who, nil
}

// WhoAmINow asks the Hub itself, for those who would rather go without than
// wait: the first answer is the last.
func (c *Client) WhoAmINow(ctx context.Context) (Account, error) {
	var who Account
	resp, err := c.send(ctx, call{method: "GET", path: "/api/whoami-v2", limit: oauthLimit})
	if err == nil {
		if resp.StatusCode >= 400 {
			return Account{}, fmt.Errorf("ask who I am: %w", c.responseError(resp.Response))
		}
		err = decodeAnswer(resp, &who)
	}
	if err != nil {
		return Account{}, fmt.Errorf("ask who I am: %w", err)
	}
	return who, nil
}
