package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"ml-intern/internal/lazyregexp"
)

// Network says which hosts confined commands may reach beside the usual ones,
// and which of all of them not. A project's file may only deny.
type Network struct {
	Allow   []string `json:"allow,omitempty"`
	Deny    []string `json:"deny,omitempty"`
	Private []string `json:"private,omitempty"` // of what is allowed, what may lead to a private address
	Jobs    string   `json:"jobs,omitempty"`    // what jobs of this machine may reach: see JobsAllowed; "" is that
}

// What jobs of this machine may reach.
const (
	JobsAllowed = "allowed" // what commands may
	JobsAll     = "all"     // the network of the machine
	JobsOff     = "off"     // nothing
)

// reachable is an entry of allow and deny: NAME, *.SUFFIX or an address, with a
// port or not.
var reachable = lazyregexp.New(`(?i)^((\*\.)?([a-z0-9_-]+\.)+[a-z_-][a-z0-9_-]*|[a-z_-][a-z0-9_-]*|[0-9]+(\.[0-9]+){3}|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?$`)

// network reads the key network. A project's file adds to what is denied.
func (c *Config) network(to *Network, node ast.Node) error {
	project := c.literal
	out := *to
	if !project {
		out = Network{}
	}
	err := eachKey(node, func(key string, value ast.Node, line int) error {
		if err := c.networkKey(&out, key, value, project); err != nil {
			return &lineError{line, fmt.Errorf("%s %w", key, err)}
		}
		return nil
	})
	*to = out
	return err
}

func (c *Config) networkKey(n *Network, key string, value ast.Node, project bool) error {
	lists := map[string]*[]string{"allow": &n.Allow, "deny": &n.Deny, "private": &n.Private}
	to, known := lists[key]
	switch {
	case !known && key != "jobs":
		return errors.New("is no key of network; the keys are allow, deny, private and jobs")
	case project && key != "deny":
		return fmt.Errorf("may not be set by a project's file: put it into %s", c.File())
	case key == "jobs":
		text, err := c.text(value)
		if err == nil && !slices.Contains([]string{JobsAllowed, JobsAll, JobsOff}, text) {
			err = fmt.Errorf("must be %s, %s or %s, not %q", JobsAllowed, JobsAll, JobsOff, text)
		}
		n.Jobs = text
		return err
	}
	var list []string
	if err := c.list(&list, value); err != nil {
		return err
	}
	if key == "private" {
		*to = list
		return checkHosts(list)
	}
	for _, host := range list {
		if !reachable.MatchString(host) {
			return fmt.Errorf("needs hosts such as pypi.org, *.example.com or wiki.example:8443, not %q", host)
		}
	}
	if project {
		list = append(slices.Clone(*to), list...)
	}
	*to = list
	return nil
}

func networkSchema() map[string]any {
	hosts := map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{"allow": hosts, "deny": hosts, "private": hosts, "jobs": map[string]any{"enum": []string{JobsAllowed, JobsAll, JobsOff}}}}
}
