package app

import (
	"iter"

	"ml-intern/internal/secret"
	"ml-intern/internal/session"
)

// secrets are the values of all secrets that this process knows: keys of the
// configuration, of the environment and of .env, the tokens of the accounts on
// the Hubs, and those of logins at MCP servers.
func (a *App) secrets() []string {
	all := append(a.cfg.Secrets(), accountSecrets(a.cfg, publicHub, a.hubChoice())...)
	if key, err := hubKey(a.cfg); err == nil { // else the Hub does not start either
		all = append(all, key)
	}
	all = append(all, telemetrySecrets(a.cfg)...)
	return append(all, a.logins.secrets()...)
}

// redactor takes secrets out of what is saved, shown or sent to a model. It is
// made anew for each session: a token may have been renewed.
func (a *App) redactor() *secret.Redactor { return secret.New(a.secrets()...) }

// Redact returns what takes secrets out of a text that a person is shown.
func (a *App) Redact() func(text string) string { return a.redactor().Text }

// clean takes secrets out of what ended a turn: it is shown, and a provider may
// have put into it what it was sent.
func (c *Conversation) clean(events iter.Seq2[session.Event, error]) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for ev, err := range events {
			if err != nil {
				err = cleanError{err, c.Agent.Redact(err.Error())}
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

// A cleanError is an error with another text.
type cleanError struct {
	error
	text string
}

func (e cleanError) Error() string { return e.text }
func (e cleanError) Unwrap() error { return e.error }
