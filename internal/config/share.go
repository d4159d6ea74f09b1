package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// Share says what becomes of the traces of sessions. Only the person's own file
// says it.
type Share struct {
	Visibility string `json:"visibility"`          // ShareOff, SharePrivate or SharePublic
	Repo       string `json:"repo"`                // dataset: NAME of the account's, or OWNER/NAME
	Automatic  bool   `json:"automatic,omitempty"` // each session is shared when it is left
}

// Who sees what is shared.
const (
	ShareOff     = "off" // nothing is shared unless the person says so, and then privately
	SharePrivate = "private"
	SharePublic  = "public"
)

// DefaultShareRepo is the dataset that traces go to.
const DefaultShareRepo = "ml-intern-sessions"

// ShareWords lists what visibility may be.
func ShareWords() []string { return []string{ShareOff, SharePrivate, SharePublic} }

// share reads the key share.
func (c *Config) share(to *Share, node ast.Node) error {
	out := Share{Visibility: ShareOff, Repo: DefaultShareRepo}
	err := eachKey(node, func(key string, value ast.Node, line int) error {
		err := errors.New("is no key of share; the keys are visibility, repo and automatic")
		switch key {
		case "visibility":
			err = c.decode(&out.Visibility, value)
			if b, ok := value.(*ast.BoolNode); ok && !b.Value { // how YAML of old reads off
				out.Visibility, err = ShareOff, nil
			}
			if err == nil && !slices.Contains(ShareWords(), out.Visibility) {
				err = fmt.Errorf("must be off, private or public, not %q", out.Visibility)
			}
		case "repo":
			if err = c.decode(&out.Repo, value); err == nil && out.Repo == "" {
				err = errors.New("is empty")
			}
		case "automatic":
			err = c.decode(&out.Automatic, value)
		}
		if err != nil {
			return &lineError{line, fmt.Errorf("%s %w", key, err)}
		}
		return nil
	})
	if err == nil && out.Automatic && out.Visibility != SharePrivate {
		err = errors.New("automatic needs visibility: private; what all can see, a person must share")
	}
	*to = out
	return err
}

func shareSchema() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
		"visibility": map[string]any{"enum": ShareWords()}, "repo": map[string]any{"type": "string"}, "automatic": map[string]any{"type": "boolean"},
	}}
}
