package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/llm/catalog"
)

// keyring finds the token for a Hub.
func keyring(cfg *config.Config, base string) *login.Keyring {
	return &login.Keyring{Getenv: cfg.Getenv, BaseURL: base}
}

// keys remembers the keyring of the Hub that is used, and with it what was
// exchanged and what failed.
type keys struct {
	mu   sync.Mutex
	ring *login.Keyring
}

func (a *App) keyring(base string) *login.Keyring {
	a.keys.mu.Lock()
	defer a.keys.mu.Unlock()
	if a.keys.ring == nil || a.keys.ring.BaseURL != base {
		a.keys.ring = keyring(a.cfg, base)
	}
	return a.keys.ring
}

// renewLogin gives the router's models, if one of these is, a token that does
// not end in the middle of their work. If that fails, the model's own refusal
// says what is wrong.
func renewLogin(ctx context.Context, cfg *config.Config, models ...string) {
	for _, id := range models {
		if e, err := resolve(cfg, id); err == nil && e.Provider == catalog.Router {
			_, _ = keyring(cfg, publicHub).Token(ctx)
			return
		}
	}
}

// accountSecrets lists the tokens that may be sent to these Hubs.
func accountSecrets(cfg *config.Config, hubs ...string) []string {
	var secrets []string
	for _, base := range hubs {
		if t, ok := keyring(cfg, base).Find(); ok {
			secrets = append(secrets, t.Value)
		}
	}
	return secrets
}

// accountHub is the Hub that one logs in to.
func accountHub(cfg *config.Config) (string, error) {
	if cfg.Hub == LocalHub {
		return "", fmt.Errorf("%w: the embedded Hub has no accounts: everyone is \"me\" there; name another with --hub URL", ErrUsage)
	}
	base := strings.TrimRight(cmp.Or(cfg.Hub, cfg.Getenv("HF_ENDPOINT"), publicHub), "/")
	if !strings.HasPrefix(base, "https://") && !strings.HasPrefix(base, "http://") {
		return "", fmt.Errorf("%w: the Hub %q is not a URL", ErrUsage, base)
	}
	return base, nil
}

func accounts(cfg *config.Config) login.Cache {
	return login.Cache{Dir: filepath.Join(cfg.Paths.Cache, "accounts")}
}

// An Account is who a token belongs to, as a front end shows it.
type Account struct {
	Name       string       `json:"name"`
	FullName   string       `json:"fullname,omitempty"`
	Type       string       `json:"type"`
	Hub        string       `json:"hub"`
	Plan       string       `json:"plan"`
	CanPay     bool         `json:"can_pay"`
	Billing    string       `json:"billing_mode,omitempty"` // prepaid or postpaid
	CanPublish bool         `json:"can_publish"`
	Token      AccountToken `json:"token"`
	Orgs       []AccountOrg `json:"orgs"`
	Asked      time.Time    `json:"asked"`
	Stale      bool         `json:"stale,omitempty"` // the Hub could not be asked now
}

// An AccountToken is what is known of a token, without the token.
type AccountToken struct {
	Name    string    `json:"name,omitempty"`
	Role    string    `json:"role"`
	Source  string    `json:"source"` // a variable, a file, or OIDC
	Expires time.Time `json:"expires_at,omitzero"`
	Renews  bool      `json:"renews,omitempty"`
}

// An AccountOrg is an organization of the account.
type AccountOrg struct {
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
	Plan string `json:"plan,omitempty"`
}

func newAccount(base string, a hub.Account, asked time.Time) Account {
	out := Account{
		Name: a.Name, FullName: a.FullName, Type: a.Type, Hub: base, Plan: a.Plan(), CanPay: a.CanPay, Billing: a.BillingMode, CanPublish: a.CanPublish(),
		Token: AccountToken{Name: a.Auth.AccessToken.DisplayName, Role: a.Role(), Expires: a.Auth.ExpiresAt.Time},
		Orgs:  []AccountOrg{}, Asked: asked,
	}
	for _, o := range a.Orgs {
		out.Orgs = append(out.Orgs, AccountOrg{o.Name, o.Role, o.Plan})
	}
	return out
}

// WhoAmI tells whose the token is that this program would use, and what it may
// do. The Hub is asked at most every few minutes.
func WhoAmI(ctx context.Context, cfg *config.Config) (Account, error) {
	base, err := accountHub(cfg)
	if err != nil {
		return Account{}, err
	}
	k := keyring(cfg, base)
	var token login.Token
	answer, known := login.Answer{}, false
	if offline(cfg) {
		token, _ = k.Find()
		answer, known = accounts(cfg).Peek(&hub.Client{BaseURL: base, Token: token.Value})
		if !known {
			return Account{}, errOffline
		}
		answer.Stale = true
	} else if token, err = k.Active(ctx); err != nil {
		return Account{}, err
	} else if answer, err = accounts(cfg).WhoAmI(ctx, &hub.Client{BaseURL: base, Token: token.Value}); err != nil {
		return Account{}, fmt.Errorf("the token of %s: %w", token.Source, err)
	}
	out := newAccount(base, answer.Account, answer.Asked)
	out.Stale = answer.Stale
	out.Token.Source = token.Source
	out.Token.Name = cmp.Or(token.Name, out.Token.Name)
	if !token.Expires.IsZero() {
		out.Token.Expires = token.Expires
	}
	return out, nil
}

var errOffline = fmt.Errorf("%w: HF_HUB_OFFLINE is set, so the Hub is not asked; unset it first", ErrUsage)

func offline(cfg *config.Config) bool {
	switch strings.ToUpper(cfg.Getenv("HF_HUB_OFFLINE")) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// A LoginCode is what a person must enter, and where.
type LoginCode struct {
	URL     string
	Code    string
	OpenURL string // with the code in it
	Life    time.Duration
}

// A Login is what logging in did.
type Login struct {
	Account
	Path       string // the file that has the token now
	Overridden string // a variable whose token is used instead
}

// LoginWithToken keeps a token that a person made on the Hub's pages.
func LoginWithToken(ctx context.Context, cfg *config.Config, token string) (Login, error) {
	return logIn(ctx, cfg, func(*login.Keyring) (hub.OAuthToken, error) { return hub.OAuthToken{Access: token}, nil })
}

// LoginByBrowser shows a person a code and waits until they have entered it in
// a browser.
func LoginByBrowser(ctx context.Context, cfg *config.Config, show func(LoginCode)) (Login, error) {
	return logIn(ctx, cfg, func(k *login.Keyring) (hub.OAuthToken, error) {
		return k.Device(ctx, func(d hub.DeviceCode) {
			show(LoginCode{URL: d.URI, Code: d.UserCode, OpenURL: d.CompleteURI, Life: time.Duration(d.ExpiresIn) * time.Second})
		})
	})
}

func logIn(ctx context.Context, cfg *config.Config, get func(*login.Keyring) (hub.OAuthToken, error)) (Login, error) {
	base, err := accountHub(cfg)
	if err != nil {
		return Login{}, err
	}
	if offline(cfg) {
		return Login{}, errOffline
	}
	k := keyring(cfg, base)
	if err := k.Ready(); err != nil { // before a person takes the trouble
		return Login{}, err
	}
	token, err := get(k)
	if err != nil {
		return Login{}, err
	}
	stored, err := k.Save(ctx, token)
	if err != nil {
		return Login{}, err
	}
	out := Login{Account: newAccount(base, stored.Account, time.Now().UTC()), Path: stored.Path}
	out.Token.Name, out.Token.Source, out.Token.Renews = stored.Name, stored.Path, stored.Renews
	if !stored.Expires.IsZero() {
		out.Token.Expires = stored.Expires.UTC()
	}
	if t, ok := k.Find(); ok && t.FromEnvironment() {
		out.Overridden = t.Source
	}
	return out, nil
}

// A Logout is what logging out did.
type Logout struct {
	Names     []string // of the tokens that were removed
	Active    bool     // the active one was among them
	Remaining string   // a variable that still holds a token
}

// LogOut removes the stored token of that name, or all if it is "".
func LogOut(ctx context.Context, cfg *config.Config, name string) (Logout, error) {
	base := cmp.Or(strings.TrimRight(cmp.Or(cfg.Hub, cfg.Getenv("HF_ENDPOINT")), "/"), publicHub)
	k := keyring(cfg, base)
	before, had := k.Find()
	names, active, err := k.Forget(ctx, name)
	if errors.Is(err, login.ErrNoName) {
		all, listErr := k.Names()
		return Logout{}, errors.Join(fmt.Errorf("%w: no token is stored as %q%s", ErrUsage, name, among(all)), listErr)
	}
	if err != nil {
		return Logout{}, fmt.Errorf("log out: %w", err)
	}
	out := Logout{Names: names, Active: active}
	switch {
	case had && before.FromEnvironment():
		out.Remaining = before.Source
	case had && active:
		err = accounts(cfg).Forget(&hub.Client{BaseURL: base, Token: before.Value})
	}
	if name == "" {
		err = errors.Join(err, accounts(cfg).Clear())
	}
	return out, err
}

func among(names []string) string {
	if len(names) == 0 {
		return "; there is none at all"
	}
	return "; there is: " + strings.Join(names, ", ")
}

// accountCheck tells of the account what is known without a network.
func accountCheck(cfg *config.Config) Check {
	base, err := accountHub(cfg)
	if err != nil {
		return Check{Name: "account", State: stateOK, Detail: "none is needed for the embedded Hub"}
	}
	if resource := cfg.Getenv("HF_OIDC_RESOURCE"); resource != "" {
		return Check{Name: "account", State: stateOK, Detail: "a token for " + resource + " is exchanged when it is needed (HF_OIDC_RESOURCE)"}
	}
	t, ok := keyring(cfg, base).Find()
	switch {
	case !ok:
		return Check{"account", stateNote, "not logged in to " + base, "ml-intern login; the embedded Hub needs no account"}
	case !t.Expires.IsZero() && t.Expires.Before(time.Now()):
		return Check{"account", stateMissing, "the login " + t.Name + " has ended", "ml-intern whoami renews it if that is possible; else ml-intern login"}
	}
	answer, known := accounts(cfg).Peek(&hub.Client{BaseURL: base, Token: t.Value})
	if !known {
		return Check{"account", stateNote, "the token of " + t.Source + ", of an account that was not asked yet", "ml-intern whoami"}
	}
	c := Check{Name: "account", State: stateOK, Detail: fmt.Sprintf("%s, by the token of %s, role %s", answer.Account.Name, t.Source, answer.Account.Role())}
	if !answer.Account.CanPublish() {
		c.State, c.Mend = stateNote, "this token only reads, so it cannot publish: ml-intern login"
	}
	return c
}
