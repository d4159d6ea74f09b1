package local

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"ml-intern/internal/job"
)

// maxSecrets bounds what a job's secrets have together: they are variables, not
// files.
const maxSecrets = 32 << 10

// secret is the value of a secret, from the field or the environment.
func (b Backend) secret(name string) (value string, ok bool) {
	if b.Secret != nil {
		return b.Secret(name)
	}
	return variable(b.env(), name)
}

// variable is the value of a variable; the last of a name counts.
func variable(env []string, name string) (value string, ok bool) {
	for _, pair := range env {
		if key, v, _ := strings.Cut(pair, "="); key == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// secrets returns the values of a job's secrets. Those that cannot be had are
// named by the error.
func (b Backend) secrets(spec job.Spec) (map[string]string, error) {
	values := map[string]string{}
	var missing []string
	size := 0
	for _, name := range spec.Secrets {
		value, ok := b.secret(name)
		if !ok || value == "" {
			missing = append(missing, name)
		}
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("the secret %s holds a NUL byte, which no variable can", name)
		}
		values[name] = value
		size += len(value)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the job needs the secret %s, which is not set here, or none of job_secrets in the configuration", strings.Join(missing, ", "))
	}
	if size > maxSecrets {
		return nil, fmt.Errorf("the job's secrets have %d bytes, more than %d", size, maxSecrets)
	}
	return values, nil
}

// hubTokenName is the secret that a Hub gives.
const hubTokenName = "HF_TOKEN"

func (b Backend) tokenHub() string {
	if b.TokenHub == nil {
		return ""
	}
	return b.TokenHub()
}

// A handover is what a shim is told on its standard input: what must not be
// written down.
type handover struct {
	Secrets map[string]string `json:"secrets,omitempty"`
	Missing string            `json:"missing,omitempty"` // why there are none

	Hub      string `json:"hub,omitempty"`
	HubToken string `json:"hub_token,omitempty"` // for that Hub alone
}

// handover is what b can give to the shim of a job.
func (b Backend) handover(rec record) handover {
	var h handover
	if b.HubToken != nil {
		h.Hub, h.HubToken = b.HubToken()
	}
	values, err := b.secrets(rec.Spec)
	if here := b.tokenHub(); err == nil && rec.TokenHub != "" && here != rec.TokenHub {
		err = fmt.Errorf("the job needs the secret %s for %s, and the one here is for %s", hubTokenName, rec.TokenHub, cmp.Or(here, "no Hub that is known"))
	}
	if err != nil {
		h.Missing = err.Error()
		return h
	}
	h.Secrets = values
	return h
}

// receive reads the handover of the process that started this shim.
func receive(from io.Reader) (h handover, err error) {
	if err = json.NewDecoder(io.LimitReader(from, 8*maxSecrets)).Decode(&h); err != nil {
		return h, fmt.Errorf("read what the job's shim was given: %w", err)
	}
	return h, nil
}

// passwordFree leaves out the variables whose values hold a password for a
// proxy or an index: the rest may be kept on disk.
func passwordFree(env []string) []string {
	var kept []string
	for _, pair := range env {
		if !holdsPassword(pair) {
			kept = append(kept, pair)
		}
	}
	return kept
}

// holdsPassword reports whether there is an address with a user in a text.
func holdsPassword(text string) bool {
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "://")
		if !found {
			return false
		}
		host, _, _ := strings.Cut(after, "/")
		if strings.Contains(host, "@") {
			return true
		}
		rest = after
	}
}

// jobEnv is the environment that a job was submitted with, and from this
// process what could not be kept.
func (r record) jobEnv() []string {
	env := r.Environ
	for _, pair := range os.Environ() {
		if holdsPassword(pair) {
			env = append(env, pair)
		}
	}
	return env
}
