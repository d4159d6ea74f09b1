package llmtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// CheckChat finds in a request for chat completions what the providers refuse.
func CheckChat(body []byte) error {
	var req struct {
		Model    string
		Messages []struct {
			Role       string
			Content    json.RawMessage
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID       string
				Type     string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	if req.Model == "" || len(req.Messages) == 0 {
		return errors.New("model and messages are required")
	}
	open := make(map[string]bool)
	for i, m := range req.Messages {
		if m.Role != "tool" && len(open) > 0 {
			return fmt.Errorf("messages[%d]: %d tool_call_ids did not have response messages", i, len(open))
		}
		empty := len(m.Content) == 0 || bytes.Equal(m.Content, []byte("null")) || bytes.Equal(m.Content, []byte(`""`))
		var parts []chatPart
		if len(m.Content) > 0 && m.Content[0] == '[' {
			if err := json.Unmarshal(m.Content, &parts); err != nil || len(parts) == 0 {
				return fmt.Errorf("messages[%d]: bad list of parts: %w", i, err)
			}
		}
		for _, p := range parts {
			if err := checkChatPart(m.Role, p); err != nil {
				return fmt.Errorf("messages[%d]: %w", i, err)
			}
		}
		switch m.Role {
		case "system", "user":
			if empty {
				return fmt.Errorf("messages[%d]: content of a %s message is empty", i, m.Role)
			}
		case "assistant":
			if empty && len(m.ToolCalls) == 0 {
				return fmt.Errorf("messages[%d]: an assistant message needs content or tool_calls", i)
			}
			for _, c := range m.ToolCalls {
				if c.ID == "" || open[c.ID] || c.Type != "function" || c.Function.Name == "" || !isObject(c.Function.Arguments) {
					return fmt.Errorf("messages[%d]: bad tool call %+v", i, c)
				}
				open[c.ID] = true
			}
		case "tool":
			if !open[m.ToolCallID] {
				return fmt.Errorf("messages[%d]: a tool message must follow a message with its tool_call %q", i, m.ToolCallID)
			}
			delete(open, m.ToolCallID)
		default:
			return fmt.Errorf("messages[%d]: there is no role %q", i, m.Role)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%d tool_call_ids did not have response messages", len(open))
	}
	return nil
}

func isObject(text string) bool {
	var v map[string]any
	return json.Unmarshal([]byte(text), &v) == nil && v != nil
}

var toolUseID = lazyregexp.New(`^[a-zA-Z0-9_-]+$`)

// messagesBlock is a block of content, as far as the checks look.
type messagesBlock struct {
	Type      string
	Text      string
	Thinking  *string
	Signature string
	ID        string
	Name      string
	Input     json.RawMessage
	ToolUseID string          `json:"tool_use_id"`
	Content   []messagesBlock // of a result
	Source    *struct {
		Type      string
		MediaType string `json:"media_type"`
		Data      string
	}
}

// CheckMessages finds in a request for the Messages API what it refuses.
func CheckMessages(body []byte) error {
	var req struct {
		Model     string
		MaxTokens int `json:"max_tokens"`
		Thinking  *struct {
			Type   string
			Budget int `json:"budget_tokens"`
		}
		Messages []struct {
			Role    string
			Content []messagesBlock
		}
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	if req.Model == "" || req.MaxTokens < 1 || len(req.Messages) == 0 {
		return errors.New("model, max_tokens and messages are required")
	}
	if t := req.Thinking; t != nil && t.Type == "enabled" && (t.Budget < 1024 || t.Budget >= req.MaxTokens) {
		return fmt.Errorf("thinking.budget_tokens is %d with max_tokens %d", t.Budget, req.MaxTokens)
	}
	var seen pictures
	var open map[string]bool // calls that the next message must answer
	role := "assistant"
	for i, m := range req.Messages {
		if m.Role == role || m.Role != "user" && m.Role != "assistant" {
			return fmt.Errorf("messages.%d: role %q: roles must alternate between user and assistant, user first", i, m.Role)
		}
		role = m.Role
		calls, err := checkBlocks(m.Role, m.Content, open, &seen)
		if err != nil {
			return fmt.Errorf("messages.%d: %w", i, err)
		}
		open = calls
	}
	if len(open) > 0 {
		return fmt.Errorf("%d tool_use ids were found without tool_result blocks", len(open))
	}
	return nil
}

// checkBlocks returns the calls that the content makes. Open are the calls that
// its results must answer, first of all.
func checkBlocks(role string, blocks []messagesBlock, open map[string]bool, seen *pictures) (calls map[string]bool, err error) {
	if len(blocks) == 0 {
		return nil, errors.New("content is empty")
	}
	calls = make(map[string]bool)
	for j, b := range blocks {
		if b.Type != "tool_result" && len(open) > 0 && role == "user" {
			return nil, fmt.Errorf("content.%d: tool_use ids were found without tool_result blocks immediately after", j)
		}
		for _, one := range append([]messagesBlock{b}, b.Content...) {
			if one.Type != "image" {
				continue
			}
			if err := seen.check(one); err != nil || role != "user" {
				return nil, fmt.Errorf("content.%d: image in a message of the %s: %w", j, role, err)
			}
		}
		switch {
		case b.Type == "text" && strings.TrimSpace(b.Text) == "":
			return nil, fmt.Errorf("content.%d: text content blocks must contain non-whitespace text", j)
		case b.Type == "thinking" && (role != "assistant" || b.Thinking == nil || b.Signature == ""):
			return nil, fmt.Errorf("content.%d: thinking without its signature", j)
		case b.Type == "tool_use":
			if role != "assistant" || !toolUseID.MatchString(b.ID) || calls[b.ID] || b.Name == "" || !isObject(string(b.Input)) {
				return nil, fmt.Errorf("content.%d: bad tool_use %s %s", j, b.ID, b.Name)
			}
			calls[b.ID] = true
		case b.Type == "tool_result":
			if role != "user" || !open[b.ToolUseID] {
				return nil, fmt.Errorf("content.%d: unexpected tool_use_id %q in tool_result", j, b.ToolUseID)
			}
			for _, c := range b.Content {
				if c.Type == "text" && c.Text == "" {
					return nil, fmt.Errorf("content.%d: a tool_result with empty text", j)
				}
			}
			delete(open, b.ToolUseID)
		}
	}
	if len(open) > 0 && role == "user" {
		return nil, fmt.Errorf("%d tool_use ids were found without tool_result blocks", len(open))
	}
	return calls, nil
}
