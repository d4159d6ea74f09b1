package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// deadlined is a recorder that takes deadlines, as connections do.
type deadlined struct{ *httptest.ResponseRecorder }

func (deadlined) SetWriteDeadline(time.Time) error { return nil }

// Whatever is in a reader's queue and in the store, each saved event is told once
// and in order, and a piece of a reply only before that reply.
func TestStreamTellsOnce(t *testing.T) {
	t.Parallel()
	event := func(n int64) session.Event {
		return session.Event{Seq: n, Renamed: &session.Renamed{Title: fmt.Sprint(n)}}
	}
	saved := func(n int64) thing { return thing{kind: "event", seq: n, data: encode(event(n))} }
	piece := func(at int64) thing {
		ev := session.Event{Chunk: &llm.Chunk{Text: "piece"}}
		return thing{kind: "event", live: true, at: at, data: encode(ev)}
	}
	for name, c := range map[string]struct {
		after, stored int64 // what the reader has, what the store has at first
		queue         []thing
		later         int64 // what the store has when the queue is told
		want          string
	}{
		"all new":           {0, 2, []thing{piece(2), saved(3), saved(4)}, 4, "1 2 piece 3 4"},
		"twice":             {0, 4, []thing{saved(2), saved(3), saved(4), saved(5)}, 5, "1 2 3 4 5"},
		"a gap":             {0, 2, []thing{saved(6), saved(7)}, 7, "1 2 3 4 5 6 7"},
		"opened meanwhile":  {0, 2, []thing{{seq: 5}, saved(6)}, 6, "1 2 3 4 5 6"},
		"of a reply before": {0, 4, []thing{piece(2), piece(3), saved(4), piece(4)}, 4, "1 2 3 4 piece"},
		"comes back":        {3, 5, []thing{saved(5), saved(6)}, 6, "4 5 6"},
		"many":              {0, 3 * page, nil, 3 * page, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			has := c.stored
			w := deadlined{httptest.NewRecorder()}
			st := &stream{w: w, c: http.NewResponseController(w), last: c.after}
			st.load = func(after int64) (all []session.Event, err error) {
				for n := after + 1; n <= has && len(all) < page; n++ {
					all = append(all, event(n))
				}
				return all, nil
			}
			if err := st.history(); err != nil {
				t.Fatal(err)
			}
			has = c.later
			if err := st.tell(c.queue); err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for m := range strings.SplitSeq(strings.TrimSpace(w.Body.String()), "\n\n") {
				id, ok := strings.CutPrefix(m, "id: ")
				if id, _, _ = strings.Cut(id, "\n"); !ok {
					id = "piece"
				}
				got = append(got, id)
			}
			if want = strings.Fields(c.want); len(want) == 0 {
				for n := range c.stored {
					want = append(want, fmt.Sprint(n+1))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("told are %v, not %v", got, want)
			}
		})
	}
}
