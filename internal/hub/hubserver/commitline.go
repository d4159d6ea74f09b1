package hubserver

import (
	"bytes"
	"encoding/json"
)

// parseLine reads a line of a commit. The content of a file in base64 does not
// go through the JSON decoder, which would look at every byte of it three
// times: it is cut out, and comes back as it stands in the line, valid until
// the next one is read.
func parseLine(text []byte) (line commitLine, content []byte, err error) {
	if rest, content, ok := cutContent(text); ok {
		err := json.Unmarshal(rest, &line)
		v := line.Value
		if err == nil && v.Encoding == "base64" && v.Content != nil && *v.Content == "" {
			return line, content, nil
		}
		line = commitLine{}
	}
	err = json.Unmarshal(text, &line)
	return line, nil, err
}

// cutContent takes a long content out of a line. What it leaves is valid JSON
// only if the line was: the characters of base64 can be in a string, where
// nothing depends on them, and nowhere behind one.
func cutContent(text []byte) (rest, content []byte, ok bool) {
	const key = `"content"`
	before, after, found := bytes.Cut(text, []byte(key))
	if !found {
		return nil, nil, false
	}
	value := bytes.TrimLeft(after, " \t:")
	if len(value) == 0 || value[0] != '"' {
		return nil, nil, false
	}
	content, tail, found := bytes.Cut(value[1:], []byte(`"`))
	if !found || bytes.IndexByte(content, '\\') >= 0 || bytes.IndexByte(content, '\r') >= 0 || bytes.Contains(tail, []byte(key)) {
		return nil, nil, false
	}
	rest = make([]byte, 0, len(text)-len(content))
	rest = append(append(rest, before...), key...)
	rest = append(rest, after[:len(after)-len(value)]...)
	rest = append(append(rest, `""`...), tail...)
	return rest, content, true
}
