package app

import "ml-intern/internal/secret"

// secrets are the values of all secrets that this process knows: keys of the
// configuration, of the environment and of .env, the tokens of the accounts on
// the Hubs, and those of logins at MCP servers.
func (a *App) secrets() []string {
	all := append(a.cfg.Secrets(), accountSecrets(a.cfg, publicHub, a.hubChoice())...)
	if key, err := hubKey(a.cfg); err == nil { // else the Hub does not start either
		all = append(all, key)
	}
	return append(all, a.logins.secrets()...)
}

// redactor takes secrets out of what is saved, shown or sent to a model. It is
// made anew for each session: a token may have been renewed.
func (a *App) redactor() *secret.Redactor { return secret.New(a.secrets()...) }

// Redact returns what takes secrets out of a text that a person is shown.
func (a *App) Redact() func(text string) string { return a.redactor().Text }
