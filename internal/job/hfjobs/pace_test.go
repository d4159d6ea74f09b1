package hfjobs

import (
	"strconv"
	"testing"
	"time"
)

// Of many jobs the Hub is asked for each in turn, and never more often than its
// pace allows.
func TestGaugePace(t *testing.T) {
	t.Parallel()
	var g gauged
	asked := map[string]int{}
	all, now := 0, time.Unix(0, 0)
	for range 60 { // each minute somebody wants to know of all
		now = now.Add(time.Minute)
		for i := range 200 {
			if id := strconv.Itoa(i); g.may(id, now) {
				asked[id]++
				all++
			}
		}
	}
	if most := 200 + int(time.Hour/gaugePace); all > most || len(asked) != 200 {
		t.Errorf("in an hour %d jobs were asked for %d times, at most %d", len(asked), all, most)
	}
	for id, n := range asked {
		if n < 4 {
			t.Errorf("job %s was asked for %d times", id, n)
		}
	}
}
