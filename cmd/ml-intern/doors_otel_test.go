//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/telemetry/telemetrytest"
)

// A real collector takes what the program sends and writes down what it
// understood.
func TestDoorsCollector(t *testing.T) {
	exe := os.Getenv("ML_INTERN_TEST_COLLECTOR")
	if exe == "" {
		t.Skip("needs a collector of OpenTelemetry: make test-doors")
	}
	dir, port := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf(`receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:%s"}}}}
exporters: {file/traces: {path: %s/traces}, file/metrics: {path: %s/metrics}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [file/traces]}
    metrics: {receivers: [otlp], exporters: [file/metrics]}
`, port, dir, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	collector := exec.CommandContext(t.Context(), exe, "--config", config)
	collector.Stderr = os.Stderr
	if err := collector.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = collector.Process.Kill(); _ = collector.Wait() })
	waitFor(t, port)
	server := telemetryModel(t,
		llmtest.Turn{Calls: []llmtest.TurnCall{use("bash", args{"command": "echo saw it"})}},
		llmtest.Turn{Text: "words of an answer"},
	)
	for _, protocol := range []string{"http/json", "http/protobuf"} { // the one is what is sent, the other what people set
		o, _ := watched(t, server, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:"+port, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
			"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true", "TRACEPARENT="+caller, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
		out, err := o.run("--model", "openai/gpt-5.5", "go")
		if err != nil || strings.Contains(out, "telemetry") {
			t.Fatalf("%v %s", err, out)
		}
		server = telemetryModel(t, llmtest.Turn{Text: "words of an answer"})
	}
	_ = collector.Process.Signal(syscall.SIGTERM)
	if err := collector.Wait(); err != nil {
		t.Errorf("the collector: %v", err)
	}
	spans := understood(t, filepath.Join(dir, "traces"), "resourceSpans", "scopeSpans", "spans")
	var names []string
	for _, s := range spans {
		names = append(names, fmt.Sprint(s["name"]))
		if s["traceId"] != "0af7651916cd43dd8448eb211c80319c" || s["startTimeUnixNano"] == nil || s["endTimeUnixNano"] == nil {
			t.Errorf("span %v", s)
		}
	}
	if got, want := strings.Join(names, ", "), "chat gpt-5.5, execute_tool bash, chat gpt-5.5, invoke_agent ml-intern, chat gpt-5.5, invoke_agent ml-intern"; got != want {
		t.Errorf("spans %s", got)
	}
	if len(spans) > 2 {
		if got := telemetrytest.Attrs(spans[1]); got["gen_ai.tool.name"] != "bash" || !strings.Contains(fmt.Sprint(got["gen_ai.tool.call.result"]), "saw it") {
			t.Errorf("attributes %v", got)
		}
		if got := telemetrytest.Attrs(spans[2]); !strings.Contains(fmt.Sprint(got["gen_ai.output.messages"]), "words of an answer") || got["gen_ai.usage.input_tokens"] == nil {
			t.Errorf("attributes %v", got)
		}
	}
	var points int
	for _, m := range understood(t, filepath.Join(dir, "metrics"), "resourceMetrics", "scopeMetrics", "metrics") {
		for _, kind := range []string{"histogram", "sum"} {
			series, _ := m[kind].(telemetrytest.Object)
			points += len(telemetrytest.Objects(series["dataPoints"]))
		}
	}
	if points < 9 {
		t.Errorf("%d points", points)
	}
}

// understood reads the lines of a file that the collector wrote.
func understood(t *testing.T, file string, path ...string) (all []telemetrytest.Object) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var o telemetrytest.Object
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, telemetrytest.Inner(o, path...)...)
	}
	return all
}
