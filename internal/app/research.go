package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"ml-intern/internal/agent"
	"ml-intern/internal/config"
	"ml-intern/internal/instruction"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/llm/redact"
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
	r := &agent.Researcher{Store: a.log(), Opened: opened}
	r.Agent = func(id string, report tool.Tool) (*agent.Agent, error) {
		uploads := "" // it uploads nothing
		router, err := tool.NewRouter(append(a.readers(), tools.HubFiles(a.hubClient, a.sandbox(), uploads), report)...)
		if err != nil {
			return nil, err
		}
		router.Redact = parent.Redact
		sub := *parent
		sub.News, sub.Refresh = nil, nil // it goes by what its parent began with, and its tools stay the same
		if sub.Models, err = a.subModels(parent.Models); err != nil {
			return nil, err
		}
		sub.System, sub.Tools, sub.Policy = agent.SubAgent(a.cfg.Dir)+instruction.Text(opened.Instructions), router, agent.ReadOnly{Policy: parent.Policy}
		sub.MaxSteps, sub.Spill = min(parent.MaxSteps, subSteps), a.spill(id)
		return &sub, nil
	}
	return r.Tool()
}

// sameModel in the configuration keeps the session's own model for sub-agents.
const sameModel = "same"

// researchModel is the id of the model of sub-agents: the configured one, else
// one of the catalogue that is cheaper than the session's own.
func researchModel(cfg *config.Config, own string) string {
	switch id := cfg.ResearchModel; {
	case id == sameModel:
		return own
	case id != "":
		return id
	}
	return cmp.Or(catalog.Cheaper(own, catalogOptions(cfg)), own)
}

// subModels are the models of a sub-agent: the one for research, then those of
// the agent that asks.
func (a *App) subModels(own []llm.Model) ([]llm.Model, error) {
	id := researchModel(a.cfg, own[0].Info().ID)
	if id == own[0].Info().ID {
		return own, nil
	}
	m, err := model(a.cfg, id)
	if err != nil {
		return nil, fmt.Errorf("model for research: %w", err)
	}
	if a.cfg.ResearchModel == "" {
		m = unasked{m}
	}
	if a.recording != nil {
		m = replay.Record(m, a.recording)
	}
	return append([]llm.Model{redact.Model(m, a.redactor())}, own...), nil
}

// unasked is a model that nobody named. If the key is not for it, it is out of
// reach, and the session's own model takes over.
type unasked struct{ llm.Model }

// Stream implements llm.Model.
func (u unasked) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		for chunk, err := range u.Model.Stream(ctx, req) {
			if status, ok := errors.AsType[*llm.StatusError](err); ok && (status.Status == http.StatusForbidden || status.Status == http.StatusNotFound) {
				err = fmt.Errorf("%w: %w", llm.ErrUnreachable, err)
			}
			if !yield(chunk, err) {
				return
			}
		}
	}
}

// researchCheck names the model of sub-agents.
func researchCheck(cfg *config.Config) Check {
	c := Check{Name: "research", State: stateOK, Detail: "sub-agents have the model of their session"}
	own := cmp.Or(cfg.Model, catalog.Default(withToken(cfg)))
	if id := researchModel(cfg, own); own != "" && id != own {
		c.Detail = "sub-agents of " + own + " have the model " + id
		if cfg.ResearchModel == "" {
			c.Detail += ", which costs less; research_model names another"
		}
	}
	return c
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
