package chat

import (
	"reflect"
	"slices"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/ledger"
	"ml-intern/internal/session"
)

// setPhase notes what the conversation does now; mu is held.
func (c *Chat) setPhase(p Phase) {
	if c.state.Phase != p {
		c.state.Phase, c.state.Since = p, time.Now()
	}
}

// tell has the state shown, if it has changed. It waits for nobody.
func (c *Chat) tell() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// Now is how things stand, once the program is opened or could not be.
func (c *Chat) Now() State {
	select {
	case <-c.started:
	case <-c.closed:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot()
}

// snapshot is the state; mu is held.
func (c *Chat) snapshot() State {
	now := c.state
	now.Queue, now.Steers = said(c.queue), said(c.steers)
	now.Waits = slices.Clone(now.Waits)
	return now
}

// changed is the state, with a number if it is not the one that was last asked
// for, else 0.
func (c *Chat) changed() (State, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.snapshot()
	if reflect.DeepEqual(now, c.sent) {
		return now, 0
	}
	c.sent = now
	c.version++
	return now, c.version
}

func said(prompts []session.Prompt) []string {
	var all []string
	for _, p := range prompts {
		all = append(all, p.Text)
	}
	return all
}

// watch follows what an event changes of how things stand.
func (c *Chat) watch(ev session.Event) {
	c.mu.Lock()
	switch {
	case ev.Chunk != nil && ev.Chunk.Notice != "":
		c.state.Retry = ev.Chunk.Notice
	case ev.Chunk != nil && !ev.Chunk.Restart, ev.Reply != nil, ev.Failed != nil:
		c.state.Retry = ""
	}
	c.mu.Unlock()
	switch {
	case ev.Renamed != nil, ev.Prompt != nil && c.title == "":
		c.title = titleOf(c.conv.Session)
		c.describe()
	case ev.Reply != nil, ev.Result != nil, ev.Compact != nil, ev.Cleared != nil, ev.Charged != nil, ev.Settled != nil,
		ev.Reserved != nil, ev.Switched != nil, ev.Started != nil:
		c.describe()
	}
}

// describe reads from the session how things stand. Whoever holds the turn calls
// it.
func (c *Chat) describe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.describeNow()
}

// describeNow is describe for who holds mu.
func (c *Chat) describeNow() {
	s := &c.state
	if s.Phase == "" {
		c.setPhase(Idle)
	}
	cfg := c.cfg
	s.Dir, s.Confinement = cfg.Dir, app.Confinement(cfg)
	s.Mode, s.Effort = first(c.over.Mode, cfg.Approve), first(c.over.Effort, cfg.Effort)
	s.Model = first(c.over.Model, cfg.Model)
	s.Cap = ledger.Amount{USD: cfg.MaxCost, Tokens: cfg.MaxTokens}
	s.Session, s.Title, s.Context, s.Window, s.Spent, s.Running = "", "", 0, 0, ledger.Amount{}, 0
	if c.app != nil {
		s.Hub = c.app.HubName()
		if s.Model == "" {
			s.Model = c.app.DefaultModel()
		}
	}
	if c.conv == nil {
		return
	}
	log, ag := c.conv.Session, c.conv.Agent
	opened := log.Opened()
	s.Session, s.Dir, s.Title = log.ID, opened.Dir, c.title
	info := ag.Models[0].Info()
	if over := log.Model(); over != "" && s.Phase != Idle {
		for _, m := range ag.Models {
			if m.Info().ID == over {
				info = m.Info()
			}
		}
	}
	s.Model, s.Window = info.ID, info.ContextWindow
	s.Context = ag.Tokens(log)
	s.Mode = first(c.over.Mode, c.conv.Mode())
	s.Effort = first(c.over.Effort, ag.Effort)
	s.Spent, s.Cap = ag.Ledger.Spent(), ag.Ledger.Cap
	for _, line := range log.Bill().Lines {
		s.Running += line.Open.USD
	}
}

// first is the setting that holds: what was chosen, else what was before. A
// default that was chosen is "".
func first(chosen, before string) string {
	switch chosen {
	case "":
		return before
	case session.DefaultEffort:
		return ""
	}
	return chosen
}

// titleOf is what the session is called.
func titleOf(s *session.Session) string {
	var sum session.Summary
	for _, ev := range s.Events() {
		sum.Add(ev)
	}
	return sum.Title
}
