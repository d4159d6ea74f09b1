package egress

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// A meteredBody counts a request's body and waits for its next piece, not for
// ever. A transport may read it after its request has ended.
type meteredBody struct {
	io.ReadCloser
	rc *http.ResponseController
	m  *meter
	mu sync.Mutex
	no bool // the request has ended
}

func (b *meteredBody) Read(p []byte) (int, error) {
	if err := b.patience(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.no {
		b.m.sent += int64(n)
	}
	if err != nil && !b.no { // the answer may take as long as it likes
		if e := unlessNone(b.rc.SetReadDeadline(time.Time{})); e != nil {
			return n, e
		}
	}
	return n, err
}

func (b *meteredBody) patience() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.no {
		return http.ErrBodyReadAfterClose
	}
	return unlessNone(b.rc.SetReadDeadline(time.Now().Add(idleTime)))
}

// unlessNone leaves out that a writer, of a test, has no deadlines.
func unlessNone(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// retire ends the counting: the connection is for the next request.
func (b *meteredBody) retire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.no = true
}
