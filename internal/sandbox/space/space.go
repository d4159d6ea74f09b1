// Package space makes sandboxes of Spaces of the Hub: a private Space of the
// account that runs this very program, with a secret that only this machine and
// the Space know.
//
// Its one rule: no sandbox is lost and nobody else's is touched. What is about
// to be made is written down first, under a name that follows from the call;
// what is deleted has such a name and says in a file of its own which call that
// was. It owns the records of a folder, and the Spaces that they name.
package space

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/remote"
)

// Spaces are the sandboxes of an account.
type Spaces struct {
	Hub     *hub.Client
	Dir     string                 // the records
	Program func() (string, error) // finds the file of this program for Linux
	Version string                 // of it

	Patience time.Duration // for a Space to run; 15 minutes if 0

	mu   sync.Mutex
	open map[string]*opened
}

// opened is a sandbox that this process has a connection to.
type opened struct {
	client *remote.Client
	seen   time.Time // when the Hub last said that it runs
}

// Spec says what to make.
type Spec struct {
	Label      string // session and call: one sandbox for each
	Hardware   string
	USDPerHour float64
	Limit      time.Duration // for so long it may be used
	Sleep      time.Duration // without use, until it sleeps
}

//go:embed files/Dockerfile
var dockerfile []byte

//go:embed files/README.md
var readme []byte

// markerFile says whose a sandbox is.
const markerFile = "ml-intern-sandbox.json"

// A marker is the content of that file.
type marker struct {
	Label    string    `json:"label"`
	Created  time.Time `json:"created"`
	Hardware string    `json:"hardware"`
	Version  string    `json:"version"`
}

func (r Record) repo() hub.RepoID {
	return hub.RepoID{Type: hub.Space, Namespace: r.Owner, Name: r.Name}
}

// Create makes the sandbox of a call, or finds it again, and returns when it
// answers. What fails is deleted again.
func (s *Spaces) Create(ctx context.Context, spec Spec, log func(string)) (Record, error) {
	r, known, err := s.begin(ctx, spec)
	if err != nil {
		return r, fmt.Errorf("create sandbox: %w", err)
	}
	if err := s.make(ctx, &r, known, log); err != nil {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return r, errors.Join(fmt.Errorf("create sandbox %s: %w", r.Name, err), s.Delete(detached, r.Name))
	}
	return r, nil
}

// begin writes down what is about to be made. Known is what was before.
func (s *Spaces) begin(ctx context.Context, spec Spec) (r Record, known bool, err error) {
	name := Name(spec.Label)
	r, err = s.Record(name)
	if err == nil && r.Gone.IsZero() {
		return r, true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, false, err
	}
	who, err := s.Hub.WhoAmI(ctx)
	if err != nil {
		return r, false, err
	}
	r = Record{
		Name: name, Owner: who.Name, Label: spec.Label, Hardware: spec.Hardware, USDPerHour: spec.USDPerHour,
		Limit: spec.Limit, Sleep: spec.Sleep, Secret: newSecret(), Created: time.Now().UTC(),
	}
	return r, false, s.keep(r)
}

// make does what is still to be done for a sandbox that is written down.
func (s *Spaces) make(ctx context.Context, r *Record, known bool, log func(string)) error {
	if _, err := s.Hub.Stat(ctx, r.repo(), "main", markerFile); !known || err != nil {
		if err := s.place(ctx, *r, log); err != nil {
			return err
		}
	}
	if err := s.wait(ctx, *r, log); err != nil {
		return err
	}
	client, err := s.connect(ctx, *r)
	if err != nil {
		return err
	}
	r.Instance = client.Instance()
	s.remember(r.Name, client)
	return s.keep(*r)
}

// place puts the Space there: first without anything that could be built, so
// that its secret is there before it starts.
func (s *Spaces) place(ctx context.Context, r Record, log func(string)) error {
	from, err := s.template(ctx, r.Owner, log)
	if err != nil {
		return err
	}
	sleep := r.Sleep
	if r.USDPerHour == 0 { // the Hub has its own for what is free
		sleep = 0
	}
	secrets := map[string]string{remote.SecretVariable: r.Secret}
	_, err = s.Hub.DuplicateRepo(ctx, from, r.repo(), hub.DuplicateOptions{
		Visibility: "private", Hardware: r.Hardware, Sleep: sleep, Secrets: secrets,
	})
	if errors.Is(err, hub.ErrConflict) { // the answer was lost, or the record: it is ours by its name
		err = s.Hub.SetSecret(ctx, r.repo(), hub.Setting{Key: remote.SecretVariable, Value: r.Secret})
	}
	if err != nil {
		return err
	}
	mark, err := json.Marshal(marker{r.Label, r.Created, r.Hardware, s.Version})
	if err != nil {
		return fmt.Errorf("encode its marker: %w", err)
	}
	_, err = s.Hub.Upload(ctx, r.repo(), hub.Commit{Message: "A sandbox of ml-intern", Files: []hub.File{
		{Path: "Dockerfile", Content: dockerfile}, {Path: "README.md", Content: readme}, {Path: markerFile, Content: mark},
	}})
	return err
}

// wait returns when the Space runs, and explains why it does not.
func (s *Spaces) wait(ctx context.Context, r Record, log func(string)) error {
	patience := s.Patience
	if patience == 0 {
		patience = 15 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it does not run after %s", patience))
	defer cancel()
	report := func(now hub.Runtime) { log(fmt.Sprintf("%s is %s", r.Name, now.Stage)) }
	_, err := s.Hub.WaitSpace(ctx, r.repo(), report)
	for range unseen { // the Hub may not see at once what it has made
		if !errors.Is(err, hub.ErrNotFound) {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
		_, err = s.Hub.WaitSpace(ctx, r.repo(), report)
	}
	if failed, ok := errors.AsType[*hub.SpaceError](err); ok {
		build := failed.Runtime.Stage == hub.BuildError || failed.Runtime.Stage == hub.ConfigError
		return fmt.Errorf("%w\n%s", err, s.logTail(ctx, r, build))
	}
	return err
}

const (
	unseen    = 30 // looks, a second apart
	tailLines = 15
	tailTime  = 5 * time.Second
)

// logTail is the end of a Space's log, which itself never ends.
func (s *Spaces) logTail(ctx context.Context, r Record, build bool) string {
	ctx, cancel := context.WithTimeout(ctx, tailTime)
	defer cancel()
	var lines []string
	for line, err := range s.Hub.SpaceLogs(ctx, r.repo(), build, hub.LogOptions{}) {
		if err != nil {
			break
		}
		text := strings.ReplaceAll(line.Text, r.Secret, "[the secret]")
		lines = append(lines, text[:min(len(text), 500)])
		lines = lines[max(0, len(lines)-tailLines):]
	}
	return strings.Join(lines, "\n")
}

// connect speaks to the program in the Space.
func (s *Spaces) connect(ctx context.Context, r Record) (*remote.Client, error) {
	info, err := s.Hub.RepoInfo(ctx, r.repo(), "")
	if err != nil {
		return nil, err
	}
	address, err := s.address(info)
	if err != nil {
		return nil, err
	}
	return remote.Connect(ctx, remote.Dialing{URL: address, Secret: r.Secret, Token: s.Hub.Token, Instance: r.Instance, Patience: 2 * time.Minute})
}

// address is where the Space answers. The account's token goes there, so it is
// a host of the Hub's, or there is none.
func (s *Spaces) address(info hub.Info) (string, error) {
	address := info.Host
	if address == "" && info.Subdomain != "" {
		address = "https://" + info.Subdomain + ".hf.space"
	}
	u, err := url.Parse(address)
	home, homeErr := url.Parse(s.Hub.RepoURL(hub.RepoID{Namespace: "x", Name: "y"}))
	if err == nil && homeErr == nil && (u.Scheme == "https" && strings.HasSuffix(u.Hostname(), ".hf.space") || u.Scheme == home.Scheme && u.Host == home.Host) {
		return address, nil
	}
	return "", fmt.Errorf("the Hub says that the Space is at %.100q, which is no host of Spaces", address)
}

func (s *Spaces) remember(name string, c *remote.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]*opened{}
	}
	s.open[name] = &opened{c, time.Now()}
}

func (s *Spaces) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[name]; o != nil {
		o.client.Close()
	}
	delete(s.open, name)
}

// ErrOver says that a sandbox is there no more.
var ErrOver = errors.New("this sandbox is gone; make another with sandbox_create")

// fresh is for how long a sandbox that ran is taken to run.
const fresh = 30 * time.Second

// A Sandbox is one to work in until its time is over.
type Sandbox struct {
	*remote.Client
	until time.Time
}

// Exec implements sandbox.Sandbox. A command ends with the sandbox's time, so
// that nothing costs more than was set aside.
func (s Sandbox) Exec(ctx context.Context, cmd sandbox.Command) (sandbox.Output, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, s.until, errTimeOver)
	defer cancel()
	return s.Client.Exec(ctx, cmd)
}

var errTimeOver = errors.New("the time of this sandbox is over, so the command was ended")

// Open returns a sandbox of a session to work in. One that sleeps is woken; one
// whose time is over is deleted.
func (s *Spaces) Open(ctx context.Context, session, name string) (Sandbox, error) {
	r, err := s.usable(ctx, session, name)
	if err != nil {
		return Sandbox{}, err
	}
	s.mu.Lock()
	o := s.open[name]
	s.mu.Unlock()
	if o != nil && time.Since(o.seen) < fresh {
		return Sandbox{o.client, r.end()}, nil
	}
	client, err := s.reopen(ctx, r, o)
	return Sandbox{client, r.end()}, err
}

// usable is what is known of a sandbox that the session may work in.
func (s *Spaces) usable(ctx context.Context, session, name string) (Record, error) {
	r, err := s.Record(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !r.Of(session):
		return r, fmt.Errorf("this session has no sandbox %.60q; sandbox_create makes one and says its name", name)
	case err != nil:
		return r, err
	case !r.Gone.IsZero():
		return r, ErrOver
	case time.Now().After(r.end()):
		return r, errors.Join(fmt.Errorf("its time of %s is over: %w", r.Limit, ErrOver), s.Delete(ctx, name))
	}
	return r, nil
}

func (s *Spaces) reopen(ctx context.Context, r Record, o *opened) (*remote.Client, error) {
	now, err := s.Hub.SpaceRuntime(ctx, r.repo())
	switch {
	case errors.Is(err, hub.ErrNotFound):
		return nil, errors.Join(fmt.Errorf("somebody deleted it: %w", ErrOver), s.gone(r))
	case err == nil && (now.Stage == hub.Sleeping || now.Stage == hub.Paused || now.Stage == hub.Stopped):
		_, err = s.Hub.RestartSpace(ctx, r.repo(), false)
	}
	if err != nil {
		return nil, err
	}
	if o != nil && now.Stage == hub.Running {
		s.remember(r.Name, o.client)
		return o.client, nil
	}
	if err := s.wait(ctx, r, func(string) {}); err != nil {
		return nil, err
	}
	s.forget(r.Name)
	client, err := s.connect(ctx, r)
	if errors.Is(err, remote.ErrRestarted) { // said once; who asks again means the new one
		r.Instance = ""
		return nil, errors.Join(err, s.keep(r))
	}
	if err != nil {
		return nil, err
	}
	s.remember(r.Name, client)
	r.Instance = client.Instance()
	return client, s.keep(r)
}

// Delete deletes a sandbox that is written down here, for good.
func (s *Spaces) Delete(ctx context.Context, name string) error {
	r, err := s.Record(name)
	if err != nil {
		return err
	}
	s.forget(name)
	if err := s.remove(ctx, r.repo()); err != nil {
		return fmt.Errorf("delete sandbox %s: %w; it may go on and cost money: ml-intern sandbox sweep", name, err)
	}
	return s.gone(r)
}

func (s *Spaces) gone(r Record) error {
	if r.Gone.IsZero() {
		r.Gone = time.Now().UTC()
	}
	r.Secret = ""
	return s.keep(r)
}

// remove deletes a Space; one that is not there is deleted.
func (s *Spaces) remove(ctx context.Context, repo hub.RepoID) (err error) {
	if !namePattern.MatchString(repo.Name) || repo.Type != hub.Space {
		return fmt.Errorf("%s is not named like a sandbox", repo)
	}
	for range 3 {
		if err = s.Hub.DeleteRepo(ctx, repo); err == nil || errors.Is(err, hub.ErrNotFound) {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
	return err
}
