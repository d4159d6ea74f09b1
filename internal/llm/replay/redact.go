package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/secret"
)

// A redactor takes secrets out of the texts of a line of JSON: the values it
// was given, and what has the shape of a key. Shapes are those that providers
// give their keys, with their length, so that code such as pad_token=… stays as
// it is.
type redactor struct {
	values []string // longest first
}

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
	return secret.Replace(s, redacted)
}
