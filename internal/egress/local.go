package egress

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// local makes an address of the Hub into the broker's. Others, and those
// without a host, stay as they are.
func (c *call) local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !c.isHub(u) {
		return address
	}
	rest, below := strings.CutPrefix(u.EscapedPath(), c.base.EscapedPath())
	if !below || rest != "" && rest[0] != '/' {
		return address
	}
	if u.RawQuery != "" {
		rest += "?" + u.RawQuery
	}
	return c.self + rest
}

// isHub reports whether an address is on the Hub's own host, in the clear or
// not.
func (c *call) isHub(u *url.URL) bool {
	if u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" || !strings.EqualFold(u.Hostname(), c.base.Hostname()) {
		return false
	}
	port := u.Port()
	return port == c.base.Port() || port == "" && c.base.Port() == "" || c.base.Port() == "" && (port == "80" || port == "443")
}

var linked = lazyregexp.New(`<[^<>]*>`)

// localLinks does for the addresses of a Link header what local does for one.
func (c *call) localLinks(link string) string {
	return linked.ReplaceAllStringFunc(link, func(s string) string { return "<" + c.local(s[1:len(s)-1]) + ">" })
}

// localBatch does it for the addresses in an answer about large files.
func (c *call) localBatch(data []byte) ([]byte, error) {
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	c.localHrefs(v, 10)
	return json.Marshal(v)
}

func (c *call) localHrefs(v any, depth int) {
	if depth == 0 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if text, ok := inner.(string); ok && name == "href" {
				v[name] = c.local(text)
			} else {
				c.localHrefs(inner, depth-1)
			}
		}
	case []any:
		for _, inner := range v {
			c.localHrefs(inner, depth-1)
		}
	}
}

// shortWhoami leaves of an account what its programs need: the names, and no
// address, bill or token.
func shortWhoami(data []byte) ([]byte, error) {
	type org struct {
		Type string `json:"type,omitempty"`
		ID   string `json:"id,omitempty"`
		Name string `json:"name"`
		Full string `json:"fullname,omitempty"`
		Role string `json:"roleInOrg,omitempty"`
	}
	var who struct {
		Type string `json:"type"`
		ID   string `json:"id,omitempty"`
		Name string `json:"name"`
		Full string `json:"fullname"`
		Pro  bool   `json:"isPro"`
		Orgs []org  `json:"orgs"`
		Auth struct {
			Type   string `json:"type"`
			Access struct {
				Role string `json:"role"`
			} `json:"accessToken"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(data, &who); err != nil {
		return nil, err
	}
	who.Auth.Access.Role = "read" // what the sandbox can do with it
	if who.Orgs == nil {
		who.Orgs = []org{}
	}
	return json.Marshal(who)
}

var errBatch = errors.New("this is no request of git-lfs for large files")

// readBatch reads what a request about large files is for, and puts one in its
// place that says no more than was understood.
func readBatch(r *http.Request) (kind, error) {
	type object struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	var in struct {
		Operation string          `json:"operation"`
		Transfers []string        `json:"transfers,omitempty"`
		Objects   []object        `json:"objects"`
		Algo      string          `json:"hash_algo,omitempty"`
		Ref       json.RawMessage `json:"ref,omitempty"`
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxRewrite+1))
	if err != nil || len(data) > maxRewrite || r.Header.Get("Content-Encoding") != "" {
		return change, errBatch
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return change, fmt.Errorf("%w: %w", errBatch, err)
	}
	k := change
	if in.Operation == "download" {
		k = read
		in.Ref = nil
		if data, err = json.Marshal(in); err != nil {
			return change, err
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	r.TransferEncoding = nil
	return k, nil
}
