package llmtest

// A wire is a format in which a Server is asked and answers.
type wire int

const (
	chatWire wire = iota
	messagesWire
)

// messages streams the turn as the Messages API does.
func (a *answer) messages() {
	a.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	input, output := a.counts()
	a.event(map[string]any{"type": "message_start", "message": map[string]any{
		"id": "msg_1", "type": "message", "role": "assistant", "content": []any{}, "usage": input,
	}})
	a.event(map[string]any{"type": "ping"})
	index := 0
	block := func(start map[string]any, deltas func()) {
		a.event(map[string]any{"type": "content_block_start", "index": index, "content_block": start})
		deltas()
		a.event(map[string]any{"type": "content_block_stop", "index": index})
		index++
	}
	delta := func(d map[string]any) {
		a.event(map[string]any{"type": "content_block_delta", "index": index, "delta": d})
	}
	if a.turn.Reasoning != "" {
		block(map[string]any{"type": "thinking", "thinking": "", "signature": ""}, func() {
			for piece := range pieces(a.turn.Reasoning, a.turn.Chunk) {
				delta(map[string]any{"type": "thinking_delta", "thinking": piece})
			}
			if a.turn.Signature != "" {
				delta(map[string]any{"type": "signature_delta", "signature": a.turn.Signature})
			}
		})
	}
	if a.turn.text() != "" {
		block(map[string]any{"type": "text", "text": ""}, func() {
			for piece := range pieces(a.turn.text(), a.turn.Chunk) {
				delta(map[string]any{"type": "text_delta", "text": piece})
			}
		})
	}
	for i, c := range a.turn.Calls {
		block(map[string]any{"type": "tool_use", "id": a.id(i, c), "name": c.Name, "input": map[string]any{}}, func() {
			for piece := range pieces(c.Args, a.turn.ArgBytes) {
				delta(map[string]any{"type": "input_json_delta", "partial_json": piece})
			}
		})
	}
	end := map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": a.stopReason(), "stop_sequence": nil}}
	if !a.turn.NoUsage {
		end["usage"] = output
	}
	a.event(end)
	a.event(map[string]any{"type": "message_stop"})
}

// counts is the usage at the start and at the end.
func (a *answer) counts() (input, output map[string]any) {
	c := Count{In: 100, Out: 1 + len(a.turn.text())/4}
	if a.turn.Usage != nil {
		c = *a.turn.Usage
	}
	if a.turn.NoUsage {
		return map[string]any{}, nil
	}
	return map[string]any{
		"input_tokens": c.In - c.Cached - c.Written, "cache_read_input_tokens": c.Cached, "cache_creation_input_tokens": c.Written, "output_tokens": 1,
	}, map[string]any{"output_tokens": c.Out}
}

// stopReason is the wire's word for why the turn ends.
func (a *answer) stopReason() any {
	switch f := a.finish(); f {
	case "":
		return nil
	case "stop":
		return "end_turn"
	case "tool_calls":
		return "tool_use"
	case "length":
		return "max_tokens"
	default:
		return f
	}
}
