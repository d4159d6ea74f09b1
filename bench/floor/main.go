// Command floor is the least an agent can do: it asks, runs what it is told
// with sh, syncs a line of log, and asks again; a log that it finds, it goes on
// with. Nothing is checked, limited or authorized. `make bench` measures the program beside it.
//
// Without a prompt it ends at once, which is what starting a process costs.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		return
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// A call is the part of a streamed tool call that is needed to run it.
type call struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type message struct {
	Role       string `json:"role"`
	Content    string `json:"content"`
	ToolCalls  []call `json:"tool_calls,omitempty"`
	ToolCallID string `json:"tool_call_id,omitempty"`
}

func run(prompt string) error {
	log, err := os.OpenFile(filepath.Join(os.Getenv("ML_INTERN_HOME"), "floor.log"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	var history []byte // the messages as sent, spliced into the next request
	encode := func(m message) ([]byte, error) {
		text, err := json.Marshal(m)
		if err == nil && history != nil {
			history = append(history, ',')
		}
		history = append(history, text...)
		return text, err
	}
	for old := json.NewDecoder(log); old.More(); {
		var m message
		if err := old.Decode(&m); err != nil {
			return err
		}
		if _, err := encode(m); err != nil {
			return err
		}
	}
	add := func(m message) error {
		text, err := encode(m)
		if err != nil {
			return err
		}
		_, err = log.Write(append(text, '\n'))
		return err
	}
	if err := add(message{Role: "user", Content: prompt}); err != nil {
		return err
	}
	for {
		reply, err := ask(history)
		if err != nil {
			return err
		}
		if err := add(reply); err != nil || len(reply.ToolCalls) == 0 {
			return err
		}
		for _, c := range reply.ToolCalls {
			if err := add(message{Role: "tool", Content: shell(c), ToolCallID: c.ID}); err != nil {
				return err
			}
		}
		if err := log.Sync(); err != nil {
			return err
		}
	}
}

func shell(c call) string {
	var args struct{ Command string }
	if err := json.Unmarshal([]byte(c.Function.Arguments), &args); err != nil {
		return err.Error()
	}
	out, err := exec.Command("sh", "-c", args.Command).CombinedOutput() //nolint:noctx // the least an agent can do
	if err != nil {
		return string(out) + err.Error()
	}
	return string(out)
}

// ask reads a whole streamed reply. Each call comes in one piece.
func ask(history []byte) (message, error) {
	reply := message{Role: "assistant"}
	body := bytes.Join([][]byte{[]byte(`{"model":"test","stream":true,"messages":[`), history, []byte(`]}`)}, nil)
	res, err := http.Post(os.Getenv("OPENAI_BASE_URL")+"/chat/completions", "application/json", bytes.NewReader(body)) //nolint:noctx // as above
	if err != nil {
		return reply, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content   string `json:"content"`
					ToolCalls []call `json:"tool_calls"`
				} `json:"delta"`
			} `json:"choices"`
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return reply, err
		}
		for _, c := range chunk.Choices {
			reply.Content += c.Delta.Content
			reply.ToolCalls = append(reply.ToolCalls, c.Delta.ToolCalls...)
		}
	}
	return reply, lines.Err()
}
