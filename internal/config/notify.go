package config

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ml-intern/internal/lazyregexp"
)

// Notify says who is told of what happens in sessions.
type Notify struct {
	Events       []string                     `json:"events,omitzero"` // nil for all
	Destinations map[string]NotifyDestination `json:"destinations,omitempty"`
}

// A NotifyDestination is where messages go. See package notify.
type NotifyDestination struct {
	Type     string   `json:"type"`
	Events   []string `json:"events,omitzero"` // nil for those of all
	Agent    bool     `json:"agent,omitempty"`
	Sequence string   `json:"sequence,omitempty"` // of a desktop
	Token    string   `json:"token,omitempty"`    // of Slack
	Channel  string   `json:"channel,omitempty"`
	Username string   `json:"username,omitempty"` // of Slack, or of a mail server
	Icon     string   `json:"icon,omitempty"`
	URL      string   `json:"url,omitempty"` // of a webhook
	Secret   string   `json:"secret,omitempty"`
	Private  bool     `json:"private,omitempty"` // its name may lead to a private address
	Host     string   `json:"host,omitempty"`    // of a mail server
	Port     int      `json:"port,omitempty"`
	Security string   `json:"tls,omitempty"`
	Password string   `json:"password,omitempty"`
	From     string   `json:"from,omitempty"`
	To       []string `json:"to,omitempty"`
}

func notifyEvents() []string {
	return []string{"approval_required", "error", "turn_complete", "job_finished", "job_failed", "job_warning"}
}

// notifyKeys are the keys of each type, beside type, events and agent.
func notifyKeys() map[string][]string {
	return map[string][]string{
		"desktop": {"sequence"},
		"slack":   {"token", "channel", "username", "icon"},
		"webhook": {"url", "secret", "private"},
		"email":   {"host", "port", "tls", "username", "password", "from", "to"},
	}
}

func notifyTypes() []string { return []string{"desktop", "slack", "webhook", "email"} }

// slackByEnvironment is the destination that the environment alone makes.
const slackByEnvironment = "slack"

var destinationName = lazyregexp.New(`^[a-z0-9._-]{1,60}$`)

// NotifyDestinations are those of the file, with the events that each is told;
// and a channel of Slack if the environment names one and the file does not.
// What a folder's .env says does not count: it could say whom to tell.
func (c *Config) NotifyDestinations() map[string]NotifyDestination {
	token, channel := c.ProcessGetenv("SLACK_BOT_TOKEN"), c.ProcessGetenv("SLACK_CHANNEL_ID")
	all, slack := make(map[string]NotifyDestination), false
	for name, d := range c.Notify.Destinations {
		if d.Type == "slack" {
			slack = true
			if d.Token == "" {
				d.Token = token
			}
			if d.Channel == "" {
				d.Channel = channel
			}
		}
		if d.Events == nil {
			d.Events = c.Notify.Events
		}
		if d.Events == nil {
			d.Events = notifyEvents()
		}
		all[name] = d
	}
	if _, taken := all[slackByEnvironment]; !slack && !taken && token != "" && channel != "" {
		events := c.Notify.Events
		if events == nil {
			events = notifyEvents()
		}
		all[slackByEnvironment] = NotifyDestination{Type: "slack", Token: token, Channel: channel, Events: events}
	}
	return all
}

// NotifiesDesktop reports whether the person's terminal is told.
func (c *Config) NotifiesDesktop() bool {
	for _, d := range c.Notify.Destinations {
		if d.Type == "desktop" {
			return true
		}
	}
	return false
}

// notify reads the key notify.
func (c *Config) notify(to *Notify, node ast.Node) error {
	*to = Notify{}
	return eachKey(node, func(key string, value ast.Node, line int) error {
		var err error
		switch key {
		case "events":
			to.Events, err = c.events(value)
		case "destinations":
			to.Destinations = make(map[string]NotifyDestination)
			return eachKey(value, func(name string, value ast.Node, line int) error {
				d, err := c.destination(name, value)
				if to.Destinations[name] = d; err != nil {
					return inLine(line, fmt.Errorf("of %s: %w", name, err))
				}
				return nil
			})
		default:
			return inLine(line, fmt.Errorf("has no key %q%s", key, nearestName(key, []string{"events", "destinations"})))
		}
		if err != nil {
			return inLine(line, fmt.Errorf("%s %w", key, err))
		}
		return nil
	})
}

// inLine is an error in a line, if it does not say another one itself.
func inLine(line int, err error) error {
	if inner, ok := errors.AsType[*lineError](err); ok {
		line = inner.line
	}
	return &lineError{line, err}
}

// events reads a list of kinds, in which * stands for any letters.
func (c *Config) events(node ast.Node) ([]string, error) {
	var names []string
	if err := c.list(&names, node); err != nil {
		return nil, err
	}
	all := []string{}
	for _, name := range names {
		found := false
		for _, kind := range notifyEvents() {
			if ok, err := path.Match(name, kind); err == nil && ok {
				found = true
				if !slices.Contains(all, kind) {
					all = append(all, kind)
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("has no %q%s", name, nearestName(name, notifyEvents()))
		}
	}
	return all, nil
}

func (c *Config) destination(name string, node ast.Node) (d NotifyDestination, err error) {
	var given []string
	err = eachKey(node, func(key string, value ast.Node, line int) error {
		given = append(given, key)
		if key == "events" {
			if d.Events, err = c.events(value); err != nil {
				return &lineError{line, fmt.Errorf("events %w", err)}
			}
			return nil
		}
		return c.fact(key, value, line, map[string]any{
			"type": (*firm)(&d.Type), "events": nil, "agent": &d.Agent, "sequence": (*firm)(&d.Sequence), "token": (*firm)(&d.Token), "channel": (*firm)(&d.Channel),
			"username": (*firm)(&d.Username), "icon": (*firm)(&d.Icon), "url": (*firm)(&d.URL), "secret": (*firm)(&d.Secret), "private": &d.Private,
			"host": (*firm)(&d.Host), "port": &d.Port, "tls": (*firm)(&d.Security), "password": (*firm)(&d.Password), "from": (*firm)(&d.From), "to": (*firmList)(&d.To),
		})
	})
	if err != nil {
		return d, err
	}
	switch {
	case !destinationName.MatchString(name):
		return d, errors.New("is no name for a destination: it needs small letters, digits, '.', '_' and '-', 60 at most")
	case !slices.Contains(notifyTypes(), d.Type):
		return d, fmt.Errorf("type has no %q%s", d.Type, nearestName(d.Type, notifyTypes()))
	}
	for _, key := range given {
		if !slices.Contains(append([]string{"type", "events", "agent"}, notifyKeys()[d.Type]...), key) {
			return d, fmt.Errorf("%s is no key of a %s, which has %s", key, d.Type, strings.Join(notifyKeys()[d.Type], ", "))
		}
	}
	return d, c.checkDestination(d)
}

// checkDestination finds what cannot be meant.
func (c *Config) checkDestination(d NotifyDestination) error {
	switch d.Type {
	case "desktop":
		if forms := []string{"osc9", "osc777", "bell"}; d.Sequence != "" && !slices.Contains(forms, d.Sequence) {
			return fmt.Errorf("sequence has no %q%s", d.Sequence, nearestName(d.Sequence, forms))
		}
	case "slack":
		switch {
		case d.Token == "" && c.ProcessGetenv("SLACK_BOT_TOKEN") == "":
			return errors.New("needs a token, or SLACK_BOT_TOKEN in the environment")
		case strings.TrimSpace(d.Channel) == "" && c.ProcessGetenv("SLACK_CHANNEL_ID") == "":
			return errors.New("needs a channel, or SLACK_CHANNEL_ID in the environment")
		case strings.ContainsAny(d.Token+d.Channel, " \t\r\n"):
			return errors.New("token and channel have no blanks")
		}
	case "webhook":
		u, err := url.Parse(d.URL)
		key, coded := strings.CutPrefix(d.Secret, "whsec_")
		_, bad := base64.StdEncoding.DecodeString(key)
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil:
			return errors.New("url must begin with https:// or http://, name a host and hold no password")
		case u.Scheme == "http" && !local(u.Hostname()) && !d.Private:
			return errors.New("url must begin with https://: what is sent would go out unencrypted; of a network of your own say private: true")
		case len(d.Secret) < 16:
			return errors.New("secret needs 16 letters at least: the receiver knows by it that a message is yours")
		case coded && bad != nil:
			return errors.New("secret begins with whsec_, and what follows is not base64")
		}
	case "email":
		return d.checkMail()
	}
	return nil
}

func (d NotifyDestination) checkMail() error {
	forms := []string{"starttls", "tls", "none"}
	for _, address := range append([]string{d.From}, d.To...) {
		if _, err := mail.ParseAddress(address); err != nil || strings.ContainsAny(address, "\r\n") {
			return fmt.Errorf("from and to need addresses such as me@example.com, not %q", address)
		}
	}
	switch {
	case len(d.To) == 0:
		return errors.New("to must be a list of at least one address")
	case d.Host == "" || strings.ContainsAny(d.Host, " :/@\r\n"):
		return errors.New("host must be the name of the mail server, without a port")
	case d.Port < 0 || d.Port > 65535:
		return errors.New("port is no port")
	case d.Security != "" && !slices.Contains(forms, d.Security):
		return fmt.Errorf("tls has no %q%s", d.Security, nearestName(d.Security, forms))
	case d.Security == "none" && (!local(d.Host) || d.Password != ""):
		return errors.New("tls: none is for a mail server of this machine, without a password")
	case (d.Username == "") != (d.Password == ""):
		return errors.New("username and password go together")
	}
	return nil
}

// MarshalJSON writes the destination as the file has it, without what is secret.
func (d NotifyDestination) MarshalJSON() ([]byte, error) {
	type plain NotifyDestination
	for _, secret := range []*string{&d.Token, &d.Secret, &d.Password} {
		if *secret != "" {
			*secret = "(set)"
		}
	}
	if u, err := url.Parse(d.URL); d.URL != "" && err == nil {
		d.URL = u.Scheme + "://" + u.Host + "/…"
	}
	return json.Marshal(plain(d))
}

// notifySecrets are what destinations are given and nobody else may see; of an
// address, the parts that are long enough to be a key.
func (c *Config) notifySecrets() []string {
	var secrets []string
	for _, d := range c.NotifyDestinations() {
		secrets = append(secrets, d.Token, d.Secret, d.Password, strings.TrimPrefix(d.Secret, "whsec_"))
		path, query := addressSecrets(d.URL)
		secrets = slices.Concat(secrets, path, query)
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return len(s) < 8 })
}

// addressSecrets are the parts of an address that may be a key: what is long in
// its path and its query, and what is named like a secret there.
func addressSecrets(address string) (path, query []string) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if len(part) >= longPart {
			path = append(path, part)
		}
	}
	for name, values := range u.Query() {
		for _, v := range values {
			if len(v) >= longPart || secretName.MatchString(name) {
				query = append(query, v)
			}
		}
	}
	return path, query
}

// longPart is how long a part of an address is that may be a key.
const longPart = 20

func notifySchema() map[string]any {
	text := map[string]any{"type": "string", "minLength": 1}
	events := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	fields := map[string]any{
		"agent": map[string]any{"type": "boolean"}, "private": map[string]any{"type": "boolean"}, "events": events,
		"port": map[string]any{"type": "integer", "minimum": 1, "maximum": 65535}, "tls": map[string]any{"enum": []string{"starttls", "tls", "none"}},
		"sequence": map[string]any{"enum": []string{"osc9", "osc777", "bell"}}, "to": map[string]any{"type": "array", "items": text, "minItems": 1},
	}
	var kinds []any
	for _, kind := range notifyTypes() {
		own := map[string]any{"type": map[string]any{"const": kind}, "events": events, "agent": fields["agent"]}
		for _, key := range notifyKeys()[kind] {
			if own[key] = fields[key]; fields[key] == nil {
				own[key] = text
			}
		}
		required := map[string][]string{"webhook": {"type", "url", "secret"}, "email": {"type", "host", "from", "to"}}[kind]
		if required == nil {
			required = []string{"type"}
		}
		kinds = append(kinds, map[string]any{"type": "object", "additionalProperties": false, "required": required, "properties": own})
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
		"events": events,
		"destinations": map[string]any{
			"type": "object", "propertyNames": map[string]any{"pattern": destinationName.String()}, "additionalProperties": map[string]any{"oneOf": kinds},
		},
	}}
}
