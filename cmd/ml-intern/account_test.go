package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"ml-intern/internal/hub/hubserver"
)

const (
	adaToken = "hf_ada0123456789abcdefghijklmnopq"
	bobToken = "hf_bob0123456789abcdefghijklmnopq"
)

// hub DECISION starts a Hub with the accounts ada, who writes, and bob, who
// reads, and points the program at it. At once somebody decides on every login
// that begins: allow or deny.
func startHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hub allow|deny")
	}
	s, err := hubserver.Open(hubserver.Options{Dir: filepath.Join(ts.Getenv("WORK"), "hub"), Auth: true, Tokens: map[string]hubserver.Account{
		adaToken: {Name: "ada", Orgs: []string{"acme"}}, bobToken: {Name: "bob", ReadOnly: true},
	}})
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth/device" {
			s.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		var device map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &device); err != nil || rec.Code != http.StatusOK {
			ts.Logf("begin to log in: %d %s", rec.Code, rec.Body)
			w.WriteHeader(rec.Code)
			return
		}
		form := url.Values{"user_code": {device["user_code"].(string)}, "decision": {args[0]}, "token": {adaToken}}
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(r.Context(), "POST", "/oauth/device/verify", strings.NewReader(form.Encode())))
		device["interval"] = 1 // the person was quick
		_ = json.NewEncoder(w).Encode(device)
	}))
	ts.Defer(server.Close)
	ts.Setenv("HF_ENDPOINT", server.URL)
	ts.Setenv("ADA", adaToken)
	ts.Setenv("BOB", bobToken)
}
