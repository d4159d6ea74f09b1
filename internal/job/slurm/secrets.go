package slurm

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"ml-intern/internal/job"
)

// A job's secrets go to its node in two halves, so that none is written down
// anywhere. One is random bytes, in a variable that Slurm keeps with the job,
// on its controller's disk and maybe in its accounts; the other is the secrets
// mixed with those bytes, in a file of the job's folder. Neither says anything
// without the other, and both are there when the job is run again.
const padName = "MLI_PAD"

// newSecrets returns the variable's value and the file, "" if there are no
// secrets. A job that is sent again gets other bytes, and so another file.
func newSecrets(values map[string]string) (pad string, mixed textFile) {
	if len(values) == 0 {
		return "", textFile{}
	}
	name := strings.ToLower(rand.Text())
	pad = name + ":"
	text := ""
	for _, key := range slices.Sorted(maps.Keys(values)) {
		noise := make([]byte, len(values[key]))
		_, _ = rand.Read(noise) // it never fails
		pad += hex.EncodeToString(noise)
		for i := range noise {
			noise[i] ^= values[key][i]
		}
		text += key + " " + hex.EncodeToString(noise) + "\n"
	}
	return pad, textFile{name: "secrets." + name, text: text}
}

// secrets returns the values of a job's secrets. One that cannot be had is an
// error that names it.
func (b *Backend) secrets(spec job.Spec) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range spec.Secrets {
		value, ok := b.secret(name)
		switch {
		case !ok || value == "":
			return nil, fmt.Errorf("the job needs the secret %s, which is not set here, or none of job_secrets in the configuration", name)
		case strings.ContainsRune(value, 0):
			return nil, fmt.Errorf("the secret %s holds a NUL byte, which no variable can", name)
		case !identifier(name):
			return nil, fmt.Errorf("the secret's name %q is none that a shell can set", name)
		}
		values[name] = value
	}
	return values, nil
}

func (b *Backend) secret(name string) (value string, ok bool) {
	if b.Secret == nil {
		return os.LookupEnv(name)
	}
	return b.Secret(name)
}
