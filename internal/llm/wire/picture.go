package wire

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/llm"
)

// Unpictured recognizes a refusal of a request's pictures, by the words of
// OpenAI, Anthropic, OpenRouter, vLLM, llama.cpp, Ollama and LM Studio, and says
// what to do about it; "" if it is none. A picture that is refused would else be
// refused for ever: it is in the transcript.
func Unpictured(req llm.Request, err error) string {
	e, ok := errors.AsType[*llm.StatusError](err)
	if !ok || e.Code == "context_length_exceeded" || !pictured(req) {
		return ""
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusNotImplemented:
	default:
		return ""
	}
	text := strings.ToLower(e.Message + " " + e.Code)
	if !slices.ContainsFunc([]string{"image", "vision", "multimodal", "multi-modal", "media_type", "media type"}, func(w string) bool { return strings.Contains(text, w) }) {
		return ""
	}
	why := strings.Join(strings.Fields(e.Message), " ")
	if len(why) > mostWhy {
		why = strings.ToValidUTF8(why[:mostWhy], "") + "…"
	}
	return fmt.Sprintf("the pictures were refused (%s); asking again without them", why)
}

// mostWhy is how much of a refusal is repeated, in bytes.
const mostWhy = 160

// pictured reports whether the request has pictures.
func pictured(req llm.Request) bool {
	return slices.ContainsFunc(req.Messages, func(m llm.Message) bool {
		return slices.ContainsFunc(m.Parts, func(p llm.Part) bool {
			return p.Image != nil || p.Result != nil && p.Result.Image != nil
		})
	})
}
