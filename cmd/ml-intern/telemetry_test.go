//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/telemetry/telemetrytest"
)

// What the program sends to a collector, and what nobody else may learn of it.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	exe := program(t)
	together(t, exe, map[string]func(*testing.T, string){
		"run": telemetryOfRun, "content": telemetryOfContent, "killed": telemetryOfKilled, "mcp": telemetryOfMCP, "chat": telemetryOfChat, "unset": telemetryUnset, "nobody there": telemetryToNobody,
	})
}

const (
	collectorKey = "collector-key-98765432100123"
	caller       = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// watched is a person whose program sends to a collector and asks a model.
func watched(t *testing.T, server *llmtest.Server, vars ...string) (*owner, *telemetrytest.Collector) {
	c := telemetrytest.Start(t)
	o := newOwner(t, "")
	o.env = append(o.env, "OPENAI_API_KEY=x", "OPENAI_BASE_URL="+server.URL, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20"+collectorKey)
	o.env = append(o.env, vars...)
	return o, c
}

func telemetryModel(t *testing.T, turns ...llmtest.Turn) *llmtest.Server {
	s := llmtest.NewServer(turns...)
	t.Cleanup(s.Close)
	return s
}

// spanTree writes the names of spans below each other, and checks that every
// parent is there, or is the caller's, and that no span comes twice.
func spanTree(t *testing.T, spans []telemetrytest.Object, root string) string {
	t.Helper()
	ids := map[any]bool{}
	for _, s := range spans {
		if ids[s["spanId"]] {
			t.Errorf("%s was sent twice", s["name"])
		}
		ids[s["spanId"]] = true
		if s["traceId"] != spans[0]["traceId"] {
			t.Errorf("%s is of another trace", s["name"])
		}
	}
	var b strings.Builder
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range spans {
			if p, _ := s["parentSpanId"].(string); p == parent {
				fmt.Fprintf(&b, "%s%s\n", indent, s["name"])
				below(fmt.Sprint(s["spanId"]), indent+" ")
			}
		}
	}
	below(root, "")
	if n := strings.Count(b.String(), "\n"); n != len(spans) {
		t.Errorf("%d of %d spans hang together:\n%s", n, len(spans), b.String())
	}
	return b.String()
}

func telemetryOfRun(t *testing.T, _ string) {
	server := telemetryModel(t,
		llmtest.Turn{Status: 503, Body: `{"error":"busy"}`, RetryAfter: "0"},
		llmtest.Turn{Calls: []llmtest.TurnCall{use("bash", args{"command": "env; echo words of a command"})}},
		llmtest.Turn{Calls: []llmtest.TurnCall{use("research", args{"task": "look"})}},
		llmtest.Turn{Calls: []llmtest.TurnCall{use("report", args{"answer": "words of a report", "findings": []args{}})}},
		llmtest.Turn{Text: "reported"},
		llmtest.Turn{Calls: []llmtest.TurnCall{use("read", args{"path": "nothing.txt"})}},
		llmtest.Turn{Text: "words of an answer"},
	)
	o, c := watched(t, server, "TRACEPARENT="+caller, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
	out, err := o.run("--quiet", "--model", "openai/gpt-5.5", "words of a person")
	if err != nil || strings.TrimSpace(out) != "words of an answer" {
		t.Fatalf("%v %q", err, out)
	}
	spans := c.Spans()
	want := `invoke_agent ml-intern
 chat gpt-5.5
 execute_tool bash
 chat gpt-5.5
 execute_tool research
  invoke_agent ml-intern sub-agent
   chat gpt-5.5
   execute_tool report
   chat gpt-5.5
 chat gpt-5.5
 execute_tool read
 chat gpt-5.5
`
	if got := spanTree(t, spans, "b7ad6b7169203331"); got != want {
		t.Errorf("spans:\n%s", got)
	}
	if len(spans) == 0 || spans[0]["traceId"] != "0af7651916cd43dd8448eb211c80319c" || telemetrytest.Attrs(spans[0])["gen_ai.provider.name"] != "openai" {
		t.Errorf("the turn is %v", spans)
	}
	if shown := c.Shown(); strings.Count(shown, "ml_intern.attempt.failed") != 1 || strings.Count(shown, `error.type = {"stringValue":"tool_error"}`) != 1 {
		t.Errorf("spans:\n%s", shown)
	}
	for _, h := range c.Headers() {
		if h.Get("Authorization") != "Bearer "+collectorKey {
			t.Errorf("headers %v", h)
		}
	}
	var names []string
	for _, m := range c.Metrics() {
		names = append(names, fmt.Sprint(m["name"]))
	}
	if !slices.Equal(names, []string{"gen_ai.client.operation.duration", "gen_ai.client.token.usage", "gen_ai.execute_tool.duration", "gen_ai.invoke_agent.duration", "ml_intern.cost"}) {
		t.Errorf("metrics %q", names)
	}
	if sent := strings.Join(c.Raw(), ""); strings.Contains(sent, "words of") {
		t.Error("what was said was sent")
	}
	for _, seen := range server.Seen() { // among it what env has printed
		for _, secret := range []string{collectorKey, "OTEL_", "b7ad6b7169203331"} {
			if bytes.Contains(seen.Body, []byte(secret)) {
				t.Errorf("the model, or a command, saw %s", secret)
			}
		}
	}
}

func telemetryOfContent(t *testing.T, _ string) {
	const secret = "hf_plantedplantedplantedplanted12"
	server := telemetryModel(t,
		llmtest.Turn{Text: "I look at " + collectorKey, Calls: []llmtest.TurnCall{use("bash", args{"command": "echo saw my-planted-value-77 " + collectorKey + " " + secret})}},
		llmtest.Turn{Text: "an answer with my-planted-value-77"},
	)
	o, c := watched(t, server, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true", "SERVICE_PASSWORD=my-planted-value-77")
	if out, err := o.run("--model", "openai/gpt-5.5", "a question with "+secret); err != nil {
		t.Fatalf("%v %q", err, out)
	}
	sent := strings.Join(c.Raw(), "\n")
	for _, word := range []string{"a question with", "I look at", "echo saw", "an answer with", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"} {
		if !strings.Contains(sent, word) {
			t.Errorf("%q was not sent", word)
		}
	}
	for _, word := range []string{secret, "my-planted-value-77", collectorKey, "OPENAI_API_KEY"} {
		if strings.Contains(sent, word) {
			t.Errorf("%q was sent", word)
		}
	}
}

// A program that is killed in the middle of a turn goes on in its trace.
func telemetryOfKilled(t *testing.T, exe string) {
	server := telemetryModel(t,
		llmtest.Turn{Calls: []llmtest.TurnCall{use("bash", args{"command": "true"})}},
		llmtest.Turn{Hang: true},
		llmtest.Turn{Text: "there"},
	)
	o, c := watched(t, server, "OTEL_BSP_SCHEDULE_DELAY=10")
	cmd := exec.CommandContext(t.Context(), exe, "--model", "openai/gpt-5.5", "go")
	cmd.Dir, cmd.Env = o.dir, o.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(c.Spans()) < 2 || len(server.Seen()) < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("sent before the end: %s", c.Shown())
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if out, err := o.run("--continue"); err != nil {
		t.Fatalf("%v %q", err, out)
	}
	want := "invoke_agent ml-intern\n chat gpt-5.5\n execute_tool bash\n chat gpt-5.5\n chat gpt-5.5\n"
	if got := spanTree(t, c.Spans(), ""); got != want {
		t.Errorf("spans:\n%s", got)
	}
	if !strings.Contains(c.Shown(), `error.type = {"stringValue":"interrupted"}`) {
		t.Errorf("the call that was cut off is not told:\n%s", c.Shown())
	}
}

// The calls of another agent are spans; no model was asked.
func telemetryOfMCP(t *testing.T, exe string) {
	o, c := watched(t, telemetryModel(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.Command(exe, "mcp", "--hub", "local", "--cwd", o.dir) //nolint:noctx // the client ends it
	cmd.Env = o.env
	var said bytes.Buffer
	cmd.Stderr = &said
	s, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(ctx, &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	callTool(t, s, "job_hardware", map[string]any{})
	callTool(t, s, "inspect_dataset", map[string]any{"path": "nothing.csv"})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := spanTree(t, c.Spans(), ""); got != "execute_tool job_hardware\nexecute_tool inspect_dataset\n" {
		t.Errorf("spans:\n%s", got)
	}
	if strings.Contains(said.String(), "telemetry") {
		t.Errorf("told %q", said.String())
	}
}

// Each turn of a chat is a span of the one trace, seen when it is over.
func telemetryOfChat(t *testing.T, exe string) {
	server := telemetryModel(t, llmtest.Turn{Text: "first"}, llmtest.Turn{Calls: []llmtest.TurnCall{use("bash", args{"command": "true"})}}, llmtest.Turn{Text: "second"})
	o, c := watched(t, server, "OTEL_BSP_SCHEDULE_DELAY=10")
	cmd := exec.CommandContext(t.Context(), exe, "--plain", "--model", "openai/gpt-5.5")
	cmd.Dir, cmd.Env = o.dir, o.env
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i, words := range []string{"one", "two"} {
		fmt.Fprintln(in, words)
		for deadline := time.Now().Add(time.Minute); strings.Count(c.Shown(), "invoke_agent ml-intern") <= i; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no turn %d in %s", i, c.Shown())
			}
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil || strings.Contains(said.String(), "telemetry") {
		t.Errorf("%v: %s", err, said.String())
	}
	if got := spanTree(t, c.Spans(), ""); got != "invoke_agent ml-intern\n chat gpt-5.5\ninvoke_agent ml-intern\n chat gpt-5.5\n execute_tool bash\n chat gpt-5.5\n" {
		t.Errorf("spans:\n%s", got)
	}
}

// Without the variables nothing is different, and nobody is asked.
func telemetryUnset(t *testing.T, _ string) {
	var told [2]string
	for i, vars := range [][]string{{"OTEL_EXPORTER_OTLP_ENDPOINT="}, {"OTEL_SDK_DISABLED=true"}} {
		server := telemetryModel(t, llmtest.Turn{Text: "there"})
		o, c := watched(t, server, append(vars, "TRACEPARENT="+caller)...)
		out, err := o.run("--output", "events", "--model", "openai/gpt-5.5", "go")
		if err != nil || strings.Contains(out, "0af7651916cd43dd") || strings.Contains(out, "telemetry") {
			t.Errorf("%v %q", err, out)
		}
		if n := len(c.Raw()); n > 0 {
			t.Errorf("%d requests", n)
		}
		told[i] = out
	}
	if strings.Count(told[0], "\n") != strings.Count(told[1], "\n") {
		t.Errorf("%q", told)
	}
}

// A collector that is not there, or not meant, costs a line.
func telemetryToNobody(t *testing.T, _ string) {
	for _, test := range []struct{ name, vars, want string }{
		{"dead", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" + freePort(t), "telemetry: send spans to http://127.0.0.1:"},
		{"grpc", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "telemetry: OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken here"},
		{"no certificate", "OTEL_EXPORTER_OTLP_CERTIFICATE=" + filepath.Join(t.TempDir(), "none.pem"), "telemetry: read the collector's certificate"},
	} {
		server := telemetryModel(t, llmtest.Turn{Text: "there"}, llmtest.Turn{Text: "again"})
		o, _ := watched(t, server, test.vars)
		for _, args := range [][]string{{"go"}, {"--continue", "more"}} {
			out, err := o.run(append([]string{"--model", "openai/gpt-5.5"}, args...)...)
			if err != nil || strings.Count(out, "telemetry") > 1 || args[0] == "go" && !strings.Contains(out, test.want) {
				t.Errorf("%s: %v\n%s", test.name, err, out)
			}
		}
	}
}
