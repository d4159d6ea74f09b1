package agent

import (
	_ "embed"
	"strings"
)

//go:embed prompt/system.md
var systemPrompt string

//go:embed prompt/summary.md
var summaryPrompt string

// System is the system prompt of a session in the folder dir. It holds no
// clock and nothing else that changes, so that providers can cache it.
func System(dir, appendix string) string {
	text := strings.ReplaceAll(systemPrompt, "{{dir}}", dir)
	if appendix != "" {
		text += "\n" + appendix + "\n"
	}
	return text
}
