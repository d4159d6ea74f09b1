package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// helloBytes is the most that is read to find the name in a hello of TLS.
const helloBytes = 64 << 10

var (
	errHello = errors.New("what was sent is no TLS")
	errNamed = errors.New("found") // ends the handshake that only looks
)

// peekHello reads the hello of TLS from r. It returns the name that it asks
// for, "" for none, and every byte that was read, which belongs to the host.
// Crypto/tls reads it, which takes no hello that is not what it should be: with
// a name twice, say.
func peekHello(r io.Reader) (name string, read []byte, err error) {
	var seen bytes.Buffer
	found := false
	conn := tls.Server(peek{io.TeeReader(io.LimitReader(r, helloBytes), &seen)}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name, found = hello.ServerName, true
			return nil, errNamed
		},
	})
	if err := conn.Handshake(); !found { //nolint:noctx // r has a deadline
		return "", seen.Bytes(), errors.Join(errHello, err)
	}
	return name, seen.Bytes(), nil
}

// peek is a connection that is read and never written to.
type peek struct{ io.Reader }

func (peek) Write(p []byte) (int, error)      { return len(p), nil }
func (peek) Close() error                     { return nil }
func (peek) LocalAddr() net.Addr              { return nil }
func (peek) RemoteAddr() net.Addr             { return nil }
func (peek) SetDeadline(time.Time) error      { return nil }
func (peek) SetReadDeadline(time.Time) error  { return nil }
func (peek) SetWriteDeadline(time.Time) error { return nil }
