package app

import (
	"context"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
	"ml-intern/internal/telemetry"
)

// newTelemetry returns what sends telemetry, nil if nobody has asked for it.
func (a *App) newTelemetry() *telemetry.Reader {
	opts, warnings := telemetry.FromEnv(a.cfg.ProcessGetenv)
	if !opts.On() && len(warnings) == 0 {
		return nil
	}
	opts.Version, opts.Redact = Version(), a.redactor().Text
	return telemetry.New(opts, warnings)
}

// telemetrySecrets are the values of the headers for the collector.
func telemetrySecrets(cfg *config.Config) []string {
	opts, _ := telemetry.FromEnv(cfg.ProcessGetenv)
	return opts.Secrets()
}

// log is the store for sessions that are worked on: what watches their logs
// stands around it.
func (a *App) log() session.Store { return a.telemetry.Store(a.store) }

// rests has whoever watches the log know when nobody works on the session any
// more, after these events.
func (c *Conversation) rests(events iter.Seq2[session.Event, error]) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		defer c.app.telemetry.Rest(c.Session.ID)
		events(yield)
	}
}

// tellTelemetry tells the person when a turn begins what is wrong with
// telemetry.
func (a *App) tellTelemetry(ag *agent.Agent) {
	if a.telemetry == nil {
		return
	}
	before := ag.Refresh
	ag.Refresh = func(ctx context.Context, begins bool) (all []session.Notice) {
		if before != nil {
			all = before(ctx, begins)
		}
		for _, text := range a.telemetry.Problems() {
			all = append(all, session.Notice{Kind: text, Text: text})
		}
		return all
	}
}

// EndTelemetry sends what is left of it, and returns what the person should
// know of that.
func (a *App) EndTelemetry() []string {
	a.telemetry.Close()
	return a.telemetry.Problems()
}

// telemetryCheck says where telemetry goes and whether somebody is there.
func telemetryCheck(ctx context.Context, cfg *config.Config) Check {
	c := Check{Name: "telemetry", State: stateOK, Detail: "off; OTEL_EXPORTER_OTLP_ENDPOINT turns it on"}
	opts, warnings := telemetry.FromEnv(cfg.ProcessGetenv)
	var parts []string
	for _, t := range []struct {
		what string
		to   telemetry.Target
	}{{"traces", opts.Traces}, {"metrics", opts.Metrics}} {
		if t.to.URL == "" {
			continue
		}
		parts = append(parts, t.what+" to "+t.to.Place())
		if err := reach(ctx, t.to.URL); err != nil {
			c.State, c.Mend = stateMissing, "start the collector, or set OTEL_SDK_DISABLED=true"
			parts[len(parts)-1] += ", where nothing answers"
		}
	}
	if len(parts) > 0 {
		content := ", without what is said"
		if opts.Content {
			content = ", with what is said in the sessions"
		}
		c.Detail = strings.Join(parts, "; ") + content
	}
	if len(warnings) > 0 {
		c.State, c.Mend = stateNote, strings.Join(warnings, "; ")
	}
	return c
}

// reach tries whether something listens at an address, or is the proxy on the
// way there.
func reach(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		u = proxy
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("reach %s: %w", u.Host, err)
	}
	return conn.Close()
}
