package replay

import (
	"bytes"
	"encoding/json"
	"fmt"

	"ml-intern/internal/secret"
)

// A redactor takes secrets out of the texts of a line of JSON.
type redactor struct{ *secret.Redactor }

func newRedactor(secrets []string) redactor { return redactor{secret.New(secrets...)} }

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
		return r.Text(v)
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		for key := range v {
			if key != "kind" && key != "media_type" && key != "sha256" {
				v[key] = r.value(v[key])
			}
		}
	}
	return v
}
