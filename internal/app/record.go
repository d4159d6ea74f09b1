package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/replay"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// ReplayPrefix begins the id of a model that plays a recording: replay/FILE.
const ReplayPrefix = "replay/"

// record begins the recording that the configuration asks for. A file that
// cannot be written is found before anything is spent.
func (a *App) record(sessionID, prompt string) error {
	if a.cfg.Record == "" || a.recording != nil {
		return nil
	}
	h := replay.Header{Version: Version(), Session: sessionID, Prompt: prompt}
	w, err := replay.Create(a.cfg.Record, h, a.secrets())
	if err != nil {
		return fmt.Errorf("%w: --record: %w", ErrUsage, err)
	}
	a.recording = w
	return nil
}

// replayed is the model that plays the recording in the file.
func replayed(cfg *config.Config, id, path string) (llm.Model, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(cfg.Dir, path)
	}
	r, err := replay.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return r.Model(id), nil
}

// Replay prepares the configuration to play a recording and returns what the
// person said in it, in order. With live tools the calls are run again; else
// they are answered as they were.
func Replay(cfg *config.Config, path string, live bool, warn func(string)) ([]replay.Prompt, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find recording: %w", err)
	}
	r, err := replay.Open(abs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if r.Torn {
		warn("a line of the recording was cut by a crash and is left out")
	}
	prompts := r.Prompts()
	if len(prompts) == 0 {
		return nil, fmt.Errorf("%w: the recording %s has no prompt: it goes on with a session that began elsewhere", ErrUsage, path)
	}
	cfg.Model = ReplayPrefix + abs
	cfg.FromFlag("model")
	cfg.Fallback = nil
	cfg.ReplayTools = !live
	return prompts, nil
}

// recordedTools answers the calls of a replayed session as they were answered
// when it was recorded, but for the answers that the session has had before.
// The plan is kept for real: it changes nothing else.
func recordedTools(cfg *config.Config, real *tool.Router, before []session.Event) (*tool.Router, error) {
	r, err := replay.Open(strings.TrimPrefix(cfg.Model, ReplayPrefix))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	answers := &answers{queue: make(map[string][]llm.ToolResult)}
	for _, a := range r.Results() {
		key := callKey(a.Call)
		answers.queue[key] = append(answers.queue[key], a.Result)
	}
	calls := make(map[string]llm.ToolCall)
	for _, ev := range before {
		if ev.Reply != nil {
			for _, call := range ev.Reply.Message.Calls() {
				calls[call.ID] = call
			}
		}
		if ev.Result != nil {
			answers.next(callKey(calls[ev.Result.CallID]))
		}
	}
	var tools []tool.Tool
	for _, spec := range r.Tools() {
		if t, ok := real.Tool(spec.Name); ok && spec.Name == "plan" {
			tools = append(tools, t)
			continue
		}
		tools = append(tools, recordedTool{spec, answers})
	}
	return tool.NewRouter(tools...)
}

func callKey(call llm.ToolCall) string { return call.Name + " " + call.Args }

// answers are the recorded results of each call, in order.
type answers struct {
	mu    sync.Mutex
	queue map[string][]llm.ToolResult
}

func (a *answers) next(key string) (llm.ToolResult, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := a.queue[key]
	if len(left) == 0 {
		return llm.ToolResult{}, false
	}
	a.queue[key] = left[1:]
	return left[0], true
}

// recordedTool does nothing but answer.
type recordedTool struct {
	spec    llm.ToolSpec
	answers *answers
}

func (t recordedTool) Spec() tool.Spec { return tool.Spec{ToolSpec: t.spec, Effect: tool.Reads} }

var errNoAnswer = errors.New("the recording has no result for this call")

func (t recordedTool) Run(_ context.Context, call tool.Call) (tool.Output, error) {
	result, ok := t.answers.next(callKey(llm.ToolCall{Name: t.spec.Name, Args: call.Args}))
	if !ok {
		return tool.Output{}, errNoAnswer
	}
	return tool.Output{Text: result.Text, IsError: result.IsError, Image: result.Image, Summary: "recorded: " + t.spec.Name}, nil
}
