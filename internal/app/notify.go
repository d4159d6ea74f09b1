package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/fetch"
	"ml-intern/internal/notify"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// How long the end of a session waits for what is still to be told: shorter when
// a person waits for the end.
const (
	lastWords    = 10 * time.Second
	hastyWords   = 3 * time.Second // in a chat
	stoppedWords = time.Second     // when it was stopped
)

// destinations are those of the configuration, by name. What a terminal is to be
// sent is shown, if there is one.
func destinations(cfg *config.Config, show func(sequence string)) []notify.Destination {
	from := cfg.NotifyDestinations()
	var all []notify.Destination
	for _, name := range slices.Sorted(maps.Keys(from)) {
		d := from[name]
		to := notify.Destination{Name: name, Type: d.Type, Events: d.Events, Agent: d.Agent}
		switch d.Type {
		case "desktop":
			to.Where, to.Live = "this terminal", true
			desktop := notify.Desktop{}
			if show != nil {
				desktop.Show = func(title, text string) { show(notify.TerminalSequence(d.Sequence, title, text, cfg.Getenv)) }
			}
			to.To = desktop
		case "slack":
			address, _ := cfg.Service("slack")
			to.Where = "channel " + d.Channel
			to.To = notify.Slack{URL: address, Token: d.Token, Channel: d.Channel, Username: d.Username, Icon: d.Icon, Via: ownRoad()}
		case "webhook":
			u, err := url.Parse(d.URL)
			if err != nil {
				continue // the configuration has none such
			}
			to.Where = u.Scheme + "://" + u.Host
			to.To = notify.Webhook{URL: d.URL, Secret: d.Secret, Via: webhookRoad(cfg, d, u)}
		case "email":
			to.Where = strings.Join(d.To, ", ") + " by " + d.Host
			to.To = notify.Email{Host: d.Host, Port: d.Port, Security: d.Security, User: d.Username, Password: d.Password, From: d.From, To: d.To}
		}
		all = append(all, to)
	}
	return all
}

// ownRoad keeps no connection: messages are rare, and nobody closes the sender.
func ownRoad() *http.Transport {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10}
}

// webhookRoad reaches the host that the person wrote. An address that they wrote
// may be private, and so may a name of which they say so; what another name
// resolves to may not, for that is for others to say. A proxy of the person's own
// resolves names itself.
func webhookRoad(cfg *config.Config, d config.NotifyDestination, u *url.URL) http.RoundTripper {
	road := ownRoad()
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		return road
	}
	private, host := slices.Clone(cfg.Services.Private), strings.ToLower(u.Hostname())
	_, err := netip.ParseAddr(host)
	if d.Private || err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		private = append(private, host)
	}
	road.Proxy, road.DialContext = nil, fetch.PublicDialer(private...)
	return publicRoad{road}
}

// A publicRoad says what to do about a host that turned out to be private.
type publicRoad struct{ http.RoundTripper }

func (r publicRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if errors.Is(err, fetch.ErrPrivate) {
		return nil, &notify.Failure{Text: fmt.Sprintf("%v; if it is meant, say private: true in its configuration", err)}
	}
	return resp, err
}

// A bell is the person's terminal, once there is one.
type bell struct {
	mu   sync.Mutex
	ring func(sequence string)
}

func (b *bell) show(sequence string) {
	b.mu.Lock()
	ring := b.ring
	b.mu.Unlock()
	if ring != nil {
		ring(sequence)
	}
}

// A herald is who tells others of one session.
type herald struct {
	*notify.Follower // nil if nobody is told
	bell
	hasty bool // a person waits for the end
}

// heralds are those of the sessions, by id.
type heralds struct {
	mu  sync.Mutex
	all map[string]*herald
}

// herald is that of a session. Where tools answer from a recording nobody is told.
func (a *App) herald(id string) *herald {
	a.heralds.mu.Lock()
	defer a.heralds.mu.Unlock()
	if h := a.heralds.all[id]; h != nil {
		return h
	}
	h := &herald{}
	if !a.cfg.ReplayTools {
		h.Follower = notify.New(id, notify.Options{Destinations: destinations(a.cfg, h.show), File: notify.File(a.cfg.Paths.State, id)})
	}
	if a.heralds.all == nil {
		a.heralds.all = make(map[string]*herald)
	}
	a.heralds.all[id] = h
	return h
}

// told is the store of a session whose herald hears of what is saved.
func (a *App) told(h *herald) session.Store {
	if h.Follower == nil {
		return a.log()
	}
	return heard{a.log(), h.Grew}
}

type heard struct {
	session.Store
	grew func()
}

// Append implements session.Store.
func (s heard) Append(ctx context.Context, id string, events ...session.Event) error {
	err := s.Store.Append(ctx, id, events...)
	s.grew()
	return err
}

// telling is the tool by which the model tells people something, if the person
// has named a destination for that.
func (a *App) telling(id string) []tool.Tool {
	h := a.herald(id)
	names := h.AgentNames()
	if len(names) == 0 {
		return nil
	}
	return []tool.Tool{tools.Notify(names, func(ctx context.Context, callID string, in tools.NotifyInput) ([]string, bool, error) {
		outcomes, err := h.Tell(ctx, notify.Word{CallID: callID, To: in.Destinations, Severity: in.Severity, Title: in.Title, Text: in.Message})
		lines, all := make([]string, len(outcomes)), true
		for i, o := range outcomes {
			if lines[i] = o.Name + ": sent"; o.Err != nil {
				lines[i], all = fmt.Sprintf("%s: failed (%v)", o.Name, o.Err), false
			}
		}
		return lines, all, err
	})}
}

// working has the herald know that a turn works.
func (c *Conversation) working(events iter.Seq2[session.Event, error]) iter.Seq2[session.Event, error] {
	if c.herald.Follower == nil {
		return events
	}
	return func(yield func(session.Event, error) bool) {
		c.herald.Working(true)
		defer c.herald.Working(false)
		for ev, err := range events {
			if !yield(ev, err) {
				return
			}
		}
	}
}

// OnNotify says who shows a terminal's notification, a sequence for it, and who
// is told what could not be sent. Both are called from other goroutines. Close
// waits less where a person stays.
func (c *Conversation) OnNotify(ring, say func(string), stays bool) {
	c.herald.hasty = stays
	c.herald.mu.Lock()
	c.herald.ring = ring
	c.herald.mu.Unlock()
	c.herald.Say(say)
}

// endTelling tells what is still to be told.
func (c *Conversation) endTelling() {
	patience := lastWords
	if c.herald.hasty {
		patience = hastyWords
	}
	for _, ev := range slices.Backward(c.Session.Events()) {
		if ev.Failed != nil && ev.Failed.Reason == Classify(ErrInterrupted).Reason {
			patience = stoppedWords
		}
		if !ev.Aside() {
			break
		}
	}
	c.herald.Close(patience)
	c.app.heralds.mu.Lock()
	delete(c.app.heralds.all, c.Session.ID)
	c.app.heralds.mu.Unlock()
}

// A Notified is a destination, and what became of messages to it.
type Notified struct {
	Name   string        `json:"name"`
	Type   string        `json:"type"`
	Where  string        `json:"where"`
	Events []string      `json:"events"`
	Agent  bool          `json:"agent"`
	Lost   []notify.Loss `json:"lost"`             // in the last days
	Tested string        `json:"tested,omitempty"` // "sent", or why not
}

// Notifications lists the destinations.
func Notifications(cfg *config.Config) ([]Notified, error) {
	lost, err := notify.Losses(cfg.Paths.State)
	var all []Notified
	for _, d := range destinations(cfg, nil) {
		n := Notified{Name: d.Name, Type: d.Type, Where: d.Where, Events: d.Events, Agent: d.Agent, Lost: lost[d.Name]}
		if n.Lost == nil {
			n.Lost = []notify.Loss{}
		}
		all = append(all, n)
	}
	return all, err
}

// ErrNotSent says that a message for a test did not reach everybody.
var ErrNotSent = errors.New("not everybody was reached")

// TestNotifications sends a message to the destination of that name, or to all
// if it is "", and says what became of it.
func TestNotifications(ctx context.Context, cfg *config.Config, name string, ring func(sequence string)) ([]Notified, error) {
	all, err := Notifications(cfg)
	if err != nil {
		return nil, err
	}
	to := destinations(cfg, ring)
	var names []string
	for _, d := range to {
		names = append(names, d.Name)
	}
	switch {
	case len(to) == 0:
		return nil, fmt.Errorf("%w: nobody is to be told: put destinations under notify in %s, or set SLACK_BOT_TOKEN and SLACK_CHANNEL_ID", ErrUsage, cfg.File())
	case name != "" && !slices.Contains(names, name):
		return nil, fmt.Errorf("%w: there is no destination %q%s; there are %s", ErrUsage, name, config.DidYouMean(config.Nearest(name, names)), strings.Join(names, ", "))
	}
	m := notify.Test(time.Now())
	var wg sync.WaitGroup
	for i, d := range to {
		if name == "" || d.Name == name {
			wg.Go(func() {
				if err := notify.Try(ctx, d, m); err != nil {
					all[i].Tested = err.Error()
				} else {
					all[i].Tested = "sent"
				}
			})
		}
	}
	wg.Wait()
	all = slices.DeleteFunc(all, func(n Notified) bool { return n.Tested == "" })
	if slices.ContainsFunc(all, func(n Notified) bool { return n.Tested != "sent" }) {
		return all, ErrNotSent
	}
	return all, context.Cause(ctx)
}

// notifyCheck says who is told, and what did not arrive.
func notifyCheck(cfg *config.Config) Check {
	all, err := Notifications(cfg)
	c := Check{Name: "notify", State: stateOK, Detail: "nobody is told"}
	if err != nil {
		return Check{"notify", stateNote, err.Error(), "as it says"}
	}
	var parts []string
	for _, n := range all {
		part := fmt.Sprintf("%s (%s, %s)", n.Name, n.Type, n.Where)
		if len(n.Lost) > 0 {
			last := n.Lost[len(n.Lost)-1]
			part += fmt.Sprintf(", where %d did not arrive, the last %s: %s", len(n.Lost), last.Time.Local().Format(time.DateTime), last.Error)
			c.State, c.Mend = stateNote, "try it: ml-intern notify test "+n.Name
		}
		parts = append(parts, part)
	}
	if len(parts) > 0 {
		c.Detail = strings.Join(parts, "; ")
	}
	if cfg.Getenv("SLACK_BOT_TOKEN") != processEnv(cfg)("SLACK_BOT_TOKEN") || cfg.Getenv("SLACK_CHANNEL_ID") != processEnv(cfg)("SLACK_CHANNEL_ID") {
		c.State, c.Mend = stateNote, "SLACK_BOT_TOKEN and SLACK_CHANNEL_ID of .env do not count: a folder does not say who is told; set them in the environment"
	}
	return c
}
