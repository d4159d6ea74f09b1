package login_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A build is GitHub and a Hub that trusts its identity tokens.
type build struct {
	*httptest.Server
	exchanged atomic.Int32
}

func startBuild(t *testing.T) *build {
	b := &build{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /github", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer runner-secret" || r.FormValue("audience") != b.URL || r.FormValue("v") != "1" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"value":"identity"}`))
	})
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		err := json.NewDecoder(r.Body).Decode(&in)
		good := err == nil && r.Header.Get("Authorization") == "" && in["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange" &&
			in["subject_token_type"] == "urn:ietf:params:oauth:token-type:id_token" && in["subject_token"] == "identity" && in["resource"] == "me/x"
		if !good {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"not trusted"}`))
			return
		}
		b.exchanged.Add(1)
		_, _ = w.Write([]byte(`{"access_token":"hf_jwt_1","token_type":"bearer","expires_in":3600}`))
	})
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}
