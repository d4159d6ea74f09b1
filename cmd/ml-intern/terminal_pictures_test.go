package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/llm/llmtest"
)

// A picture whose name is pasted gets its @; data of one is refused; Ctrl+V says
// what is missing. The model gets the picture.
func TestTerminalPicture(t *testing.T) {
	onScreens(t, func(p *pane) {
		s := p.model(llmtest.Turn{Text: "It falls until step 800."})
		p.start()
		if err := os.MkdirAll(filepath.Join(p.home, "state", "config"), 0o700); err != nil {
			p.Fatal(err)
		}
		p.file("../state/config/config.yaml", "models:\n  openai/test: {images: true}\n")
		p.file("the loss.png", string(llmtest.PNG(640, 480)))
		p.chats()
		p.types("why does ")
		p.pastes("'" + filepath.Join(p.home, "work", "the loss.png") + "'")
		p.types("go up?")
		p.golden("picture-prompt", p.see(`@"the loss\.png" go up\?`))
		p.keys("C-v")
		p.see(`no desktop`)
		p.keys("Enter")
		p.see(`step 800`)
		p.golden("picture", p.gone(`Esc`))
		if body := string(s.Seen()[0].Body); strings.Count(body, "data:image/png;base64,") != 1 {
			p.Errorf("the model was sent %.2000s", body)
		}
		p.leaves()
	})
}

// Tab opens what a sub-agent does while it works, and afterwards.
func TestTerminalSubAgent(t *testing.T) {
	onScreens(t, func(p *pane) {
		call := func(name, args string) llmtest.Turn {
			return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: name, Args: args}}}
		}
		_, next := p.gated(
			call("research", `{"task":"what does notes.txt say about epochs?"}`),
			call("read", `{"path":"notes.txt"}`),
			call("report", `{"answer":"Three epochs.","findings":[{"claim":"it trains three epochs","source":"notes.txt","quote":"trains for 3 epochs"}]}`),
			llmtest.Turn{Text: "It is reported."},
			llmtest.Turn{Text: "Three epochs, says the file."},
		)
		p.start()
		p.file("notes.txt", "The model trains for 3 epochs with a cosine schedule.\n")
		p.chats()
		p.says("How long does it train?")
		next()
		p.see(`research`)
		p.keys("Tab")
		p.see(`sub-agent`)
		next()
		p.golden("sub-agent", p.see(`✓ read`))
		p.keys("Escape")
		p.see(`How long does it train\?`)
		next()
		next()
		next()
		p.see(`says the file`)
		p.golden("sub-agent-answered", p.gone(`Esc stop`))
		p.keys("M-Up", "Tab")
		p.see(`what it told the model`)
		p.golden("sub-agent-over", p.see(`verified`))
		p.keys("Escape")
		p.see(`says the file`)
		p.leaves()
	})
}
