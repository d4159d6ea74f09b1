package confine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// maxBridges is how many bridges a message to the outside has room for.
const maxBridges = 2

// A Way is the outside end of the way out of a program that will Become another.
type Way struct {
	// Inside is for the program: among its open files at the number that was
	// said. Close it once the program was started. May be nil.
	Inside *os.File

	wire wire
	door *door // without namespaces: the proxy's listener is on this side
	mu   sync.Mutex
	ends []net.Listener
	gone bool
	busy sync.WaitGroup
}

// Way opens a way out for a program that was not started, and whose rules are
// written after this: they say that it finds its end at that descriptor. With
// the network of the machine there is nothing to open.
func (r *Rules) Way(descriptor int, bridges ...int) (*Way, error) {
	r.Exit, r.Bridges = 0, nil
	if r.Network {
		return &Way{}, nil
	}
	slices.Sort(bridges)
	if bridges = slices.Compact(bridges); len(bridges) > maxBridges {
		return nil, fmt.Errorf("open a way out: %d bridges are too many", len(bridges))
	}
	here, there, err := wires()
	if err != nil {
		return nil, err
	}
	r.Exit, r.Bridges = descriptor, bridges
	w := &Way{Inside: there, wire: here}
	if r.Bare {
		if w.door, err = newDoor(); err == nil {
			err = here.send(w.door.key())
		}
		if err != nil {
			w.Close()
			return nil, fmt.Errorf("open a way out: %w", err)
		}
	}
	return w, nil
}

// Serve lets proxy serve the program as soon as it is behind its walls, and
// bridge each port that leads out. It returns at once; Close ends it.
func (w *Way) Serve(bridges []int, proxy func(net.Listener), bridge func(l net.Listener, port int)) {
	if w.wire.conn == nil {
		return
	}
	if w.door != nil { // whose bridges are the watcher's
		if w.add(w.door) {
			w.busy.Go(func() { proxy(w.door) })
		}
		return
	}
	slices.Sort(bridges)
	bridges = slices.Compact(bridges)
	w.busy.Go(func() {
		var r reply
		files, err := w.wire.receive(&r)
		if err != nil {
			return // it ended before, and its own error says why
		}
		for i, f := range files {
			l, err := net.FileListener(f)
			_ = f.Close() // l has a copy
			switch {
			case err != nil || !w.add(l):
			case i == 0:
				w.busy.Go(func() { proxy(l) })
			case i <= len(bridges):
				w.busy.Go(func() { bridge(l, bridges[i-1]) })
			}
		}
	})
}

// add keeps a listener to be closed.
func (w *Way) add(l net.Listener) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		_ = l.Close()
		return false
	}
	w.ends = append(w.ends, l)
	return true
}

// Close ends the way and waits for what serves it.
func (w *Way) Close() {
	if w.Inside != nil {
		_ = w.Inside.Close() // it may have been closed
	}
	if w.wire.conn != nil {
		_ = w.wire.conn.Close()
	}
	if w.door != nil {
		_ = w.door.Close() // it may have been closed
	}
	w.mu.Lock()
	w.gone = true
	for _, l := range w.ends {
		_ = l.Close()
	}
	w.mu.Unlock()
	w.busy.Wait()
}

// wayOut opens the way out of this process, and returns the proxy's address.
func (h *helper) wayOut(listeners []*os.File) (address string, err error) {
	exit := h.setup.Rules.Exit
	if !h.setup.Bare || exit <= 0 {
		return handOut(exit, listeners)
	}
	in, err := newWire(os.NewFile(uintptr(exit), "way"))
	if err != nil {
		return "", err
	}
	defer func() { _ = in.conn.Close() }() // all was said
	if _, err := in.receive(&h.setup.Door); err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", h.setup.Door.Port), nil
}

// handOut sends the listeners, the proxy's first, to who opened the way, and
// returns the proxy's address.
func handOut(descriptor int, listeners []*os.File) (address string, err error) {
	if descriptor <= 0 {
		return "", nil
	}
	out, err := newWire(os.NewFile(uintptr(descriptor), "way"))
	if err != nil {
		return "", err
	}
	defer func() { _ = out.conn.Close() }() // all was said
	if len(listeners) == 0 {
		return "", errors.New("there is no listener")
	}
	at, err := unix.Getsockname(int(listeners[0].Fd()))
	if err != nil {
		return "", fmt.Errorf("find the proxy's port: %w", err)
	}
	in, ok := at.(*unix.SockaddrInet4)
	if !ok {
		return "", errors.New("the proxy is on no port")
	}
	err = out.send(reply{}, listeners...)
	for _, f := range listeners {
		err = errors.Join(err, f.Close())
	}
	return fmt.Sprintf("127.0.0.1:%d", in.Port), err
}
