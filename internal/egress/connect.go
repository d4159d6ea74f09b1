package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ml-intern/internal/fetch"
)

// connect makes a tunnel to a host. What goes through it is TLS for that host.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	t, err := parseTarget(r.RequestURI, 0)
	if err != nil {
		p.refuse(w, r, "", http.StatusBadRequest, "CONNECT takes HOST:PORT: "+err.Error())
		return
	}
	if !p.rules.allows(t) {
		p.refuse(w, r, t.String(), http.StatusForbidden, p.unreachable(t))
		return
	}
	far, err := p.reach(r.Context(), t)
	if err != nil {
		p.unreached(w, r, t, err)
		return
	}
	defer drop(far)
	near, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer drop(near)
	stop := context.AfterFunc(r.Context(), func() { drop(near, far) })
	defer stop()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	err = near.SetReadDeadline(time.Now().Add(headerTime))
	if err != nil {
		return
	}
	name, hello, err := peekHello(buf)
	if text := misnamed(t, name, err); text != "" {
		_, _ = near.Write([]byte{21, 3, 1, 0, 2, 2, 112}) // alert: unrecognized name; if it gets there
		p.remember(r.Method, t.String(), text)
		return
	}
	e := pipe(near, buf, far, hello)
	e.Method, e.Host, e.Verdict = r.Method, t.String(), Allowed
	p.log(e)
}

// misnamed says what is wrong with a hello for a target, "" if nothing. A name
// that is asked for in secret cannot be seen.
func misnamed(t target, name string, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("a tunnel to %s takes TLS only; send plain HTTP as requests with the whole address", t)
	case t.ip.IsValid() && name == "":
		return ""
	case name == "":
		return fmt.Sprintf("a tunnel to %s takes TLS that names its host (SNI); this named none", t)
	case !strings.EqualFold(name, t.host):
		return fmt.Sprintf("a tunnel to %s takes TLS for that host; this was for another one", t)
	}
	return ""
}

// unreached answers for an allowed host that was not reached.
func (p *Proxy) unreached(w http.ResponseWriter, r *http.Request, t target, err error) {
	if errors.Is(err, fetch.ErrPrivate) {
		p.refuse(w, r, t.String(), http.StatusForbidden, fmt.Sprintf("the sandbox may not reach %s: it leads to a private address", t))
		return
	}
	p.log(Event{Method: methodOf(r), Host: t.String(), Verdict: Failed})
	answer(w, r, http.StatusBadGateway, fmt.Sprintf("%s did not answer: %s", t, cause(err)))
}

// cause is the kind of a failure to connect, without addresses.
func cause(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "there is no such name, or no way to ask"
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, errCoded):
		return errCoded.Error()
	}
	return "no connection"
}

// pipe passes bytes both ways until both have ended, or nothing has moved for
// long. First has been read already.
func pipe(near net.Conn, in io.Reader, far net.Conn, first []byte) Event {
	var e Event
	var moved atomic.Int64 // when, in unix nanoseconds
	var both sync.WaitGroup
	both.Go(func() {
		n, err := far.Write(first)
		e.Sent = int64(n)
		if err == nil {
			e.Sent += move(far, near, in, &moved)
		}
	})
	both.Go(func() { e.Received = move(near, far, far, &moved) })
	both.Wait()
	return e
}

// move copies one direction, and ends it. When it fails both directions end.
// Silence ends it only if the other direction is silent as well.
func move(to, from net.Conn, in io.Reader, moved *atomic.Int64) (sum int64) {
	buf := make([]byte, 32<<10)
	for {
		_ = from.SetReadDeadline(time.Now().Add(idleTime)) // else the read fails too
		n, err := in.Read(buf)
		if n > 0 {
			moved.Store(time.Now().UnixNano())
			_ = to.SetWriteDeadline(time.Now().Add(idleTime)) // else the write fails too
			if _, werr := to.Write(buf[:n]); werr != nil {
				drop(from, to)
				return sum
			}
			sum += int64(n)
		}
		var timeout net.Error
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if closeWrite(to) != nil {
				drop(to)
			}
			return sum
		case errors.As(err, &timeout) && timeout.Timeout() && time.Since(time.Unix(0, moved.Load())) < idleTime:
		default:
			drop(from, to)
			return sum
		}
	}
}

// drop closes connections that nothing is expected of any more.
func drop(conns ...net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
