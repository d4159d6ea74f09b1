package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// writeEvents writes the events as they are saved, a line each.
func writeEvents(w io.Writer, src Source) error {
	out := bufio.NewWriter(w)
	for _, ev := range src.Session.Events() {
		line, err := json.Marshal(ev.Bare())
		if err != nil {
			return fmt.Errorf("encode event %d: %w", ev.Seq, err)
		}
		if line, err = redactJSON(line, src.Redact); err != nil {
			return fmt.Errorf("redact event %d: %w", ev.Seq, err)
		}
		if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// redactJSON redacts the strings of a value, so that it stays JSON. Hashes,
// and data of pictures and proofs, are no text.
func redactJSON(value []byte, redact func(string) string) ([]byte, error) {
	var out bytes.Buffer
	from, to := jsontext.NewDecoder(bytes.NewReader(value)), jsontext.NewEncoder(&out)
	name := ""
	for {
		token, err := from.ReadToken()
		if errors.Is(err, io.EOF) {
			return bytes.TrimSpace(out.Bytes()), nil
		}
		if err != nil {
			return nil, err
		}
		if token.Kind() == '"' {
			isName := false
			if kind, n := from.StackIndex(from.StackDepth()); kind == '{' {
				isName = n%2 == 1
			}
			text := token.String()
			switch {
			case isName:
				name = text
			case name != "data" && name != "sha256":
				token = jsontext.String(redact(text))
			}
		}
		if err := to.WriteToken(token); err != nil {
			return nil, err
		}
	}
}
