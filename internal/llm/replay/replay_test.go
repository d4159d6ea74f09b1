package replay_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/llm/replay"
)

const key = "sk-or-v1-0123456789abcdef0123456789"

func record(t *testing.T, path string, m llm.Model, requests ...llm.Request) {
	t.Helper()
	w, err := replay.Create(path, replay.Header{Prompt: "go", Session: "s"}, []string{"my own secret \"x\"", "short"})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range requests {
		for range replay.Record(m, w).Stream(t.Context(), req) {
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// grow is a request after another, with a reply and what follows.
func grow(req llm.Request, messages ...llm.Message) llm.Request {
	req.Messages = append(req.Messages[:len(req.Messages):len(req.Messages)], messages...)
	return req
}

func text(role llm.Role, s string) llm.Message {
	return llm.Message{Role: role, Parts: []llm.Part{{Text: s}}}
}

// What is recorded is played word for word: chunks, calls, errors that matter.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "r.jsonl")
	call := llm.ToolCall{ID: "1", Name: "f", Args: `{"a":"ü"}`}
	replies := []llmtest.Reply{
		{Chunks: []llm.Chunk{
			{Reasoning: "h"},
			{Reasoning: "m"},
			{Proof: &llm.Proof{Kind: "k", Data: "d"}},
			{Text: "a\u2028"},
			{Text: "b"},
			{Call: &call},
			{End: &llm.End{Reason: llm.EndCalls, Usage: llm.Usage{Input: 3, Output: 4}}},
		}},
		{Chunks: []llm.Chunk{{Text: "half"}}, Err: &llm.StatusError{Status: 503, Message: "busy"}},
		llmtest.Say("done"),
		{Err: &llm.StatusError{Status: 401, Message: "bad key"}},
	}
	first := llm.Request{System: "sys", Tools: []llm.ToolSpec{{Name: "f"}}, Messages: []llm.Message{text(llm.User, "go")}}
	second := grow(first, llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &call}}}, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "1", Text: "ok"}}}})
	third := grow(second, text(llm.Assistant, "done"), text(llm.User, "more"))
	record(t, path, &llmtest.Script{Replies: replies, Window: 5000}, first, second, second, third)
	r, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	m := r.Model("replay/x")
	if m.Info().ContextWindow != 5000 || len(r.Tools()) != 1 || r.Prompts()[0].Text != "go" {
		t.Errorf("info %+v, tools %v", m.Info(), r.Tools())
	}
	if got := r.Results(); len(got) != 1 || got[0].Call != call || got[0].Result.Text != "ok" {
		t.Errorf("results %+v", got)
	}
	reply, err := llmtest.Ask(t.Context(), m, first)
	if err != nil || reply.Message.Text() != "a\u2028b" || !reflect.DeepEqual(reply.Message.Parts[0], llm.Part{Reasoning: "hm", Proof: &llm.Proof{Kind: "k", Data: "d"}}) || reply.Message.Calls()[0] != call {
		t.Errorf("got %+v, %v", reply, err)
	}
	if reply, err := llmtest.Ask(t.Context(), m, second); err != nil || reply.Message.Text() != "done" {
		t.Errorf("the attempt that failed is played: %+v, %v", reply, err)
	}
	if _, err := llmtest.Ask(t.Context(), m, third); !errors.Is(err, llm.ErrAuth) {
		t.Errorf("got %v", err)
	}
	if _, err := llmtest.Ask(t.Context(), m, third); !errors.Is(err, replay.ErrOver) {
		t.Errorf("got %v", err)
	}
}

// A request that is not like the recorded one is played, and said to differ.
func TestDifference(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.jsonl")
	req := llm.Request{Messages: []llm.Message{text(llm.User, "go")}}
	record(t, path, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("a")}}, req)
	r, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	notice := ""
	for c, err := range r.Model("x").Stream(t.Context(), grow(req, text(llm.User, "more"))) {
		if err != nil {
			t.Fatal(err)
		}
		notice += c.Notice
	}
	if !strings.Contains(notice, "2 messages") {
		t.Errorf("notice %q", notice)
	}
}

// No secret is written, and code is left as it is.
func TestRedaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.jsonl")
	secrets := []string{
		"my own secret \"x\"", key, "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "ghp_0123456789012345678901234567890123456789",
		"AKIAABCDEFGHIJKLMNOP", "xoxb-123456789012-abcdef", "Bearer abcdefghijklmnopqrstuvwxyz123456",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE" + strings.Repeat("AbC1", 15) + "\n-----END RSA PRIVATE KEY-----",
	}
	secrets = append(secrets, "x\n"+secrets[2], "<"+secrets[2])
	code := "my-sk-learn-pipeline-with-long-name; sk-learn-based-model-of-words; pad_token = tokenizer.eos_token; hf_hub_download(repo); token='<s>'; sk-learn; hf_token = None"
	req := llm.Request{Messages: []llm.Message{text(llm.User, strings.Join(secrets, " and ")), text(llm.User, code)}}
	record(t, path, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("key: " + key)}}, req)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"my own secret", key, "hf_abc", "ghp_0", "AKIA", "xoxb", "abcdefghijklmnopqrstuvwxyz1", "MIIE"} {
		if bytes.Contains(data, []byte(s)) {
			t.Errorf("the recording holds %s", s)
		}
	}
	r, err := replay.Open(path)
	if err != nil || !bytes.Contains(data, []byte(strings.ReplaceAll(strings.ReplaceAll(code, "<", `\u003c`), ">", `\u003e`))) {
		t.Fatalf("%v\n%s", err, data)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if reply, err := llmtest.Ask(t.Context(), r.Model("x"), req); err != nil || reply.Message.Text() != "key: [redacted]" {
		t.Errorf("got %+v, %v", reply, err)
	}
}

// Files that are no recordings, or not whole ones.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "r.jsonl")
	req := llm.Request{Messages: []llm.Message{text(llm.User, "go")}}
	record(t, path, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("a"), llmtest.Say("b")}}, req, req)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		r, err := replay.Read(bytes.NewReader(whole[:cut]))
		if err != nil && !errors.Is(err, replay.ErrNotRecording) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if header := bytes.IndexByte(whole, '\n'); cut > header && (err != nil || r.Torn != (whole[cut-1] != '\n' && !isLineEnd(whole, cut))) {
			t.Fatalf("cut at %d: %v, torn %v", cut, err, r.Torn)
		}
	}
	for name, content := range map[string]string{
		"empty": "", "text": "hello\n", "other JSON": `{"a":1}` + "\n", "binary": "\x00\xff\xfe", "newer": `{"recording":{"format":99}}`,
	} {
		if _, err := replay.Read(strings.NewReader(content)); err == nil {
			t.Errorf("%s is taken for a recording", name)
		}
	}
	if _, err := replay.Open(dir); err == nil {
		t.Error("a folder is taken for a recording")
	}
	// A torn line is ended, and the next run goes on after it.
	if err := os.WriteFile(path, whole[:len(whole)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	record(t, path, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("c")}}, req)
	r, err := replay.Open(path)
	if err != nil || !r.Torn || len(r.Headers) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := replay.Create(filepath.Join(path, "x"), replay.Header{}, nil); err == nil {
		t.Error("a recording inside a file")
	}
	w, err := replay.Create(path, replay.Header{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Create(path, replay.Header{}, nil); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("two writers: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// isLineEnd reports whether the text up to cut is whole but for the line end.
func isLineEnd(whole []byte, cut int) bool { return whole[cut] == '\n' }

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"recording":{"format":1}}` + "\n" + `{"exchange":{"keep":1,"messages":[],"chunks":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := replay.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		r.Results()
		m := r.Model("x")
		for range 3 {
			for range m.Stream(t.Context(), llm.Request{Messages: []llm.Message{text(llm.User, "go")}}) {
			}
		}
	})
}
