package session

import (
	"fmt"
	"unicode/utf8"

	"ml-intern/internal/llm"
)

// Shorten returns the message with no part longer than the limit in bytes:
// texts keep head and tail, arguments of a call give way to a note, reasoning
// and pictures go. The message itself stays as it is.
func Shorten(m llm.Message, limit int) llm.Message {
	parts := make([]llm.Part, 0, len(m.Parts))
	for _, p := range m.Parts {
		switch {
		case p.Image != nil:
			p = llm.Part{Text: clearedPicture}
		case p.Reasoning != "" || p.Proof != nil:
			if size := len(p.Reasoning); p.Proof != nil && size+len(p.Proof.Data) > limit || size > limit {
				continue
			}
		case p.Call != nil && len(p.Call.Args) > limit:
			call := *p.Call
			call.Args = fmt.Sprintf(`{"left_out":"%d bytes of arguments, to save space"}`, len(p.Call.Args))
			p.Call = &call
		case p.Result != nil:
			result := *p.Result
			result.Text, result.Image = headAndTail(result.Text, limit), nil
			p.Result = &result
		default:
			p.Text = headAndTail(p.Text, limit)
		}
		parts = append(parts, p)
	}
	m.Parts = parts
	return m
}

// headAndTail leaves out the middle of a text that is longer than limit bytes.
func headAndTail(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	head, tail := RuneStart(s, limit*2/3), RuneStart(s, len(s)-limit/4)
	return fmt.Sprintf("%s\n[… %d bytes left out to save space …]\n%s", s[:head], tail-head, s[tail:])
}

// RuneStart is the start of the character of s that holds byte n.
func RuneStart(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
