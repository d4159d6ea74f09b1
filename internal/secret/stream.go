package secret

// A Stream takes secrets out of a text that comes in pieces. It holds back what
// may be the beginning of a secret, and nothing else.
type Stream struct {
	r    *Redactor
	text string // what came, from a little before what has not gone yet
	gone int    // bytes of text that have gone

	found bool
}

// Stream returns a stream of its own.
func (r *Redactor) Stream() *Stream { return &Stream{r: r} }

// Next takes a piece and returns what can go.
func (s *Stream) Next(piece string) string {
	s.text += piece
	return s.pass(len(s.text)-s.gone > pemMost+sight)
}

// End returns what was held back. The stream then begins anew.
func (s *Stream) End() string {
	out := s.pass(true)
	s.text, s.gone = "", 0
	return out
}

// Found reports whether a secret was taken out since it was asked for the last
// time.
func (s *Stream) Found() bool {
	found := s.found
	s.found = false
	return found
}

// Held reports whether something is held back.
func (s *Stream) Held() bool { return s.gone < len(s.text) }

func (s *Stream) pass(final bool) string {
	spans, hold := s.r.scan(s.text, s.gone, final)
	for _, sp := range spans { // one that goes on behind the place is held whole
		if sp.begin < hold && sp.end > hold {
			hold = sp.begin
		}
	}
	if final {
		hold = len(s.text)
	}
	s.found = s.found || len(spans) > 0 && spans[0].begin < hold
	out := cut(s.text, s.gone, hold, spans, Redacted)
	start := max(0, hold-sight)
	s.text, s.gone = s.text[start:], hold-start
	return out
}
