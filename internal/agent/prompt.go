package agent

import (
	_ "embed"
	"strings"
)

//go:embed prompt/system.md
var systemPrompt string

//go:embed prompt/summary.md
var summaryPrompt string

//go:embed prompt/research.md
var researchText string

//go:embed prompt/sub_agent.md
var subAgentPrompt string

// SubAgent is the system prompt of a sub-agent in the folder dir.
func SubAgent(dir string) string { return strings.ReplaceAll(subAgentPrompt, "{{dir}}", dir) }

// System is the system prompt of a session in the folder dir. It holds no
// clock and nothing else that changes, so that providers can cache it.
func System(dir, appendix string) string {
	text := strings.ReplaceAll(systemPrompt, "{{dir}}", dir)
	if appendix != "" {
		text += "\n" + appendix + "\n"
	}
	return text
}
