package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"ml-intern/internal/mcp"
	"ml-intern/internal/tool"
)

// hello are the first lines of a client.
func hello(version string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`, version)
}

// serve has the server read the lines, and returns what it answered, by id. It
// must end by itself.
func serve(t *testing.T, lines string) map[string]string {
	t.Helper()
	offer := mcp.Offer{
		Version: "1", Tools: []tool.Spec{},
		Call: func(context.Context, string, string, func(string)) (string, bool) { return "", false },
	}
	out, in := io.Pipe()
	over := make(chan error, 1)
	go func() {
		err := mcp.Serve(t.Context(), strings.NewReader(lines), in, offer)
		over <- err
		_ = in.Close()
	}()
	answers := map[string]string{}
	r := bufio.NewScanner(out)
	r.Buffer(nil, 1<<20)
	for r.Scan() {
		var m struct {
			ID     json.RawMessage `json:"id"`
			Result json.RawMessage `json:"result"`
			Error  struct {
				Code int `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(r.Bytes(), &m); err != nil {
			t.Errorf("%q: %v", r.Text(), err)
		}
		answers[string(m.ID)] = fmt.Sprint(m.Error.Code)
	}
	if err := <-over; err != nil {
		t.Errorf("it ended with %v", err)
	}
	return answers
}

// A line that is no message is answered with an error, and the next one is served;
// at the end of the input the server ends, whatever the ids were.
func TestServeBadLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, id, code string }{
		"no JSON":            {`not json`, "null", "-32700"},
		"half a message":     {`{"jsonrpc":"2.0","id":1,"meth`, "null", "-32700"},
		"two in a line":      {`{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}`, "null", "-32700"},
		"a text":             {`"ping"`, "null", "-32600"},
		"an empty batch":     {`[]`, "null", "-32600"},
		"an empty object":    {`{}`, "null", "-32600"},
		"another version":    {`{"jsonrpc":"1.0","id":1,"method":"ping"}`, "1", "-32600"},
		"an object as id":    {`{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}`, "null", "-32600"},
		"a number as method": {`{"jsonrpc":"2.0","id":"x","method":7}`, `"x"`, "-32600"},
		"deep":               {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`, "1", "-32600"},
		"too long":           {`{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 9<<20) + `"}`, "null", "-32600"},
		"an unknown method":  {`{"jsonrpc":"2.0","id":1,"method":"nothing/such"}`, "1", "-32601"},

		"a blank at the end": {`{"jsonrpc":"2.0","id":1,"method":"ping"} `, "1", "0"},
		"an end of Windows":  {`{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\r", "1", "0"},
		"an escaped id":      {`{"jsonrpc":"2.0","id":"\u0041","method":"ping"}`, `"A"`, "0"},
		"a batch":            {`[{"jsonrpc":"2.0","id":1,"method":"ping"}, 7]`, "1", "0"},
		"an empty line":      {"\n \n", "", ""},
		"null as id":         {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, "", ""},
		"an answer":          {`{"jsonrpc":"2.0","id":9,"result":{}}`, "", ""},
	}
	for name, tt := range tests {
		for _, version := range []string{"2025-03-26", "2025-06-18"} {
			t.Run(name+"/"+version, func(t *testing.T) {
				t.Parallel()
				got := serve(t, hello(version)+tt.line+"\n"+`{"jsonrpc":"2.0","id":"after","method":"ping"}`)
				if got[tt.id] != tt.code || got[`"after"`] != "0" || got[`"hello"`] != "0" {
					t.Errorf("%v", got)
				}
			})
		}
	}
}
