package egress

import (
	"context"
	"net"
	"sync"

	"golang.org/x/net/netutil"
)

// Bridge connects whoever comes to the listener with the one address, until the
// listener is closed or ctx ends, and waits for all of them: it is for a server of
// this machine that a person has chosen, and looks at nothing.
func Bridge(ctx context.Context, l net.Listener, address string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // Accept says it
	defer stop()
	l = netutil.LimitListener(l, connections)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			defer drop(near)
			far, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", address)
			if err != nil {
				return // nobody is there
			}
			defer drop(far)
			end := context.AfterFunc(ctx, func() { drop(near, far) })
			defer end()
			pipe(near, near, far, nil)
		})
	}
}
