package egress

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A kind is what a request to the Hub is for.
type kind int

const (
	change kind = iota // changes something, or is not known
	read               // reads, and gets the token
	plain              // reads what everyone may, and goes without the token
	secret             // answers with a secret
	whoami             // read, and the answer is shortened
	batch              // of large files: its body says whether it reads
)

// repoReads are the calls of the API on a repository that read, by what stands
// behind its name.
var repoReads = []string{
	"", "revision", "tree", "refs", "commits", "compare", "treesize", "parquet", "auth-check", "likers", "discussions", "scan",
	"xet-read-token", "runtime", "logs", "variables", "croissant", "resolve",
}

// secretParts are parts of paths whose answers are secrets, wherever they stand.
var secretParts = []string{"xet-write-token", "jwt", "oauth", "settings", "webhooks", "secrets", "login", "logout"}

var errPath = errors.New("the path of the request can be read in more than one way")

// classify says what a request is for. What is read differently with its
// escaped slashes undone counts as a change.
func classify(method, escaped string, query url.Values) (kind, error) {
	raw, flat, err := segments(escaped)
	if err != nil {
		return change, err
	}
	k := kindOf(method, raw, query)
	if k != kindOf(method, flat, query) {
		return change, nil
	}
	return k, nil
}

// segments splits a path, before and after its slashes are unescaped. It
// refuses what a server may take for another path.
func segments(escaped string) (raw, flat []string, err error) {
	path, rooted := strings.CutPrefix(escaped, "/")
	if !rooted {
		return nil, nil, errPath
	}
	if path == "" {
		return nil, nil, nil
	}
	for part := range strings.SplitSeq(path, "/") {
		s, err := url.PathUnescape(part)
		if err != nil || !plainPart(s) {
			return nil, nil, errPath
		}
		raw = append(raw, s)
		flat = append(flat, strings.Split(s, "/")...)
	}
	if slices.ContainsFunc(flat, func(s string) bool { return s == "" || s == "." || s == ".." }) {
		return nil, nil, errPath
	}
	return raw, flat, nil
}

// plainPart reports whether a part of a path has nothing in it that is
// unescaped twice, or that some take for a slash.
func plainPart(s string) bool {
	lower := strings.ToLower(s)
	for _, bad := range []string{"\\", "%2f", "%2e", "%5c", "%25", "%00"} {
		if strings.Contains(lower, bad) {
			return false
		}
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func kindOf(method string, seg []string, query url.Values) kind {
	get := method == http.MethodGet || method == http.MethodHead
	switch {
	case !get && method != http.MethodPost:
		return change
	case len(seg) > 0 && seg[0] == "api" && get:
		return apiGet(seg[1:])
	case len(seg) > 0 && seg[0] == "api":
		return apiPost(seg[1:])
	case get:
		return siteGet(seg, query)
	}
	return sitePost(seg)
}

func isType(s string) bool { return s == "models" || s == "datasets" || s == "spaces" }

func apiGet(seg []string) kind {
	if len(seg) == 0 {
		return plain
	}
	if slices.ContainsFunc(seg[:min(len(seg), 5)], func(s string) bool { return slices.Contains(secretParts, s) }) {
		return secret
	}
	switch top := seg[0]; {
	case top == "whoami-v2" && len(seg) == 1:
		return whoami
	case isType(top) && (len(seg) < 4 || slices.Contains(repoReads, seg[3]) || slices.Contains(repoReads, seg[2])):
		return read // the second of them by a name without an owner
	case top == "buckets", top == "resolve-cache", top == "jobs", top == "collections":
		return read
	}
	return plain
}

func apiPost(seg []string) kind {
	switch {
	case len(seg) >= 5 && isType(seg[0]) && seg[3] == "paths-info":
		return read
	case len(seg) == 1 && (seg[0] == "quicksearch" || seg[0] == "validate-yaml"):
		return plain
	}
	return change
}

// repository takes a repository off the front of a path of the site.
func repository(seg []string) (rest []string, ok bool) {
	if len(seg) > 0 && isType(seg[0]) {
		seg = seg[1:]
	}
	if len(seg) < 2 {
		return nil, false
	}
	return seg[2:], true
}

func siteGet(seg []string, query url.Values) kind {
	if len(seg) > 0 && slices.Contains(secretParts, seg[0]) {
		return secret
	}
	rest, ok := repository(seg)
	switch {
	case !ok:
		return plain
	case len(rest) == 2 && rest[0] == "info" && rest[1] == "refs":
		if s := query["service"]; len(s) == 1 && s[0] == "git-upload-pack" {
			return read
		}
		return change
	case len(rest) > 2 && (rest[0] == "resolve" || rest[0] == "raw"):
		return read
	case len(seg) > 3 && seg[1] == "resolve": // a name without an owner
		return read
	}
	return plain
}

func sitePost(seg []string) kind {
	rest, ok := repository(seg)
	switch strings.Join(rest, "/") {
	case "git-upload-pack":
		if ok {
			return read
		}
	case "info/lfs/objects/batch":
		if ok {
			return batch
		}
	}
	return change
}

// toolFor names the tools that do with leave what a request wanted to do.
func toolFor(path string) string {
	for _, part := range []string{"/commit/", "/preupload/", "/lfs", "git-receive-pack", "info/refs"} {
		if strings.Contains(path, part) {
			return "hf_repo_files or publish"
		}
	}
	if strings.HasPrefix(path, "/api/jobs") || strings.HasPrefix(path, "/api/scheduled-jobs") {
		return "job_submit"
	}
	return "hf_repo_git"
}
