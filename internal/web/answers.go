package web

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/config"
)

// question puts a question to the readers. The one before is over.
func (r *room) question(ask *chat.Ask) {
	out := struct {
		ID       int       `json:"id"`
		Requests []request `json:"requests"`
	}{Requests: []request{}}
	for _, req := range ask.Requests {
		out.Requests = append(out.Requests, requestOf(req))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unaskLocked()
	out.ID = newNumber()
	r.ask = &question{ask, out.ID, encode(out)}
	r.tellLocked(thing{kind: "ask", data: r.ask.data})
}

// newNumber is a question's number. It says nothing of the order: one that counts
// would begin anew with the program, and an answer that comes late could be taken for
// another question, since models give their calls the same names again.
func newNumber() int { return int(rand.Int32N(math.MaxInt32)) + 1 }

// unaskLocked takes the open question back: it was answered, or the turn stopped.
func (r *room) unaskLocked() {
	if r.ask == nil {
		return
	}
	r.tellLocked(thing{kind: "ask_over", data: encode(map[string]int{"id": r.ask.id})})
	r.ask = nil
}

// open is the question of that number, or a conflict.
func (r *room) openQuestion(id int) (*question, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ask == nil || r.ask.id != id {
		return nil, conflict("question %d is not open: it was answered, or the turn was stopped", id)
	}
	return r.ask, nil
}

// A verdict is what a person says to one call.
type verdict struct {
	CallID  string          `json:"call_id"`
	Verdict string          `json:"verdict"`
	Reason  string          `json:"reason"`
	For     string          `json:"for"`
	Args    json.RawMessage `json:"args"`
}

func (s *server) answers(w http.ResponseWriter, r *http.Request) error {
	in, err := read[struct {
		Ask       int       `json:"ask"`
		Decisions []verdict `json:"decisions"`
	}](w, r)
	if err != nil {
		return err
	}
	if err := s.exists(r, r.PathValue("id")); err != nil {
		return err
	}
	return s.lend(r.PathValue("id"), false, func(room *room, _ *chat.Chat) error {
		q, err := room.openQuestion(in.Ask)
		if err != nil {
			return err
		}
		decisions, err := q.decide(in.Decisions)
		if err != nil {
			return err
		}
		room.mu.Lock()
		defer room.mu.Unlock()
		if room.ask != q {
			return conflict("question %d was answered meanwhile, or the turn was stopped", in.Ask)
		}
		q.Answer(decisions)
		room.unaskLocked()
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// decide makes decisions of verdicts, in the order of the calls.
func (q *question) decide(verdicts []verdict) ([]approval.Decision, error) {
	at := make(map[string]verdict)
	for _, v := range verdicts {
		if _, twice := at[v.CallID]; twice {
			return nil, bad("call %.100q is decided twice", v.CallID)
		}
		if !slices.ContainsFunc(q.Requests, func(r approval.Request) bool { return r.Call.ID == v.CallID }) {
			return nil, bad("question %d is not about a call %.100q", q.id, v.CallID)
		}
		at[v.CallID] = v
	}
	var missing []string
	decisions := make([]approval.Decision, len(q.Requests))
	for i, req := range q.Requests {
		v, ok := at[req.Call.ID]
		if !ok {
			missing = append(missing, req.Call.ID)
			continue
		}
		var err error
		if decisions[i], err = q.decision(i, v); err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 {
		return nil, bad("every call needs a decision; missing: %s", strings.Join(missing, ", "))
	}
	return decisions, nil
}

// decision is one verdict. Arguments that the person changed are judged first.
func (q *question) decision(i int, v verdict) (d approval.Decision, err error) {
	words := []string{approval.Allow, approval.Deny}
	switch {
	case !slices.Contains(words, v.Verdict):
		return d, bad("a verdict is allow or deny, not %.60q%s", v.Verdict, config.DidYouMean(config.Nearest(v.Verdict, words)))
	case v.For != approval.Once && v.For != approval.Session && v.For != approval.Always:
		return d, bad("for is session or always, or left out, not %.60q", v.For)
	case v.Verdict == approval.Deny && (v.For != approval.Once || len(v.Args) > 0):
		return d, bad("a no is for this call as it is: leave for and args out")
	}
	d = approval.Decision{Verdict: v.Verdict, Reason: v.Reason, For: v.For}
	remember := q.Requests[i].Remember
	if text := argsText(v.Args); text != "" && text != q.Requests[i].Call.Args {
		changed, err := q.Edited(i, text)
		if err != nil {
			return d, refused("%v", err)
		}
		d.Args, remember = text, changed.Remember
	}
	if d.For != approval.Once && len(remember) == 0 {
		return d, refused("there is no rule that would allow calls like %s: allow it once", v.CallID)
	}
	return d, nil
}

// argsText is arguments as a call has them: an object, or its text.
func argsText(args json.RawMessage) string {
	var text string
	switch {
	case len(args) == 0 || string(args) == "null":
		return ""
	case json.Unmarshal(args, &text) == nil:
		return text
	}
	return string(args)
}

// preview says how a call would be judged with other arguments.
func (s *server) preview(w http.ResponseWriter, r *http.Request) error {
	in, err := read[struct {
		Ask    int             `json:"ask"`
		CallID string          `json:"call_id"`
		Args   json.RawMessage `json:"args"`
	}](w, r)
	if err != nil {
		return err
	}
	if err := s.exists(r, r.PathValue("id")); err != nil {
		return err
	}
	return s.lend(r.PathValue("id"), false, func(room *room, _ *chat.Chat) error {
		q, err := room.openQuestion(in.Ask)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(q.Requests, func(r approval.Request) bool { return r.Call.ID == in.CallID })
		if i < 0 {
			return bad("question %d is not about a call %.100q", in.Ask, in.CallID)
		}
		changed, err := q.Edited(i, argsText(in.Args))
		if err != nil {
			return refused("%v", err)
		}
		write(w, http.StatusOK, requestOf(changed))
		return nil
	})
}
