package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"ml-intern/internal/agent"
	"ml-intern/internal/session"
)

// ResearchTool is the name of the tool whose calls have a sub-agent each.
const ResearchTool = agent.ResearchTool

// SubAgentID is the session of the sub-agent that works for a call of this
// session. Of a call that has its result the result knows it: in a copy of a
// session it is that of the original's.
func (c *Chat) SubAgentID(callID string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return session.ChildID(c.state.Session, c.state.Session+"/"+callID)
}

// SubAgent reads what a sub-agent said and did after the event of that number:
// some of it, from its session in the store. There is none of one that has not
// begun, and none left when there is nothing new.
func (c *Chat) SubAgent(id string, after int64) ([]session.Event, error) {
	a := c.program()
	if a == nil {
		return nil, errNoProgram
	}
	return a.Events(c.ctx, id, after, subAgentPage)
}

// subAgentPage is how many events are read at once.
const subAgentPage = 200

// agents lists the sub-agents of the session, or opens one.
func (c *Chat) agents(id string) (Result, error) {
	if id != "" {
		events, err := c.SubAgent(id, 0)
		switch {
		case err != nil:
			return Result{}, err
		case len(events) == 0 || events[0].Opened == nil || events[0].Opened.Parent == "":
			return Result{}, usage("there is no sub-agent %s: /agents lists them", id)
		}
		return Result{SubAgent: id}, nil
	}
	s, _, err := c.log()
	if err != nil {
		return Result{}, err
	}
	items := subAgents(s)
	if len(items) == 0 {
		return Result{Text: "This session has asked no sub-agents: they are the calls of `research`."}, nil
	}
	return Result{Pick: &Pick{Title: "sub-agents", Items: items, Then: "/agents"}}, nil
}

// subAgents lists those that have begun, the latest first.
func subAgents(s *session.Session) []Item {
	tasks := make(map[string]string) // by call
	at := make(map[string]int)       // of items, by call
	var items []Item
	for _, ev := range s.Events() {
		switch {
		case ev.Reply != nil:
			for _, call := range ev.Reply.Message.Calls() {
				if call.Name == ResearchTool {
					tasks[call.ID] = taskOf(call.Args)
				}
			}
		case ev.Started != nil && tasks[ev.Started.CallID] != "":
			if _, again := at[ev.Started.CallID]; !again {
				at[ev.Started.CallID] = len(items)
				items = append(items, Item{ID: session.ChildID(s.ID, s.ID+"/"+ev.Started.CallID), Title: tasks[ev.Started.CallID], Detail: "at work, or cut off"})
			}
		case ev.Result != nil && ev.Result.Spent != nil:
			if i, ok := at[ev.Result.CallID]; ok {
				items[i].ID = ev.Result.Spent.Session
				items[i].Detail = fmt.Sprintf("%d model calls, $%.2f", ev.Result.Spent.Calls, ev.Result.Spent.USD)
			}
		}
	}
	for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
		items[i], items[j] = items[j], items[i]
	}
	return items
}

// taskOf is what a call asks a sub-agent, in one line; never "".
func taskOf(args string) string {
	var in struct{ Task string }
	if json.Unmarshal([]byte(args), &in) != nil || strings.TrimSpace(in.Task) == "" {
		return "a question that cannot be read"
	}
	return session.Title(in.Task)
}
