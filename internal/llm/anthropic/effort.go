package anthropic

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// learned is what the provider has refused, so that it is not tried again.
type learned struct {
	stale    int             // thinking of the messages before this number is not sent back
	refused  map[string]bool // levels of effort
	noEffort bool
	blind    bool  // pictures were refused
	adaptive *bool // how the model thinks, when the catalogue was wrong
}

type thinking struct {
	Type   string `json:"type"` // "adaptive" or "enabled"
	Budget int    `json:"budget_tokens,omitempty"`
}

type outputConfig struct {
	Effort string `json:"effort"`
}

// effort is the wanted effort on the wire: a level for models that decide
// themselves how long to think, a budget of tokens for older ones. Without a
// wish nothing is sent.
func (c *Client) effort(req llm.Request, limit int) (*thinking, *outputConfig) {
	level := c.level(req.Effort)
	if level == "" || c.openStale(req.Messages) {
		return nil, nil
	}
	if c.isAdaptive() {
		return &thinking{Type: "adaptive"}, &outputConfig{level}
	}
	budget := map[string]int{"low": 4000, "medium": 10_000, "high": 20_000, "xhigh": 28_000, "max": 60_000}[level]
	budget = min(budget, limit*3/4)
	if budget < 1024 { // the API's least
		return nil, nil
	}
	return &thinking{Type: "enabled", Budget: budget}, nil
}

func (c *Client) isAdaptive() bool {
	if c.known.adaptive != nil {
		return *c.known.adaptive
	}
	return c.Adaptive
}

// level is the nearest level at or below the wanted one that the model has, ""
// for none.
func (c *Client) level(wanted string) string {
	if c.known.noEffort || len(c.Efforts) == 0 {
		return ""
	}
	all := llm.Efforts()
	for i := slices.Index(all, wanted); i > 0; i-- { // the first is "none"
		if slices.Contains(c.Efforts, all[i]) && !c.known.refused[all[i]] {
			return all[i]
		}
	}
	return ""
}

// openStale reports whether the tool calls under way began with thinking that
// is no longer sent: the API then refuses to think on.
func (c *Client) openStale(messages []llm.Message) bool {
	if c.known.stale == 0 {
		return false
	}
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == llm.User {
			return i < c.known.stale
		}
	}
	return true
}

// mend learns from a refusal how to make the request so that it is taken, and
// says in a sentence what it changes; "" if it knows nothing.
func (c *Client) mend(req llm.Request, err error) string {
	e, ok := errors.AsType[*llm.StatusError](err)
	if !ok || e.Status != http.StatusBadRequest {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if notice := wire.Unpictured(req, err); notice != "" && c.Images && !c.known.blind {
		c.known.blind = true
		return notice
	}
	text := strings.ToLower(e.Message)
	level := c.level(req.Effort)
	switch {
	case strings.Contains(text, "signature") && strings.Contains(text, "thinking") && c.known.stale < len(req.Messages):
		c.known.stale = len(req.Messages)
		return "the provider no longer takes the model's earlier thinking; asking again without it"
	case level == "":
		return ""
	case c.known.adaptive == nil && (strings.Contains(text, "adaptive") || strings.Contains(text, "budget_tokens") || strings.Contains(text, "thinking.type")):
		other := !c.isAdaptive()
		c.known.adaptive = &other
		return "the provider wants thinking to be asked for in another way; asking again"
	case strings.Contains(text, "effort") || strings.Contains(text, "output_config"):
		if c.known.refused == nil {
			c.known.refused = make(map[string]bool)
		}
		c.known.refused[level] = true
		return stepped(level, c.level(req.Effort))
	case strings.Contains(text, "thinking"):
		c.known.noEffort = true
		return stepped(level, "")
	}
	return ""
}

func stepped(from, to string) string {
	if to == "" {
		to = "the model's own"
	}
	return fmt.Sprintf("the model does not take effort %s; going on with %s", from, to)
}
