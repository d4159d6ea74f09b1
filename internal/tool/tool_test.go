package tool_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

type input struct {
	Path  string   `json:"path" jsonschema:"the file"`
	Limit int      `json:"limit,omitempty" jsonschema:"lines"`
	Tags  []string `json:"tags,omitempty"`
}

func echo(t *testing.T) *tool.Router {
	t.Helper()
	r, err := tool.NewRouter(tool.New(tool.Spec{ToolSpec: llm.ToolSpec{Name: "echo"}, Effect: tool.Writes},
		func(_ context.Context, in input, _ tool.Call) (tool.Output, error) {
			text, err := json.Marshal(in)
			return tool.Output{Text: string(text)}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The model is told exactly what is wrong with its arguments, and the tool
// does not see them.
func TestArguments(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, args, want string }{
		{"good", `{"path":"a","limit":3,"tags":["x"]}`, `{"path":"a","limit":3,"tags":["x"]}`},
		{"optional left out", `{"path":"a"}`, `{"path":"a"}`},
		{"null for a list", `{"path":"a","tags":null}`, `{"path":"a"}`},
		{"missing", `{"limit":3}`, `"path" is missing`},
		{"none at all", ``, `"path" is missing`},
		{"unknown", `{"path":"a","limits":3}`, `"limits" is not an argument; the arguments are limit, path, tags`},
		{"missing and unknown", `{"file":"a"}`, `"path" is missing; "file" is not an argument`},
		{"wrong type", `{"path":7}`, `path`},
		{"number as text", `{"path":"a","limit":"3"}`, `limit`},
		{"fraction for an integer", `{"path":"a","limit":1.5}`, `limit`},
		{"not an object", `["a"]`, `must be a JSON object, not a array`},
		{"null", `null`, `must be a JSON object, not null`},
		{"cut off", `{"path":"a`, `not valid JSON`},
		{"two values", `{"path":"a"}{}`, `not valid JSON at byte`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := echo(t).Run(t.Context(), "echo", tool.Call{Args: tt.args, Log: func(string) {}})
			if !strings.Contains(out.Text, tt.want) {
				t.Errorf("got %q, want %q in it", out.Text, tt.want)
			}
			if wantErr := !strings.HasPrefix(tt.want, "{"); out.IsError != wantErr {
				t.Errorf("error %v, want %v", out.IsError, wantErr)
			}
			if out.IsError && !strings.Contains(out.Text, "nothing was done") {
				t.Errorf("the model is not told that nothing was done: %q", out.Text)
			}
		})
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	var schema struct {
		Type       string
		Required   []string
		Properties map[string]struct{ Type, Description any }
	}
	if err := json.Unmarshal(echo(t).Specs()[0].Schema, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Type != "object" || len(schema.Required) != 1 || schema.Required[0] != "path" || schema.Properties["path"].Description != "the file" {
		t.Errorf("schema %+v", schema)
	}
	if schema.Properties["tags"].Type != "array" {
		t.Errorf("a list is %v", schema.Properties["tags"].Type)
	}
}

func TestUnknownToolNamesTheOthers(t *testing.T) {
	t.Parallel()
	out := echo(t).Run(t.Context(), "ecco", tool.Call{Log: func(string) {}})
	if !out.IsError || !strings.Contains(out.Text, "echo") {
		t.Errorf("got %+v", out)
	}
}

// Tools from elsewhere come behind the others, never in their place, and go
// when they are not named again.
func TestExtend(t *testing.T) {
	t.Parallel()
	say := func(name, text string) tool.Tool {
		return tool.New(tool.Spec{ToolSpec: llm.ToolSpec{Name: name}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) { return tool.Output{Text: text}, nil })
	}
	r, err := tool.NewRouter(say("a", "ours"), say("b", "ours"))
	if err != nil {
		t.Fatal(err)
	}
	names := func() string {
		var all []string
		for _, s := range r.Specs() {
			all = append(all, s.Name)
		}
		return strings.Join(all, " ")
	}
	before := r.Specs()
	r.Extend([]tool.Tool{say("z", "theirs"), say("a", "theirs"), say("z", "again"), say("c", "theirs")})
	if names() != "a b z c" || len(before) != 2 {
		t.Errorf("tools %s, before %d", names(), len(before))
	}
	for name, want := range map[string]string{"a": "ours", "z": "theirs"} {
		if out := r.Run(t.Context(), name, tool.Call{Log: func(string) {}}); out.Text != want {
			t.Errorf("%s is %q", name, out.Text)
		}
	}
	if r.Extend([]tool.Tool{say("c", "theirs")}); names() != "a b c" {
		t.Errorf("tools %s", names())
	}
}

func TestTwoToolsOfOneName(t *testing.T) {
	t.Parallel()
	x := tool.New(tool.Spec{ToolSpec: llm.ToolSpec{Name: "x"}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) { return tool.Output{}, nil })
	if _, err := tool.NewRouter(x, x); err == nil {
		t.Error("no error")
	}
}

func FuzzArguments(f *testing.F) {
	f.Add(`{"path":"a","limit":3}`)
	f.Add(`{"path":`)
	f.Fuzz(func(t *testing.T, args string) {
		out := echo(t).Run(t.Context(), "echo", tool.Call{Args: args, Log: func(string) {}})
		if strings.Contains(out.Text, "broke") {
			t.Errorf("%q: %s", args, out.Text)
		}
	})
}

// What tools say is redacted, and no call acts on what stands for a secret.
func TestRedact(t *testing.T) {
	t.Parallel()
	ran := 0
	say := tool.New(tool.Spec{ToolSpec: llm.ToolSpec{Name: "say"}, Effect: tool.Writes}, func(_ context.Context, in struct {
		Text string `json:"text"`
	}, call tool.Call,
	) (tool.Output, error) {
		ran++
		call.Log("log key")
		if in.Text == "fail" {
			return tool.Output{}, errors.New("error key")
		}
		return tool.Output{Text: "text key", Summary: "summary key", Facts: []tool.Fact{{Text: "fact key"}}}, nil
	})
	r, err := tool.NewRouter(say)
	if err != nil {
		t.Fatal(err)
	}
	r.Redact = func(text string) string { return strings.ReplaceAll(text, "key", "[redacted]") }
	var logged []string
	run := func(args string) tool.Output {
		return r.Run(t.Context(), "say", tool.Call{Args: args, Log: func(line string) { logged = append(logged, line) }})
	}
	if out := run(`{"text":"x"}`); out.Text != "text [redacted]" || out.Summary != "summary [redacted]" || out.Facts[0].Text != "fact [redacted]" {
		t.Errorf("%+v", out)
	}
	if out := run(`{"text":"fail"}`); !out.IsError || !strings.Contains(out.Text, "error [redacted]") {
		t.Errorf("%+v", out)
	}
	if out := run(`{"text":"password: [redacted]"}`); !out.IsError || ran != 2 {
		t.Errorf("ran %d times: %+v", ran, out)
	}
	if len(logged) != 2 || logged[0] != "log [redacted]" {
		t.Errorf("%q", logged)
	}
}
