package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A redactor takes secrets out of the texts of a line of JSON: the values it
// was given, and what has the shape of a key. Shapes are those that providers
// give their keys, with their length, so that code such as pad_token=… stays as
// it is.
type redactor struct {
	values []string // longest first
}

// keyShapes match a key with what stands before it: nothing that a word may
// hold, or an escape, for texts that are JSON themselves.
var keyShapes = regexp.MustCompile(`(^|[^A-Za-z0-9_-]|\\[nrtbf]|\\u[0-9a-fA-F]{4})(` +
	`hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}|` + // Hugging Face
	`sk-[A-Za-z0-9_-]{20,}|` + // OpenAI, Anthropic, OpenRouter
	`gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|` +
	`xox[abprs]-[A-Za-z0-9-]{10,}|` + // Slack
	`AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|` + // AWS, Google
	`npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|` +
	`(?i:bearer) [A-Za-z0-9._~+/-]{20,}=*` +
	`)|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----`)

// redacted stands where a secret was.
const redacted = "[redacted]"

// minSecret is the length below which a value is no secret, in bytes.
const minSecret = 8

func newRedactor(secrets []string) redactor {
	var r redactor
	for _, s := range secrets {
		s = strings.TrimSpace(s)
		if len(s) < minSecret {
			continue
		}
		r.values = append(r.values, s)
		if text, err := json.Marshal(s); err == nil { // as it stands in a call's arguments
			if inner := string(text[1 : len(text)-1]); inner != s {
				r.values = append(r.values, inner)
			}
		}
	}
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
	return r
}

// line cleans every text in the JSON, and no key of an object: the line stays
// what it is.
func (r redactor) line(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return json.Marshal(r.value(v))
}

func (r redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.text(v)
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		for key := range v {
			if key != "kind" && key != "media_type" {
				v[key] = r.value(v[key])
			}
		}
	}
	return v
}

func (r redactor) text(s string) string {
	for _, v := range r.values {
		s = strings.ReplaceAll(s, v, redacted)
	}
	return keyShapes.ReplaceAllStringFunc(s, func(match string) string {
		parts := keyShapes.FindStringSubmatch(match)
		if strings.HasPrefix(parts[2], "sk-") && !strings.ContainsAny(parts[2], "0123456789") {
			return match // words with dashes, and no key
		}
		return parts[1] + redacted
	})
}
