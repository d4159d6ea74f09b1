package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

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
		t := p.T
		srv := p.model(llmtest.Turn{Reasoning: "Let me think.", Text: "# Result\n\nThe **loss** fell to `0.41`:\n\n- one\n- two\n\n```python\nprint(\"x\")\n```\n\nDone.\n", Chunk: 5, PaceMS: 5})
		p.start()
		p.chats()
		p.says("What happened?")
		p.see(`Done\.`)
		time.Sleep(2*time.Second)
		x := p.see(`Done\.`)
		t.Log(len(srv.Seen()))
		if strings.Count(x, "Done.") > 1 { out, _ := exec.Command("sh","-c","cd "+p.home+"/work && HOME="+p.home+" ML_INTERN_HOME="+p.home+"/state ml-intern sessions export --format jsonl $(ML_INTERN_HOME=$HOME/state ml-intern sessions ls | grep -oE [0-9a-z-]{12,} | head -1)").CombinedOutput(); p.Logf("%s\n%s", x, out) ; p.Fail()}
		p.golden("stream", x)
		p.leaves()
	})
}
