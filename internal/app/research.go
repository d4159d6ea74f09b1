package app

import (
	"context"
	"errors"
	"fmt"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/replay"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// subSteps is how many model calls a sub-agent may take.
const subSteps = 60

// research is the tool that asks a sub-agent: an agent like the one that asks,
// with its account, its policy narrowed to reading, and the tools that read.
func (a *App) research(parent *agent.Agent, opened session.Opened) tool.Tool {
	r := &agent.Researcher{Store: a.store, Opened: opened}
	r.Agent = func(id string, report tool.Tool) (*agent.Agent, error) {
		uploads := "" // it uploads nothing
		router, err := tool.NewRouter(append(a.readers(), tools.HubFiles(a.hubClient, a.sandbox(), uploads), report)...)
		if err != nil {
			return nil, err
		}
		sub := *parent
		if sub.Models, err = a.subModels(parent.Models); err != nil {
			return nil, err
		}
		sub.System, sub.Tools, sub.Policy = agent.SubAgent(a.cfg.Dir), router, agent.ReadOnly{Policy: parent.Policy}
		sub.MaxSteps, sub.Spill = min(parent.MaxSteps, subSteps), a.spill(id)
		return &sub, nil
	}
	return r.Tool()
}

// subModels are the models of a sub-agent: the one that is configured for it,
// then those of the agent that asks.
func (a *App) subModels(own []llm.Model) ([]llm.Model, error) {
	id := a.cfg.ResearchModel
	if id == "" || id == own[0].Info().ID {
		return own, nil
	}
	m, err := model(a.cfg, id)
	if err != nil {
		return nil, fmt.Errorf("model for research: %w", err)
	}
	if a.recording != nil {
		m = replay.Record(m, a.recording)
	}
	return append([]llm.Model{m}, own...), nil
}

// Bill is what a session cost, with sub-agents whose result it lacks because a
// crash or a stop came before.
func (a *App) Bill(ctx context.Context, s *session.Session) (session.Bill, error) {
	bill := s.Bill()
	for _, id := range s.Unbilled(agent.ResearchTool) {
		child, err := session.Open(ctx, a.store, id)
		if errors.Is(err, session.ErrNotFound) {
			continue // it had not begun
		}
		if err != nil {
			return bill, err
		}
		bill = bill.Add(child.Spent())
	}
	return bill, nil
}
