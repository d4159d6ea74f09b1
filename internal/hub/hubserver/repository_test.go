package hubserver_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// One who is let in may read a gated repository, for as long as that is so.
func TestGated(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").commit("main", fileLine("f", "secret"))
	at := "/api/models/me/x/user-access-request/"
	ask := func(token, form string) answer {
		return as(token).do("POST", "/me/x/ask-access", form, "Content-Type", "application/x-www-form-urlencoded")
	}
	steps := []struct {
		name   string
		do     func() answer
		status int
		reads  int // what o gets then
	}{
		{"ask where there is no gate", func() answer { return ask("o", "why=fun") }, 400, 200},
		{"list where there is no gate", func() answer { return as("w").do("GET", at+"pending", "") }, 400, 200},
		{"gate", func() answer { return as("w").do("PUT", "/api/models/me/x/settings", `{"gated":"manual"}`) }, 200, 403},
		{"a bad gate", func() answer { return as("w").do("PUT", "/api/models/me/x/settings", `{"gated":"odd"}`) }, 400, 403},
		{"a stranger asks", func() answer { return ask("", "") }, 401, 403},
		{"accept one who did not ask", func() answer { return as("w").do("POST", at+"handle", `{"user":"other","status":"accepted"}`) }, 404, 403},
		{"ask", func() answer { return ask("o", "why=fun&why=work&org=none") }, 303, 403},
		{"a reader answers", func() answer { return as("o").do("POST", at+"handle", `{"user":"other","status":"accepted"}`) }, 403, 403},
		{"a reader lists", func() answer { return as("o").do("GET", at+"pending", "") }, 403, 403},
		{"a bad answer", func() answer { return as("w").do("POST", at+"handle", `{"user":"other","status":"maybe"}`) }, 400, 403},
		{"accept", func() answer { return as("w").do("POST", at+"handle", `{"user":"other","status":"accepted"}`) }, 200, 200},
		{"accept twice", func() answer { return as("w").do("POST", at+"handle", `{"user":"other","status":"accepted"}`) }, 404, 200},
		{"ask again", func() answer { return ask("o", "") }, 303, 200},
		{"take back what was answered", func() answer { return as("o").do("POST", at+"cancel", "") }, 404, 200},
		{"reject", func() answer {
			return as("w").do("POST", at+"handle", `{"user":"other","status":"rejected","rejectionReason":"no"}`)
		}, 200, 403},
		{"ask after that", func() answer { return ask("o", "") }, 303, 403},
		{"think again", func() answer { return as("w").do("POST", at+"handle", `{"user":"other","status":"pending"}`) }, 200, 403},
		{"take it back", func() answer { return as("o").do("POST", at+"cancel", "") }, 200, 403},
		{"grant", func() answer { return as("w").do("POST", at+"grant", `{"user":"other"}`) }, 200, 200},
		{"grant twice", func() answer { return as("w").do("POST", at+"grant", `{"user":"other"}`) }, 400, 200},
		{"grant to nobody", func() answer { return as("w").do("POST", at+"grant", `{"user":"nobody"}`) }, 404, 200},
		{"a list that is none", func() answer { return as("w").do("GET", at+"odd", "") }, 400, 200},
		{"reject again", func() answer { return as("w").do("POST", at+"handle", `{"user":"other","status":"rejected"}`) }, 200, 403},
		{"no gate", func() answer { return as("w").do("PUT", "/api/models/me/x/settings", `{"gated":false}`) }, 200, 200},
	}
	for _, step := range steps {
		if a := step.do(); a.status != step.status || a.status >= 400 && a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s: %d %s, want %d", step.name, a.status, a.body, step.status)
		}
		if a := as("o").do("GET", "/me/x/resolve/main/f", ""); a.status != step.reads {
			t.Errorf("after %q: reading is answered %d, want %d", step.name, a.status, step.reads)
		}
	}
	as("w").do("PUT", "/api/models/me/x/settings", `{"gated":"auto"}`)
	if a := ask("p", "why=fun"); a.status != 303 {
		t.Errorf("ask at an automatic gate: %d", a.status)
	}
	if a := as("p").do("GET", "/me/x/resolve/main/f", ""); a.status != 200 {
		t.Errorf("after an automatic gate: %d", a.status)
	}
	var list []struct {
		RequestID string
		Status    string
		User      struct{ User string }
		Fields    map[string]string
	}
	as("w").do("GET", at+"accepted", "").json(t, &list)
	if len(list) != 1 || list[0].User.User != "third" || list[0].Fields["why"] != "fun" || len(list[0].RequestID) != 24 {
		t.Errorf("accepted: %+v", list)
	}
	if a := as("w").do("POST", at+"handle", `{"requestId":"`+list[0].RequestID+`","status":"rejected"}`); a.status != 200 {
		t.Errorf("reject by id: %d %s", a.status, a.body)
	}
}

// What needs the files of a gated repository is behind the gate.
func TestGateHidesDiffs(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").commit("main", fileLine("f", "1"))
	as("w").pull(fileLine("f", "secret"))
	as("w").do("PUT", "/api/models/me/x/settings", `{"gated":"manual"}`)
	for _, path := range []string{
		"/api/models/me/x/discussions/1?diff=1", "/api/models/me/x/compare/main..refs%2Fpr%2F1", "/me/x/raw/refs%2Fpr%2F1/f",
	} {
		if a := as("o").do("GET", path, ""); a.status != 403 || a.header.Get("X-Error-Code") != "GatedRepo" || strings.Contains(a.body, "secret") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := as("o").do("POST", "/api/models/me/x/commit/main?create_pr=1", commitBody("", fileLine("g", "1"))); a.status != 403 {
		t.Errorf("a pull request of one who may not read: %d", a.status)
	}
	if a := as("o").do("POST", "/api/models/me/x/duplicate", `{"repository":"other/copy"}`); a.status != 403 {
		t.Errorf("a copy by one who may not read: %d", a.status)
	}
	for body, status := range map[string]int{`{"title":"let me in"}`: 200, `{"title":"a change","pullRequest":true}`: 403} {
		if a := as("o").do("POST", "/api/models/me/x/discussions", body); a.status != status {
			t.Errorf("%s: %d, want %d", body, a.status, status)
		}
	}
	if a := as("o").do("GET", "/api/models/me/x/discussions/1", ""); a.status != 200 {
		t.Errorf("the conversation: %d", a.status)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.commit("main", fileLine("f", "1\n"))
	s.do("POST", "/api/models/me/x/branch/feat%2Fx", "")
	s.commit("feat%2Fx", fileLine("f", "2\n"))
	s.commit("main", fileLine("g", "1\n"))
	head := s.head("me/x")
	for spec, want := range map[string]struct {
		status int
		has    []string
		lacks  string
	}{
		"main..feat%2Fx":               {200, []string{"-1\n+2\n", "deleted file", "--- a/g"}, ""},
		"main...feat%2Fx":              {200, []string{"-1\n+2\n"}, "a/g"},
		"main...feat/x":                {200, []string{"-1\n+2\n"}, "a/g"},
		head[:8] + ".." + "HEAD":       {200, nil, "diff"},
		"nope..main":                   {404, []string{"nope"}, ""},
		"main":                         {400, []string{"base..head"}, ""},
		"..main":                       {400, nil, ""},
		"feat%2Fx.." + head + "?raw=1": {200, []string{"-2\n+1\n", "new file mode", "index 0000000.."}, ""},
	} {
		a := s.do("GET", "/api/models/me/x/compare/"+spec, "")
		if a.status != want.status || want.lacks != "" && strings.Contains(a.body, want.lacks) {
			t.Errorf("%s: %d %s", spec, a.status, a.body)
		}
		for _, part := range want.has {
			if !strings.Contains(a.body, part) {
				t.Errorf("%s lacks %q: %s", spec, part, a.body)
			}
		}
	}
}

func TestSquashAndEmptyBranch(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	for i := range 3 {
		s.commit("main", fileLine("f", fmt.Sprint(i)))
	}
	s.do("POST", "/api/models/me/x/tag/main", `{"tag":"v1"}`)
	before := s.head("me/x")
	var out struct{ CommitID string }
	a := s.do("POST", "/api/models/me/x/super-squash/main", `{"message":"all in one\nwith more"}`)
	if a.json(t, &out); out.CommitID != s.head("me/x") || out.CommitID == before {
		t.Errorf("squash: %d %s", a.status, a.body)
	}
	var commits []struct{ Title, Message string }
	s.do("GET", "/api/models/me/x/commits/main", "").json(t, &commits)
	if len(commits) != 1 || commits[0].Title != "all in one" || commits[0].Message != "with more" {
		t.Errorf("the history is %+v", commits)
	}
	if text := s.do("GET", "/me/x/raw/main/f", "").body; text != "2" {
		t.Errorf("f is %q", text)
	}
	if s.do("GET", "/api/models/me/x/commits/v1", "").json(t, &commits); len(commits) != 4 {
		t.Errorf("the tag has lost its history: %+v", commits)
	}
	for path, status := range map[string]int{"super-squash/nope": 404, "super-squash/v1": 404} {
		if a := s.do("POST", "/api/models/me/x/"+path, ""); a.status != status {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.do("POST", "/api/models/me/x/super-squash/main", `{"message":"`+strings.Repeat("m", 501)+`"}`); a.status != 400 {
		t.Errorf("a long message: %d", a.status)
	}
	empty := `{"emptyBranch":true}`
	if a := s.do("POST", "/api/models/me/x/branch/blank", empty); a.status != 200 {
		t.Errorf("an empty branch: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/api/models/me/x/branch/blank", empty); a.status != 409 {
		t.Errorf("an empty branch again: %d %s", a.status, a.body)
	}
	if a := s.commit("blank", fileLine("only", "1")); a.status != 200 {
		t.Errorf("a commit on it: %d %s", a.status, a.body)
	}
	var tree []any
	if s.do("GET", "/api/models/me/x/tree/blank", "").json(t, &tree); len(tree) != 1 {
		t.Errorf("it has %v", tree)
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").commit("main", fileLine("f", "1"))
	as("w").pull(fileLine("f", "2"))
	if a := as("o").do("POST", "/api/models/me/x/duplicate", `{"repository":"other/copy","visibility":"private"}`); a.status != 200 || !strings.Contains(a.body, "/other/copy") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if got, want := as("o").head("other/copy"), as("w").head("me/x"); got != want {
		t.Errorf("the copy is at %s, want %s", got, want)
	}
	var list struct{ Count int }
	if as("o").do("GET", "/api/models/other/copy/discussions", "").json(t, &list); list.Count != 0 {
		t.Errorf("the copy has %d discussions", list.Count)
	}
	cases := []struct {
		token, body string
		status      int
	}{
		{"w", `{"repository":"other/more"}`, 403},
		{"o", `{"repository":"other/copy"}`, 409},
		{"o", `{"repository":"../x"}`, 400},
		{"o", `{"repository":"other/y","visibility":"odd"}`, 400},
		{"", `{"repository":"other/y"}`, 401},
		{"r", `{"repository":"me/y"}`, 403},
		{"o", `{"repository":"own"}`, 200},
	}
	for _, c := range cases {
		if a := as(c.token).do("POST", "/api/models/me/x/duplicate", c.body); a.status != c.status {
			t.Errorf("%q %s: %d %s, want %d", c.token, c.body, a.status, a.body, c.status)
		}
	}
	if a := as("w").do("GET", "/api/models/other/copy", ""); a.status != 404 {
		t.Errorf("a private copy is seen by others: %d", a.status)
	}
}

func TestLikes(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").create("y")
	as("w").do("PUT", "/api/models/me/y/settings", `{"visibility":"private"}`)
	for _, token := range []string{"w", "o", "o"} {
		as(token).do("POST", "/api/models/me/x/like", "")
	}
	as("w").do("POST", "/api/models/me/y/like", "")
	var info struct{ Likes int }
	if as("").do("GET", "/api/models/me/x", "").json(t, &info); info.Likes != 2 {
		t.Errorf("%d likes", info.Likes)
	}
	for token, want := range map[string]int{"w": 2, "o": 1, "": 1} {
		var list []struct{ Repo struct{ Name, Type string } }
		if as(token).do("GET", "/api/users/me/likes", "").json(t, &list); len(list) != want {
			t.Errorf("%q sees %+v", token, list)
		}
	}
	if a := as("").do("POST", "/api/models/me/x/like", ""); a.status != 401 {
		t.Errorf("a stranger likes: %d", a.status)
	}
	if a := as("o").do("POST", "/api/models/me/y/like", ""); a.status != 404 {
		t.Errorf("a private repository: %d", a.status)
	}
	as("o").do("DELETE", "/api/models/me/x/like", "")
	var likers []struct{ User string }
	if as("").do("GET", "/api/models/me/x/likers", "").json(t, &likers); len(likers) != 1 || likers[0].User != "me" {
		t.Errorf("likers: %+v", likers)
	}
}

func tensors(t *testing.T, header any, data int) string {
	t.Helper()
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, uint64(len(text))) // a buffer takes all
	out.Write(text)
	out.Write(make([]byte, data))
	return out.String()
}

func TestExpand(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	type tensor struct {
		DType string  `json:"dtype"`
		Shape []int64 `json:"shape"`
		Place []int64 `json:"data_offsets"`
	}
	weights := tensors(t, map[string]any{
		"__metadata__": map[string]string{"format": "pt"}, "a": tensor{"F32", []int64{2, 3}, []int64{0, 24}},
		"b": tensor{"BF16", []int64{5}, []int64{24, 34}}, "c": tensor{"F32", []int64{}, []int64{34, 38}},
	}, 38)
	s.commit("main", fileLine("config.json", `{"architectures":["LlamaForCausalLM"],"model_type":"llama"}`), fileLine("model.safetensors", weights),
		fileLine("README.md", "---\nlicense: mit\n---\n"))
	var whole struct {
		Safetensors struct {
			Parameters map[string]int64
			Total      int64
		}
		Config struct {
			Type string `json:"model_type"`
		}
		TransformersInfo struct {
			AutoModel string `json:"auto_model"`
		}
		Siblings []struct{ RFilename string }
	}
	s.do("GET", "/api/models/me/x", "").json(t, &whole)
	if w := whole.Safetensors; w.Total != 12 || w.Parameters["F32"] != 7 || w.Parameters["BF16"] != 5 {
		t.Errorf("the weights are %+v", w)
	}
	if whole.Config.Type != "llama" || whole.TransformersInfo.AutoModel != "AutoModelForCausalLM" || len(whole.Siblings) != 4 {
		t.Errorf("the model is %+v", whole)
	}
	for query, want := range map[string]string{
		"expand=likes&expand[]=sha":    "_id id likes sha",
		"expand=safetensors":           "_id id safetensors",
		"expand=usedStorage":           "_id id usedStorage",
		"expand=cardData&expand=nope":  "",
		"expand=citation":              "", // of data sets
		"expand=sha&full=true":         "",
		"expand=sha&cardData=True":     "",
		"expand=config&config=1":       "",
		"expand=gguf&expand=downloads": "_id downloads id",
	} {
		for _, path := range []string{"/api/models/me/x?", "/api/models/me/x/revision/HEAD?", "/api/models?"} {
			a := s.do("GET", path+query, "")
			if want == "" {
				if a.status != 400 {
					t.Errorf("%s%s: %d %s, want 400", path, query, a.status, a.body)
				}
				continue
			}
			var v map[string]any
			body := strings.TrimSpace(a.body)
			if strings.HasPrefix(body, "[") {
				body = strings.TrimSuffix(strings.TrimPrefix(body, "["), "]")
			}
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatalf("%s%s: %v in %s", path, query, err, a.body)
			}
			var keys []string
			for key := range v {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			if got := strings.Join(keys, " "); got != want && !(path == "/api/models?" && want == "_id id usedStorage") {
				t.Errorf("%s%s: %s, want %s", path, query, got, want)
			}
		}
	}
}

// Weights that lie about themselves are no weights, and no failure.
func TestBadWeights(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	for name, data := range map[string]string{
		"empty": "", "short": "1234", "huge": "\xff\xff\xff\xff\xff\xff\xff\x7f{}", "no JSON": "\x02\x00\x00\x00\x00\x00\x00\x00{x",
		"negative": tensors(t, map[string]any{"a": map[string]any{"dtype": "F32", "shape": []int64{-1}}}, 0),
		"overflow": tensors(t, map[string]any{"a": map[string]any{"dtype": "F32", "shape": []int64{1 << 62, 4}}}, 0),
		"no type":  tensors(t, map[string]any{"a": map[string]any{"shape": []int64{1}}}, 0),
	} {
		s.commit("main", fileLine("model.safetensors", data))
		a := s.do("GET", "/api/models/me/x?expand=safetensors", "")
		if a.status != 200 || strings.Contains(a.body, "parameters") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestSearchFilters(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	s := as("w")
	cards := map[string]string{
		"alpha-llama": "license: mit\nlanguage: [en, fr]\nlibrary_name: transformers\npipeline_tag: text-generation\nbase_model: meta/base\n",
		"beta-llama":  "license: apache-2.0\nlanguage: en\nlibrary_name: peft\ndatasets: [squad]\ntags: [lora]\n",
		"gamma":       "tags: [lora]\n",
	}
	for _, name := range []string{"alpha-llama", "beta-llama", "gamma"} {
		s.create(name)
		s.do("POST", "/api/models/me/"+name+"/commit/main", commitBody("", fileLine("README.md", "---\n"+cards[name]+"---\n")))
	}
	s.do("PUT", "/api/models/me/gamma/settings", `{"gated":"auto"}`)
	as("o").do("POST", "/api/models/me/beta-llama/like", "")
	for query, want := range map[string]string{
		"search=llama":                         "alpha-llama beta-llama",
		"search=LLAMA+me":                      "alpha-llama beta-llama",
		"search=llama+beta":                    "beta-llama",
		"author=me":                            "alpha-llama beta-llama gamma",
		"author=other":                         "",
		"filter=license:mit":                   "alpha-llama",
		"filter=en&filter=fr":                  "alpha-llama",
		"filter=en,fr":                         "alpha-llama",
		"filter=language:fr":                   "alpha-llama",
		"language=fr":                          "alpha-llama",
		"library=peft":                         "beta-llama",
		"filter=base_model:meta/base":          "alpha-llama",
		"filter=dataset:squad":                 "beta-llama",
		"filter=lora":                          "beta-llama gamma",
		"pipeline_tag=text-generation":         "alpha-llama",
		"filter=text-generation":               "alpha-llama",
		"gated=true":                           "gamma",
		"gated=False":                          "alpha-llama beta-llama",
		"num_parameters=min:1K":                "",
		"sort=createdAt&direction=1":           ">alpha-llama beta-llama gamma",
		"sort=created_at&direction=-1":         ">gamma beta-llama alpha-llama",
		"sort=likes&limit=1&expand=likes":      ">beta-llama",
		"sort=createdAt&filter=lora&limit=1":   ">gamma+",
		"sort=createdAt&limit=1":               ">gamma+",
		"sort=createdAt&limit=3":               ">gamma beta-llama alpha-llama",
		"sort=likes&direction=1&author=nobody": "",
	} {
		a := s.do("GET", "/api/models?"+query, "")
		if !s.isList(a, want) {
			t.Errorf("%s: %d %s (Link %q), want %q", query, a.status, a.body, a.header.Get("Link"), want)
		}
	}
	for _, query := range []string{"sort=odd", "direction=2", "limit=0", "cursor=odd", "num_parameters=odd", "num_parameters=min:xB"} {
		if a := s.do("GET", "/api/models?"+query, ""); a.status != 400 {
			t.Errorf("%s: %d", query, a.status)
		}
	}
}

func TestSearchOfOtherKinds(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	for _, r := range []struct{ kind, name, card string }{
		{"dataset", "qa", "language: en\ntask_categories: [question-answering]\nsize_categories: 1K<n<10K\nlicense: mit\n"},
		{"dataset", "other", "language: fr\n"},
		{"space", "demo", "sdk: static\nmodels: [me/m]\ndatasets: [me/qa]\n"},
		{"space", "alone", "sdk: gradio\n"},
	} {
		s.do("POST", "/api/repos/create", fmt.Sprintf(`{"name":%q,"type":%q,"sdk":"static"}`, r.name, r.kind))
		if a := s.do("POST", "/api/"+r.kind+"s/me/"+r.name+"/commit/main", commitBody("", fileLine("README.md", "---\n"+r.card+"---\n"))); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for query, want := range map[string]string{
		"datasets?filter=language:en":                        "qa",
		"datasets?filter=task_categories:question-answering": "qa",
		"datasets?filter=size_categories:1K%3Cn%3C10K":       "qa",
		"datasets?filter=license:mit&filter=language:fr":     "",
		"datasets?language=fr":                               "other",
		"spaces?models=me/m":                                 "demo",
		"spaces?datasets=me/qa&models=me/m":                  "demo",
		"spaces?datasets=me/other":                           "",
		"spaces?linked=true":                                 "demo",
		"spaces?filter=gradio":                               "alone",
		"spaces?expand=models&search=demo":                   "demo",
	} {
		if a := s.do("GET", "/api/"+query, ""); !s.isList(a, want) {
			t.Errorf("%s: %d %s, want %q", query, a.status, a.body, want)
		}
	}
	for _, query := range []string{"datasets?expand=gguf", "spaces?expand=downloads", "spaces?sort=odd"} {
		if a := s.do("GET", "/api/"+query, ""); a.status != 400 {
			t.Errorf("%s: %d", query, a.status)
		}
	}
	for _, kind := range []string{"datasets/me/qa", "spaces/me/demo"} {
		a := s.do("POST", "/api/"+kind+"/commit/main?create_pr=1", commitBody("", fileLine("f", "1")))
		if !strings.Contains(a.body, s.url+"/"+kind+"/discussions/1") {
			t.Errorf("%s: %d %s", kind, a.status, a.body)
		}
		if a := s.do("POST", "/api/"+kind+"/discussions/1/merge", ""); a.status != 200 {
			t.Errorf("%s: %d %s", kind, a.status, a.body)
		}
		if a := s.do("GET", "/"+kind+"/raw/main/f", ""); a.body != "1" {
			t.Errorf("%s: %d %s", kind, a.status, a.body)
		}
	}
}

// isList reports whether an answer names these models: in this order after a
// ">", and with a next page if a "+" is at the end.
func (s site) isList(a answer, want string) bool {
	s.t.Helper()
	var list []struct{ ID string }
	a.json(s.t, &list)
	var names []string
	for _, m := range list {
		names = append(names, strings.TrimPrefix(m.ID, "me/"))
	}
	ordered, isOrdered := strings.CutPrefix(want, ">")
	ordered, more := strings.CutSuffix(ordered, "+")
	if !isOrdered {
		slices.Sort(names)
	}
	return a.status == 200 && strings.Join(names, " ") == ordered && (!more || strings.Contains(a.header.Get("Link"), "<"+s.url+"/api/models?"))
}

// Pages together are the whole list, each repository once.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	for i := range 7 {
		s.create(fmt.Sprint("m", i))
		card := "---\ntags: [odd]\n---\n"
		if i%2 == 0 {
			card = "---\ntags: [even]\n---\n"
		}
		s.do("POST", fmt.Sprintf("/api/models/me/m%d/commit/main", i), commitBody("", fileLine("README.md", card)))
	}
	for tag, want := range map[string]int{"even": 4, "odd": 3, "none": 0} {
		next, seen, pages := "/api/models?limit=2&filter="+tag, map[string]bool{}, 0
		for ; next != ""; pages++ {
			a := s.do("GET", next, "")
			var list []struct{ ID string }
			a.json(t, &list)
			for _, m := range list {
				if seen[m.ID] {
					t.Errorf("%s is there twice", m.ID)
				}
				seen[m.ID] = true
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
			if u, err := url.Parse(next); err != nil || next != "" && u.Query().Get("filter") != tag {
				t.Fatalf("the next page is %q", next)
			}
		}
		if len(seen) != want || pages > 3 {
			t.Errorf("%s: %d in %d pages, want %d", tag, len(seen), pages, want)
		}
	}
}

func TestLargeFilesAndSizes(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.storeLarge("first", "second")
	line := func(path, data string) string {
		return fmt.Sprintf(`{"key":"lfsFile","value":{"path":%q,"algo":"sha256","oid":%q,"size":%d}}`, path, sum(data), len(data))
	}
	s.commit("main", line("d/a.bin", "first"), fileLine("d/text", "12345678"))
	s.commit("main", deleteLine("d/a.bin"))
	s.pull(line("b.bin", "second"), line("again.bin", "first"))
	var list []struct {
		OID, Filename, Ref string
		Size               int64
	}
	s.do("GET", "/api/models/me/x/lfs-files", "").json(t, &list)
	if len(list) != 2 || list[0].Filename != "d/a.bin" || list[0].Ref != "refs/heads/main" || list[1].OID != sum("second") || list[1].Ref != "refs/pr/1" || list[1].Size != 6 {
		t.Errorf("the large files are %+v", list)
	}
	for path, want := range map[string]string{
		"main/d": `"size":8`, "main/d%2Ftext": `"size":8`, "main/d/text": `"size":8`, "refs%2Fpr%2F1/b.bin": `"size":6`, "main/nope": "EntryNotFound",
	} {
		a := s.do("GET", "/api/models/me/x/treesize/"+path, "")
		if !strings.Contains(a.body+a.header.Get("X-Error-Code"), want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
