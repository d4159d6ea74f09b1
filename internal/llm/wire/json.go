package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// JSON encodes without the escapes that only a browser needs.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ObjectArgs keeps arguments of a call that are no JSON object as the text in
// one: providers refuse a history that they cannot parse.
func ObjectArgs(args string) string {
	trimmed := strings.TrimSpace(args)
	switch {
	case trimmed == "":
		return "{}"
	case trimmed[0] == '{' && json.Valid([]byte(args)):
		return args
	}
	text, err := JSON(map[string]string{"invalid_json": args})
	if err != nil {
		return "{}"
	}
	return string(text)
}
