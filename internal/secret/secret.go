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
	"regexp"
	"strings"
	"sync"
)

// keys, like the other expressions here, are compiled when they are first needed:
// that takes longer than the program takes to start. They match a key with what stands before it: nothing that a word may hold,
// or an escape, for texts that are JSON themselves.
var keys = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^|[^A-Za-z0-9_-]|\\[nrtbf]|\\u[0-9a-fA-F]{4})(` +
		`hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}|` + // Hugging Face
		`sk-[A-Za-z0-9_-]{20,}|` + // OpenAI, Anthropic, OpenRouter
		`gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|` +
		`xox[abprs]-[A-Za-z0-9-]{10,}|` + // Slack
		`AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|` + // AWS, Google
		`npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|` +
		`(?i:bearer) [A-Za-z0-9._~+/-]{20,}=*` +
		`)|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----`)
})

// Replace puts repl in the place of every key, and keeps what stands before it.
func Replace(text, repl string) string {
	return keys().ReplaceAllStringFunc(text, func(match string) string {
		parts := keys().FindStringSubmatch(match)
		if words(parts[2]) {
			return match
		}
		return parts[1] + repl
	})
}

// words reports whether what begins like a key is words with dashes between.
func words(key string) bool {
	return strings.HasPrefix(key, "sk-") && !strings.ContainsAny(key, "0123456789")
}

// signs are what one chunk of a file may show of a key. A private key is known
// by its first line.
var signs = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(keys().String() +
		`|-----BEGIN [A-Z ]*PRIVATE KEY-----` +
		`|(?i:aws_secret_access_key|secret_access_key|account_?key)["']?\s*[:=]\s*["']?[A-Za-z0-9/+=]{40}`)
})

// marks are what every key has, in lower case: the expression is slow, and is
// asked only about what stands around a mark.
var marks = []string{
	"hf_", "api_org_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "akia", "aiza", "npm_", "pypi-",
	"bearer ", "private key-----", "secret_access_key", "account_key", "accountkey",
}

const (
	chunk   = 1 << 20
	overlap = 1 << 10 // longer than a mark with what proves it
)

// has reports whether a piece of a text holds a key.
func has(piece []byte) bool {
	lower := bytes.Clone(piece) // not ToLower: every byte must keep its place
	for i, b := range lower {
		if b >= 'A' && b <= 'Z' {
			lower[i] = b + 'a' - 'A'
		}
	}
	for _, m := range marks {
		for from := 0; ; {
			i := bytes.Index(lower[from:], []byte(m))
			if i < 0 {
				break
			}
			i += from
			from = i + len(m)
			found := signs().FindSubmatch(piece[max(i-80, 0):min(i+200, len(piece))])
			if found != nil && !words(string(found[2])) {
				return true
			}
		}
	}
	return false
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
var files = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|/)(` +
		`\.env(\..*)?|\.netrc|\.pypirc|\.npmrc|\.git-credentials|\.pgpass|` +
		`id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|p12|pfx|keystore)|` +
		`stored_tokens|kaggle\.json|service[-_]account[^/]*\.json|application_default_credentials\.json|` +
		`\.(aws|ssh|gnupg|kube|docker)/[^/]+|\.git(/.*)?)$`)
})

// File reports whether a path, with slashes, names a file that people keep keys
// in, or something of git's own.
func File(path string) bool { return files().MatchString(path) }
