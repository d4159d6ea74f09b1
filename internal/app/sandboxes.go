package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/sandbox/space"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// linuxProgram is this program for the machines of Spaces, where the one that
// runs is for others. It lies beside that one.
const linuxProgram = "ml-intern-linux-amd64"

// spaces are the sandboxes of the account on the chosen Hub, nil if there is
// none. Those of each Hub are written down apart.
func (a *App) spaces() *space.Spaces {
	client := a.payingHub((*login.Keyring).Local)
	if client == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(client.BaseURL))
	dir := filepath.Join(a.cfg.Paths.State, "sandboxes", hex.EncodeToString(sum[:6]))
	return &space.Spaces{Hub: client, Dir: dir, Program: sandboxProgram, Version: Version()}
}

func sandboxProgram() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(exe), linuxProgram)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return exe, nil
	}
	return "", fmt.Errorf("a Space needs this program for Linux: put it beside this one, as %s", beside)
}

// sandboxes are those of one session, as its tools see them.
type sandboxes struct {
	spaces  *space.Spaces
	session string
	prices  *prices
}

var _ tools.Sandboxes = sandboxes{}

// Price implements tools.Sandboxes.
func (s sandboxes) Price(hardware string) (float64, error) { return s.prices.of(hardware) }

// Create implements tools.Sandboxes.
func (s sandboxes) Create(ctx context.Context, o tools.SandboxOrder, log func(string)) (tools.NewSandbox, error) {
	r, err := s.spaces.Create(ctx, space.Spec{Label: o.Label, Hardware: o.Hardware, USDPerHour: o.USDPerHour, Limit: o.Limit, Sleep: o.Sleep}, log)
	if err != nil {
		if now, readErr := s.spaces.Record(r.Name); readErr != nil || !now.Gone.IsZero() {
			return tools.NewSandbox{}, err // nothing is left of it
		}
		return tools.NewSandbox{Name: r.Name}, err
	}
	box, err := s.spaces.Open(ctx, s.session, r.Name)
	if err != nil {
		return tools.NewSandbox{Name: r.Name}, err
	}
	dir, _ := box.Resolve(".")
	return tools.NewSandbox{Name: r.Name, Dir: dir}, nil
}

// Open implements tools.Sandboxes.
func (s sandboxes) Open(ctx context.Context, name string) (tools.Elsewhere, error) {
	return s.spaces.Open(ctx, s.session, name)
}

// Delete implements tools.Sandboxes.
func (s sandboxes) Delete(ctx context.Context, name string) (tool.Charge, error) {
	r, err := s.spaces.Record(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !r.Of(s.session) {
		return tool.Charge{}, fmt.Errorf("this session has no sandbox %.60q", name)
	}
	if err == nil && r.Gone.IsZero() {
		err = s.spaces.Delete(ctx, name)
	}
	if err == nil {
		r, err = s.spaces.Record(name)
	}
	if err != nil {
		return tool.Charge{}, err
	}
	return sandboxCharge(r), nil
}

// sandboxCharge is what a sandbox costs: if it is not over, at its worst.
func sandboxCharge(r space.Record) tool.Charge {
	now := time.Now()
	if r.Over(now) {
		return tool.Charge{Label: r.Label, Job: r.Name, USD: r.Cost(now), Final: true}
	}
	return tool.Charge{Label: r.Label, Job: r.Name, USD: r.Worst()}
}

// prices are what hardware for Spaces costs, minutes old at most.
type prices struct {
	ask func() ([]hub.Hardware, error)

	mu    sync.Mutex
	list  []hub.Hardware
	until time.Time
}

const priceAge = 5 * time.Minute

func (p *prices) of(hardware string) (float64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		list, err := p.ask()
		if err != nil {
			return 0, err
		}
		p.list, p.until = list, time.Now().Add(priceAge)
	}
	var names []string
	for _, h := range p.list {
		if h.Name == hardware {
			return hourly(h)
		}
		names = append(names, h.Name)
	}
	return 0, fmt.Errorf("the Hub has no hardware %.60q for Spaces: it has %s", hardware, strings.Join(names, ", "))
}

func hourly(h hub.Hardware) (float64, error) {
	per := map[string]float64{"minute": 60, "hour": 1, "second": 3600}[h.Unit]
	if h.CostMicroUSD < 0 || per == 0 && h.CostMicroUSD > 0 {
		return 0, fmt.Errorf("nobody knows what %s costs: the Hub says %d for each %q", h.Name, h.CostMicroUSD, h.Unit)
	}
	return float64(h.CostMicroUSD) / 1e6 * per, nil
}

// withSandboxes lets tools work in sandboxes on the Hub, where there is an
// account to have them on, and adds those that make and end them.
func (a *App) withSandboxes(ctx context.Context, id string, all []tool.Tool) []tool.Tool {
	spaces := a.spaces()
	if spaces == nil {
		return all
	}
	boxes := sandboxes{spaces, id, &prices{ask: func() ([]hub.Hardware, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quoteLimit)
		defer cancel()
		return spaces.Hub.SpaceHardware(ctx)
	}}}
	there := map[string]func(tools.Elsewhere) tool.Tool{
		"bash":  func(e tools.Elsewhere) tool.Tool { return tools.Bash(e, nil) },
		"read":  func(e tools.Elsewhere) tool.Tool { return tools.Read(e) },
		"write": func(e tools.Elsewhere) tool.Tool { return tools.Write(e) },
		"edit":  func(e tools.Elsewhere) tool.Tool { return tools.Edit(e) },
	}
	for i, t := range all {
		if make := there[t.Spec().Name]; make != nil {
			all[i] = tools.InSandboxes(t, boxes, make)
		}
	}
	return append(all, tools.SandboxCreate(boxes), tools.SandboxDelete(boxes))
}

// sandboxCharges says what became of the sandboxes that charges are open for,
// and leaves the other charges.
func (a *App) sandboxCharges(open []tool.Charge) (known, others []tool.Charge) {
	spaces := a.spaces()
	for _, c := range open {
		if spaces != nil {
			if r, err := spaces.Record(space.Name(c.Label)); err == nil && r.Label == c.Label {
				known = append(known, sandboxCharge(r))
				continue
			}
		}
		if !strings.HasPrefix(c.Job, space.Prefix) { // of another machine's, nothing is known
			others = append(others, c)
		}
	}
	return known, others
}

// End deletes the sandboxes of a session that has its answer, and books what
// they cost.
func (a *App) End(ctx context.Context, s *session.Session) error {
	spaces := a.spaces()
	if spaces == nil {
		return nil
	}
	records, err := spaces.Records(s.ID)
	errs := []error{err}
	var charges []tool.Charge
	for _, r := range records {
		if err := spaces.Delete(ctx, r.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		if r, err = spaces.Record(r.Name); err == nil && r.USDPerHour > 0 {
			charges = append(charges, sandboxCharge(r))
		}
	}
	if len(charges) > 0 {
		_, err := s.Record(ctx, session.Event{Charged: &session.Charged{Charges: charges}})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// RunningSandboxes are the names of a session's sandboxes that were not deleted.
func (a *App) RunningSandboxes(sessionID string) (names []string, err error) {
	spaces := a.spaces()
	if spaces == nil {
		return nil, nil
	}
	records, err := spaces.Records(sessionID)
	for _, r := range records {
		names = append(names, r.Name)
	}
	return names, err
}

// A Sandbox is one of the account's, as a front end shows it.
type Sandbox = space.Found

// ErrNoAccount says that there is no account on a Hub to have sandboxes on.
var ErrNoAccount = errors.New("there is no account on the Hub to have sandboxes on")

// Sandboxes lists the sandboxes of the account, those of other machines too.
func (a *App) Sandboxes(ctx context.Context) ([]Sandbox, error) {
	spaces := a.spaces()
	if spaces == nil {
		return nil, ErrNoAccount
	}
	return spaces.List(ctx)
}

// Sweep deletes a sandbox that Sandboxes has listed.
func (a *App) Sweep(ctx context.Context, name string) error {
	spaces := a.spaces()
	if spaces == nil {
		return ErrNoAccount
	}
	return spaces.Sweep(ctx, name)
}
