// Package githttp lets git itself clone, fetch and push the repositories of a
// gitstore, over git's smart protocol on HTTP: versions 0, 1 and 2 to read,
// version 0 to write.
//
// Its one rule: only what a repository's own refs lead to goes out or counts
// as known, although the store is shared by all; and what comes in is whole
// and checked before a ref names it. Who may read or push is decided by the
// caller, the store does the locking, and nothing here outlives a request.
package githttp

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

const agent = "agent=ml-intern-hub"

// A Server serves the repositories of a store.
type Server struct {
	Store *gitstore.Store

	// Check says what is wrong with a README.md that is pushed; nil for no check.
	Check func(repo *gitstore.Repo, readme []byte) error

	// MayName says whether new files may be pointers to a large one; nil for all.
	MayName func(repo *gitstore.Repo, l gitstore.Large) bool

	// MayUpdate says why a ref must not be pushed to; nil for all that the store
	// takes. It is asked before a pack is read, and when the refs change.
	MayUpdate func(repo *gitstore.Repo, ref string) error
}

func (s *Server) mayUpdate(repo *gitstore.Repo, ref string) error {
	if s.MayUpdate == nil {
		return nil
	}
	return s.MayUpdate(repo, ref)
}

// ErrRequest is what a client sent that no git client sends.
var ErrRequest = errors.New("the git request is not valid")

// Service reads which service an address asks for, "" if none of ours.
func Service(name string) string {
	if name == "git-upload-pack" || name == "git-receive-pack" {
		return name
	}
	return ""
}

// Refs answers what git asks first: which refs there are, and what this server
// can do.
func (s *Server) Refs(w http.ResponseWriter, r *http.Request, repo *gitstore.Repo, service string) error {
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	noCache(w)
	p := &pktWriter{w: w}
	p.line("# service=%s\n", service)
	p.flush()
	version := protocol(r)
	if service == "git-upload-pack" && version == 2 {
		p.line("version 2\n")
		p.line(agent + "\n")
		p.line("ls-refs=unborn\n")
		p.line("fetch=shallow\n")
		p.line("object-format=sha1\n")
		p.flush()
		return p.err
	}
	if version == 1 {
		p.line("version 1\n")
	}
	advertise(p, repo, service)
	return p.err
}

func advertise(p *pktWriter, repo *gitstore.Repo, service string) {
	caps := "report-status delete-refs atomic ofs-delta side-band-64k quiet object-format=sha1 " + agent
	if service == "git-upload-pack" {
		caps = "multi_ack_detailed no-done side-band side-band-64k ofs-delta thin-pack shallow deepen-since deepen-not deepen-relative " +
			"no-progress include-tag allow-tip-sha1-in-want allow-reachable-sha1-in-want object-format=sha1 " + agent
		if repo.Refs[gitstore.MainBranch] != "" {
			caps += " symref=HEAD:" + gitstore.MainBranch
		}
	}
	tail := "\x00" + caps
	put := func(id, name string) {
		p.line("%s %s%s\n", id, name, tail)
		tail = ""
	}
	if id := repo.Refs[gitstore.MainBranch]; id != "" && service == "git-upload-pack" {
		put(id, "HEAD")
	}
	for _, ref := range slices.Sorted(maps.Keys(repo.Refs)) {
		tip := repo.Tip(ref)
		put(tip, ref)
		if tip != repo.Refs[ref] && service == "git-upload-pack" {
			put(repo.Refs[ref], ref+"^{}")
		}
	}
	if tail != "" {
		put(strings.Repeat("0", 40), "capabilities^{}")
	}
	p.flush()
}

// protocol is the version that a client asks for.
func protocol(r *http.Request) int {
	version := 0
	for param := range strings.SplitSeq(r.Header.Get("Git-Protocol"), ":") {
		switch param {
		case "version=1":
			version = max(version, 1)
		case "version=2":
			version = 2
		}
	}
	return version
}

func noCache(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	w.Header().Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	w.Header().Set("Pragma", "no-cache")
}

// body reads the request, which git may have compressed, up to most bytes.
func body(w http.ResponseWriter, r *http.Request, most int64) (pktReader, error) {
	in := io.Reader(http.MaxBytesReader(w, r.Body, most))
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return pktReader{}, fmt.Errorf("%w: its gzip is damaged", ErrRequest)
		}
		in = &bounded{z, most}
	default:
		return pktReader{}, fmt.Errorf("%w: its encoding is not known", ErrRequest)
	}
	return pktReader{bufio.NewReaderSize(in, 64<<10)}, nil
}

// bounded fails, and does not just end, when too much comes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &http.MaxBytesError{}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
