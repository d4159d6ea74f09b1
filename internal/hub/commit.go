package hub

import (
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
	if err == nil && made.OID == "" {
		err = errors.New("the Hub does not say which commit it made")
	}
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
		lines = append(lines, piece{text: append(text, '\n')})
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
			piece{text: fmt.Appendf(nil, `{"key":"file","value":{"path":%s,"encoding":"base64","content":"`, path)},
			piece{file: u},
			piece{text: []byte("\"}}\n")})
	}
	return lines, failed
}

func (in Commit) title() string { return cmp.Or(in.Message, "Upload files") }

// A piece is a part of a body: text, or a file in base64.
type piece struct {
	text []byte
	file *upload
}

func (p piece) size() int64 {
	if p.file != nil {
		return int64(base64.StdEncoding.EncodedLen(int(p.file.size)))
	}
	return int64(len(p.text))
}

// A chain reads pieces one after the other, with one file open at a time.
type chain struct {
	pieces []piece
	out    []byte        // of the first piece, not yet read
	file   io.ReadCloser // of the first piece
	left   int64         // in file

	plain, coded []byte // used again for each file
}

func (c *chain) size() int64 {
	var n int64
	for _, p := range c.pieces {
		n += p.size()
	}
	return n
}

func (c *chain) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		var err error
		switch {
		case c.left > 0:
			err = c.encode()
		case c.file != nil:
			err = c.Close()
		case len(c.pieces) == 0:
			return 0, io.EOF
		default:
			err = c.next()
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// next begins with the first piece.
func (c *chain) next() error {
	first := c.pieces[0]
	c.pieces = c.pieces[1:]
	if first.file == nil {
		c.out = first.text
		return nil
	}
	file, err := first.file.reopen()
	if err != nil {
		return errFinal{err}
	}
	c.file, c.left = file, first.file.size
	return nil
}

const encodeChunk = 48 << 10 // of three bytes each, so that only the end is padded

// encode reads more of the file that is open.
func (c *chain) encode() error {
	if c.plain == nil {
		c.plain = make([]byte, encodeChunk)
	}
	plain := c.plain[:min(c.left, encodeChunk)]
	if _, err := io.ReadFull(c.file, plain); err != nil {
		return errors.Join(err, errors.New("a file changed while it was uploaded"))
	}
	c.left -= int64(len(plain))
	c.coded = base64.StdEncoding.AppendEncode(c.coded[:0], plain)
	c.out = c.coded
	return nil
}

func (c *chain) Close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file, c.left = nil, 0
	return err
}

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
