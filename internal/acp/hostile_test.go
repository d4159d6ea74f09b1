package acp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// What is no message is answered and left; what comes after it is served.
func TestGarbage(t *testing.T) {
	t.Parallel()
	r := connect(t, llmtest.Turn{Text: "hello"})
	nobody := func(text string, code int, words string) {
		t.Helper()
		r.write(text)
		r.refused(r.answer("null"), code, words)
	}
	nobody(`hello there`, -32700, "no JSON")
	nobody("\x00\xff\xfe", -32700, "no JSON")
	nobody(`{"jsonrpc":"2.0",`, -32700, "no JSON")
	nobody(`[]`, -32600, "no message")
	nobody(`[{"jsonrpc":"2.0","id":1,"method":"initialize"}]`, -32600, "no message")
	nobody(`"x"`, -32600, "no message")
	nobody(`{}`, -32600, "no message")
	nobody(`{"jsonrpc":"1.0","id":1,"method":"initialize"}`, -32600, "no message")
	nobody(`{"jsonrpc":"2.0","id":{"a":1},"method":"initialize"}`, -32600, "no message")
	nobody(`{"jsonrpc":"2.0","id":1,"method":7}`, -32600, "no message")
	nobody(strings.Repeat("[", 100_000), -32700, "no JSON")
	nobody(`{"jsonrpc":"2.0","id":5,"method":"session/prompt","params":"`+strings.Repeat("x", 17<<20)+`"}`, -32600, "16 MB")
	r.write("")
	r.write("   \r")
	r.write(`{"jsonrpc":"2.0","id":99,"result":{}}`) // an answer to nothing
	r.refused(r.ask(3, "session/new", map[string]any{"cwd": r.dir, "mcpServers": []any{}}), -32600, "begin with initialize")
	id := r.begin()
	r.refused(r.ask(4, "session/frobnicate", nil), -32601, "no method")
	r.refused(r.ask(5, "session/prompt", nil), -32602, "prompt")
	r.refused(r.ask(6, "session/prompt", []int{1}), -32602, "read the request")
	r.refused(r.ask(7, "session/prompt", prompt("nobody", "x")), -32002, "no open session")
	r.refused(r.ask(8, "session/set_mode", map[string]any{"sessionId": "../../etc", "modeId": "auto"}), -32002, "no open session")
	r.refused(r.ask(9, "session/load", map[string]any{"sessionId": "20200101-000000-zzzz", "cwd": r.dir, "mcpServers": []any{}}), -32002, "no session")
	r.refused(r.ask(10, "session/load", map[string]any{"sessionId": "", "cwd": r.dir, "mcpServers": []any{}}), -32002, "no session")
	r.refused(r.ask(11, "session/list", map[string]any{"cursor": "-1"}), -32602, "cursor")
	r.send(nil, "session/cancel", map[string]any{"sessionId": "nobody"})
	r.send(nil, "session/cancel", "x")
	r.send(nil, "unknown/notification", map[string]any{})
	r.send(nil, "$/cancel_request", map[string]any{"requestId": 12345})
	if l := r.ask(12, "session/prompt", prompt(id, "hi")); l.Error != nil || string(l.Result) != `{"stopReason":"end_turn"}` {
		t.Errorf("%+v %s", l.Error, l.Result)
	}
	for range 5000 {
		r.send(nil, "session/cancel", map[string]any{"sessionId": id})
	}
	if l := r.ask(13, "session/prompt", prompt(id, "/plan")); l.Error != nil {
		t.Errorf("%+v", l.Error)
	}
}

// A folder is one that is there, by its whole path.
func TestWorkspaces(t *testing.T) {
	t.Parallel()
	r := connect(t)
	r.greet()
	file := filepath.Join(r.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id := 10
	for _, cwd := range []string{"", ".", "../..", "relative/dir", "~", "/no/such/folder", file, file + "/..", r.dir + "\x00/x", strings.Repeat("/a", 5000), "file://" + r.dir} {
		id++
		l := r.ask(id, "session/new", map[string]any{"cwd": cwd, "mcpServers": []any{}})
		r.refused(l, -32602, "cwd")
	}
	id++
	l := r.ask(id, "session/new", map[string]any{"cwd": r.dir + "/../" + filepath.Base(r.dir) + "/./", "mcpServers": []any{}})
	if l.Error != nil {
		t.Errorf("%+v", l.Error)
	}
	id++
	l = r.ask(id, "session/new", map[string]any{"cwd": r.dir, "mcpServers": []any{
		map[string]any{"name": "sse", "type": "sse", "url": "http://x", "headers": []any{}}, map[string]any{"name": "bad", "type": "http", "url": "ftp://x", "headers": []any{}},
	}})
	if l.Error != nil {
		t.Errorf("%+v", l.Error)
	}
	for _, words := range []string{"only stdio and http", "https://"} {
		r.until(words, func(l line) bool { return strings.Contains(string(l.Params), words) })
	}
}

// A prompt that is cancelled in the same breath is cancelled, and a second one
// for the same session is refused while the first has no answer.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	r := connect(t, llmtest.Turn{Hang: true}, llmtest.Turn{Hang: true}, llmtest.Turn{Hang: true}, llmtest.Turn{Hang: true}, llmtest.Turn{Hang: true}, llmtest.Turn{Hang: true})
	id := r.begin()
	for n := range 5 {
		at := 100 + 10*n
		r.send(at, "session/prompt", prompt(id, "one"))
		r.send(at+1, "session/prompt", prompt(id, "two"))
		r.send(nil, "session/cancel", map[string]any{"sessionId": id})
		var first, second bool
		r.until("both answers", func(l line) bool {
			switch string(l.ID) {
			case fmt.Sprint(at):
				if first = true; string(l.Result) != `{"stopReason":"cancelled"}` {
					t.Errorf("%+v %s", l.Error, l.Result)
				}
			case fmt.Sprint(at + 1):
				second = true
				r.refused(l, -32600, "answers a prompt already")
			}
			return first && second
		})
	}
	r.send(200, "session/prompt", prompt(id, "three"))
	r.send(200, "session/prompt", prompt(id, "three"))
	r.refused(r.answer("200"), -32600, "of this id")
	r.send(nil, "$/cancel_request", map[string]any{"requestId": 200})
	r.refused(r.answer("200"), -32800, "cancelled")
}

// Requests without end are refused, not kept.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	turns := make([]llmtest.Turn, 70)
	for i := range turns {
		turns[i].Hang = true
	}
	r := connect(t, turns...)
	id := r.begin()
	full := 0
	for n := range 70 {
		l := r.ask(1000+n, "session/new", map[string]any{"cwd": r.dir, "mcpServers": []any{}})
		if l.Error != nil {
			r.refused(l, -32602, "open sessions already")
			full++
		}
	}
	if full != 7 {
		t.Errorf("%d sessions were refused", full)
	}
	r.refused(r.ask(2000, "session/load", map[string]any{"sessionId": id, "cwd": r.dir, "mcpServers": []any{}}), -32002, "no session") // nothing was said in it
}

// A client that stops reading holds up itself: the program keeps little of what
// waits for it, still hears a cancel, and ends when the input does.
func TestNobodyReads(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	r, out := serve(t, llmtest.Turn{Text: strings.Repeat("many words ", 100), Repeat: 20_000, Chunk: 2000}) // 22 MB
	dec := json.NewDecoder(out)
	r.send(1, "initialize", map[string]any{"protocolVersion": 1})
	r.send(2, "session/new", map[string]any{"cwd": r.dir, "mcpServers": []any{}})
	id := ""
	for id == "" {
		var l line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		var s struct{ SessionID string }
		if string(l.ID) == "2" && json.Unmarshal(l.Result, &s) == nil {
			id = s.SessionID
		}
	}
	r.send(3, "session/prompt", prompt(id, "talk"))
	var l line
	for !strings.Contains(string(l.Params), "many words") {
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for n := range 2000 { // none of the answers is read
		go func() {
			_, _ = fmt.Fprintf(r.in, `{"jsonrpc":"2.0","id":%d,"method":"session/list","params":{"cursor":"x"}}`+"\n", 10+n)
		}()
	}
	time.Sleep(300 * time.Millisecond) // for whatever would pile up
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 40<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	_ = r.in.Close()
	select {
	case err := <-r.over:
		if err != nil {
			t.Errorf("served: %v", err)
		}
		r.over <- nil
	case <-time.After(time.Minute):
		t.Fatal("the program waits for a client that does not read")
	}
}

// Nor does what cannot be served hold the program up when nobody reads the
// answers: the end of the input is seen behind it.
func TestNobodyReadsRefusals(t *testing.T) {
	t.Parallel()
	r, _ := serve(t)
	wrote := make(chan error, 1)
	go func() {
		lines := strings.Repeat("garbage\n", 2000) + strings.Repeat("x", 17<<20) + "\n" + strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"none"}`+"\n", 2000)
		_, err := io.WriteString(r.in, lines)
		_ = r.in.Close()
		wrote <- err
	}()
	select {
	case err := <-wrote:
		if err != nil {
			t.Errorf("write: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the program waits for a client that does not read")
	}
	select {
	case err := <-r.over:
		if err != nil {
			t.Errorf("served: %v", err)
		}
		r.over <- nil
	case <-time.After(time.Minute):
		t.Fatal("the program does not end")
	}
}

// A session that cannot be opened again, since nothing was said in it or it works
// elsewhere, stays open as it is.
func TestLoadKeepsOpen(t *testing.T) {
	t.Parallel()
	r := connect(t, llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"})
	id := r.begin()
	load := func(n int, cwd string) line {
		return r.ask(n, "session/load", map[string]any{"sessionId": id, "cwd": cwd, "mcpServers": []any{}})
	}
	r.refused(load(3, r.dir), -32002, "no session")
	if l := r.ask(4, "session/prompt", prompt(id, "hi")); l.Error != nil {
		t.Fatalf("%+v", l.Error)
	}
	r.refused(load(5, t.TempDir()), -32602, "works in "+r.dir)
	if l := r.ask(6, "session/prompt", prompt(id, "hi")); l.Error != nil {
		t.Fatalf("%+v", l.Error)
	}
	if l := load(7, r.dir); l.Error != nil {
		t.Errorf("%+v", l.Error)
	}
}

// What is said is bounded, and what is linked to is named as the tools take it.
func TestSaid(t *testing.T) {
	t.Parallel()
	r := connect(t, llmtest.Turn{Text: "well"})
	id := r.begin()
	r.refused(r.ask(3, "session/prompt", prompt(id, strings.Repeat("x", 1<<20+1))), -32602, "more than 1048576")
	block := func(kind string, more map[string]any) map[string]any {
		more["type"] = kind
		return more
	}
	link := func(uri string) map[string]any {
		return block("resource_link", map[string]any{"name": "x", "uri": uri})
	}
	l := r.ask(4, "session/prompt", map[string]any{"sessionId": id, "prompt": []any{
		block("text", map[string]any{"text": "see "}), link("file://" + r.dir + "/sub/a%20b.py#L3:9"), link("file:///etc/passwd"), link("https://x.example/`y`"), link("::"), link("file:relative"),
		block("resource", map[string]any{"resource": map[string]any{"uri": "zed:///thread", "text": "BEGIN" + strings.Repeat("```\n", 100_000) + "END"}}),
		block("resource", map[string]any{"resource": map[string]any{"uri": "file:///w.bin", "blob": "AAAA"}}),
	}})
	if l.Error != nil {
		t.Fatalf("%+v", l.Error)
	}
	var request struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.Unmarshal(r.llm.Seen()[0].Body, &request); err != nil {
		t.Fatal(err)
	}
	said := request.Messages[len(request.Messages)-1].Content
	for _, want := range []string{
		"see `sub/a b.py#L3:9``/etc/passwd``https://x.example/%60y%60``::``file:relative``zed:///thread``/w.bin` (no text: it was not given)",
		"The editor gave `zed:///thread` with this prompt", "BEGIN", "bytes left out", "END",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %.600s", want, said)
		}
	}
	if len(said) > 70<<10 {
		t.Errorf("the model was told %d bytes", len(said))
	}
}

// An answer to a question that means nothing is a no, and the first one counts.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	odd := []string{
		`null`, `{}`, `[]`, `7`, `{"outcome":null}`, `{"outcome":{}}`, `{"outcome":"selected"}`, `{"outcome":{"outcome":"perhaps"}}`,
		`{"outcome":{"outcome":"selected"}}`, `{"outcome":{"outcome":"selected","optionId":["allow_once"]}}`, `{"outcome":{"outcome":"selected","optionId":"ALLOW_ONCE"}}`,
	}
	var turns []llmtest.Turn
	for n := range odd {
		turns = append(turns, llmtest.Turn{Calls: []llmtest.TurnCall{{ID: fmt.Sprintf("write%d", n), Name: "write", Args: `{"path":"a.txt","content":"x"}`}}}, llmtest.Turn{Text: "well"})
	}
	r := connect(t, turns...)
	id := r.begin()
	if l := r.ask(3, "session/set_mode", map[string]any{"sessionId": id, "modeId": "strict"}); l.Error != nil {
		t.Fatalf("%+v", l.Error)
	}
	for n, result := range odd {
		r.send(10+n, "session/prompt", prompt(id, "write"))
		q := r.until("question", func(l line) bool { return l.Method == "session/request_permission" })
		r.write(`{"jsonrpc":"2.0","id":` + string(q.ID) + `,"result":` + result + `}`)
		r.write(`{"jsonrpc":"2.0","id":` + string(q.ID) + `,"result":{"outcome":{"outcome":"selected","optionId":"allow_once"}}}`)
		if l := r.answer(fmt.Sprint(10 + n)); l.Error != nil || string(l.Result) != `{"stopReason":"end_turn"}` {
			t.Errorf("%s: %+v %s", result, l.Error, l.Result)
		}
		if _, err := os.Stat(filepath.Join(r.dir, "a.txt")); err == nil {
			t.Fatalf("%s: the call ran", result)
		}
	}
}

// What clients may send never takes the program down.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}`, `{"jsonrpc":"2.0","method":"session/cancel"}`, `{"id":null}`, "\n\n{", `[1]`,
		`{"jsonrpc":"2.0","id":"x","method":"session/new","params":{"cwd":"/","mcpServers":[{}]}}`, `{"jsonrpc":"2.0","id":1,"result":{}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "session/new") || strings.Contains(text, "session/load") || strings.Contains(text, "session/resume") {
			t.Skip() // no session of a folder of this machine
		}
		r := connect(t)
		r.write(text)
		r.write(`{"jsonrpc":"2.0","id":"last","method":"none"}`)
		r.answer(`"last"`)
	})
}
