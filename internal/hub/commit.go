package hub

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type commitAnswer struct {
	OID string `json:"commitOid"`
	URL string `json:"commitUrl"`

	PullURL string `json:"pullRequestUrl"`
}

// path is where the Hub takes a part of the commit.
func (in Commit) path(repo RepoID, action string) string {
	path := repo.api() + "/" + action + "/" + revision(in.Revision)
	if in.Pull {
		path += "?create_pr=1"
	}
	return path
}

// pullNumber reads the number off a pull request's address, 0 if there is none.
func pullNumber(address string) int {
	_, digits, _ := strings.Cut(address, "/discussions/")
	n, _ := strconv.Atoi(digits)
	return n
}

// commit sends the commit. It is not sent twice: arrived finds out what became
// of one whose answer was lost.
func (c *Client) commit(ctx context.Context, repo RepoID, in Commit, changed []*upload) (commitAnswer, error) {
	lines, err := commitLines(in, changed)
	if err != nil {
		return commitAnswer{}, err
	}
	var made commitAnswer
	_, err = c.api(ctx, call{
		method: "POST",
		path:   in.path(repo, "commit"),
		header: http.Header{"Content-Type": {"application/x-ndjson"}},
		body: func() (io.ReadCloser, int64, error) {
			chain := &chain{pieces: lines}
			return chain, chain.size(), nil
		},
		once:  true,
		limit: slowLimit,
	}, nil, &made)
	return made, err
}

// commitLines writes the commit as the Hub wants it, one JSON value a line.
// Files are read when it is sent.
func commitLines(in Commit, changed []*upload) ([]piece, error) {
	type object = map[string]any
	var lines []piece
	var failed error
	add := func(key string, value object) {
		text, err := json.Marshal(object{"key": key, "value": value})
		failed = errors.Join(failed, err)
		lines = append(lines, text2piece(append(text, '\n')))
	}
	header := object{"summary": in.title(), "description": in.Description}
	if in.Parent != "" {
		header["parentCommit"] = in.Parent
	}
	add("header", header)
	for _, path := range in.Delete {
		if strings.HasSuffix(path, "/") {
			add("deletedFolder", object{"path": path})
		} else {
			add("deletedFile", object{"path": path})
		}
	}
	for _, u := range changed {
		if u.large {
			add("lfsFile", object{"path": u.Path, "algo": "sha256", "oid": u.sha256, "size": u.size})
			continue
		}
		path, err := json.Marshal(u.Path)
		failed = errors.Join(failed, err)
		lines = append(lines,
			text2piece(fmt.Appendf(nil, `{"key":"file","value":{"path":%s,"encoding":"base64","content":"`, path)),
			piece{int64(base64.StdEncoding.EncodedLen(int(u.size))), u.base64},
			text2piece([]byte("\"}}\n")))
	}
	return lines, failed
}

func (in Commit) title() string { return cmp.Or(in.Message, "Upload files") }

// A piece is a part of a body, opened when it is its turn.
type piece struct {
	size int64
	open func() (io.ReadCloser, error)
}

func text2piece(text []byte) piece {
	return piece{int64(len(text)), func() (io.ReadCloser, error) { return memory{bytes.NewReader(text)}, nil }}
}

// A chain reads pieces one after the other, with one open at a time.
type chain struct {
	pieces []piece
	now    io.ReadCloser
}

func (c *chain) size() int64 {
	var n int64
	for _, p := range c.pieces {
		n += p.size
	}
	return n
}

func (c *chain) Read(p []byte) (int, error) {
	for {
		if c.now == nil {
			if len(c.pieces) == 0 {
				return 0, io.EOF
			}
			next, err := c.pieces[0].open()
			if err != nil {
				return 0, errFinal{err}
			}
			c.now, c.pieces = next, c.pieces[1:]
		}
		n, err := c.now.Read(p)
		if errors.Is(err, io.EOF) {
			err = c.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *chain) Close() error {
	if c.now == nil {
		return nil
	}
	err := c.now.Close()
	c.now = nil
	return err
}

// base64 reads the file as base64.
func (u *upload) base64() (io.ReadCloser, error) {
	body, err := u.reopen()
	if err != nil {
		return nil, err
	}
	return &encoder{src: body, left: u.size}, nil
}

// An encoder reads another reader as base64.
type encoder struct {
	src  io.ReadCloser
	left int64  // in src
	out  []byte // encoded, not yet read
}

const encodeChunk = 48 << 10 // of three bytes each, so that only the end is padded

func (e *encoder) Read(p []byte) (int, error) {
	if len(e.out) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		in := make([]byte, min(e.left, encodeChunk))
		n, err := io.ReadFull(e.src, in)
		if err != nil {
			return 0, errors.Join(err, errors.New("a file changed while it was uploaded"))
		}
		e.left -= int64(n)
		e.out = base64.StdEncoding.AppendEncode(nil, in)
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

func (e *encoder) Close() error { return e.src.Close() }

// arrived finds out whether a commit whose answer was lost was made: the
// branch has moved and has every file as it was sent.
func (c *Client) arrived(ctx context.Context, repo RepoID, in Commit, uploads []*upload, before string, failure error) (string, bool) {
	e, answered := errors.AsType[*Error](failure)
	if answered && e.Status < 500 || ctx.Err() != nil || len(in.Delete) > 0 || !worthAnother(failure) {
		return "", false
	}
	head, err := c.preupload(ctx, repo, in, uploads)
	if err != nil || head == "" || head == before {
		return "", false
	}
	for _, u := range uploads {
		if u.settle(ctx, notes{}) != nil || !u.ignored && !u.same() {
			return "", false
		}
	}
	return head, true
}
