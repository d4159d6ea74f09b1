package hubserver_test

import (
	"net/url"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// createDataset makes a data set with files.
func (s site) createDataset(name string, files ...string) {
	s.t.Helper()
	if a := s.do("POST", "/api/repos/create", `{"name":"`+name+`","organization":"me","type":"dataset"}`); a.status != 200 {
		s.t.Fatalf("create %s: %d %s", name, a.status, a.body)
	}
	if a := s.do("POST", "/api/datasets/me/"+name+"/commit/main", commitBody("", files...)); a.status != 200 {
		s.t.Fatalf("commit to %s: %d %s", name, a.status, a.body)
	}
}

func TestViewerOnTheWire(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.createDataset("x", fileLine("train.csv", "a,b\n1,x\n2,y\n"), fileLine("test.csv", "a,b\n3,z\n"))
	train := "dataset=me/x&config=default&split=train"
	cases := []struct {
		path   string
		status int
		code   string
		body   string // a part
	}{
		{"is-valid?dataset=me/x", 200, "", `{"filter":true,"preview":true,"search":true,"statistics":true,"viewer":true}`},
		{"splits?dataset=me/x", 200, "", `{"failed":[],"pending":[],"splits":[{"dataset":"me/x","config":"default","split":"train"},{"dataset":"me/x","config":"default","split":"test"}]}`},
		{"info?dataset=me/x&config=default", 200, "", `"features":{"a":{"dtype":"int64","_type":"Value"},"b":{"dtype":"string","_type":"Value"}}`},
		{"size?dataset=me/x", 200, "", `"num_rows":3`},
		{"size?dataset=me/x&config=default", 200, "", `"size":{"config":{`},
		{"parquet?dataset=me/x", 200, "", `"parquet_files":[]`},
		{"first-rows?" + train, 200, "", `"features":[{"feature_idx":0,"name":"a","type":{"dtype":"int64","_type":"Value"}}`},
		{"rows?" + train + "&offset=1&length=1", 200, "", `"num_rows_per_page":100,"num_rows_total":2,"partial":false,"rows":[{"row_idx":1,"row":{"a":2,"b":"y"},"truncated_cells":[]}]`},
		{"rows?" + train + "&offset=7", 200, "", `"rows":[]`},
		{"search?" + train + "&query=Y", 200, "", `"num_rows_total":1`},
		{"filter?" + train + "&where=" + url.QueryEscape(`"b"='x'`), 200, "", `"row_idx":0`},
		{"statistics?" + train, 200, "", `{"num_examples":2,"statistics":[{"column_name":"a","column_type":"int"`},
		{"splits", 422, "MissingRequiredParameter", "Parameter 'dataset' is required"},
		{"rows?dataset=me/x", 422, "MissingRequiredParameter", "Parameter 'config' is required"},
		{"rows?dataset=me/x&config=default", 422, "MissingRequiredParameter", "Parameter 'split' is required"},
		{"rows?" + train + "&length=101", 422, "InvalidParameter", "must not be greater than 100"},
		{"rows?" + train + "&offset=-1", 422, "InvalidParameter", "offset"},
		{"search?" + train, 422, "MissingRequiredParameter", "Parameter 'query' is required"},
		{"filter?" + train + "&where=a", 422, "InvalidParameter", "at character 2"},
		{"splits?dataset=me/none", 404, "ExternalAuthenticatedError", "does not exist"},
		{"splits?dataset=../x", 404, "ExternalAuthenticatedError", "does not exist"},
		{"splits?dataset=models/me/x", 404, "ExternalAuthenticatedError", "does not exist"},
		{"splits?dataset=me/x&config=y", 404, "ResponseNotFound", "config y"},
		{"nonsense?dataset=me/x", 404, "NotFound", ""},
	}
	for _, c := range cases {
		for _, where := range []string{"/datasets-server/", "/"} {
			host := strings.Replace(strings.TrimPrefix(s.url, "http://"), "127.0.0.1", "datasets-server.localhost", 1)
			if where == "/datasets-server/" {
				host = strings.TrimPrefix(s.url, "http://")
			}
			a := s.do("GET", where+c.path, "", "Host", host)
			if a.status != c.status || a.header.Get("X-Error-Code") != c.code || !strings.Contains(a.body, c.body) {
				t.Errorf("%s%s: %d %q %s", where, c.path, a.status, a.header.Get("X-Error-Code"), a.body)
			}
			if len(a.header.Get("X-Revision")) != 40 && c.status == 200 {
				t.Errorf("%s does not say of which commit it is", c.path)
			}
		}
	}
	if a := s.do("POST", "/datasets-server/splits?dataset=me/x", "{}"); a.status != 404 {
		t.Errorf("POST: %d", a.status)
	}
	for path, want := range map[string]string{"": `{}`, "/default": `{"error`, "/default/train/0.parquet": `{"error`} {
		if a := s.do("GET", "/api/datasets/me/x/parquet"+path, ""); !strings.HasPrefix(a.body, want) {
			t.Errorf("parquet%s: %s", path, a.body)
		}
	}
}

// Who may not read a data set does not learn that it is there.
func TestViewerKeepsTheGate(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"m": {Name: "me"}, "o": {Name: "other"}}})
	s.token = "m"
	s.createDataset("x", fileLine("a.csv", "a\n1\n"))
	if a := s.do("PUT", "/api/datasets/me/x/settings", `{"gated":"auto"}`); a.status != 200 {
		t.Fatalf("settings: %d %s", a.status, a.body)
	}
	for token, want := range map[string]int{"m": 200, "o": 404, "": 401} {
		s.token = token
		for _, path := range []string{"is-valid?dataset=me/x", "splits?dataset=me/x", "rows?dataset=me/x&config=default&split=train"} {
			if a := s.do("GET", "/datasets-server/"+path, ""); a.status != want || (want != 200) != strings.HasPrefix(a.header.Get("X-Error-Code"), "External") {
				t.Errorf("%q %s: %d %s", token, path, a.status, a.body)
			}
		}
		a := s.do("GET", "/api/datasets/me/x/parquet", "")
		if (a.status == 200) != (want == 200) {
			t.Errorf("%q lists Parquet: %d", token, a.status)
		}
	}
}

// A change of the data set is seen at once, and what cannot be read is said.
func TestViewerFollowsCommits(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.createDataset("x", fileLine("a.jsonl", `{"a":1}`))
	first := s.do("GET", "/datasets-server/info?dataset=me/x", "")
	s.do("POST", "/api/datasets/me/x/commit/main", commitBody("", fileLine("a.jsonl", `{"b":"x"}`)))
	second := s.do("GET", "/datasets-server/info?dataset=me/x", "")
	if !strings.Contains(first.body, `{"a":{"dtype":"int64"`) || !strings.Contains(second.body, `{"b":{"dtype":"string"`) || first.header.Get("X-Revision") == second.header.Get("X-Revision") {
		t.Errorf("before %s\nafter %s", first.body, second.body)
	}
	s.do("POST", "/api/datasets/me/x/commit/main", commitBody("", fileLine("test.jsonl", `{"b":`), fileLine("train.jsonl", `{"b":"y"}`)))
	a := s.do("GET", "/datasets-server/size?dataset=me/x", "")
	if a.status != 200 || !strings.Contains(a.body, `"failed":[{"config":"default","dataset":"me/x","error":{"cause_message":"a JSON value is cut off"`) || !strings.Contains(a.body, `"num_rows":1`) {
		t.Errorf("with a damaged split: %d %s", a.status, a.body)
	}
	a = s.do("GET", "/datasets-server/first-rows?dataset=me/x&config=default&split=test", "")
	if a.status != 500 || a.header.Get("X-Error-Code") != "DatasetGenerationError" {
		t.Errorf("a damaged split: %d %s", a.status, a.body)
	}
}
