package acp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/chat"
	"ml-intern/internal/config"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/session"
)

// The settings of a session that an editor shows, each a command of the chat
// with a list to choose from.
const (
	modeOption   = "mode"
	modelOption  = "model"
	effortOption = "effort"
)

// commandOf is the command of the chat that changes a setting.
func commandOf(option string) string {
	switch option {
	case modeOption:
		return "/approve"
	case modelOption:
		return "/model"
	case effortOption:
		return "/effort"
	}
	return ""
}

// settings are the modes and the options of the session, as they are now.
func (t *thread) settings() (*sdk.SessionModeState, []sdk.SessionConfigOption) {
	return t.modes(), t.options()
}

func (t *thread) modes() *sdk.SessionModeState {
	state := &sdk.SessionModeState{CurrentModeId: sdk.SessionModeId(t.chat.Now().Mode)}
	for _, item := range t.choices("/approve") {
		state.AvailableModes = append(state.AvailableModes, sdk.SessionMode{Id: sdk.SessionModeId(item.ID), Name: item.Title, Description: sdk.Ptr(item.Detail)})
	}
	return state
}

func (t *thread) choices(command string) []chat.Item {
	r, err := t.chat.Command(command)
	if err != nil || r.Pick == nil {
		return nil
	}
	return r.Pick.Items
}

// options are the settings with what there is to choose. Models are looked for
// once a session: that may ask servers.
func (t *thread) options() []sdk.SessionConfigOption {
	t.looking.Do(func() { t.models = t.choices("/model") })
	now := t.chat.Now()
	one := func(id, name, about, current string, category sdk.SessionConfigOptionCategory, items []chat.Item) sdk.SessionConfigOption {
		var list sdk.SessionConfigSelectOptionsUngrouped
		if !slices.ContainsFunc(items, func(i chat.Item) bool { return i.ID == current }) {
			items = append([]chat.Item{{ID: current, Title: current}}, items...)
		}
		for _, i := range items {
			o := sdk.SessionConfigSelectOption{Value: sdk.SessionConfigValueId(i.ID), Name: i.Title}
			if i.Detail != "" {
				o.Description = sdk.Ptr(i.Detail)
			}
			list = append(list, o)
		}
		return sdk.SessionConfigOption{Select: &sdk.SessionConfigOptionSelect{
			Type: "select", Id: sdk.SessionConfigId(id), Name: name, Description: sdk.Ptr(about), Category: &category,
			CurrentValue: sdk.SessionConfigValueId(current), Options: sdk.SessionConfigSelectOptions{Ungrouped: &list},
		}}
	}
	return []sdk.SessionConfigOption{
		one(modeOption, "Approval", "what runs without asking", now.Mode, sdk.SessionConfigOptionCategoryMode, t.choices("/approve")),
		one(modelOption, "Model", "who is asked, from the next prompt on", now.Model, sdk.SessionConfigOptionCategoryModel, t.models),
		one(effortOption, "Effort", "how hard the model thinks, from the next prompt on", cmp.Or(now.Effort, session.DefaultEffort),
			sdk.SessionConfigOptionCategoryThoughtLevel, t.choices("/effort")),
	}
}

func (s *server) setMode(_ context.Context, p sdk.SetSessionModeRequest) (answer, error) {
	t, err := s.thread(p.SessionId)
	if err != nil {
		return answer{}, err
	}
	return answer{result: sdk.SetSessionModeResponse{}}, t.set(modeOption, string(p.ModeId))
}

func (s *server) setOption(_ context.Context, p sdk.SetSessionConfigOptionRequest) (answer, error) {
	if p.ValueId == nil {
		return answer{}, invalid("the options here take one of their values")
	}
	t, err := s.thread(p.ValueId.SessionId)
	if err != nil {
		return answer{}, err
	}
	if err := t.set(string(p.ValueId.ConfigId), string(p.ValueId.Value)); err != nil {
		return answer{}, err
	}
	return answer{result: sdk.SetSessionConfigOptionResponse{ConfigOptions: t.options()}}, nil
}

func (t *thread) set(option, value string) error {
	command := commandOf(option)
	if command == "" {
		return invalid("there is no option %.60q", option)
	}
	if value == "" || strings.ContainsAny(value, " \t\r\n") {
		return invalid("%s has no value %.60q", option, value)
	}
	_, err := t.chat.Command(command + " " + value)
	return err
}

// addServers adds the editor's servers to the configuration: the person named
// them there, as others in their own file. What cannot be used is a note.
func addServers(cfg *config.Config, servers []sdk.McpServer) (notes []string) {
	for _, m := range servers[:min(len(servers), maxServers)] {
		name, server := "", config.MCPServer{}
		switch {
		case m.Stdio != nil:
			name, server = m.Stdio.Name, config.MCPServer{Command: m.Stdio.Command, Args: m.Stdio.Args, Env: make(map[string]string)}
			for _, v := range m.Stdio.Env {
				server.Env[v.Name] = v.Value
			}
		case m.Http != nil:
			name, server = m.Http.Name, config.MCPServer{URL: m.Http.Url, Headers: make(map[string]string)}
			for _, h := range m.Http.Headers {
				server.Headers[h.Name] = h.Value
			}
		default:
			notes = append(notes, "an MCP server of the editor is left out: only stdio and http are spoken here")
			continue
		}
		if err := cfg.AddMCP(serverName(name), server); err != nil {
			notes = append(notes, fmt.Sprintf("the editor's MCP server %.60q is left out: %v", name, err))
		}
	}
	if more := len(servers) - maxServers; more > 0 {
		notes = append(notes, fmt.Sprintf("%d MCP servers of the editor are left out: %d are taken", more, maxServers))
	}
	return notes
}

// maxServers is how many servers of an editor a session takes.
const maxServers = 50

var (
	notInNames = lazyregexp.New(`[^A-Za-z0-9_]+`)
	bars       = lazyregexp.New(`_{2,}`)
)

// serverName is a name that tools can bear, made of any.
func serverName(name string) string {
	clean := strings.Trim(bars.ReplaceAllString(notInNames.ReplaceAllString(name, "-"), "_"), "-_")
	return cmp.Or(strings.Trim(clean[:min(len(clean), 30)], "-_"), "editor")
}
