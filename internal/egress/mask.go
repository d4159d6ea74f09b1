package egress

import (
	"bytes"
	"io"
)

// A mask is a reader in which stars stand for every byte of a secret. The
// length stays, so an answer stays as long as it said.
type mask struct {
	r      io.Reader
	secret []byte
	store  []byte
	buf    []byte // of store, read and looked through, except for its last bytes
	ready  int    // bytes of buf that can go
	err    error
}

// Read holds back no more than the beginning of a secret.
func (m *mask) Read(p []byte) (int, error) {
	for m.ready == 0 {
		if m.err != nil {
			return 0, m.err
		}
		m.fill(max(len(p), len(m.secret)))
	}
	n := copy(p, m.buf[:m.ready])
	m.buf, m.ready = m.buf[n:], m.ready-n
	return n, nil
}

// fill reads more, and finds how much of it can go.
func (m *mask) fill(size int) {
	if m.store == nil {
		m.store = make([]byte, 32<<10+len(m.secret))
	}
	held := copy(m.store, m.buf) // less than a secret
	n, err := m.r.Read(m.store[held:min(held+size, len(m.store))])
	m.buf, m.err = m.store[:held+n], err
	for from := 0; ; {
		i := bytes.Index(m.buf[from:], m.secret)
		if i < 0 {
			break
		}
		from += i
		for range m.secret {
			m.buf[from] = '*'
			from++
		}
	}
	m.ready = len(m.buf)
	if err == nil {
		m.ready -= beginning(m.buf, m.secret)
	}
}

// beginning is how many bytes at the end of buf may be a secret's first ones.
func beginning(buf, secret []byte) int {
	for n := min(len(buf), len(secret)-1); n > 0; n-- {
		if bytes.HasPrefix(secret, buf[len(buf)-n:]) {
			return n
		}
	}
	return 0
}

type maskedBody struct {
	mask
	io.Closer
}
