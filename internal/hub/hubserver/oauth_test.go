package hubserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// oauthPost sends a body as it is and returns the answer.
func oauthPost(t *testing.T, server *httptest.Server, path, kind, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, read(t, resp.Body), resp.Header
}

func oauthGet(t *testing.T, server *httptest.Server, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, read(t, resp.Body), resp.Header
}

const (
	formKind   = "application/x-www-form-urlencoded"
	deviceKind = "urn:ietf:params:oauth:grant-type:device_code"
)

// Both ways that clients write, a form and JSON, lead to a token that works.
func TestDeviceLoginByHTTP(t *testing.T) {
	t.Parallel()
	tokens := map[string]hubserver.Account{"hf_ada": {Name: "ada", Orgs: []string{"acme"}}, "hf_bob": {Name: "bob", ReadOnly: true}}
	for _, auth := range []bool{false, true} {
		server := start(t, hubserver.Options{User: "ada", Auth: auth, Tokens: tokens})
		for _, kind := range []string{formKind, "application/json; charset=utf-8"} {
			body := func(fields ...string) string {
				form, object := url.Values{}, map[string]string{}
				for i := 0; i < len(fields); i += 2 {
					form.Set(fields[i], fields[i+1])
					object[fields[i]] = fields[i+1]
				}
				if kind == formKind {
					return form.Encode()
				}
				data, _ := json.Marshal(object) // of strings: cannot fail
				return string(data)
			}
			var device struct {
				Code     string `json:"device_code"`
				User     string `json:"user_code"`
				URI      string `json:"verification_uri"`
				Complete string `json:"verification_uri_complete"`
				Expires  int    `json:"expires_in"`
				Interval int    `json:"interval"`
			}
			status, text, header := oauthPost(t, server, "/oauth/device", kind, body("client_id", "x", "scope", "openid"))
			if err := json.Unmarshal([]byte(text), &device); err != nil || status != 200 || header.Get("Cache-Control") != "no-store" {
				t.Fatal(status, text)
			}
			if device.Complete != server.URL+"/oauth/device/verify?user_code="+device.User || device.Expires != 900 || device.Interval != 5 {
				t.Errorf("the login is %+v", device)
			}
			ask := func() (int, string) {
				status, text, _ := oauthPost(t, server, "/oauth/token", kind, body("grant_type", deviceKind, "device_code", device.Code, "client_id", "x"))
				return status, text
			}
			if status, text := ask(); status != 400 || !strings.Contains(text, `"error":"authorization_pending"`) {
				t.Errorf("before: %d %s", status, text)
			}
			status, page, header := oauthGet(t, server, strings.TrimPrefix(device.Complete, server.URL))
			if status != 200 || !strings.Contains(page, `value="`+device.User+`"`) || strings.Contains(page, `type="password"`) != auth ||
				!strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("the page: %d %s", status, page)
			}
			status, page, _ = oauthPost(t, server, "/oauth/device/verify", formKind, url.Values{"user_code": {device.User}, "decision": {"allow"}, "token": {"hf_ada"}}.Encode(),
				"Sec-Fetch-Site", "same-origin", "Origin", server.URL)
			if status != 200 || !strings.Contains(page, "logged in as ada") || strings.Contains(page, "hf_ada") {
				t.Errorf("the person allows it: %d %s", status, page)
			}
			var pair struct {
				Access  string `json:"access_token"`
				Refresh string `json:"refresh_token"`
				Type    string `json:"token_type"`
				Expires int    `json:"expires_in"`
			}
			status, text = ask()
			if err := json.Unmarshal([]byte(text), &pair); err != nil || status != 200 || pair.Type != "bearer" || pair.Expires != 30*24*3600 {
				t.Fatalf("after: %d %s", status, text)
			}
			status, text, _ = oauthGet(t, server, "/api/whoami-v2", "Authorization", "Bearer "+pair.Access)
			if status != 200 || !strings.Contains(text, `"name":"ada"`) || !strings.Contains(text, `"type":"oauth"`) || strings.Contains(text, "accessToken") || auth != strings.Contains(text, `"name":"acme"`) {
				t.Errorf("who am I: %d %s", status, text)
			}
			status, text, _ = oauthPost(t, server, "/oauth/token", kind, body("grant_type", "refresh_token", "refresh_token", pair.Refresh, "client_id", "x"))
			if status != 200 || !strings.Contains(text, `"access_token":"hf_oauth_`) || strings.Contains(text, pair.Access) {
				t.Errorf("renewed: %d %s", status, text)
			}
		}
	}
}

func TestOAuthRefuses(t *testing.T) {
	t.Parallel()
	server := start(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_ada": {Name: "ada"}}})
	for _, c := range []struct {
		path, kind, body string
		status           int
		want             string
	}{
		{"/oauth/device", formKind, "", 400, `"error":"invalid_request"`},
		{"/oauth/device", formKind, "a=%zz", 400, `"error":"invalid_request"`},
		{"/oauth/device", "application/json", "[", 400, `"error":"invalid_request"`},
		{"/oauth/device", "application/json", `{"client_id":7}`, 400, `"error":"invalid_request"`},
		{"/oauth/device", formKind, "client_id=" + strings.Repeat("x", 70<<10), 413, "too large"},
		{"/oauth/token", formKind, "client_id=x", 400, `"error":"invalid_request"`},
		{"/oauth/token", formKind, "grant_type=password", 400, `"error":"unsupported_grant_type"`},
		{"/oauth/token", formKind, "grant_type=refresh_token&refresh_token=x&client_id=x", 400, `"error":"invalid_grant"`},
		{"/oauth/token", formKind, "grant_type=refresh_token", 400, `"error":"invalid_grant"`},
		{"/oauth/token", formKind, "grant_type=" + url.QueryEscape(deviceKind), 400, `"error":"expired_token"`},
		{"/oauth/other", formKind, "", 404, "has no POST"},
		{"/oauth/device/verify", formKind, "user_code=BCDF-GHJK&decision=allow&token=hf_ada", 404, "No login waits"},
		{"/oauth/device/verify", formKind, "user_code=BCDF-GHJK&decision=allow&token=hf_eve", 401, "not an access token"},
		{"/oauth/device/verify", formKind, "user_code=BCDF-GHJK&decision=allow", 401, "not an access token"},
		{"/oauth/device/verify", formKind, "user_code=BCDF-GHJK&token=hf_ada", 400, "allow or deny"},
		{"/oauth/device/verify", formKind, "user_code=%22%3E%3Cscript%3E&decision=allow&token=hf_eve", 401, `&#34;&gt;&lt;script&gt;`},
	} {
		status, text, header := oauthPost(t, server, c.path, c.kind, c.body)
		if status != c.status || !strings.Contains(text, c.want) || header.Get("X-Error-Code") == "" {
			t.Errorf("POST %s %.60q: %d %s", c.path, c.body, status, text)
		}
	}
}

// No page of another origin can allow a login, in either mode.
func TestForeignPagesCannotLogIn(t *testing.T) {
	t.Parallel()
	for _, auth := range []bool{false, true} {
		server := start(t, hubserver.Options{Auth: auth, Tokens: map[string]hubserver.Account{"hf_ada": {Name: "ada"}}})
		_, text, _ := oauthPost(t, server, "/oauth/device", formKind, "client_id=x")
		var device struct {
			Code string `json:"device_code"`
			User string `json:"user_code"`
		}
		if err := json.Unmarshal([]byte(text), &device); err != nil {
			t.Fatal(err)
		}
		body := url.Values{"user_code": {device.User}, "decision": {"allow"}, "token": {"hf_ada"}}.Encode()
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			if status, text, _ := oauthPost(t, server, "/oauth/device/verify", formKind, body, header...); status != 403 {
				t.Errorf("%v: %d %s", header, status, text)
			}
		}
		status, text, _ := oauthPost(t, server, "/oauth/token", formKind, url.Values{"grant_type": {deviceKind}, "device_code": {device.Code}, "client_id": {"x"}}.Encode())
		if status != 400 || !strings.Contains(text, "authorization_pending") {
			t.Errorf("the login is decided: %d %s", status, text)
		}
	}
}

// A token of a login cannot make another one, and ends with its account.
func TestLoginTokensHaveAnOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, hubserver.Options{Dir: dir, Auth: true, Tokens: map[string]hubserver.Account{"hf_ada": {Name: "ada"}}})
	login := func(token string) (string, int) {
		var device, pair struct {
			Code   string `json:"device_code"`
			User   string `json:"user_code"`
			Access string `json:"access_token"`
		}
		_, text, _ := oauthPost(t, server, "/oauth/device", formKind, "client_id=x")
		if err := json.Unmarshal([]byte(text), &device); err != nil {
			t.Fatal(err)
		}
		status, _, _ := oauthPost(t, server, "/oauth/device/verify", formKind, url.Values{"user_code": {device.User}, "decision": {"allow"}, "token": {token}}.Encode())
		_, text, _ = oauthPost(t, server, "/oauth/token", formKind, url.Values{"grant_type": {deviceKind}, "device_code": {device.Code}, "client_id": {"x"}}.Encode())
		_ = json.Unmarshal([]byte(text), &pair) // an error has no token
		return pair.Access, status
	}
	token, status := login("hf_ada")
	if token == "" || status != 200 {
		t.Fatal(status)
	}
	if second, status := login(token); second != "" || status != 401 {
		t.Errorf("a token of a login makes another: %d", status)
	}
	for name, tokens := range map[string]map[string]hubserver.Account{
		"still there": {"hf_new": {Name: "ada"}}, "gone": {"hf_eve": {Name: "eve"}},
	} {
		again := start(t, hubserver.Options{Dir: dir, Auth: true, Tokens: tokens})
		status, _, _ := oauthGet(t, again, "/api/whoami-v2", "Authorization", "Bearer "+token)
		if want := map[string]int{"still there": 200, "gone": 401}[name]; status != want {
			t.Errorf("with its account %s the token is answered %d, want %d", name, status, want)
		}
	}
}
