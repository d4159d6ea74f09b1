// Package secret knows what keys look like, and the files that people keep them
// in, so that neither is written down or published by mistake.
//
// Its one rule: it goes by shapes that providers give their keys, with their
// length, so that code such as pad_token=… is no secret. It owns nothing.
package secret

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// Replace puts repl in the place of everything that has the shape of a key.
func Replace(text, repl string) string { return (&Redactor{}).replace(text, repl) }

const (
	chunk   = 1 << 20
	overlap = 1 << 10 // longer than a mark with what proves it
)

// has reports whether a piece of a text holds a key. A private key is known by
// its first line.
func has(piece []byte) bool {
	text := string(piece)
	if spans, _ := scanShapes(text, 0, true); len(spans) > 0 {
		return true
	}
	for rest := text; ; {
		i := strings.Index(rest, pemBegin)
		if i < 0 {
			return false
		}
		label, _, closed := strings.Cut(rest[i+len(pemBegin):], "-----")
		if closed && len(label) < 60 && strings.HasSuffix(label, "PRIVATE KEY") {
			return true
		}
		rest = rest[i+len(pemBegin):]
	}
}

// In reports whether a text holds a key. It reads all of it, in pieces; what
// has a zero byte in its first kilobytes is data, and is not looked through.
func In(r io.Reader) (bool, error) {
	buf := make([]byte, 0, chunk+overlap)
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+chunk])
		buf = buf[:len(buf)+n]
		if first && bytes.IndexByte(buf[:min(len(buf), 8000)], 0) >= 0 {
			return false, nil
		}
		if has(buf) {
			return true, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		keep := copy(buf, buf[len(buf)-min(len(buf), overlap):])
		buf = buf[:keep]
	}
}

// files are the names of files that hold keys.
var files = lazyregexp.New(`(?i)(^|/)(` +
	`\.env(\..*)?|\.netrc|\.pypirc|\.npmrc|\.git-credentials|\.pgpass|` +
	`id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|p12|pfx|keystore)|` +
	`stored_tokens|kaggle\.json|service[-_]account[^/]*\.json|application_default_credentials\.json|` +
	`\.(aws|ssh|gnupg|kube|docker)/[^/]+|\.git(/.*)?)$`)

// File reports whether a path, with slashes, names a file that people keep keys
// in, or something of git's own.
func File(path string) bool { return files.MatchString(path) }
