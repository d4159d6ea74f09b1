// Package web serves the sessions of one person to a browser and to programs on
// this machine, by HTTP. A session that is open is a chat.Chat: as the screen and
// the line mode do, this package shows what the chat tells and says to it what the
// person does. What was said and done is read from the store.
//
// Its one rule: nothing is decided here. The chat has the turns, the policy judges
// the calls, the ledger pays, the log is the record. A reader never slows a turn
// and never starts anything.
//
// A server owns rooms, one for each session that somebody reads or that is open; a
// room owns its chat and the readers' queues. The files in ui are what browsers get.
package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// DefaultAddr is where it listens.
const DefaultAddr = "127.0.0.1:7860"

// DefaultMaxSessions is how many sessions are open at once.
const DefaultMaxSessions = 64

// Options are what is served, and to whom.
type Options struct {
	Addr        string // HOST:PORT of this machine alone; port 0 takes a free one
	AddrFile    string // the address is written here once it listens; "" for nowhere
	NewKey      bool   // whoever has the key of before is signed out
	MaxSessions int
	IdleAfter   time.Duration                            // how long a session stays open that nobody uses; 10 minutes if 0
	TryAgain    time.Duration                            // when a session that another process has is tried again; a minute if 0
	Log         func(line string)                        // for whoever looks after the program
	For         func(dir string) (*config.Config, error) // the configuration for a workspace; that of this process's folder for ""
	Ready       func(url string)                         // is told the address with the key, for the person, once it listens
}

// Serve serves until ctx ends. Then turns are stopped, and the sessions are left to
// be gone on with.
func Serve(ctx context.Context, opts Options) error {
	if err := checkAddr(opts.Addr); err != nil {
		return err
	}
	cfg, err := opts.For("")
	if err != nil {
		return err
	}
	dir := filepath.Join(cfg.Paths.State, "serve")
	k, err := openKey(filepath.Join(dir, "key"), opts.NewKey)
	if err != nil {
		return err
	}
	library, err := app.New(ctx, cfg)
	if err != nil {
		return err
	}
	s := &server{Options: opts, ctx: ctx, home: cfg, key: k, library: library, rooms: make(map[string]*room), kept: filepath.Join(dir, "open"), reading: make(chan struct{}, maxReading)}
	err = s.listen()
	return errors.Join(err, library.Close())
}

// A server is one process that serves.
type server struct {
	Options
	ctx     context.Context //nolint:containedctx // of Serve, which makes it
	home    *config.Config  // of the folder in which it was started
	key     key
	library *app.App // reads the store; no session is open in it
	port    string
	kept    string          // the folder that says which sessions are open
	streams context.Context //nolint:containedctx // ends all streams
	reading chan struct{}   // held by streams that read the store
	models  modelList
	spent   costs

	work sync.WaitGroup // what follows chats, and what tends them

	mu      sync.Mutex // of what follows
	rooms   map[string]*room
	open    int // chats, those that are being opened among them
	readers int // streams
	closed  bool
}

// listen serves until the context ends.
func (s *server) listen() error {
	var lc net.ListenConfig
	ln, err := lc.Listen(s.ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; --addr 127.0.0.1:0 takes a free port", s.Addr, err)
	}
	at := ln.Addr().String()
	if _, s.port, err = net.SplitHostPort(at); err == nil && s.AddrFile != "" {
		err = os.WriteFile(s.AddrFile, []byte(at+"\n"), 0o644)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write address file: %w", err), ln.Close())
	}
	streams, endStreams := context.WithCancel(s.ctx)
	defer endStreams()
	s.streams = streams
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerTime, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: quietLog(s.Log),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(s.ctx, func() { stopped <- s.shut(server) })
	s.work.Go(s.tend)
	s.work.Go(s.takeUp)
	s.Ready(fmt.Sprintf("http://%s/#key=%s", at, s.key.text))
	err = server.Serve(ln)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		s.closeAll()
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// shut ends it: nothing new begins, turns are stopped, and who waits is answered.
func (s *server) shut(server *http.Server) error {
	s.closeAll()
	grace, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return server.Close() // who does not read is cut off
	}
	return nil
}

// Limits of those who ask.
const (
	headerTime = 10 * time.Second // for the header of a request
	bodyTime   = 30 * time.Second // for its body
	writeTime  = 30 * time.Second // for one write of an answer
	maxBody    = 2 << 20
	maxPrompt  = 1 << 20
	maxStreams = 256
)

// checkAddr refuses an address that others can reach.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil {
		return fmt.Errorf("%w: %q is not HOST:PORT", app.ErrUsage, addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s can be reached from other machines, and who has the key runs commands here as you: it listens on this machine alone. From another one: ssh -L 7860:127.0.0.1:7860 THIS_MACHINE, and open http://127.0.0.1:7860 there", app.ErrUsage, addr)
}
