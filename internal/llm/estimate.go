package llm

// EstimateTokens is about how many tokens a text takes.
func EstimateTokens(text string) int { return (len(text) + 2) / 3 }
