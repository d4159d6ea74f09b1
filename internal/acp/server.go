package acp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
)

// request implements peer.
func (s *server) request(method string, params json.RawMessage) (func(context.Context) (answer, error), error) {
	s.mu.Lock()
	greeted := s.greeted
	s.greeted = greeted || method == sdk.AgentMethodInitialize
	s.mu.Unlock()
	if !greeted && method != sdk.AgentMethodInitialize {
		return nil, &sdk.RequestError{Code: codeRefused, Message: "begin with initialize"}
	}
	switch method {
	case sdk.AgentMethodInitialize:
		return given(params, s.initialize)
	case sdk.AgentMethodAuthenticate:
		return given(params, s.authenticate)
	case sdk.AgentMethodSessionNew:
		return given(params, s.newSession)
	case sdk.AgentMethodSessionLoad:
		return given(params, func(ctx context.Context, p sdk.LoadSessionRequest) (answer, error) {
			t, err := s.reopen(ctx, existing{p.SessionId, p.Cwd, p.McpServers, true})
			if err != nil {
				return answer{}, err
			}
			modes, options := t.settings()
			return answer{sdk.LoadSessionResponse{Modes: modes, ConfigOptions: options}, t.offer}, nil
		})
	case sdk.AgentMethodSessionResume:
		return given(params, func(ctx context.Context, p sdk.ResumeSessionRequest) (answer, error) {
			t, err := s.reopen(ctx, existing{p.SessionId, p.Cwd, p.McpServers, false})
			if err != nil {
				return answer{}, err
			}
			modes, options := t.settings()
			return answer{sdk.ResumeSessionResponse{Modes: modes, ConfigOptions: options}, t.offer}, nil
		})
	case sdk.AgentMethodSessionList:
		return given(params, s.list)
	case sdk.AgentMethodSessionClose:
		return given(params, s.closeSession)
	case sdk.AgentMethodSessionPrompt:
		return s.prompt(params)
	case sdk.AgentMethodSessionSetMode:
		return given(params, s.setMode)
	case sdk.AgentMethodSessionSetConfigOption:
		return given(params, s.setOption)
	}
	return nil, &sdk.RequestError{Code: -32601, Message: fmt.Sprintf("there is no method %.60q here", method)}
}

// given reads what a request is given and returns the work on it.
func given[P any](params json.RawMessage, do func(context.Context, P) (answer, error)) (func(context.Context) (answer, error), error) {
	p, err := read[P](params)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (answer, error) { return do(ctx, p) }, nil
}

func read[P any](params json.RawMessage) (p P, err error) {
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return p, invalid("read the request: %v", err)
	}
	if v, ok := any(&p).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return p, invalid("read the request: %v", err)
		}
	}
	return p, nil
}

// notify implements peer.
func (s *server) notify(method string, params json.RawMessage) {
	if method != sdk.AgentMethodSessionCancel {
		return // others are not for us
	}
	p, err := read[sdk.CancelNotification](params)
	if err != nil {
		return
	}
	if t, err := s.thread(p.SessionId); err == nil {
		t.cancel()
	}
}

func (s *server) initialize(_ context.Context, p sdk.InitializeRequest) (answer, error) {
	return answer{result: sdk.InitializeResponse{
		ProtocolVersion: sdk.ProtocolVersionNumber,
		AgentInfo:       &sdk.Implementation{Name: "ml-intern", Title: sdk.Ptr("ml-intern"), Version: app.Version()},
		AgentCapabilities: sdk.AgentCapabilities{
			LoadSession:        true,
			PromptCapabilities: sdk.PromptCapabilities{EmbeddedContext: true},
			McpCapabilities:    sdk.McpCapabilities{Http: true},
			SessionCapabilities: sdk.SessionCapabilities{
				Close: &sdk.SessionCloseCapabilities{}, List: &sdk.SessionListCapabilities{}, Resume: &sdk.SessionResumeCapabilities{},
			},
		},
		AuthMethods: authMethods(p.ClientCapabilities.Auth.Terminal),
	}}, nil
}

// Ways to a model, as an editor offers them.
const (
	byLogin    = "login"
	byTerminal = "login-terminal"
	byKey      = "key"
)

func authMethods(terminal bool) []sdk.AuthMethod {
	methods := []sdk.AuthMethod{
		{Agent: &sdk.AuthMethodAgent{
			Id: byLogin, Name: "Log in to Hugging Face",
			Description: sdk.Ptr("Run `ml-intern login` in a terminal, then choose this. Models of the Inference Providers need no other key."),
		}},
		{Agent: &sdk.AuthMethodAgent{
			Id: byKey, Name: "Use a key, or a model on this machine",
			Description: sdk.Ptr("Put ANTHROPIC_API_KEY, OPENAI_API_KEY, HF_TOKEN or OPENROUTER_API_KEY into `env` of this agent in the editor's settings, or start Ollama, vLLM, LM Studio or llama.cpp; then choose this. `ml-intern doctor` shows what is found."),
		}},
	}
	if terminal {
		methods = append([]sdk.AuthMethod{{Terminal: &sdk.AuthMethodTerminalInline{
			Type: "terminal", Id: byTerminal, Name: "Log in to Hugging Face in a terminal", Args: []string{"--login"},
			Description: sdk.Ptr("Shows a code to enter in a browser."),
		}}}, methods...)
	}
	return methods
}

// authenticate looks whether there is a model now: what it takes is done
// elsewhere.
func (s *server) authenticate(ctx context.Context, p sdk.AuthenticateRequest) (answer, error) {
	if p.MethodId != byLogin && p.MethodId != byTerminal && p.MethodId != byKey {
		return answer{}, invalid("there is no way to log in that is named %.60q", p.MethodId)
	}
	cfg, err := s.For("")
	if err != nil {
		return answer{}, err
	}
	return answer{result: sdk.AuthenticateResponse{}}, hasModel(ctx, cfg)
}

// hasModel fails if there is no model to ask, or no key for it, and names one
// in the configuration that was found on this machine.
func hasModel(ctx context.Context, cfg *config.Config) error {
	found := app.Look(ctx, cfg)
	if found.Model == "" {
		return &sdk.RequestError{Code: codeAuth, Message: found.NoModel().Error(), Data: map[string]any{"reason": "no_model", "hint": "ml-intern doctor shows what is found"}}
	}
	if cfg.Model == "" && len(found.Local) > 0 {
		cfg.Model = found.Model
	}
	return app.CheckChoice(cfg, session.Chose{Model: found.Model})
}

// workspace is the configuration for a folder that the editor names, with its
// servers, and notes for the person.
func (s *server) workspace(dir string, servers []sdk.McpServer) (*config.Config, []string, error) {
	switch info, err := os.Stat(dir); {
	case !filepath.IsAbs(dir):
		return nil, nil, invalid("cwd must be an absolute path, not %.200q", dir)
	case strings.ContainsRune(dir, 0) || err != nil:
		return nil, nil, invalid("cwd is no folder that can be opened: %.200q", dir)
	case !info.IsDir():
		return nil, nil, invalid("cwd is a file, not a folder: %.200q", dir)
	}
	cfg, err := s.For(filepath.Clean(dir))
	if err != nil {
		return nil, nil, err
	}
	return cfg, append(cfg.Notes(), addServers(cfg, servers)...), nil
}

func (s *server) newSession(ctx context.Context, p sdk.NewSessionRequest) (answer, error) {
	cfg, notes, err := s.workspace(p.Cwd, p.McpServers)
	if err != nil {
		return answer{}, err
	}
	if err := hasModel(ctx, cfg); err != nil {
		return answer{}, err
	}
	id := app.NewID()
	if err := s.hold(id); err != nil {
		return answer{}, err
	}
	t, err := s.open(cfg, id, chat.Options{ID: id}, false)
	if err != nil {
		return answer{}, err
	}
	modes, options := t.settings()
	return answer{sdk.NewSessionResponse{SessionId: sdk.SessionId(id), Modes: modes, ConfigOptions: options}, func() {
		t.offer()
		for _, note := range notes {
			t.word(note)
		}
	}}, nil
}

// open opens a session whose place is held, and follows it.
func (s *server) open(cfg *config.Config, id string, opts chat.Options, replay bool) (*thread, error) {
	c, err := chat.Open(s.ctx, cfg, opts)
	if err != nil {
		s.settle(id, nil)
		return nil, err
	}
	t := newThread(s.wire, c, id, cfg.Dir, replay)
	s.following.Go(t.follow)
	now := c.Now()
	if opts.Resume != "" && now.Session != id {
		s.settle(id, nil)
		t.close()
		return nil, unknown(id)
	}
	<-t.shown // what was before
	if !s.settle(id, t) {
		t.close()
		return nil, errGone
	}
	return t, nil
}

func unknown(id string) *sdk.RequestError {
	return &sdk.RequestError{Code: codeNotFound, Message: fmt.Sprintf("there is no session %.60q; session/list has them all", id)}
}

// existing is a session to be opened again.
type existing struct {
	id      sdk.SessionId
	cwd     string
	servers []sdk.McpServer
	replay  bool
}

// reopen opens a session that exists, also one that is open here and idle.
func (s *server) reopen(_ context.Context, e existing) (*thread, error) {
	id := string(e.id)
	if id == "" {
		return nil, unknown(id)
	}
	cfg, notes, err := s.workspace(e.cwd, e.servers)
	if err != nil {
		return nil, err
	}
	if t, err := s.thread(e.id); err == nil {
		now := t.chat.Now()
		switch { // what cannot be opened again stays open as it is
		case t.busy():
			return nil, invalid("session %s is at work here: cancel it, or wait", id)
		case now.Session == "":
			return nil, unknown(id) // nothing was said in it
		case !same(now.Dir, e.cwd):
			return nil, elsewhereError(id, now.Dir)
		}
		if t = s.take(id); t != nil {
			t.close()
			s.settle(id, nil)
		}
	}
	if err := s.hold(id); err != nil {
		return nil, err
	}
	t, err := s.open(cfg, id, chat.Options{Resume: id}, e.replay)
	if errors.Is(err, session.ErrNotFound) {
		err = unknown(id)
	}
	if err != nil {
		return nil, err
	}
	if dir := t.dir(); !same(dir, e.cwd) {
		if t = s.take(id); t != nil {
			t.close()
			s.settle(id, nil)
		}
		return nil, elsewhereError(id, dir)
	}
	for _, note := range notes {
		t.word(note)
	}
	return t, nil
}

func elsewhereError(id, dir string) error {
	return invalid("session %s works in %s: open it with that cwd", id, dir)
}

// same reports whether two paths lead to one folder.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// listed is how many sessions one answer has.
const listed = 50

func (s *server) list(ctx context.Context, p sdk.ListSessionsRequest) (answer, error) {
	dir, from := "", 0
	if p.Cwd != nil {
		if dir = filepath.Clean(*p.Cwd); !filepath.IsAbs(dir) {
			return answer{}, invalid("cwd must be an absolute path, not %.200q", *p.Cwd)
		}
	}
	if p.Cursor != nil {
		var err error
		if from, err = strconv.Atoi(*p.Cursor); err != nil || from < 0 {
			return answer{}, invalid("there is no cursor %.60q", *p.Cursor)
		}
	}
	cfg, err := s.For("")
	if err != nil {
		return answer{}, err
	}
	a, err := app.New(ctx, cfg)
	if err != nil {
		return answer{}, err
	}
	found, err := a.Sessions(ctx, session.Query{Dir: dir})
	if err := errors.Join(err, a.Close()); err != nil {
		return answer{}, err
	}
	resp := sdk.ListSessionsResponse{Sessions: []sdk.SessionInfo{}}
	for i, sum := range found.Sessions {
		switch {
		case i < from || dir != "" && sum.Dir != dir || sum.Caller != "": // nobody talks in that one
			continue
		case len(resp.Sessions) == listed:
			resp.NextCursor = sdk.Ptr(strconv.Itoa(i))
			return answer{result: resp}, nil
		}
		resp.Sessions = append(resp.Sessions, sdk.SessionInfo{
			SessionId: sdk.SessionId(sum.ID), Cwd: sum.Dir, Title: sdk.Ptr(sum.Title), UpdatedAt: sdk.Ptr(sum.Updated.UTC().Format(time.RFC3339)),
		})
	}
	return answer{result: resp}, nil
}

func (s *server) closeSession(_ context.Context, p sdk.CloseSessionRequest) (answer, error) {
	if _, err := s.thread(p.SessionId); err != nil {
		return answer{}, err
	}
	if t := s.take(string(p.SessionId)); t != nil {
		for _, line := range t.close() {
			s.Log(line)
		}
		s.settle(string(p.SessionId), nil)
	}
	return answer{result: sdk.CloseSessionResponse{}}, nil
}
