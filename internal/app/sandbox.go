package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/remote"
)

// SandboxServing says which folder a sandbox opens, and where it listens.
type SandboxServing struct {
	Dir      string   // the workspace; made if it is not there
	Addr     string   // HOST:PORT; port 0 takes a free one
	AddrFile string   // the address is written here once the server listens; "" for nowhere
	Parent   bool     // it ends when the process that started it does
	Environ  []string // of this process: it holds the secret
}

// ServeSandbox opens a folder of this machine as a sandbox until ctx ends. It
// calls ready with its address once it listens.
func ServeSandbox(ctx context.Context, opts SandboxServing, ready func(addr string)) error {
	secret, env, err := remote.TakeSecret(opts.Environ)
	if err != nil {
		return err
	}
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return fmt.Errorf("find the workspace: %w", err)
	}
	box := sandbox.Local{Dir: opts.Dir, Env: sandbox.Environ(env)}
	server, err := remote.NewServer(remote.Options{Sandbox: box, Secret: secret, Version: Version()})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	defer server.Close()
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return fmt.Errorf("make the workspace: %w", err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", opts.Addr, err)
	}
	if opts.AddrFile != "" {
		if err := os.WriteFile(opts.AddrFile, []byte(ln.Addr().String()+"\n"), 0o644); err != nil {
			return errors.Join(fmt.Errorf("write address file: %w", err), ln.Close())
		}
	}
	front := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 64 << 10}
	if opts.Parent {
		var cancel context.CancelFunc
		ctx, cancel = withParent(ctx)
		defer cancel()
	}
	stop := context.AfterFunc(ctx, func() { _ = front.Close() }) // its clients come back to another one
	defer stop()
	ready(ln.Addr().String())
	if err := front.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// withParent ends with the process that started this one. The kernel's own way
// is lost when the program starts itself anew.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() { // ends with ctx
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel()
	}()
	return ctx, cancel
}
