package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

func file(path, text string) hub.File { return hub.File{Path: path, Content: []byte(text)} }

// chats is a data set with a CSV configuration of two splits, and a JSON one
// with lists of structs.
func chats(t *testing.T, h *hubtest.Hub) hub.RepoID {
	t.Helper()
	repo := newRepo(t, h, hub.Dataset)
	var csv, jsonl strings.Builder
	csv.WriteString("id,text,score,ok,label\n")
	for i := range 1500 {
		fmt.Fprintf(&csv, "%d,\"text %d, more\",%d.5,%v,%d\n", i, i, i%7, i%2 == 0, i%2)
		fmt.Fprintf(&jsonl, `{"messages":[{"role":"user","content":"q%d"},{"role":"assistant","content":"a"}],"when":"2024-01-%02d"}`+"\n", i, i%28+1)
	}
	upload(t, h, repo,
		file("README.md", `---
configs:
- config_name: scores
  default: true
  data_files:
  - split: train
    path: csv/train-*.csv
  - split: dev
    path: [csv/dev.csv]
- config_name: chat
  data_files: chat/*.jsonl
dataset_info:
- config_name: scores
  features:
  - name: label
    dtype:
      class_label:
        names: {'0': no, '1': yes}
---
`),
		file("csv/train-0.csv", csv.String()), file("csv/dev.csv", "id,text,score,ok,label\n1,\"a \"\"quoted\"\"\nline\",,True,1\n2,NA,1e3,False,0\n"),
		file("chat/a.jsonl", jsonl.String()),
	)
	return repo
}

func TestViewer(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := chats(t, h)
	v, ctx := h.Client.Viewer(repo), t.Context()

	valid, err := v.Valid(ctx)
	if err != nil || !valid.Viewer || !valid.Statistics || valid.Revision != head(t, h, repo) {
		t.Errorf("Valid = %+v, %v", valid, err)
	}
	splits, err := v.Splits(ctx)
	if want := "[{scores train} {scores dev} {chat train}]"; err != nil || fmt.Sprint(splits.Splits) != want {
		t.Errorf("Splits = %v, %v; want %s", splits.Splits, err, want)
	}
	info, err := v.Info(ctx, "")
	scores, chat := info.Configs["scores"], info.Configs["chat"]
	if err != nil || scores.Splits["train"].Rows != 1500 || scores.Splits["dev"].Rows != 2 || scores.Builder != "csv" ||
		scores.Features.Tree() != "id: int64\ntext: string\nscore: float64\nok: bool\nlabel: label<no=0, yes=1>\n" ||
		chat.Features.Tree() != "messages: list of struct\n  role: string\n  content: string\nwhen: timestamp[s]\n" {
		t.Errorf("Info = %v\n%s%s%v", err, scores.Features.Tree(), chat.Features.Tree(), info)
	}
	if one, err := v.Info(ctx, "chat"); err != nil || one.Configs["chat"].Splits["train"].Rows != 1500 {
		t.Errorf("Info of one = %+v, %v", one, err)
	}
	size, err := v.Size(ctx)
	if err != nil || size.Dataset.Rows != 3002 || len(size.Configs) != 2 || len(size.Splits) != 3 || size.Splits[1].Columns != 5 || size.Dataset.OriginalBytes == 0 {
		t.Errorf("Size = %+v, %v", size, err)
	}
	if files, err := v.Parquet(ctx, ""); err != nil || len(files.Files) != 0 {
		t.Errorf("Parquet = %+v, %v", files, err)
	}
	dev, err := v.Rows(ctx, hub.Split{Config: "scores", Split: "dev"}, 0, 10)
	if err != nil || len(dev.Rows) != 2 || string(dev.Rows[0].Cells["text"]) != `"a \"quoted\"\nline"` || string(dev.Rows[0].Cells["score"]) != "null" ||
		string(dev.Rows[1].Cells["text"]) != "null" || string(dev.Rows[1].Cells["score"]) != "1000" || string(dev.Rows[1].Cells["ok"]) != "false" {
		t.Errorf("Rows of dev = %v, %v", dev.Rows, err)
	}
	first, err := v.FirstRows(ctx, hub.Split{Config: "chat", Split: "train"})
	if err != nil || len(first.Rows) != 100 || !first.Cut || string(first.Rows[3].Cells["when"]) != `"2024-01-04T00:00:00"` ||
		string(first.Rows[0].Cells["messages"]) != `[{"role":"user","content":"q0"},{"role":"assistant","content":"a"}]` {
		t.Errorf("FirstRows = %v, %v", err, first.Rows[:1])
	}
}

func TestViewerFindsRows(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	v, ctx, train := h.Client.Viewer(chats(t, h)), t.Context(), hub.Split{Config: "scores", Split: "train"}
	indexes := func(r hub.Rows) (out []int64) {
		for _, row := range r.Rows {
			out = append(out, row.Index)
		}
		return out
	}
	late, err := v.Rows(ctx, train, 1203, 3)
	if err != nil || fmt.Sprint(indexes(late)) != "[1203 1204 1205]" || string(late.Rows[0].Cells["id"]) != "1203" || late.Total != 1500 {
		t.Errorf("Rows = %v, %v", indexes(late), err)
	}
	n := int64(0)
	for row, err := range v.All(ctx, train, 0) {
		if err != nil || row.Index != n {
			t.Fatalf("row %d is %d, %v", n, row.Index, err)
		}
		n++
	}
	if n != 1500 {
		t.Errorf("All gave %d rows", n)
	}
	found, err := v.Search(ctx, train, "TEXT 149", 0, 5)
	if err != nil || found.Total != 12 || fmt.Sprint(indexes(found)) != "[149 1149 1490 1491 1492]" {
		t.Errorf("Search = %d %v, %v", found.Total, indexes(found), err)
	}
	filtered, err := v.Filter(ctx, train, hub.RowFilter{Where: `"score" > 5 AND NOT "id" < 10 AND "text" <> 'text 12, more'`, OrderBy: `"id" DESC`}, 1, 2)
	if err != nil || fmt.Sprint(indexes(filtered)) != "[1496 1490]" || filtered.Total != 425 {
		t.Errorf("Filter = %d %v, %v", filtered.Total, indexes(filtered), err)
	}
	stats, err := v.Statistics(ctx, train)
	if err != nil || stats.Rows != 1500 || len(stats.Columns) != 5 {
		t.Fatalf("Statistics = %+v, %v", stats, err)
	}
	kinds := map[string]hub.ColumnSummary{}
	for _, c := range stats.Columns {
		kinds[c.Name+" "+c.Type] = c
	}
	id, label, text := kinds["id int"].Statistics, kinds["label class_label"].Statistics, kinds["text string_text"].Statistics
	if id.Min != 0.0 || id.Max != 1499.0 || id.Median != 749.5 || len(id.Histogram.Counts) != 10 || label.Frequencies["yes"] != 750 || text.Max != 15.0 || kinds["ok bool"].Statistics.Frequencies["True"] != 750 {
		t.Errorf("Statistics = %+v", kinds)
	}
}

func TestViewerSaysNo(t *testing.T) {
	t.Parallel()
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_me": {Name: "me"}, "hf_you": {Name: "you"}}})
	h.Client.Token = "hf_me"
	repo := chats(t, h)
	ctx, train := t.Context(), hub.Split{Config: "scores", Split: "train"}
	as := func(token string) hub.Viewer { return (&hub.Client{BaseURL: h.URL, Token: token}).Viewer(repo) }
	if _, err := as("hf_me").Rows(ctx, train, 0, 1); err != nil {
		t.Errorf("the owner is refused: %v", err)
	}
	for _, who := range []hub.Viewer{as("hf_you"), as("")} {
		if _, err := who.Rows(ctx, train, 0, 1); err != nil {
			t.Errorf("the data set is public: %v", err)
		}
	}
	secret := hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "secret"}
	if _, err := h.Client.CreateRepo(ctx, secret, hub.CreateOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	upload(t, h, secret, file("a.csv", "a\n1\n"))
	for token, want := range map[string]error{"hf_me": nil, "hf_you": hub.ErrNotFound, "": hub.ErrUnauthorized} {
		client := &hub.Client{BaseURL: h.URL, Token: token}
		if _, err := client.Viewer(secret).Splits(ctx); !errors.Is(err, want) {
			t.Errorf("the private data set, by %q: %v", token, err)
		}
	}
	none := h.Client.Viewer(hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "none"})
	if _, err := none.Splits(ctx); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a data set that is not there: %v", err)
	}
	v := as("hf_me")
	for what, ask := range map[string]func() error{
		"config": func() error { _, err := v.Rows(ctx, hub.Split{Config: "x", Split: "train"}, 0, 1); return err },
		"split":  func() error { _, err := v.Rows(ctx, hub.Split{Config: "chat", Split: "x"}, 0, 1); return err },
	} {
		if err := ask(); !errors.Is(err, hub.ErrNotFound) || !strings.Contains(err.Error(), what) {
			t.Errorf("no such %s: %v", what, err)
		}
	}
	_, err := v.Filter(ctx, train, hub.RowFilter{Where: `"nope" = 1`}, 0, 1)
	if e, ok := errors.AsType[*hub.Error](err); !ok || e.Status != http.StatusUnprocessableEntity || !strings.Contains(e.Message, `"score"`) {
		t.Errorf("a column that is not there: %v", err)
	}
	h.Requests()
	h.Break(hubtest.Fault{Path: "/datasets-server/", Status: http.StatusNotImplemented, Header: map[string]string{"X-Error-Code": "DatasetInBlockListError"}})
	if _, err := v.Splits(ctx); !errors.Is(err, hub.ErrNoViewer) || len(h.Requests()) != 1 {
		t.Errorf("a data set that the viewer cannot show: %v", err)
	}
	empty := hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "empty"}
	if _, err := h.Client.CreateRepo(ctx, empty, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if valid, err := h.Client.Viewer(empty).Valid(ctx); err != nil || valid.Preview {
		t.Errorf("an empty data set: %+v, %v", valid, err)
	}
	if _, err := h.Client.Viewer(empty).Splits(ctx); err == nil || !strings.Contains(err.Error(), "The dataset is empty") {
		t.Errorf("an empty data set: %v", err)
	}
}

// The viewer does not say what is gated; the Hub does.
func TestViewerTellsGated(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Dataset)
	h.Break(hubtest.Fault{Path: "/datasets-server/", Times: -1, Status: http.StatusUnauthorized, Header: map[string]string{"X-Error-Code": "ExternalUnauthenticatedError"}})
	h.Break(hubtest.Fault{Path: "/auth-check", Times: -1, Status: http.StatusForbidden, Header: map[string]string{"X-Error-Code": "GatedRepo"}})
	if _, err := h.Client.Viewer(repo).Splits(t.Context()); !errors.Is(err, hub.ErrGated) {
		t.Errorf("the error is %v", err)
	}
}

func TestViewerTellsWhatFailed(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Dataset)
	upload(t, h, repo, file("train.csv", "a\n1\n"), file("test.csv", "a\n1,2\n"))
	info, err := h.Client.Viewer(repo).Info(t.Context(), "")
	if err != nil || len(info.Failed) != 1 || info.Failed[0].Split != "test" || !strings.Contains(info.Failed[0].Reason, "expected 1 fields, saw 2") || info.Configs["default"].Splits["train"].Rows != 1 {
		t.Errorf("Info = %+v, %v", info, err)
	}
}

// answers is a transport that needs no network.
type answers func(*http.Request) (int, string)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	status, code := a(r)
	h := http.Header{}
	h.Set("X-Error-Code", code)
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(`{"splits":[]}`)), Request: r}, nil
}

func TestViewerWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		client := &hub.Client{HTTP: &http.Client{Transport: answers(func(*http.Request) (int, string) {
			if asked++; asked < 6 {
				return http.StatusInternalServerError, "ResponseNotReady"
			}
			return http.StatusOK, ""
		})}}
		v := client.Viewer(hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "x"})
		if _, err := v.Splits(t.Context()); err != nil || asked != 6 {
			t.Errorf("asked %d times: %v", asked, err)
		}
		asked = -1000
		start := time.Now()
		if _, err := v.Splits(t.Context()); !errors.Is(err, hub.ErrNotReady) || time.Since(start) > time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		client.HTTP.Transport = answers(func(*http.Request) (int, string) {
			asked++
			return http.StatusInternalServerError, "StreamingRowsError"
		})
		asked = 0
		if _, err := v.Splits(t.Context()); err == nil || asked != 1 {
			t.Errorf("what stays wrong was asked %d times: %v", asked, err)
		}
	})
}

// The token goes to the viewer that the person chose, and not from there on.
func TestViewerGetsTheToken(t *testing.T) {
	t.Parallel()
	var got []string
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, "stranger "+r.Header.Get("Authorization"))
		fmt.Fprint(w, `{}`)
	}))
	defer stranger.Close()
	viewer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, "viewer "+r.Header.Get("Authorization"))
		http.Redirect(w, r, stranger.URL, http.StatusFound)
	}))
	defer viewer.Close()
	client := &hub.Client{BaseURL: "http://127.0.0.1:1", Token: "hf_x", ViewerURL: viewer.URL + "/"}
	if _, err := client.Viewer(hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "x"}).Splits(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "[viewer Bearer hf_x stranger ]"; fmt.Sprint(got) != want {
		t.Errorf("sent %v, want %s", got, want)
	}
}

func TestViewerOfParquet(t *testing.T) {
	t.Parallel()
	type message struct {
		Role    string   `parquet:"role"`
		Tools   []string `parquet:"tools,list"`
		Content *string  `parquet:"content,optional"`
	}
	type row struct {
		ID       int64     `parquet:"id"`
		Messages []message `parquet:"messages,list"`
		Score    *float64  `parquet:"score,optional"`
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out, parquet.MaxRowsPerRowGroup(100))
	text := "hi"
	for i := range int64(1050) {
		r := row{ID: i, Messages: []message{{Role: "user", Content: &text}, {Role: "tool", Tools: []string{"a", "b"}}}}
		if i%3 == 0 {
			r.Messages = nil
		} else {
			score := float64(i)
			r.Score = &score
		}
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Dataset)
	upload(t, h, repo, hub.File{Path: "data/extra-00000-of-00001.parquet", Content: out.Bytes()})
	v, ctx, extra := h.Client.Viewer(repo), t.Context(), hub.Split{Config: "default", Split: "extra"}
	rows, err := v.Rows(ctx, extra, 1040, 2)
	if err != nil || rows.Total != 1050 || rows.Features.Tree() != "id: int64\nmessages: list of struct\n  role: string\n  tools: list<string>\n  content: string\nscore: float64\n" {
		t.Fatalf("Rows = %v\n%s", err, rows.Features.Tree())
	}
	if got := string(rows.Rows[0].Cells["messages"]); got != `[{"role":"user","tools":[],"content":"hi"},{"role":"tool","tools":["a","b"],"content":null}]` {
		t.Errorf("messages are %s", got)
	}
	if got := string(rows.Rows[1].Cells["messages"]) + string(rows.Rows[1].Cells["score"]); got != "[]null" {
		t.Errorf("missing messages are %s", got)
	}
	found, err := v.Filter(ctx, extra, hub.RowFilter{Where: "score IS NULL", OrderBy: "id DESC"}, 0, 1)
	if err != nil || found.Total != 350 || found.Rows[0].Index != 1047 {
		t.Errorf("Filter = %+v, %v", found, err)
	}
	files, err := v.Parquet(ctx, "default")
	if err != nil || len(files.Files) != 1 || files.Files[0].Size != int64(out.Len()) || files.Files[0].Split.Split != "extra" {
		t.Fatalf("Parquet = %+v, %v", files, err)
	}
	for _, address := range []string{files.Files[0].URL, h.URL + "/api/datasets/me/x/parquet/default/extra/0.parquet"} {
		resp, err := http.Get(address) //nolint:noctx // a short test
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(data, out.Bytes()) {
			t.Errorf("%s gives %d bytes, %v", address, len(data), err)
		}
	}
}
