package mcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"ml-intern/internal/strongbox"
)

// loginTime is how long a person may take in their browser.
const loginTime = 10 * time.Minute

// A LoggedIn is what came of a login.
type LoggedIn struct {
	Tools int             // that the server has
	Place strongbox.Place // where the login is kept
}

// Login logs a person in to the server: show is given the address that they
// open, and the browser comes back to this machine.
func Login(ctx context.Context, server Server, options Options, show func(address string)) (LoggedIn, error) {
	if server.URL == "" {
		return LoggedIn{}, fmt.Errorf("%s is a program here, which nobody logs in to", server.Name)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loginTime, fmt.Errorf("nobody logged in within %v", loginTime))
	defer cancel()
	l := newLink(server, options)
	w, err := newWeb(ctx, l)
	if err != nil {
		return LoggedIn{}, err
	}
	defer w.stop()
	back, err := listen(ctx, server.Client.Port)
	if err != nil {
		return LoggedIn{}, err
	}
	defer back.close()
	handler, err := w.handler(back, show)
	if err != nil {
		return LoggedIn{}, err
	}
	transport := &sdk.StreamableClientTransport{Endpoint: server.URL, HTTPClient: w.client(), MaxRetries: 2, MaxEventSize: maxMessage, OAuthHandler: handler, DisableStandaloneSSE: true}
	session, err := l.greet(ctx, transport, usual)
	if err != nil {
		return LoggedIn{}, loginError(ctx, w, err)
	}
	defer session.Close() //nolint:errcheck // the login is kept
	all, err := list(ctx, session)
	if err != nil {
		return LoggedIn{}, loginError(ctx, w, err)
	}
	return LoggedIn{len(all), w.place}, nil
}

func loginError(ctx context.Context, w *web, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if why := w.cause(ctx); why != nil {
		err = why
	}
	return fmt.Errorf("log in to %s: %s", w.link.server.Name, plain(withoutBody(err).Error(), 500)) //nolint:errorlint // words of the server, made plain
}

// handler asks the person, and keeps what they got.
func (w *web) handler(back *callback, show func(string)) (auth.OAuthHandler, error) {
	server := w.link.server
	config := &auth.AuthorizationCodeHandlerConfig{
		RedirectURL: back.url, RequestRefreshToken: true, AcceptUnadvertisedIss: true, Client: w.client(),
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			show(args.URL)
			return back.wait(ctx)
		},
		NewTokenSource: func(ctx context.Context, c *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			kept := &login{ID: c.ClientID, Secret: c.ClientSecret, TokenURL: c.Endpoint.TokenURL, Style: c.Endpoint.AuthStyle, Token: token}
			place, err := w.link.options.Logins.keep(w.ctx, server.URL, kept)
			w.place = place
			return c.TokenSource(ctx, token), err
		},
	}
	if server.Client.ID != "" {
		config.PreregisteredClient = &oauthex.ClientCredentials{ClientID: server.Client.ID}
		if server.Client.Secret != "" {
			config.PreregisteredClient.ClientSecretAuth = &oauthex.ClientSecretAuth{ClientSecret: server.Client.Secret}
		}
	} else {
		config.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "ml-intern", RedirectURIs: []string{back.url}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		}}
	}
	handler, err := auth.NewAuthorizationCodeHandler(config)
	if err != nil {
		return nil, fmt.Errorf("log in to %s: %w", server.Name, err)
	}
	return handler, nil
}

// A callback is where the browser comes back to.
type callback struct {
	url    string
	server *http.Server
	came   chan *auth.AuthorizationResult
	failed chan error
	done   chan struct{}
}

func listen(ctx context.Context, port int) (*callback, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	c := &callback{url: "http://" + l.Addr().String() + "/callback", came: make(chan *auth.AuthorizationResult, 1), failed: make(chan error, 1), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", c.answer)
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = c.server.Serve(l) // ErrServerClosed
		close(c.done)
	}()
	return c, nil
}

func (c *callback) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	text := "You are logged in. This page can be closed."
	if code := q.Get("code"); code != "" {
		select {
		case c.came <- &auth.AuthorizationResult{Code: code, State: q.Get("state"), Iss: q.Get("iss")}:
		default:
		}
	} else {
		text = "The login failed. See the terminal."
		select {
		case c.failed <- fmt.Errorf("the authorization server says %s", plain(q.Get("error")+" "+q.Get("error_description"), 300)):
		default:
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, text) // the browser may be gone
}

func (c *callback) wait(ctx context.Context) (*auth.AuthorizationResult, error) {
	select {
	case result := <-c.came:
		return result, nil
	case err := <-c.failed:
		return nil, err
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx))
	}
}

func (c *callback) close() {
	_ = c.server.Close() // nobody comes any more
	<-c.done
}
