package web

import (
	"time"

	"ml-intern/internal/session"
)

// joinTime is how long pieces of a reply are kept, to be told as one.
const joinTime = 30 * time.Millisecond

// maxLines is how many lines that a tool prints are told at once. Those before are
// left out: the result has them.
const maxLines = 50

// joined keeps the pieces of a reply and the lines of tools that follow each other
// closely. The first of them is told at once. It belongs to one goroutine.
type joined struct {
	kept  []session.Event
	told  time.Time
	timer <-chan time.Time
}

// take keeps a piece; not ok if it is something else.
func (j *joined) take(ev session.Event) (ok bool) {
	switch c := ev.Chunk; {
	case ev.Log != nil:
		if len(j.kept) >= maxLines && j.kept[0].Log != nil {
			j.kept = append(j.kept[:0], j.kept[1:]...)
		}
		j.kept = append(j.kept, ev)
	case c == nil || c.Call != nil || c.End != nil || c.Proof != nil || c.Restart || c.Notice != "":
		return false
	default:
		j.join(ev)
	}
	if j.timer == nil {
		j.timer = time.After(time.Until(j.told.Add(joinTime)))
	}
	return true
}

// join adds a piece of a reply to the one before it, if both are of one kind.
func (j *joined) join(ev session.Event) {
	if n := len(j.kept); n > 0 {
		if last := j.kept[n-1].Chunk; last != nil && (last.Text != "") == (ev.Chunk.Text != "") && (last.Reasoning != "") == (ev.Chunk.Reasoning != "") {
			last.Text += ev.Chunk.Text
			last.Reasoning += ev.Chunk.Reasoning
			return
		}
	}
	c := *ev.Chunk
	ev.Chunk = &c
	j.kept = append(j.kept, ev)
}

// idle reports whether nothing was told for a while: what is kept can go at once.
func (j *joined) idle() bool { return time.Since(j.told) >= joinTime }

// due is when what is kept is to be told; never if there is nothing.
func (j *joined) due() <-chan time.Time { return j.timer }

// all takes what is kept.
func (j *joined) all() []session.Event {
	kept := j.kept
	j.kept, j.timer = nil, nil
	if len(kept) > 0 {
		j.told = time.Now()
	}
	return kept
}
