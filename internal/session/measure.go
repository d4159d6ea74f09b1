package session

import "ml-intern/internal/llm"

// A measure is the size of the transcript: exact, by the provider's own count,
// for what the last reply had seen, an estimate for what came since. It learns
// from each count how far its estimates are off for this model.
type measure struct {
	exact int // tokens of the last request, with system prompt and tools; 0 if unknown
	fresh int // estimate of what came since, or of everything if exact is 0
	bytes int // of the same: no tokenizer makes more tokens of it

	model     string // whose tokens these are
	allTokens int    // estimate of all messages
	allBytes  int    // of all messages

	sumCount int // tokens added between two counts, by the provider,
	sumGuess int // and by the estimate

	ceiling int // a size that the provider refused; 0 for none
}

// What a picture takes. Anthropic counts width × height / 750, and makes it
// smaller first so that it is never above about 1,600
// (platform.claude.com/docs/en/build-with-claude/vision). OpenAI counts 85 and 170
// for each tile of 512 after it fitted the short side to 768, which is less, or
// 32×32 patches, at most 1,536 and up to 1.7 times that for small models
// (platform.openai.com/docs/guides/images-vision); Qwen's models count 28×28
// patches, about width × height / 784. The first is the estimate: the provider's
// own count takes its place with the first reply.
const (
	pixelsPerToken = 750
	imageTokens    = 1600 // and of a picture whose size nobody knows
	imageMost      = 5000
)

// estimatePicture is about how many tokens a picture takes.
func estimatePicture(i *llm.Image) int {
	if i.Width <= 0 || i.Height <= 0 {
		return imageTokens
	}
	return min(i.Width*i.Height/pixelsPerToken+1, imageTokens)
}

// Estimate is about how many tokens a message takes, and how many at most.
func Estimate(m llm.Message) (tokens, most int) {
	text := func(s string) { tokens += llm.EstimateTokens(s); most += len(s) }
	picture := func(i *llm.Image) {
		if i != nil {
			tokens += estimatePicture(i)
			most += imageMost
		}
	}
	tokens, most = 4, 16 // what frames a message
	for _, p := range m.Parts {
		text(p.Text)
		text(p.Reasoning)
		picture(p.Image)
		if p.Proof != nil {
			text(p.Proof.Data)
		}
		if p.Call != nil {
			text(p.Call.Name)
			text(p.Call.Args)
			tokens, most = tokens+8, most+32
		}
		if p.Result != nil {
			text(p.Result.Text)
			picture(p.Result.Image)
		}
	}
	return tokens, most
}

// grow counts a message that was added.
func (s *measure) grow(m llm.Message) {
	tokens, most := Estimate(m)
	s.fresh, s.bytes = s.fresh+tokens, s.bytes+most
	s.allTokens, s.allBytes = s.allTokens+tokens, s.allBytes+most
}

// counted takes over the provider's count and adds the reply. A count that is
// too low does no harm: the provider will refuse what is too long.
func (s *measure) counted(r llm.Reply) {
	u := r.End.Usage
	if u.Estimated || u.Input <= 0 {
		s.grow(r.Message)
		return
	}
	if s.exact > 0 {
		s.sumCount += max(u.Input-s.exact, 0)
		s.sumGuess += s.fresh
	}
	s.exact, s.fresh, s.bytes = u.Input, 0, 0
	s.grow(r.Message)
}

// again measures messages that were changed.
func (s *measure) again(messages []llm.Message) {
	s.exact, s.fresh, s.bytes, s.allTokens, s.allBytes = 0, 0, 0, 0, 0
	for _, m := range messages {
		s.grow(m)
	}
}

// learned is how many tokens there really are for one estimated.
func (s *measure) learned() float64 {
	if s.sumGuess < 2000 {
		return 1
	}
	return min(max(float64(s.sumCount)/float64(s.sumGuess), 0.5), 2)
}

// Tokens is about the size of the transcript, and whether system prompt and
// tools are in it: they are once the provider has counted.
func (t *transcript) Tokens() (n int, whole bool) {
	s := t.size
	return s.exact + int(float64(s.fresh)*s.learned()), s.exact > 0
}

// MostTokens is a size that the transcript cannot pass, likewise. A count of
// the provider that is far below what the messages must take does not count.
func (t *transcript) MostTokens() (n int, whole bool) {
	s := t.size
	if s.exact > 0 && s.exact >= s.allTokens/2 {
		return s.exact + s.bytes, true
	}
	return s.allBytes, false
}

// Bytes is the size of all messages: no tokenizer makes more tokens of them.
func (t *transcript) Bytes() int { return t.size.allBytes }

// UseModel says whose tokens count from now on. What was counted and learned
// of another model is of no use.
func (t *transcript) UseModel(id string) {
	if t.size.model != "" && t.size.model != id {
		t.size = measure{}
		t.size.again(t.messages)
	}
	t.size.model = id
}

// Ceiling is a size in tokens that the provider has refused as too long, 0 if
// there was none.
func (t *transcript) Ceiling() int { return t.size.ceiling }
