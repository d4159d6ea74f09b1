package replay

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
)

// A redactor takes secrets out of a line of JSON: the values it was given, and
// what has the shape of a key. Shapes are those that providers give their keys,
// with their length, so that code such as pad_token=… stays as it is.
type redactor struct {
	values [][]byte // as they stand in JSON, longest first
}

var keyShapes = regexp.MustCompile(`\b(?:` +
	`hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}|` + // Hugging Face
	`sk-[A-Za-z0-9_-]{20,}|` + // OpenAI, Anthropic, OpenRouter
	`gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|` +
	`xox[abprs]-[A-Za-z0-9-]{10,}|` + // Slack
	`AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|` + // AWS, Google
	`npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}` +
	`)|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----` +
	`|(?i:bearer) [A-Za-z0-9._~+/-]{20,}=*`)

// redacted stands where a secret was.
var redacted = []byte("[redacted]")

// minSecret is the length below which a value is no secret, in bytes.
const minSecret = 8

func newRedactor(secrets []string) redactor {
	var r redactor
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		text, err := json.Marshal(s)
		if err != nil {
			continue
		}
		r.values = append(r.values, text[1:len(text)-1])
	}
	slices.SortFunc(r.values, func(a, b []byte) int { return len(b) - len(a) })
	return r
}

func (r redactor) clean(text []byte) []byte {
	for _, v := range r.values {
		text = bytes.ReplaceAll(text, v, redacted)
	}
	return keyShapes.ReplaceAll(text, redacted)
}
