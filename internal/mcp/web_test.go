package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"ml-intern/internal/mcp"
	"ml-intern/internal/strongbox"
)

// serving starts a server of the SDK behind the handler that wrap makes.
func serving(t *testing.T, wrap func(http.Handler) http.Handler) *httptest.Server {
	t.Helper()
	server := sdk.NewServer(&sdk.Implementation{Name: "web", Version: "1"}, nil)
	type in struct {
		Text string `json:"text"`
	}
	sdk.AddTool(server, &sdk.Tool{Name: "say", Description: "says it"}, func(_ context.Context, _ *sdk.CallToolRequest, i in) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "said " + i.Text}}}, nil, nil
	})
	handler := http.Handler(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil))
	if wrap != nil {
		handler = wrap(handler)
	}
	ts := httptest.NewServer(handler)
	t.Cleanup(func() { ts.CloseClientConnections(); ts.Close() })
	return ts
}

func at(address string) mcp.Server {
	return mcp.Server{Name: "s", URL: address, StartTimeout: time.Minute, Timeout: time.Minute}
}

func TestWeb(t *testing.T) {
	t.Parallel()
	tools, notices := set(t, at(serving(t, nil).URL)).Tools(t.Context())
	if len(notices) > 0 || len(tools) != 1 {
		t.Fatal(notices)
	}
	if i := tools[0].Spec().Impact("{}"); i.Effect != "publishes" || len(i.Hosts) != 1 || !strings.HasPrefix(i.Outside, "it calls say of the MCP server s, at 127.0.0.1:") {
		t.Errorf("%+v", i)
	}
	if out := run(t.Context(), t, tools[0], `{"text":"x"}`); out.Text != "<MCP server s>\nsaid x" {
		t.Errorf("%+v", out)
	}
	if out := run(t.Context(), t, tools[0], `{"tex":"x"}`); !out.IsError {
		t.Errorf("%+v", out)
	}
}

// The headers of a server go to it alone: neither to where it sends on, nor to
// where it says that its authorization server is.
func TestHeadersStayHome(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var strangers []string
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		strangers = append(strangers, fmt.Sprint(r.Method, r.URL, r.Header))
	}))
	defer stranger.Close()
	seen := atomic.Bool{}
	home := serving(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Key") == "s3cret" {
				seen.Store(true)
			}
			switch {
			case strings.HasSuffix(r.URL.Path, "/away"):
				http.Redirect(w, r, stranger.URL+"/x", http.StatusTemporaryRedirect)
			case strings.HasSuffix(r.URL.Path, "/login"):
				w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+stranger.URL+`/meta"`)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	for path, want := range map[string]string{"": "", "/away": "which is not followed", "/login": "log in with ml-intern mcp login s"} {
		server := at(home.URL + path)
		server.Headers = map[string]string{"X-Key": "s3cret"}
		tools, notices := set(t, server).Tools(t.Context())
		switch {
		case want == "" && len(tools) != 1:
			t.Errorf("%v", notices)
		case want != "" && !strings.Contains(fmt.Sprint(notices), want):
			t.Errorf("%s: %v", path, notices)
		}
	}
	if !seen.Load() {
		t.Error("the server itself was not given its header")
	}
	mu.Lock()
	defer mu.Unlock()
	if all := fmt.Sprint(strangers); strings.Contains(all, "s3cret") || len(strangers) > 0 {
		t.Errorf("a stranger was asked: %s", all)
	}
}

// A server that answers with too much, too often or not at all costs its call.
func TestHostileWeb(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"big": "a message of more than 8 MB", "bigevent": "a message of more than 8 MB", "flood": "far more messages", "hang": "no answer in 1s", "gone": "", "error": "Internal Server Error",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int32
			ts := serving(t, func(next http.Handler) http.Handler { return hostile(kind, &hits, next) })
			server := at(ts.URL)
			if kind == "hang" {
				server.Timeout = time.Second
			}
			tools, notices := set(t, server).Tools(t.Context())
			if len(tools) != 1 {
				t.Fatal(notices)
			}
			hits.Store(1)
			start := time.Now()
			out := run(t.Context(), t, tools[0], `{"text":"x"}`)
			if (want != "") != out.IsError || !strings.Contains(out.Text, want) || time.Since(start) > time.Minute {
				t.Errorf("after %v: %+.300v", time.Since(start), out)
			}
		})
	}
}

// hostile answers the calls of tools once hits is 1.
func hostile(kind string, hits *atomic.Int32, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || hits.Load() == 0 || r.Header.Get("Mcp-Session-Id") == "" {
			next.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection is not seen
		switch kind {
		case "big":
			w.Header().Set("Content-Type", "application/json")
			fill(r.Context(), w, strings.Repeat("x", 1<<16))
		case "bigevent":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte("data: "))
			fill(r.Context(), w, strings.Repeat("x", 1<<16))
		case "flood":
			w.Header().Set("Content-Type", "text/event-stream")
			fill(r.Context(), w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n")
		case "hang":
			<-r.Context().Done()
		case "gone": // it has been started anew and knows no session
			hits.Store(0)
			w.WriteHeader(http.StatusNotFound)
		case "error":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
}

func fill(ctx context.Context, w http.ResponseWriter, text string) {
	for ctx.Err() == nil {
		if _, err := w.Write([]byte(text)); err != nil {
			return
		}
	}
}

// An authorization server of a test: it registers anybody and gives tokens.
type authority struct {
	*httptest.Server
	mu       sync.Mutex
	tokens   int
	expires  int
	resource string // for which a code was asked
	grants   []string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{expires: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"registration_endpoint":%q,"response_types_supported":["code"],"code_challenge_methods_supported":["S256"],"token_endpoint_auth_methods_supported":["none"]}`,
			a.URL, a.URL+"/authorize", a.URL+"/token", a.URL+"/register")
	})
	mux.HandleFunc("POST /register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"client_id":"c1","token_endpoint_auth_method":"none","redirect_uris":["http://127.0.0.1/callback"]}`)
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		a.mu.Lock()
		a.resource = q.Get("resource")
		a.mu.Unlock()
		back, _ := url.Parse(q.Get("redirect_uri"))
		back.RawQuery = url.Values{"code": {"code1"}, "state": {q.Get("state")}}.Encode()
		http.Redirect(w, r, back.String(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.tokens++
		a.grants = append(a.grants, r.FormValue("grant_type")+" "+r.FormValue("refresh_token")+r.Header.Get("X-Key"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"access%d","refresh_token":"refresh%d","token_type":"Bearer","expires_in":%d}`, a.tokens, a.tokens, a.expires)
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// guarded is a server that wants a token of the authority.
func guarded(t *testing.T, a *authority) (address string, bearers func() string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	var ts *httptest.Server
	ts = serving(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, ts.URL+"/mcp", a.URL)
				return
			}
			bearer := r.Header.Get("Authorization")
			mu.Lock()
			seen = append(seen, bearer)
			mu.Unlock()
			if !strings.HasPrefix(bearer, "Bearer access") {
				w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+ts.URL+`/.well-known/oauth-protected-resource/mcp"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	return ts.URL + "/mcp", func() string { mu.Lock(); defer mu.Unlock(); return strings.Join(seen, ",") }
}

// A person logs in once; the token is kept for that address, renewed when it is
// old, and given to no other server.
func TestLogin(t *testing.T) {
	t.Parallel()
	t.Run("file", func(t *testing.T) { testLogin(t, nil) })
	t.Run("keyring", func(t *testing.T) { testLogin(t, &memory{all: map[string][]byte{}}) })
}

// memory is a keyring.
type memory struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (m *memory) Get(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[name] == nil {
		return nil, strongbox.ErrNone
	}
	return m.all[name], nil
}

func (m *memory) Set(_ context.Context, name string, secret []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[name] = slices.Clone(secret)
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, name)
	return nil
}

func testLogin(t *testing.T, ring strongbox.Ring) {
	t.Parallel()
	a := newAuthority(t)
	address, bearers := guarded(t, a)
	o := options()
	o.Logins.File, o.Logins.Ring = filepath.Join(t.TempDir(), "logins.json"), ring
	server := at(address)
	server.Headers = map[string]string{"X-Key": "own"}

	tools, notices := mcp.NewSet([]mcp.Server{server}, o).Tools(t.Context())
	if len(tools) != 0 || !strings.Contains(fmt.Sprint(notices), "log in with ml-intern mcp login s") {
		t.Fatalf("%v %v", tools, notices)
	}
	a.expires = 1 // so that the session must renew it
	in, err := mcp.Login(t.Context(), server, o, func(address string) {
		go func() {
			if resp, err := http.Get(address); err == nil { //nolint:noctx // the person's browser
				_ = resp.Body.Close()
			}
		}()
	})
	if err != nil || in.Tools != 1 || in.Place.Keyring == (ring == nil) || in.Place.Why != nil {
		t.Fatalf("%+v, %v", in, err)
	}
	a.mu.Lock()
	if a.resource != address {
		t.Errorf("the token is for %q", a.resource)
	}
	a.expires = 3600
	a.mu.Unlock()

	s := mcp.NewSet([]mcp.Server{server}, o)
	defer s.Close()
	if tools, notices = s.Tools(t.Context()); len(tools) != 1 {
		t.Fatal(notices)
	}
	if out := run(t.Context(), t, tools[0], `{"text":"x"}`); out.IsError {
		t.Errorf("%+v", out)
	}
	a.mu.Lock()
	if got := strings.Join(a.grants, ";"); !strings.HasPrefix(got, "authorization_code ;refresh_token refresh") || strings.Contains(got, "own") {
		t.Errorf("grants %s", got)
	}
	a.mu.Unlock()
	if got := o.Logins.Secrets(t.Context()); len(got) != 2 || !strings.HasPrefix(got[0], "access") {
		t.Errorf("secrets %v", got)
	}

	if text, err := os.ReadFile(o.Logins.File); err != nil || strings.Contains(string(text), "access") != (ring == nil) {
		t.Errorf("%s, %v", text, err)
	}

	other, theirs := guarded(t, a) // the same authority, another server, even of the same name
	if _, notices = mcp.NewSet([]mcp.Server{at(other)}, o).Tools(t.Context()); !strings.Contains(fmt.Sprint(notices), "log in with") {
		t.Errorf("%v", notices)
	}
	if got := theirs(); strings.Contains(got, "access") || !strings.Contains(bearers(), "access") {
		t.Errorf("the other server was shown %q, the first %q", got, bearers())
	}
	if was, err := o.Logins.Remove(t.Context(), address); err != nil || !was || len(o.Logins.Secrets(t.Context())) != 0 {
		t.Errorf("%v %v", was, err)
	}
}

// An authorization server at an address that a server may not lead to is not
// asked.
func TestAuthorityElsewhere(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	address, _ := guarded(t, a)
	o := options()
	o.Logins.File = filepath.Join(t.TempDir(), "logins.json")
	o.Other = func(own string) http.RoundTripper {
		if own != "127.0.0.1" {
			t.Errorf("own host %q", own)
		}
		return refusing{}
	}
	if _, err := mcp.Login(t.Context(), at(address), o, func(string) { t.Error("the person was sent there") }); err == nil || !strings.Contains(err.Error(), "private address") {
		t.Errorf("%v", err)
	}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("10.0.0.1 is a private address")
}
