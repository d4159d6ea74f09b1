package hubserver

import (
	"encoding/json"
	"testing"
)

// Whatever a line is, it means what the JSON decoder alone says.
func FuzzParseLine(f *testing.F) {
	for _, line := range []string{
		`{"key":"file","value":{"path":"a","encoding":"base64","content":"QUJD"}}`,
		`{"key": "file", "value": {"content": "QUJD", "path": "a", "encoding": "base64"}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content":""}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content":"QU\/D"}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content":null}}`,
		`{"key":"file","value":{"path":"a","encoding":"utf-8","content":"\u0041BC"}}`,
		`{"key":"file","value":{"path":"a","content":"QUJD"}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content":"QUJD","content":""}}`,
		`{"key":"file","content":"QUJD","value":{"path":"a","encoding":"base64"}}`,
		`{"key":"file","value":{"path":"\"content\":\"QUJD","encoding":"base64"}}`,
		`{"key":"file","value":{"path":"a,"content":"QUJD","encoding":"base64"}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content"::"QUJD"}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content" "QUJD"}}`,
		`{"key":"file","value":{"path":"a","encoding":"base64","content":"QUJD`,
		`{"key":"header","value":{"summary":"the \"content\": x"}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		line, content, err := parseLine(text)
		var want commitLine
		wantErr := json.Unmarshal(text, &want)
		if content != nil && base64Only(content) {
			line.Value.Content = new(string(content))
		}
		got, _ := json.Marshal(line)
		expected, _ := json.Marshal(want)
		if (content == nil || base64Only(content)) && ((err == nil) != (wantErr == nil) || err == nil && string(got) != string(expected)) {
			t.Errorf("%s is %s, %v; want %s, %v", text, got, err, expected, wantErr)
		}
	})
}

// base64Only: other content is refused when it is decoded.
func base64Only(content []byte) bool {
	for _, c := range content {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}
