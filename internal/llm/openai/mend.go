package openai

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// learned is what the server has refused, so that it is not sent again.
type learned struct {
	mends      int             // how often something was learned
	without    map[string]bool // parameters that are left out
	efforts    map[string]bool // levels that were refused
	otherLimit bool            // the output limit has the other of its two names
	blind      bool            // pictures were refused
	maxOutput  int             // a limit that was refused as too large was twice this; 0 for none
}

func (k *learned) leaveOut(name string) {
	if k.without == nil {
		k.without = make(map[string]bool)
	}
	k.without[name] = true
}

// level is the nearest level at or below the wanted one that the model has, ""
// to send none. Of a model whose levels are unknown the three that most
// servers know are taken.
func (c *Client) level(wanted string) string {
	known := c.Efforts
	if known == nil {
		known = []string{"low", "medium", "high"}
	}
	all := llm.Efforts()
	if wanted == "minimal" && c.Efforts == nil {
		wanted = "low"
	}
	for i := slices.Index(all, wanted); i >= 0; i-- {
		if slices.Contains(known, all[i]) && !c.known.efforts[all[i]] {
			return all[i]
		}
	}
	return ""
}

// mend learns from a refusal how to make the request so that it is taken, and
// says in a sentence what it changes; "" if it knows nothing.
func (c *Client) mend(req llm.Request, err error) string {
	if notice := c.unpicture(req, err); notice != "" {
		return notice
	}
	e, ok := errors.AsType[*llm.StatusError](err)
	if !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusUnprocessableEntity || e.Code == "context_length_exceeded" {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	notice := c.learn(req, strings.ToLower(e.Message+" "+e.Code))
	if notice != "" {
		c.known.mends++
	}
	return notice
}

// unpicture leaves pictures out from now on, if that is what was refused.
func (c *Client) unpicture(req llm.Request, err error) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.Images || c.known.blind {
		return ""
	}
	notice := wire.Unpictured(req, err)
	if notice != "" {
		c.known.blind = true
		c.known.mends++
	}
	return notice
}

func (c *Client) learn(req llm.Request, text string) string {
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	_, hasLimit := c.options(req)["max_tokens"]
	_, hasNew := c.options(req)["max_completion_tokens"]
	level := c.level(req.Effort)
	switch {
	case hasLimit && says("max_completion_tokens"), hasNew && says("max_completion_tokens") && !c.known.otherLimit:
		c.known.otherLimit = !c.known.otherLimit
		return "the server names the limit of a reply otherwise; asking again"
	case (hasLimit || hasNew) && says("max_tokens", "max_completion_tokens", "maximum number of tokens"):
		c.known.maxOutput = c.limit(req) / 2
		if c.known.maxOutput < leastLimit {
			c.known.leaveOut("max_tokens")
			return "the server does not take a limit of the reply; asking again without one"
		}
		return fmt.Sprintf("the server does not take so long a reply; asking again for at most %d tokens", c.known.maxOutput)
	case says("reasoning_content", "reasoning_details", "thinking block", "thought signature", "encrypted_content", "invalid signature") && !c.known.without["reasoning"]:
		c.known.leaveOut("reasoning")
		return "the server does not take the model's earlier reasoning; asking again without it"
	case level != "" && says("effort", "reasoning", "thinking"):
		if c.known.efforts == nil {
			c.known.efforts = make(map[string]bool)
		}
		c.known.efforts[level] = true
		next := c.level(req.Effort)
		if next == "" {
			next = "the model's own"
		}
		return fmt.Sprintf("the model does not take effort %s; going on with %s", level, next)
	}
	for _, name := range []string{"stream_options", "prompt_cache_key", "cache_control"} {
		if says(name) && !c.known.without[name] {
			c.known.leaveOut(name)
			return "the server does not know " + name + "; asking again without it"
		}
	}
	return ""
}

// leastLimit is a limit that every model takes that takes one, in tokens.
const leastLimit = 128

// limit is how long a reply is asked for, in tokens.
func (c *Client) limit(req llm.Request) int {
	if c.known.maxOutput > 0 {
		return min(req.MaxOutput, c.known.maxOutput)
	}
	return req.MaxOutput
}

// takesNoTools recognizes a model or a server that cannot call tools, by the
// words of Ollama, vLLM, llama.cpp and OpenRouter.
func takesNoTools(e *llm.StatusError) bool {
	text := strings.ToLower(e.Message)
	return e.Status >= 400 && e.Status < 500 && slices.ContainsFunc([]string{
		"does not support tools", "does not support tool", "tool choice requires", "--enable-auto-tool-choice",
		"support tool use", "tools param requires --jinja", "tool calling is not supported", "tools are not supported",
	}, func(words string) bool { return strings.Contains(text, words) })
}
