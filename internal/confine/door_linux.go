package confine

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A key opens a door.
type key struct {
	Port   int
	Secret []byte
}

// A door is the listener of the proxy for a bare cell. It is on the machine's
// own loopback, which other users reach too, so who connects must say the secret
// first. Only the cell's process has it: commands do not.
type door struct {
	*net.TCPListener
	secret []byte
}

func newDoor() (*door, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, errors.Join(fmt.Errorf("make a secret: %w", err), l.Close())
	}
	return &door{l, secret}, nil
}

func (d *door) key() *key {
	k := &key{Secret: d.secret}
	if at, ok := d.Addr().(*net.TCPAddr); ok {
		k.Port = at.Port
	}
	return k
}

// Accept returns the next connection, which reads nothing before the secret.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &knock{TCPConn: conn, secret: d.secret}, nil
}

// A knock is a connection whose first bytes are to be the secret.
type knock struct {
	*net.TCPConn
	secret []byte
	mu     sync.Mutex
	open   bool
}

var errKnock = errors.New("a connection to the proxy is none of a command")

// Read reads what comes after the secret.
func (k *knock) Read(b []byte) (int, error) {
	if err := k.admit(); err != nil {
		return 0, err
	}
	return k.TCPConn.Read(b)
}

func (k *knock) admit() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open {
		return nil
	}
	said := make([]byte, len(k.secret))
	if _, err := io.ReadFull(k.TCPConn, said); err != nil {
		return errors.Join(err, k.Close())
	}
	if subtle.ConstantTimeCompare(said, k.secret) != 1 {
		return errors.Join(errKnock, k.Close())
	}
	k.open = true
	return nil
}
