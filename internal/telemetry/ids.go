package telemetry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// A traceID and a spanID are made of names, never by chance: a session that goes
// on in another process goes on in its trace, and what both have seen has one
// id.
type (
	traceID [16]byte
	spanID  [8]byte
)

func traceOf(session string) (id traceID) {
	sum := sha256.Sum256([]byte("trace\x00" + session))
	copy(id[:], sum[:])
	return id
}

func spanOf(session, kind, what string) (id spanID) {
	sum := sha256.Sum256([]byte(kind + "\x00" + session + "\x00" + what))
	copy(id[:], sum[:])
	return id
}

// callSpan is the span of the call for which the session of that id works, or
// would: see session.ChildID. So a sub-agent finds its parent by its own name.
func callSpan(child string) spanID { return spanOf(child, "call", "") }

func (id traceID) String() string { return hex.EncodeToString(id[:]) }

func (id spanID) String() string {
	if id == (spanID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// A parent is the span of another program that called this one.
type parent struct {
	trace   traceID
	span    spanID
	sampled bool
}

// parseParent reads a traceparent of W3C trace context.
func parseParent(text string) (p parent, ok bool) {
	parts := strings.Split(strings.ToLower(text), "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 {
		return p, false
	}
	var version, flags [1]byte
	for i, to := range [][]byte{version[:], p.trace[:], p.span[:], flags[:]} {
		if _, err := hex.Decode(to, []byte(parts[i])); err != nil {
			return p, false
		}
	}
	p.sampled = flags[0]&1 == 1
	return p, p.trace != traceID{} && p.span != spanID{}
}

// sends reports whether a trace is sent. Every process of a session says the
// same.
func (s sampler) sends(trace traceID, from *parent) bool {
	if from != nil && !s.alone {
		return from.sampled
	}
	return float64(binary.BigEndian.Uint64(trace[8:])>>1) < (1-s.less)*(1<<63)
}

// flags of a span, as the protocol has them: sampled, and that it is known
// whether its parent is in another program.
func flags(remote bool) uint32 {
	if remote {
		return 0x301
	}
	return 0x101
}

// Parent is the traceparent of who started this program, for a session that
// begins; "" for none. A nil Reader has none.
func (r *Reader) Parent() string {
	if r == nil {
		return ""
	}
	return r.opts.Parent
}
