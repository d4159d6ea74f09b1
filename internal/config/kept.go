package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// Secrets says where tokens and keys that the program was given are kept.
type Secrets struct {
	Store string `json:"store,omitempty"` // "" is StoreAuto
}

// The stores.
const (
	StoreAuto    = "auto"    // the keyring of the desktop if it answers, else a file
	StoreKeyring = "keyring" // nowhere else
	StoreFile    = "file"
)

func stores() []string { return []string{StoreAuto, StoreKeyring, StoreFile} }

// Defaults of what is kept, in GB.
const (
	DefaultCachesGB      = 100.0
	DefaultCheckpointsGB = 5.0
	minCheckpointsGB     = 0.1
)

// keptSecrets reads the key secrets.
func (c *Config) keptSecrets(to *Secrets, node ast.Node) error {
	*to = Secrets{}
	return eachKey(node, func(key string, value ast.Node, line int) error {
		text, err := c.text(value)
		switch {
		case key != "store":
			err = fmt.Errorf("%s is no key of secrets; the key is store", key)
		case err == nil && !slices.Contains(stores(), text):
			err = fmt.Errorf("store must be %s, %s or %s, not %q", StoreAuto, StoreKeyring, StoreFile, text)
		}
		if err != nil {
			return &lineError{line, err}
		}
		to.Store = text
		return nil
	})
}

// checkKept finds bounds that cannot be.
func (c *Config) checkKept() error {
	switch {
	case c.CachesGB < 0:
		return errors.New("caches_gb cannot be negative; 0 is for no bound")
	case c.CheckpointsGB < minCheckpointsGB:
		return fmt.Errorf("checkpoints_gb must be at least %v", minCheckpointsGB)
	}
	return nil
}

func secretsSchema() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{"store": map[string]any{"enum": stores()}}}
}
