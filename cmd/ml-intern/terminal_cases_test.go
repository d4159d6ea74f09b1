package main

import (
	"testing"

	"ml-intern/internal/llm/llmtest"
)

func TestTerminalFirstRun(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.start()
		p.says("ml-intern")
		p.golden("first-run", p.see(`.`))
		p.leaves()
	})
}

func TestTerminalStream(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Reasoning: "Let me think.", Text: "# Result\n\nThe **loss** fell to `0.41`:\n\n- one\n- two\n\n```python\nprint(\"x\")\n```\n\nDone.\n", Chunk: 5, PaceMS: 5})
		p.start()
		p.chats()
		p.says("What happened?")
		p.golden("stream", p.see(`Done\.`))
		p.leaves()
	})
}
