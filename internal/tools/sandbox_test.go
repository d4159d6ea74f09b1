//go:build unix

package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// boxes are sandboxes that are folders of this machine.
type boxes struct {
	dir    string
	orders []tools.SandboxOrder
	fail   error
}

func (b *boxes) Price(hardware string) (float64, error) {
	switch hardware {
	case "cpu-basic":
		return 0, nil
	case "t4-small":
		return 0.4, nil
	}
	return 0, errors.New("the Hub has no hardware " + hardware)
}

func (b *boxes) Create(_ context.Context, o tools.SandboxOrder, _ func(string)) (tools.NewSandbox, error) {
	b.orders = append(b.orders, o)
	return tools.NewSandbox{Name: "box", Dir: b.dir}, b.fail
}

func (b *boxes) Open(_ context.Context, name string) (tools.Elsewhere, error) {
	if name != "box" {
		return nil, errors.New("this session has no sandbox " + name)
	}
	return sandbox.Local{Dir: b.dir, Env: []string{"PATH=" + os.Getenv("PATH")}}, nil
}

func (b *boxes) Delete(_ context.Context, name string) (tool.Charge, error) {
	return tool.Charge{Label: "s/1", Job: name, USD: 0.1, Final: true}, nil
}

func routed(t *testing.T, b *boxes) (*tool.Router, string) {
	t.Helper()
	here := sandbox.Local{Dir: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}
	r, err := tool.NewRouter(
		tools.InSandboxes(tools.Bash(here, nil), b, func(e tools.Elsewhere) tool.Tool { return tools.Bash(e, nil) }),
		tools.InSandboxes(tools.Read(here), b, func(e tools.Elsewhere) tool.Tool { return tools.Read(e) }),
		tools.InSandboxes(tools.Write(here), b, func(e tools.Elsewhere) tool.Tool { return tools.Write(e) }),
		tools.InSandboxes(tools.Edit(here), b, func(e tools.Elsewhere) tool.Tool { return tools.Edit(e) }),
		tools.SandboxCreate(b), tools.SandboxDelete(b),
	)
	if err != nil {
		t.Fatal(err)
	}
	return r, here.Dir
}

func TestToolsWorkInASandbox(t *testing.T) {
	t.Parallel()
	b := &boxes{dir: t.TempDir()}
	r, here := routed(t, b)
	run := func(name, args string) tool.Output {
		return r.Run(t.Context(), name, tool.Call{ID: "s/" + name, Args: args, Log: func(string) {}})
	}
	if out := run("write", `{"sandbox":"box","path":"f","content":"one"}`); out.IsError || out.Artifacts[0].Path != "box:"+filepath.Join(b.dir, "f") || out.Facts[0].Name != "box:f" {
		t.Errorf("write: %+v", out)
	}
	if out := run("edit", `{"sandbox":"box","path":"f","old":"one","new":"two"}`); out.IsError {
		t.Errorf("edit: %+v", out)
	}
	if out := run("bash", `{"command":"cat f","sandbox":"box"}`); !strings.HasPrefix(out.Text, "two") {
		t.Errorf("bash: %+v", out)
	}
	if out := run("read", `{"sandbox":"box","path":"f"}`); !strings.Contains(out.Text, "two") {
		t.Errorf("read: %+v", out)
	}
	if entries, _ := os.ReadDir(here); len(entries) != 0 {
		t.Errorf("here there is %v", entries)
	}
	for _, args := range []string{`{"command":"pwd -P"}`, `{"command":"pwd -P","sandbox":""}`} {
		if out := run("bash", args); !strings.HasPrefix(out.Text, here) {
			t.Errorf("without a sandbox: %s", out.Text)
		}
	}
	for _, args := range []string{`{"command":"id","sandbox":"other"}`, `{"command":"id","sandbox":7}`, `{"sandbox":"box"}`, `{"sandbox":"box","command":"id","sandbocks":1}`} {
		if out := run("bash", args); !out.IsError {
			t.Errorf("%s: %+v", args, out)
		}
	}
}

func TestSandboxCallsAreJudged(t *testing.T) {
	t.Parallel()
	r, _ := routed(t, &boxes{})
	call := func(name, args string) llm.ToolCall { return llm.ToolCall{Name: name, Args: args} }
	for _, c := range []struct {
		name, args string
		effect     tool.Effect
		outside    bool
		usd        float64
		again      bool
	}{
		{"bash", `{"command":"id"}`, tool.Executes, true, 0, false},
		{"bash", `{"command":"id","sandbox":"box"}`, tool.Executes, false, 0, true},
		{"write", `{"sandbox":"box","path":"/etc/x","content":""}`, tool.Writes, false, 0, true},
		{"edit", `{"sandbox":"box","path":"x","old":"a","new":"b"}`, tool.Writes, false, 0, false},
		{"read", `{"path":"/etc/passwd"}`, tool.Reads, true, 0, true},
		{"read", `{"path":"/etc/passwd","sandbox":"box"}`, tool.Reads, false, 0, true},
		{"sandbox_create", `{}`, tool.Executes, true, 0, true},
		{"sandbox_create", `{"hardware":"t4-small","hours":2,"sleep_min":30}`, tool.Spends, true, 1, true},
		{"sandbox_create", `{"hardware":"warp-core"}`, tool.Spends, true, 0, true},
		{"sandbox_delete", `{"sandbox":"box"}`, tool.Executes, false, 0, true},
	} {
		i := r.Impact(call(c.name, c.args))
		if i.Effect != c.effect || (i.Outside != "") != c.outside || i.CostUSD != c.usd || r.Resumable(call(c.name, c.args)) != c.again {
			t.Errorf("%s %s: %+v, again %v", c.name, c.args, i, r.Resumable(call(c.name, c.args)))
		}
	}
	for _, s := range r.Specs() {
		var schema struct {
			Properties map[string]any
			Required   []string
		}
		if err := json.Unmarshal(s.Schema, &schema); err != nil || (schema.Properties["sandbox"] == nil) != (s.Name == "sandbox_create") {
			t.Errorf("the schema of %s is %s, %v", s.Name, s.Schema, err)
		}
	}
}

func TestSandboxMoney(t *testing.T) {
	t.Parallel()
	b := &boxes{dir: "/w"}
	create := tools.SandboxCreate(b)
	run := func(args string, aside float64) (tool.Output, error) {
		return create.Run(t.Context(), tool.Call{ID: "s/1", Args: args, WorstUSD: aside, Log: func(string) {}})
	}
	if _, err := run(`{"hardware":"t4-small"}`, 0.2); err == nil || len(b.orders) != 0 {
		t.Errorf("started for more than what is set aside: %v", err)
	}
	for _, args := range []string{`{"hours":-1}`, `{"hours":1000}`, `{"sleep_min":1}`, `{"hardware":"warp-core"}`} {
		if _, err := run(args, 100); err == nil || len(b.orders) != 0 {
			t.Errorf("%s was started", args)
		}
	}
	out, err := run(`{"hardware":"t4-small"}`, 0.5)
	if err != nil || len(out.Charges) != 1 || out.Charges[0] != (tool.Charge{Label: "s/1", Job: "box", USD: 0.5}) {
		t.Errorf("created: %+v, %v", out, err)
	}
	if out, err := run(`{}`, 0); err != nil || len(out.Charges) != 0 {
		t.Errorf("one that is free: %+v, %v", out, err)
	}
	b.fail = errors.New("it may be there")
	if out, err := run(`{"hardware":"t4-small"}`, 0.5); err != nil || !out.IsError || len(out.Charges) != 1 || out.Charges[0].Final {
		t.Errorf("one that may be there: %+v, %v", out, err)
	}
}
