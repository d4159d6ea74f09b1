package session

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"ml-intern/internal/tool"
)

// ChildID is the id of the session that works for a call of another one: always
// the same, so that it is found again after a crash. The call's id is unique
// in the world.
func ChildID(parent, callID string) string {
	sum := sha256.Sum256([]byte(callID))
	return parent + "-" + hex.EncodeToString(sum[:4])
}

// Unbilled lists the sessions that began for calls of the tool of that name and
// whose cost the log does not have: a crash or a stop came before the result.
func (s *Session) Unbilled(toolName string) []string {
	var open []string
	calls := make(map[string]string) // of the latest reply that made some
	for _, ev := range s.events {
		switch {
		case ev.Reply != nil:
			for _, call := range ev.Reply.Message.Calls() {
				calls[call.ID] = call.Name
			}
		case ev.Started != nil && calls[ev.Started.CallID] == toolName:
			if id := ChildID(s.ID, s.ID+"/"+ev.Started.CallID); !slices.Contains(open, id) {
				open = append(open, id)
			}
		case ev.Result != nil && ev.Result.Spent != nil:
			open = slices.DeleteFunc(open, func(id string) bool { return id == ev.Result.Spent.Session })
		}
	}
	return open
}

// Replies counts the model's replies in the session.
func (s *Session) Replies() int {
	n := 0
	for _, ev := range s.events {
		if ev.Reply != nil {
			n++
		}
	}
	return n
}

// Spent is what the session cost, for the bill of the one that it works for.
func (s *Session) Spent() tool.Spent {
	bill := s.Bill()
	return tool.Spent{Session: s.ID, Calls: s.Replies(), Usage: bill.Usage, USD: bill.Cost.USD, Tokens: bill.Cost.Tokens}
}
