package egress_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/egress"
)

// A pipes listener accepts connections without a network, in a time that is
// not real.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

// A client that sends a byte now and then is not waited for, be it for a head or
// for the hello of TLS; nor is a tunnel in which nothing moves.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first string
		more  string
		most  time.Duration
	}{
		"head":  {"GET http://a.example/ HTTP/1.1\r\nX: ", "x", 20 * time.Second},
		"hello": {"CONNECT a.example:443 HTTP/1.1\r\n\r\n\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "x", 20 * time.Second},
		"idle":  {"", "", 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				p := &egress.Proxy{Allow: []string{"a.example"}, Dial: func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					t.Cleanup(func() { far.Close() })
					return near, nil
				}}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- p.Serve(ctx, l) }()
				conn := l.dial()
				began := time.Now()
				var writer sync.WaitGroup
				writer.Go(func() {
					_, err := io.WriteString(conn, c.first)
					for err == nil && c.more != "" {
						time.Sleep(3 * time.Second)
						_, err = io.WriteString(conn, c.more)
					}
				})
				_, _ = io.Copy(io.Discard, conn) // how it ends does not matter
				if d := time.Since(began); d > c.most {
					t.Errorf("held for %s", d)
				}
				conn.Close()
				writer.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
