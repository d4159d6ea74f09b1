package hub

import (
	"hash"
	"io"
	"sync"
)

// Progress hears how many bytes of a file have been transferred; size is -1 if
// it is not known. Several goroutines call it at once, often: it must be quick.
type Progress func(path string, done, size int64)

func (p Progress) tell(path string, done, size int64) {
	if p != nil {
		p(path, done, size)
	}
}

const (
	pumpBuffer  = 256 << 10
	pumpBuffers = 4
)

// pump reads r to its end in pieces, and gives each to use and to h, which may
// be nil. Size is how much is expected, below 0 if that is not known. Where it
// is worth it the hash is computed beside the rest: on most machines that is
// what takes longest.
func pump(r io.Reader, h hash.Hash, size int64, use func([]byte) error) error {
	if h == nil || size >= 0 && size <= pumpBuffer {
		return pumpInTurn(r, h, size, use)
	}
	free := make(chan []byte, pumpBuffers)
	for range pumpBuffers {
		free <- make([]byte, pumpBuffer)
	}
	full := make(chan []byte, pumpBuffers)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(full)
	wg.Go(func() {
		for p := range full {
			h.Write(p)
			free <- p[:pumpBuffer]
		}
	})
	for {
		p := <-free
		n, err := r.Read(p)
		if n > 0 {
			if err := use(p[:n]); err != nil {
				return err
			}
			full <- p[:n]
		} else {
			free <- p
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

func pumpInTurn(r io.Reader, h hash.Hash, size int64, use func([]byte) error) error {
	room := int64(pumpBuffer)
	if size >= 0 {
		room = min(size+1, room) // one more, to see the end
	}
	p := make([]byte, room)
	for {
		n, err := r.Read(p)
		if n > 0 {
			if err := use(p[:n]); err != nil {
				return err
			}
			if h != nil {
				h.Write(p[:n])
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}
