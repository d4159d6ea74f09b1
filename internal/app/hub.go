package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/durable"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/cache"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/llm/catalog"
)

// LocalHub names the embedded Hub in the configuration.
const LocalHub = "local"

// DefaultHubAddr is where the embedded Hub listens when the port is free, so
// that a URL that was printed yesterday opens today with `ml-intern hub serve`.
const DefaultHubAddr = "127.0.0.1:8471"

// BuiltinModel is the id of the rule-based model that needs no key.
const BuiltinModel = catalog.Builtin

const publicHub = "https://huggingface.co"

func hubDir(cfg *config.Config) string { return filepath.Join(cfg.Paths.Data, "hub") }

// hubChoice is the configured Hub; without one it is the Hub that the person
// has an account on, and the embedded one for those who have none.
func (a *App) hubChoice() string {
	switch {
	case a.cfg.Hub != "":
		return a.cfg.Hub
	case a.cfg.Getenv("HF_ENDPOINT") != "":
		return a.cfg.Getenv("HF_ENDPOINT")
	case a.cfg.Getenv("HF_OIDC_RESOURCE") != "" || keyring(a.cfg, publicHub).Local() != "":
		return publicHub
	}
	return LocalHub
}

// hubClient is the client of the chosen Hub. The embedded one starts when it
// is first needed.
func (a *App) hubClient(ctx context.Context) (*hub.Client, error) {
	return a.clientOf(ctx, a.hubChoice())
}

// clientOf is the client of a Hub.
func (a *App) clientOf(ctx context.Context, choice string) (*hub.Client, error) {
	if choice != LocalHub && offline(a.cfg) {
		return nil, errOffline
	}
	if choice != LocalHub {
		token, err := a.keyring(choice).Token(ctx)
		if err != nil {
			return nil, err
		}
		viewer, _ := a.cfg.Service("datasets_server")
		client := &hub.Client{BaseURL: choice, Token: token, ViewerURL: viewer}
		client.Who = func(ctx context.Context) (hub.Account, error) {
			answer, err := login.Cache{Dir: accounts(a.cfg).Dir, Patient: true}.WhoAmI(ctx, client)
			return answer.Account, err
		}
		return client, nil
	}
	url, err := a.hub.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the local Hub: %w", err)
	}
	return &hub.Client{BaseURL: url, Token: a.hub.key}, nil
}

// shared is the cache of downloads that Python programs share. Offline it asks
// nobody.
func (a *App) shared(ctx context.Context) (*cache.Cache, error) {
	a.downloaded.Store(true)
	client, err := a.hubClient(ctx)
	if errors.Is(err, errOffline) {
		client, err = &hub.Client{}, nil
	}
	return cache.FromEnv(a.cfg.Getenv, client), err
}

// hubKey is the token of the embedded Hubs of this person's runs, which is made
// when it is first asked for. Jobs outlive a run, so that it stays the same.
func hubKey(cfg *config.Config) (string, error) {
	file := filepath.Join(cfg.Paths.State, "hub-key")
	for range 2 {
		data, err := os.ReadFile(file)
		if key := strings.TrimSpace(string(data)); err == nil && key != "" {
			return key, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read the embedded Hub's token: %w", err)
		}
		fresh := file + "-" + rand.Text()
		err = os.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = durable.Replace(fresh, []byte("hf_"+rand.Text()+"\n"))
		}
		if err != nil {
			return "", fmt.Errorf("make the embedded Hub's token: %w", err)
		}
		err = os.Link(fresh, file) // of two runs that make one, the first one's counts
		if err = errors.Join(ignoring(err, fs.ErrExist), os.Remove(fresh)); err != nil {
			return "", fmt.Errorf("make the embedded Hub's token: %w", err)
		}
	}
	return "", fmt.Errorf("make the embedded Hub's token: %s is empty", file)
}

func ignoring(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}

// A localHub is the embedded Hub of this process. Other users of the machine reach
// it too, so it takes a token.
type localHub struct {
	cfg    *config.Config
	dir    string
	jobs   hubserver.Jobs
	serves func(net.Addr) // is told where; may be nil

	mu     sync.Mutex
	url    string
	key    string // its token
	server *http.Server
	store  *hubserver.Server
	done   chan error
	closed bool // it starts no more
}

func (l *localHub) start(ctx context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.url != "" {
		return l.url, nil
	}
	if l.closed {
		return "", errors.New("the program ends")
	}
	key, err := hubKey(l.cfg)
	if err != nil {
		return "", err
	}
	store, err := hubserver.Open(hubserver.Options{
		Dir: l.dir, Jobs: l.jobs, Auth: true, Tokens: map[string]hubserver.Account{key: {Name: "me", All: true}},
	})
	if err != nil {
		return "", err
	}
	l.key = key
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", DefaultHubAddr)
	if err != nil { // taken, by `ml-intern hub serve` perhaps: the folder can be shared
		ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	l.store, l.done = store, make(chan error, 1)
	l.server = &http.Server{Handler: store, ReadHeaderTimeout: 10 * time.Second}
	go func() { l.done <- l.server.Serve(ln) }() // Close waits for it
	l.url = "http://" + ln.Addr().String()
	if l.serves != nil {
		l.serves(ln.Addr())
	}
	return l.url, nil
}

// Close stops the server, if it runs.
func (l *localHub) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.server == nil {
		return nil
	}
	err := l.server.Close()
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	l.url, l.server = "", nil
	return errors.Join(err, l.store.Close())
}
