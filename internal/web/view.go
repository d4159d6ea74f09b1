package web

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/ledger"
	"ml-intern/internal/session"
)

// summary is a session as a list has it.
type summary struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Dir      string    `json:"dir"`
	Model    string    `json:"model"`
	State    string    `json:"state"`
	Steps    int       `json:"steps"`
	Updated  time.Time `json:"updated"`
	SpentUSD float64   `json:"spent_usd"`
	Live     *live     `json:"live"` // null for one that is not open here
}

// live is how an open session stands, in short.
type live struct {
	Phase chat.Phase `json:"phase"`
	Waits []string   `json:"waits"`
	Asks  int        `json:"asks"` // calls that a person must decide
	Since time.Time  `json:"since"`
}

func (s *server) liveOf(id string) *live {
	r := s.look(id)
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chat == nil {
		return nil
	}
	l := &live{Phase: chat.Idle, Waits: []string{}, Since: r.used}
	if r.state != nil {
		l.Phase, l.Waits, l.Since = r.state.Phase, list(r.state.Waits), r.state.Since
	}
	if r.ask != nil {
		l.Asks = len(r.ask.Requests)
	}
	return l
}

// list is a list that is [] in JSON if it is empty.
func list[T any](all []T) []T { return append([]T{}, all...) }

// state is chat.State as it is told.
type state struct {
	Phase        chat.Phase    `json:"phase"`
	Turn         int           `json:"turn"`
	Since        time.Time     `json:"since"`
	Session      string        `json:"session"`
	Title        string        `json:"title"`
	Dir          string        `json:"dir"`
	Model        string        `json:"model"`
	Effort       string        `json:"effort"`
	Mode         string        `json:"mode"`
	Confinement  string        `json:"confinement"`
	Hub          string        `json:"hub"`
	Context      int           `json:"context"`
	Window       int           `json:"window"`
	Spent        ledger.Amount `json:"spent"`
	Cap          ledger.Amount `json:"cap"`
	Running      float64       `json:"running"`
	Queue        []string      `json:"queue"`
	Held         bool          `json:"held"`
	Steers       []string      `json:"steers"`
	Waits        []string      `json:"waits"`
	Retry        string        `json:"retry"`
	Interrupted  string        `json:"interrupted"`
	CommandsBusy int           `json:"commands_busy"`
}

// stateOf is null for a session that is not open here.
func stateOf(s *chat.State) *state {
	if s == nil {
		return nil
	}
	out := state(*s)
	out.Queue, out.Steers, out.Waits = list(s.Queue), list(s.Steers), list(s.Waits)
	return &out
}

type ended struct {
	Waits bool   `json:"waits"`
	Error string `json:"error"`
	Text  string `json:"text"`
}

func endedOf(e chat.Ended) ended {
	out := ended{Waits: e.Waits, Text: e.Text}
	if e.Err != nil {
		out.Error = failureOf(e.Err).code
	}
	return out
}

type ran struct {
	ID      int    `json:"id"`
	Command string `json:"command"`
	Line    string `json:"line"`
	Out     bool   `json:"out"` // there is such a line, which may be empty
	Done    bool   `json:"done"`
	Stopped bool   `json:"stopped"`
	Code    int    `json:"code"`
	Error   string `json:"error"`
}

func ranOf(r chat.Ran) ran {
	return ran{r.ID, r.Command, r.Line, r.Out, r.Done, r.Stopped, r.Code, r.Err}
}

// request is one call as the person who decides sees it.
type request struct {
	CallID    string          `json:"call_id"`
	Tool      string          `json:"tool"`
	Args      json.RawMessage `json:"args"` // as the model wrote them; a string if that is no object
	Reason    string          `json:"reason"`
	Show      string          `json:"show"`
	Effect    string          `json:"effect"`
	CostUSD   float64         `json:"cost_usd"`
	Reaches   []string        `json:"reaches"`
	Secrets   []string        `json:"secrets"` // that it gives away, by name
	Public    bool            `json:"public"`
	Deletes   bool            `json:"deletes"`
	Recurring bool            `json:"recurring"`
	Object    string          `json:"object"`
	Remember  string          `json:"remember"` // the rule that an answer for more than this call makes; "" if there is none
}

func requestOf(r approval.Request) request {
	i := r.Impact
	reaches := slices.Concat(i.Hosts, i.Paths, i.Grants.Names())
	if i.Repo != "" {
		reaches = append(reaches, i.Repo)
	}
	var rules []string
	for _, u := range r.Remember {
		rules = append(rules, u.String())
	}
	return request{
		CallID: r.Call.ID, Tool: r.Call.Name, Args: argsOf(r.Call.Args), Reason: r.Reason, Show: r.Show, Effect: string(i.Effect), CostUSD: i.CostUSD,
		Reaches: list(reaches), Secrets: list(i.Secrets), Public: i.Public, Deletes: i.Deletes, Recurring: i.Recurring, Object: i.Object, Remember: strings.Join(rules, "; "),
	}
}

// argsOf is what a model wrote: an object as it is, anything else as a text.
func argsOf(text string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) == nil && object != nil {
		return json.RawMessage(text)
	}
	return encode(text)
}

// entry is a session by itself.
type entry struct {
	summary
	State  *state          `json:"state"`
	Ended  string          `json:"ended"` // how the log ends, as the list's state says it
	Ask    json.RawMessage `json:"ask"`
	Queue  []string        `json:"queue"`
	Steers []string        `json:"steers"`
}

func (s *server) entryOf(sum session.Summary) entry {
	e := entry{summary: s.summaryOf(sum), Ended: sum.State, Ask: json.RawMessage("null"), Queue: []string{}, Steers: []string{}}
	r := s.look(sum.ID)
	if r == nil {
		return e
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != nil {
		e.State, e.Queue, e.Steers = stateOf(r.state), list(r.state.Queue), list(r.state.Steers)
	}
	if r.ask != nil {
		e.Ask = r.ask.data
	}
	return e
}
