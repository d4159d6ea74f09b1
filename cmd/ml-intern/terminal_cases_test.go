package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/llm/llmtest"
)

// bash is a reply that runs a command.
func bashTurn(command string) llmtest.Turn {
	text, err := json.Marshal(map[string]string{"command": command})
	if err != nil {
		panic(err)
	}
	return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "bash", Args: string(text)}}}
}

func TestTerminalFirstRun(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.start()
		p.says("clear; ml-intern")
		p.golden("first-run", p.see(`/login`))
		p.says("hello")
		p.golden("first-run-no-model", p.see(`next: hello`))
		p.leaves()
	})
}

func TestTerminalStream(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{
			Reasoning: "Let me think.", Chunk: 5, PaceMS: 5,
			Text: "# Result\n\nThe **loss** fell to `0.41`:\n\n- one\n- two\n\n```python\nprint(\"x\")\n```\n\nDone.\n",
		})
		p.start()
		p.chats()
		p.says("What happened?")
		p.see(`Done\.`)
		p.golden("stream", p.gone(`Esc`))
		p.leaves()
	})
}

// The Hub is asked for the names that begin as the person types, and the choice
// takes the place of the word.
func TestTerminalHubNames(t *testing.T) {
	onScreens(t, func(p *pane) {
		h := hubtest.Start(p.T)
		for _, id := range []hub.RepoID{{Type: hub.Model, Namespace: "lab", Name: "tiny-bert"}, {Type: hub.Dataset, Namespace: "lab", Name: "tiny-texts"}, {Type: hub.Model, Namespace: "lab", Name: "large"}} {
			if _, err := h.Client.CreateRepo(p.Context(), id, hub.CreateOptions{}); err != nil {
				p.Fatal(err)
			}
		}
		p.model(llmtest.Turn{Text: "unused"})
		p.env = append(p.env, "HF_ENDPOINT="+h.URL)
		p.start()
		p.chats()
		if p.size.w >= 80 {
			p.see(`127\.0\.0\.1`) // the program is open, and all of the line of state is there
		}
		p.types("train on @lab/ti")
		p.golden("hub-names", p.see(`tiny-texts`))
		p.keys("Tab")
		p.gone(`tiny-texts`)
		p.see(`@lab/tiny-bert$`)
		p.keys("C-u")
		p.leaves()
	})
}

// What the person changes before they say yes is what runs.
func TestTerminalApprove(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(bashTurn("echo one > out.txt"), llmtest.Turn{Text: "It is written."})
		p.start()
		p.chats("--approve", "strict")
		p.says("Write it.")
		p.golden("approve", p.see(`echo one`))
		time.Sleep(time.Second) // keys count when the panel is calm
		p.keys("e")
		p.see(`Ctrl\+S`)
		p.keys("Home")
		p.types("echo two; ")
		p.golden("approve-edit", p.see(`echo two; echo one`))
		p.keys("C-s")
		p.gone(`Ctrl\+S`)
		time.Sleep(time.Second)
		p.keys("y")
		p.see(`It is written\.`)
		p.golden("approve-done", p.gone(`Esc`))
		if got, err := os.ReadFile(filepath.Join(p.home, "work", "out.txt")); err != nil || string(got) != "one\n" {
			p.Errorf("the file has %q, %v", got, err)
		}
		p.leaves()
	})
}

func TestTerminalSteer(t *testing.T) {
	onScreens(t, func(p *pane) {
		s, next := p.gated(bashTurn("echo first"), llmtest.Turn{Text: "As you said."}, llmtest.Turn{Text: "Published."})
		p.start()
		p.chats()
		p.says("Begin.")
		p.see(`Esc`)
		p.types("use the other file")
		p.keys("C-s")
		p.see(`use the other file`)
		p.types("and then publish")
		p.keys("Enter")
		p.golden("steer", p.see(`and then publish`))
		next()
		p.see(`echo first`)
		next()
		p.see(`As you said\.`)
		next()
		p.see(`Published\.`)
		p.golden("steer-done", p.gone(`Esc`))
		if body := string(s.Seen()[1].Body); !strings.Contains(body, "use the other file") || strings.Contains(body, "and then publish") {
			p.Errorf("the second step was told %s", body)
		}
	})
}

func TestTerminalStop(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Text: "This begins and never ends.", Chunk: 4, StallAfter: 4}, llmtest.Turn{Text: "Here again."})
		p.start()
		p.chats()
		p.says("Begin.")
		p.see(`This begins`)
		p.keys("Escape")
		p.golden("stop", p.see(`stopped`))
		p.says("Go on.")
		p.see(`Here again\.`)
		p.leaves()
	})
}

func TestTerminalResumeAndRewind(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Text: "First answer."}, llmtest.Turn{Text: "Second answer."}, llmtest.Turn{Text: "Third answer."})
		p.start()
		p.chats()
		p.says("First question?")
		p.see(`First answer\.`)
		p.says("Second question?")
		p.see(`Second answer\.`)
		p.gone(`Esc`)
		p.leaves()
		p.chats("--continue")
		p.golden("resume", p.see(`Second answer\.`))
		p.says("/rewind")
		p.golden("rewind", p.see(`before[\s\S]*Second question\?[\s\S]*First question\?`))
		p.keys("Enter")
		p.golden("rewind-how", p.see(`conversation  `))
		p.keys("Enter")
		p.golden("rewind-done", p.gone(`Second answer\.`))
		p.says("Third question?")
		p.see(`Third answer\.`)
		p.leaves()
	})
}

// A job that writes a metric is seen with its plot.
func TestTerminalJob(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.file("train.py", "import math, time\nfor i in range(40):\n    print({'loss': round(2 * math.exp(-i / 10) + 0.2, 4), 'step': i}, flush=True)\ntime.sleep(600)\n")
		p.model(
			llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "job_submit", Args: `{"script":"train.py","name":"train"}`}}},
			llmtest.Turn{Text: "The job runs."},
		)
		p.start()
		p.chats("--approve", "auto", "--max-cost", "5")
		p.says("Train.")
		p.see(`The job runs\.`)
		p.gone(`Esc`)
		p.keys("C-o")
		p.see(`[⠀-⣿]{4}`)
		p.golden("job", p.see(`0 ─+ 39$`))
	})
}

func TestTerminalRateLimit(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Status: 429, RetryAfter: "6"}, llmtest.Turn{Text: "Through."})
		p.start()
		p.chats()
		p.says("Begin.")
		p.golden("rate-limit", p.see(`429`))
		p.see(`Through\.`)
		p.leaves()
	})
}

func TestTerminalNetworkLost(t *testing.T) {
	onScreens(t, func(p *pane) {
		s := p.model(llmtest.Turn{Text: "Half of an answer that breaks off.", Chunk: 4, CutAfter: 4}, llmtest.Turn{Text: "A whole answer."})
		p.start()
		p.chats()
		p.says("Begin.")
		if got := p.see(`A whole answer\.`); strings.Contains(got, "Half of an") {
			p.Errorf("half an answer is left:\n%s", got)
		}
		p.gone(`Esc`)
		s.Close()
		p.says("/new")
		p.gone(`A whole answer`)
		p.says("Are you there?")
		p.golden("network-lost", p.see(`asking again`))
		p.keys("Escape")
		p.golden("network-stopped", p.gone(`Esc`))
		p.leaves()
	})
}

func TestTerminalTable(t *testing.T) {
	row := func(cell func(i int) string) string {
		var b strings.Builder
		for i := range 12 {
			b.WriteString("| " + cell(i) + " ")
		}
		return b.String() + "|\n"
	}
	table := row(func(i int) string { return fmt.Sprintf("column %d", i) }) + row(func(int) string { return "---" })
	for y := range 3 {
		table += row(func(i int) string { return fmt.Sprintf("value %d.%d", y, i*i*i) })
	}
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Text: "A wide one:\n\n" + table + "\nA narrow one:\n\n| run | loss |\n|:--|--:|\n| a | 0.5 |\n| longer | 12.25 |\n", Chunk: 10})
		p.start()
		p.chats()
		p.says("Show it.")
		p.see(`12\.25`)
		p.golden("table", p.gone(`Esc`))
		p.leaves()
	})
}

func TestTerminalWideLetters(t *testing.T) {
	onScreens(t, func(p *pane) {
		s := p.model(llmtest.Turn{Text: "日本語の返事です。絵文字👍も🎉も大丈夫。\n\n| 名前 | 値 |\n|---|---|\n| 損失 | 👍 |\n| e\u0301te\u0301 | 1 |\n\nend\n"})
		p.start()
		p.chats()
		p.types("日本語 👍 e\u0301")
		p.keys("BSpace", "BSpace")
		p.types("です")
		p.golden("wide-prompt", p.see(`です`))
		p.keys("Enter")
		p.see(`^ *end$`)
		p.golden("wide", p.gone(`Esc`))
		if body := string(s.Seen()[0].Body); !strings.Contains(body, "日本語 👍です") {
			p.Error("the prompt was not sent as it was typed")
		}
		p.leaves()
	})
}

func TestTerminalPaste(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Text: "That is long.", Lax: true}, llmtest.Turn{Text: "That is long."})
		p.start()
		p.chats()
		p.types("Read this: ")
		text := strings.Repeat("a line of a log, and no more than that\n", 25_000)
		p.pastes(text)
		p.golden("paste", p.see(`25,?00`))
		p.keys("Enter")
		p.golden("paste-sent", p.see(`That is long\.`))
		if got := strings.Count(p.log(), "a line of a log"); got != 25_000 { // the model has a summary: it is more than its window
			p.Errorf("%d lines are in the log", got)
		}
		p.leaves()
	})
}

// However the program ends, the shell has its terminal back.
func TestTerminalEnds(t *testing.T) {
	onScreens(t, func(p *pane) {
		p.model(llmtest.Turn{Hang: true}, llmtest.Turn{Hang: true})
		p.start()
		for _, signal := range []string{"TERM", "HUP"} {
			p.chats()
			p.says("Begin.")
			p.see(`Esc`)
			pid := strings.TrimSpace(p.asks("#{pane_pid}"))
			p.tmux("run-shell", "kill -"+signal+" $(ps -o pid= --ppid "+pid+")")
			p.clean()
		}
		p.chats()
		p.keys("C-c")
		p.keys("C-c")
		p.clean()
	})
}

// A notification goes past tmux to the terminal, and leaves the screen as it is.
func TestTerminalNotifies(t *testing.T) {
	onScreens(t, func(p *pane) {
		config := filepath.Join(p.home, "state", "config")
		if err := os.MkdirAll(config, 0o700); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(config, "config.yaml"), []byte("notify: {destinations: {here: {type: desktop, sequence: osc9}}}\n"), 0o600); err != nil {
			p.Fatal(err)
		}
		p.model(llmtest.Turn{Text: "First."}, llmtest.Turn{Text: "It is done."})
		p.start()
		written := filepath.Join(p.home, "written")
		p.tmux("pipe-pane", "cat > "+written)
		p.says("clear; ml-intern --model openai/test --quiet 'go'; echo ov''er")
		p.see(`^over$`)
		if got, err := os.ReadFile(written); err != nil || !strings.Contains(string(got), "\x1b\x1b]9;ml-intern: Turn complete: First.\a") {
			p.Errorf("without a screen the terminal was sent %q, %v", got, err)
		}
		p.chats()
		p.says("Do it.")
		p.see(`It is done\.`)
		const want = "\x1bPtmux;\x1b\x1b]9;ml-intern: Turn complete: It is done.\a\x1b\\"
		var got []byte
		for end := time.Now().Add(patience); time.Now().Before(end) && !strings.Contains(string(got), want); time.Sleep(50 * time.Millisecond) {
			got, _ = os.ReadFile(written) // it may not be there yet
		}
		if !strings.Contains(string(got), want) || !strings.Contains(string(got), "\x1b[?1004h") {
			p.Errorf("the terminal was sent %q", got)
		}
		if now := p.gone(`Esc`); strings.Contains(now, "]9;") || strings.Contains(now, "tmux;") {
			p.Errorf("the screen shows the sequence:\n%s", now)
		}
		p.leaves()
	})
}
