package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"ml-intern/internal/llm/llmtest"
)

// What the TypeScript library's client saw, and every message it was sent.
type doorsACP struct {
	Complaints []string
	Updates    []struct{ Update json.RawMessage }
	Live       int
	Questions  []struct {
		Options []struct{ OptionID, Kind, Name string }
	}
	Hello                struct{ AuthMethods []struct{ ID, Type string } }
	First, Second, Third struct{ StopReason string }
	List                 struct {
		Sessions []struct{ SessionID, Title string }
	}
	Session  struct{ SessionID string }
	Refused  struct{ Code int }
	Exit     int
	Messages []struct {
		ID             json.RawMessage
		Method         string
		Params, Result json.RawMessage
	}
}

// The client of the TypeScript library, which Zed's and others' adapters are made
// with, drives the program; what it is sent is what the protocol's schema says.
func TestDoorsACP(t *testing.T) {
	dir := doors(t)
	write := func(id, path string) llmtest.Turn {
		return calls(makes(id, "write", map[string]any{"path": path, "content": "x\n"}))
	}
	model := plays(t, llmtest.Turn{Reasoning: "hm", Text: "Yes. ", Calls: write("write1", "a.txt").Calls}, llmtest.Turn{Text: "written"},
		write("write2", "b.txt"), calls(makes("bash01", "bash", map[string]any{"command": "ls"}), makes("plan01", "plan", map[string]any{"items": []map[string]any{{"text": "all", "status": "done"}}})), llmtest.Turn{Text: "done"})
	o := newOwner(t, "max_cost: 1\n")
	library := filepath.Join(dir, "@agentclientprotocol", "sdk")
	client, err := filepath.Abs(filepath.Join("testdata", "acp-client.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", client, filepath.Join(library, "dist", "v1", "stable", "acp.js"), o.dir, o.exe, "--hub", "local", "--model", "openai/test")
	cmd.Env = append(o.env, "OPENAI_API_KEY=x", "OPENAI_BASE_URL="+model.URL)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	var seen doorsACP
	if err != nil || json.Unmarshal(text, &seen) != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(seen.Complaints) > 0 || seen.Exit != 0 {
		t.Errorf("the library complains: %s; exit %d", strings.Join(seen.Complaints, "\n"), seen.Exit)
	}
	if seen.First.StopReason != "end_turn" || seen.Second.StopReason != "cancelled" || seen.Third.StopReason != "end_turn" || seen.Refused.Code != -32002 {
		t.Errorf("%+v %+v %+v %+v", seen.First, seen.Second, seen.Third, seen.Refused)
	}
	if len(seen.Questions) != 2 || len(seen.Questions[0].Options) != 4 || len(seen.Hello.AuthMethods) != 3 || seen.Hello.AuthMethods[0].Type != "terminal" {
		t.Errorf("%+v %+v", seen.Questions, seen.Hello)
	}
	if len(seen.List.Sessions) != 1 || seen.List.Sessions[0].SessionID != seen.Session.SessionID || seen.List.Sessions[0].Title != "write it" {
		t.Errorf("%+v", seen.List)
	}
	kinds := func(updates []struct{ Update json.RawMessage }) map[string]int {
		all := map[string]int{}
		for _, u := range updates {
			var kind struct{ SessionUpdate string }
			if err := json.Unmarshal(u.Update, &kind); err != nil {
				t.Error(err)
			}
			all[kind.SessionUpdate]++
		}
		return all
	}
	live, loaded := kinds(seen.Updates[:seen.Live]), kinds(seen.Updates[seen.Live:])
	for _, kind := range []string{"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan", "available_commands_update", "current_mode_update", "config_option_update", "usage_update", "session_info_update"} {
		if live[kind] == 0 {
			t.Errorf("no %s: %v", kind, live)
		}
	}
	if loaded["user_message_chunk"] != 3 || loaded["tool_call"] != 3 || loaded["plan"] != 1 {
		t.Errorf("loaded: %v", loaded)
	}
	checkSchema(t, filepath.Join(library, "schema", "v1", "schema.json"), seen)
}

// checkSchema holds every message of the program to the protocol's own schema.
func checkSchema(t *testing.T, file string, seen doorsACP) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]*jsonschema.Resolved{}
	check := func(kind string, data json.RawMessage) {
		t.Helper()
		if checks[kind] == nil {
			var schema jsonschema.Schema
			if err := json.Unmarshal(text, &schema); err != nil {
				t.Fatal(err)
			}
			resolved, err := (&jsonschema.Schema{Ref: "#/$defs/" + kind, Defs: schema.Defs}).Resolve(nil)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			checks[kind] = resolved
		}
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		if err := checks[kind].Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, data)
		}
	}
	results := []string{"InitializeResponse", "NewSessionResponse", "SetSessionModeResponse", "PromptResponse", "PromptResponse", "SetSessionConfigOptionResponse", "PromptResponse", "CloseSessionResponse", "ListSessionsResponse", "LoadSessionResponse", "CloseSessionResponse", "ResumeSessionResponse"}
	n := 0
	for _, m := range seen.Messages {
		switch {
		case m.Method == "session/update":
			check("SessionNotification", m.Params)
		case m.Method == "session/request_permission":
			check("RequestPermissionRequest", m.Params)
		case m.Method == "" && m.Result != nil:
			if n < len(results) {
				check(results[n], m.Result)
			}
			n++
		}
	}
	if n != len(results) {
		t.Errorf("%d results, not %d", n, len(results))
	}
}
