package hfdocs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// An API is what a description in the format of OpenAPI says.
type API struct {
	Title     string
	Version   string
	Server    string
	Endpoints []Endpoint
	Tags      []string
	parts     map[string]any // the whole document, for references
}

// An Endpoint is one method of one path.
type Endpoint struct {
	Method      string
	Path        string
	ID          string
	Summary     string
	Description string
	Tags        []string
	Deprecated  bool
	Parameters  []Parameter
	Body        map[string]any // the schema of what is sent, nil for nothing
	BodyType    string
	BodyNeeded  bool
	Answers     []Answer
}

// A Parameter is a part of a path, a query or a header.
type Parameter struct {
	Name     string
	In       string
	Type     string
	Required bool
	About    string
	Example  any
}

// An Answer is what a status means.
type Answer struct {
	Status string
	About  string
	Type   string
	Schema map[string]any
}

// API gets the description of the Hub's API.
func (c *Client) API(ctx context.Context) (*API, error) {
	resp, err := c.get(ctx, "/.well-known/openapi.json", listAge)
	if err != nil {
		return nil, fmt.Errorf("get the description of the API: %w", err)
	}
	api, err := ParseAPI(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("get the description of the API from %s: %w", resp.URL, err)
	}
	if api.Server == "" || strings.HasPrefix(api.Server, "/") {
		api.Server = c.base() + strings.TrimRight(api.Server, "/")
	}
	return api, nil
}

// ParseAPI reads a description in the format of OpenAPI 3. What it does not
// know it passes over.
func ParseAPI(doc []byte) (*API, error) {
	a := &API{}
	if err := json.Unmarshal(doc, &a.parts); err != nil {
		return nil, fmt.Errorf("it is not the JSON that is expected: %w", err)
	}
	info := a.object(a.parts["info"])
	a.Title, a.Version = text(info["title"]), text(info["version"])
	if servers := list(a.parts["servers"]); len(servers) > 0 {
		a.Server = strings.TrimRight(text(a.object(servers[0])["url"]), "/")
	}
	tags := map[string]bool{}
	for _, t := range list(a.parts["tags"]) {
		tags[text(a.object(t)["name"])] = true
	}
	paths := a.object(a.parts["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := a.object(paths[path])
		for _, method := range []string{"get", "post", "put", "patch", "delete", "head", "options"} {
			if op := a.object(item[method]); op != nil {
				e := a.endpoint(path, method, item, op)
				for _, t := range e.Tags {
					tags[t] = true
				}
				a.Endpoints = append(a.Endpoints, e)
			}
		}
	}
	if len(a.Endpoints) == 0 {
		return nil, errors.New("it describes no endpoint; try again later, or search the documentation")
	}
	delete(tags, "")
	a.Tags = slices.Sorted(maps.Keys(tags))
	return a, nil
}

func (a *API) endpoint(path, method string, item, op map[string]any) Endpoint {
	e := Endpoint{
		Method: strings.ToUpper(method), Path: path, ID: text(op["operationId"]), Summary: text(op["summary"]), Description: text(op["description"]),
		Deprecated: op["deprecated"] == true,
	}
	for _, t := range list(op["tags"]) {
		e.Tags = append(e.Tags, text(t))
	}
	for _, p := range slices.Concat(list(item["parameters"]), list(op["parameters"])) {
		e.add(a.parameter(a.object(p)))
	}
	if body := a.object(op["requestBody"]); body != nil {
		e.BodyType, e.Body = a.content(body)
		e.BodyNeeded = body["required"] == true
	}
	answers := a.object(op["responses"])
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		r := a.object(answers[status])
		typ, schema := a.content(r)
		e.Answers = append(e.Answers, Answer{Status: status, About: text(r["description"]), Type: typ, Schema: schema})
	}
	return e
}

// add adds a parameter; the operation's own takes the place of its path's.
func (e *Endpoint) add(p Parameter) {
	if p.Name == "" {
		return
	}
	same := func(q Parameter) bool { return p.Name == q.Name && p.In == q.In }
	if i := slices.IndexFunc(e.Parameters, same); i >= 0 {
		e.Parameters[i] = p
		return
	}
	e.Parameters = append(e.Parameters, p)
}

func (a *API) parameter(p map[string]any) Parameter {
	schema := a.object(p["schema"])
	out := Parameter{
		Name: text(p["name"]), In: text(p["in"]), Type: a.typeOf(schema, 2), Required: p["required"] == true || p["in"] == "path",
		About: cmp.Or(text(p["description"]), text(schema["description"])), Example: p["example"],
	}
	for _, more := range []any{schema["example"], schema["default"]} {
		if out.Example == nil {
			out.Example = more
		}
	}
	return out
}

// content returns the type and the schema of a body, JSON before others.
func (a *API) content(body map[string]any) (string, map[string]any) {
	kinds := a.object(body["content"])
	names := slices.Sorted(maps.Keys(kinds))
	if len(names) == 0 {
		return "", nil
	}
	name := names[0]
	if slices.Contains(names, "application/json") {
		name = "application/json"
	}
	return name, a.object(a.object(kinds[name])["schema"])
}

// object is a part of the document as an object, nil if it is none. References
// are followed a few times: they may lead in a circle.
func (a *API) object(v any) map[string]any {
	for range 8 {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		v = a.follow(ref)
	}
	return nil
}

func (a *API) follow(ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	var v any = a.parts
	for _, name := range strings.Split(path, "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return v
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// A Query says which endpoints to find. What is empty is not asked for.
type Query struct {
	Words  string
	Method string
	Path   string // a part of the path, or a real path that fits the pattern
	Tag    string
}

// Find returns the endpoints that fit, the best first.
func (a *API) Find(q Query) []Endpoint {
	method, path, both := strings.Cut(strings.TrimSpace(q.Words), " ")
	if both && strings.HasPrefix(path, "/") && q.Method == "" && q.Path == "" && method == strings.ToUpper(method) { // "GET /api/models"
		q.Method, q.Path, q.Words = method, path, ""
	} else if strings.HasPrefix(q.Words, "/") && q.Path == "" && !both {
		q.Path, q.Words = q.Words, ""
	}
	var some []Endpoint
	for _, e := range a.Endpoints {
		if (q.Method == "" || strings.EqualFold(q.Method, e.Method)) && e.tagged(q.Tag) && e.at(q.Path) {
			some = append(some, e)
		}
	}
	if q.Path != "" { // the one that is meant comes before those that it is a part of
		want := strings.ToLower(plainPath(q.Path))
		slices.SortStableFunc(some, func(x, y Endpoint) int {
			return cmp.Or(cmp.Compare(len(fixed(y.Path))*fit(y, want), len(fixed(x.Path))*fit(x, want)), cmp.Compare(len(x.Path), len(y.Path)))
		})
	}
	if strings.TrimSpace(q.Words) == "" {
		return some
	}
	return rank(some, q.Words)
}

func fit(e Endpoint, want string) int {
	if fitsPath(e.Path, want) {
		return 1
	}
	return 0
}

// fixed is a pattern without its variable parts.
func fixed(pattern string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(pattern, "/"), func(s string) bool { return strings.HasPrefix(s, "{") }), "/")
}

func (e Endpoint) tagged(tag string) bool {
	return tag == "" || slices.ContainsFunc(e.Tags, func(t string) bool { return strings.EqualFold(t, tag) })
}

func (e Endpoint) at(path string) bool {
	if path = strings.ToLower(plainPath(path)); path == "" {
		return true
	}
	return strings.Contains(strings.ToLower(e.Path), path) || fitsPath(e.Path, path)
}

// plainPath drops host and query.
func plainPath(path string) string {
	if _, rest, ok := strings.Cut(path, "://"); ok {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	path, _, _ = strings.Cut(path, "?")
	return strings.TrimRight(strings.TrimSpace(path), "/")
}

// fitsPath reports whether a real path, in small letters, fits a pattern such
// as /api/models/{namespace}/{repo}.
func fitsPath(pattern, path string) bool {
	parts, real := strings.Split(strings.ToLower(pattern), "/"), strings.Split(path, "/")
	if len(parts) != len(real) {
		return false
	}
	for i, p := range parts {
		if p != real[i] && (!strings.HasPrefix(p, "{") || real[i] == "") {
			return false
		}
	}
	return true
}

// rank sorts endpoints by how well they fit the words, rare words first; those
// that fit none are left out.
func rank(all []Endpoint, words string) []Endpoint {
	wanted := stems(words)
	counts := make([]map[string]float64, len(all))
	docs := map[string]float64{}
	for i, e := range all {
		counts[i] = map[string]float64{}
		names := make([]string, len(e.Parameters))
		for j, p := range e.Parameters {
			names[j] = p.Name
		}
		for _, field := range []struct {
			text   string
			weight float64
		}{{e.Summary, 3}, {e.ID, 2}, {e.Path, 2}, {e.Method, 1}, {strings.Join(e.Tags, " "), 1.5}, {cut(e.Description, 4000), 1}, {strings.Join(names, " "), 1}} {
			for _, w := range stems(field.text) {
				counts[i][w] += field.weight
			}
		}
		for w := range counts[i] {
			docs[w]++
		}
	}
	scores := map[int]float64{}
	var order []int
	for i := range all {
		for _, w := range wanted {
			n := counts[i][w]
			scores[i] += n / (n + 2) * math.Log(1+float64(len(all))/(1+docs[w]))
		}
		if scores[i] > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(scores[j], scores[i]), cmp.Compare(len(all[i].Path), len(all[j].Path)))
	})
	ranked := make([]Endpoint, len(order))
	for k, i := range order {
		ranked[k] = all[i]
	}
	return ranked
}

// stems splits a text into words without what inflects them.
func stems(s string) []string {
	var words []string
	var word []rune
	end := func() {
		if w := stem(string(word)); w != "" {
			words = append(words, w)
		}
		word = word[:0]
	}
	lower := false
	for _, r := range s {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			lower = false
			continue
		case unicode.IsUpper(r) && lower: // operationIds are camelCase
			end()
		}
		lower = unicode.IsLower(r)
		word = append(word, unicode.ToLower(r))
	}
	end()
	return words
}

func stem(w string) string {
	switch w {
	case "a", "an", "and", "the", "of", "to", "in", "on", "for", "with", "by", "or", "is", "are", "how", "do", "i", "api", "from":
		return ""
	}
	for _, end := range []struct{ old, new string }{{"ies", "y"}, {"sses", "ss"}, {"ing", ""}, {"ions", ""}, {"ion", ""}, {"ed", ""}, {"es", ""}, {"s", ""}, {"e", ""}} {
		if base, ok := strings.CutSuffix(w, end.old); ok && len(base) >= 3 && !strings.HasSuffix(w, "ss") {
			return base + end.new
		}
	}
	return w
}
