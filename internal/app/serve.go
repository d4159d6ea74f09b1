package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubserver/users"
)

// ServeOptions say where the Hub server keeps its files and listens.
type ServeOptions struct {
	Dir      string // the embedded Hub's folder if ""
	Addr     string // HOST:PORT; port 0 takes a free one
	AddrFile string // the address is written here once the server listens; "" for nowhere
	Auth     bool   // a token is needed
	Token    string // with Auth, a token of the user me, beside those of the folder's users.yaml
	Router   string // the endpoint of a model that /v1 leads to; the first local server that is configured if ""
	RunJobs  bool   // the Jobs API starts programs on this machine
	Spaces   bool   // so do the Spaces that are sandboxes
	PartSize int64  // larger files come in parts if the client can; the server's own if 0
}

// ServeHub runs the Hub server until ctx ends. It calls ready with its URL
// once it listens.
func ServeHub(ctx context.Context, cfg *config.Config, opts ServeOptions, ready func(url string)) error {
	if opts.Dir == "" {
		opts.Dir = hubDir(cfg)
	}
	if err := checkExposure(opts); err != nil {
		return err
	}
	router, key, err := hubRouter(cfg, opts.Router)
	if err != nil {
		return err
	}
	granted := &openings{}
	here, err := localJobs(cfg, granted)
	if err != nil {
		return err
	}
	spaces, stopSpaces := runSpaces(cfg, opts.Spaces)
	defer stopSpaces()
	store, err := hubserver.Open(hubserver.Options{
		Dir: opts.Dir, Auth: opts.Auth, Tokens: opts.tokens(), PartSize: opts.PartSize, Jobs: hubJobsOf(cfg, here), RunJobs: opts.RunJobs, Spaces: spaces, Router: router, RouterKey: key,
	})
	if err != nil {
		return fmt.Errorf("open hub folder: %w", err)
	}
	defer store.Close()
	tending, stopTending := context.WithCancel(ctx)
	var tender sync.WaitGroup
	tender.Go(func() { store.Tend(tending) })
	defer tender.Wait()
	defer stopTending()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", opts.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", opts.Addr, err)
	}
	granted.serves(ln.Addr())
	if opts.AddrFile != "" {
		if err := os.WriteFile(opts.AddrFile, []byte(ln.Addr().String()+"\n"), 0o644); err != nil {
			return errors.Join(fmt.Errorf("write address file: %w", err), ln.Close())
		}
	}
	server := &http.Server{Handler: store, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 64 << 10}
	server.RegisterOnShutdown(store.EndStreams)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	ready("http://" + ln.Addr().String())
	err = server.Serve(ln)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// checkExposure refuses an address that others can reach without a token.
func checkExposure(opts ServeOptions) error {
	host, port, err := net.SplitHostPort(opts.Addr)
	if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil {
		return fmt.Errorf("%w: %q is not HOST:PORT", ErrUsage, opts.Addr)
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	if !loopback && !opts.Auth {
		return fmt.Errorf("%w: %s can be reached from outside this machine; that needs --auth, and users: ml-intern hub user add NAME", ErrUsage, opts.Addr)
	}
	if !opts.Auth || opts.Token != "" {
		return nil
	}
	list, err := users.Open(opts.Dir).Users()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if len(list) == 0 {
		return fmt.Errorf("%w: --auth needs users: ml-intern hub user add NAME, or a token in the variable HF_TOKEN", ErrUsage)
	}
	return nil
}

// AddHubUser adds a user to the Hub of a folder and returns the new token.
func AddHubUser(cfg *config.Config, dir, name string, orgs []string, readOnly bool) (string, error) {
	if dir == "" {
		dir = hubDir(cfg)
	}
	u := users.User{Name: name, Orgs: orgs, Role: "write"}
	if readOnly {
		u.Role = "read"
	}
	token, err := users.Add(dir, u)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return token, nil
}

// tokens is whose token is taken beside those of the folder's users.
func (o ServeOptions) tokens() map[string]hubserver.Account {
	if !o.Auth || o.Token == "" {
		return nil
	}
	return map[string]hubserver.Account{o.Token: {Name: "me"}}
}
