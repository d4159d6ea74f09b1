package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/config"
)

// fork copies a session, to the event at if there is one, and opens neither.
func (s *server) fork(w http.ResponseWriter, r *http.Request) error {
	in, err := read[struct {
		At int64 `json:"at"`
	}](w, r)
	if err != nil {
		return err
	}
	sum, err := s.ownSummary(r)
	if err != nil {
		return err
	}
	if in.At < 0 || in.At > sum.Events {
		return bad("at is the number of an event, 1 to %d, not %d", sum.Events, in.At)
	}
	id, err := s.library.Copy(r.Context(), sum.ID, in.At)
	if err != nil {
		return err
	}
	write(w, http.StatusCreated, map[string]string{"id": id})
	return nil
}

// remove removes a session for good, unless something is at work in it.
func (s *server) remove(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	sum, err := s.ownSummary(r)
	if err != nil {
		return err
	}
	at := s.enter(sum.ID)
	defer s.leave(at)
	at.life.Lock()
	defer at.life.Unlock()
	if at.working() {
		return conflict("session %s is at work, or waits: stop it first", sum.ID)
	}
	s.close(at, false)
	if _, err := s.library.Delete(r.Context(), sum.ID); err != nil {
		return err
	}
	s.forget(sum.ID)
	at.tell(thing{kind: goneKind})
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// working reports whether something in the session would be lost if it were closed.
func (r *room) working() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chat != nil && (r.users > 0 || r.chat.Busy() || r.state != nil && (r.state.Phase != chat.Idle || len(r.state.Queue) > 0))
}

// exportTime is how long an export may take to be read.
const exportTime = 5 * time.Minute

// export sends a session as a file, which no browser shows in this server's name.
func (s *server) export(w http.ResponseWriter, r *http.Request) error {
	kinds := map[string]string{"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8", "jsonl": "application/x-ndjson"}
	format := r.URL.Query().Get("format")
	if format == "" {
		format = "md"
	}
	if kinds[format] == "" {
		words := []string{"md", "html", "jsonl"}
		return bad("there is no format %.60q here%s; the formats are %s", format, config.DidYouMean(config.Nearest(format, words)), strings.Join(words, ", "))
	}
	sum, err := s.summary(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := s.library.Export(r.Context(), &out, sum.ID, format); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", kinds[format])
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="session-%s.%s"`, sum.ID, app.Extension(format)))
	h.Set("Content-Security-Policy", "sandbox; "+policy)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportTime))
	_, _ = w.Write(out.Bytes()) // who is gone asks again
	return nil
}

// maxPoints is how many points of a metric are told.
const maxPoints = 120

// jobs are the jobs of a session that is open here, as the terminal's panel has
// them.
func (s *server) jobs(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := s.exists(r, id); err != nil {
		return err
	}
	out := struct {
		Jobs  []jobView `json:"jobs"`
		Error string    `json:"error,omitempty"` // of backends that could not be asked
	}{Jobs: []jobView{}}
	if s.isOpen(id) {
		err := s.lend(id, false, func(_ *room, c *chat.Chat) error {
			views, err := c.Jobs()
			for _, v := range views {
				out.Jobs = append(out.Jobs, jobOf(v))
			}
			return err
		})
		if err != nil && len(out.Jobs) == 0 {
			return unready(err)
		}
		if err != nil {
			out.Error = err.Error()
		}
	}
	write(w, http.StatusOK, out)
	return nil
}

// A jobView is a job as a page shows it.
type jobView struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Backend  string      `json:"backend"`
	State    string      `json:"state"`
	Done     bool        `json:"done"`
	Mine     bool        `json:"mine"`   // this session began it
	Reason   string      `json:"reason"` // why it did not succeed
	Started  time.Time   `json:"started"`
	ElapsedS float64     `json:"elapsed_s"`
	CostUSD  float64     `json:"cost_usd"`
	WorstUSD float64     `json:"worst_usd"`
	Progress string      `json:"progress"` // how far it is, in words
	URL      string      `json:"url"`
	Metrics  []jobMetric `json:"metrics"`
}

type jobMetric struct {
	Name   string    `json:"name"`
	Last   *number   `json:"last"`
	Points []*number `json:"points"`
}

func jobOf(v app.JobView) jobView {
	out := jobView{
		ID: v.ID, Name: v.Name, Backend: v.Backend, State: v.State, Done: v.Done, Mine: v.Mine, Reason: v.Reason, Started: v.Submitted,
		ElapsedS: v.Seconds, CostUSD: v.USD, WorstUSD: v.WorstUSD, Progress: v.Progress, URL: v.URL, Metrics: []jobMetric{},
	}
	for _, m := range v.Series {
		metric := jobMetric{Name: m.Name, Last: numberOf(m.Last), Points: []*number{}}
		n := min(len(m.Values), maxPoints)
		for i := range n {
			metric.Points = append(metric.Points, numberOf(m.Values[i*(len(m.Values)-1)/max(n-1, 1)]))
		}
		out.Metrics = append(out.Metrics, metric)
	}
	return out
}

// A number is one that JSON has.
type number float64

// numberOf is null for what JSON has no number for.
func numberOf(f float64) *number {
	if f != f || f-f != 0 { // NaN, infinite
		return nil
	}
	n := number(f)
	return &n
}

// maxAgentEvents is how many events of a sub-agent one answer has.
const maxAgentEvents = 1000

// agentEvents are what the sub-agent of a call said and did.
func (s *server) agentEvents(w http.ResponseWriter, r *http.Request) error {
	id, call := r.PathValue("id"), r.PathValue("call_id")
	after, err := afterOf(r)
	if err != nil {
		return err
	}
	if err := s.exists(r, id); err != nil {
		return err
	}
	events, err := s.library.SubAgent(r.Context(), id, call, after, maxAgentEvents)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, list(events))
	return nil
}
