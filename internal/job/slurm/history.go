package slurm

import (
	"strconv"
	"strings"
	"time"
)

// A history is what a job's batch script has noted of its latest attempt.
type history struct {
	attempt int
	ref     string // of the Slurm job that runs it
	node    string
	start   time.Time // zero if it has not started
	end     time.Time // zero if it has not ended, or could not say so
	code    int
	earlier []time.Duration // that the attempts before it ran, at most
	how     string          // it ended: itself, asked, canceled, preempted or failed
	why     string
}

// final reports whether no attempt follows and Slurm has nothing to add.
func (h history) final() bool {
	switch h.how {
	case "canceled", "preempted", "failed":
		return true
	}
	return h.how == "itself" && h.code == 0
}

// parseHistories reads lines of ID/history:LINE, as grep shows files.
func parseHistories(out string) map[string]history {
	all := map[string]history{}
	for line := range strings.Lines(out) {
		id, note, ok := strings.Cut(line, "/"+historyFile+":")
		if ok && strings.HasSuffix(note, "\n") {
			h := all[id]
			h.note(strings.SplitN(strings.TrimSuffix(note, "\n"), " ", 6))
			all[id] = h
		}
	}
	return all
}

// note takes one line: start ATTEMPT TIME REF NODE, or end ATTEMPT TIME CODE
// HOW WHY. One that is not whole, as after a power cut, says nothing.
func (h *history) note(fields []string) {
	if len(fields) < 5 {
		return
	}
	attempt, err := strconv.Atoi(fields[1])
	if err != nil {
		return
	}
	at := parseSeconds(fields[2])
	switch fields[0] {
	case "start":
		earlier := h.earlier
		if !h.start.IsZero() {
			earlier = append(earlier, h.ran(at))
		}
		*h = history{attempt: attempt, ref: fields[3], node: fields[4], start: at, earlier: earlier}
	case "end":
		code, err := strconv.Atoi(fields[3])
		if err != nil {
			return
		}
		h.end, h.code, h.how, h.why = at, code, fields[4], ""
		if len(fields) > 5 {
			h.why = fields[5]
		}
	}
}

// ran is how long the attempt ran, which is over by that time.
func (h history) ran(by time.Time) time.Duration {
	if !h.end.IsZero() {
		by = h.end
	}
	return max(0, by.Sub(h.start))
}

// before is how many seconds the attempts before it ran: at their limit at
// most, for one that was killed with its node noted no end.
func (h history) before(limit time.Duration) float64 {
	total := 0.0
	for _, d := range h.earlier {
		total += min(d, limit).Seconds()
	}
	return total
}

// parseSeconds reads SECONDS.NANOSECONDS since 1970.
func parseSeconds(text string) time.Time {
	whole, part, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}
	}
	nanos, _ := strconv.ParseInt((part + "000000000")[:9], 10, 64) // as in "%N" where date does not know it
	return time.Unix(seconds, nanos).UTC()
}
