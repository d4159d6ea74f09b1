package hub

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
)

const (
	lfsType       = "application/vnd.git-lfs+json"
	lfsChunk      = 100
	lfsWorkers    = 3
	maxPartAmount = 100_000
)

type lfsObject struct {
	OID     string `json:"oid"`
	Size    int64  `json:"size"`
	Actions *struct {
		Upload *lfsAction `json:"upload"`
		Verify *lfsAction `json:"verify"`
	} `json:"actions,omitempty"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// sendLarge sends the large files that the Hub does not have.
func (c *Client) sendLarge(ctx context.Context, repo RepoID, in Commit, changed []*upload) error {
	bySum := map[string]*upload{} // the same content goes once
	var large []*upload
	for _, u := range changed {
		if u.large && bySum[u.sha256] == nil {
			bySum[u.sha256] = u
			large = append(large, u)
		}
	}
	for start := 0; start < len(large); start += lfsChunk {
		objects, err := c.lfsBatch(ctx, repo, in, large[start:min(start+lfsChunk, len(large))])
		if err != nil {
			return err
		}
		err = inParallel(ctx, lfsWorkers, objects, func(ctx context.Context, o lfsObject) error {
			u := bySum[o.OID]
			if u == nil || o.Size != u.size {
				return fmt.Errorf("the Hub asks for a large file %s that was not offered", o.OID)
			}
			if err := c.sendObject(ctx, o, u); err != nil {
				return fmt.Errorf("send %s: %w", u.Path, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func lfsHeader() http.Header { return http.Header{"Accept": {lfsType}, "Content-Type": {lfsType}} }

func (c *Client) lfsBatch(ctx context.Context, repo RepoID, in Commit, large []*upload) ([]lfsObject, error) {
	type ref struct {
		Name string `json:"name"`
	}
	ask := struct {
		Operation string      `json:"operation"`
		Transfers []string    `json:"transfers"`
		Objects   []lfsObject `json:"objects"`
		Hash      string      `json:"hash_algo"`
		Ref       *ref        `json:"ref,omitempty"`
	}{Operation: "upload", Transfers: []string{"basic", "multipart"}, Hash: "sha256"}
	if in.Revision != "" {
		ask.Ref = &ref{in.Revision}
	}
	for _, u := range large {
		ask.Objects = append(ask.Objects, lfsObject{OID: u.sha256, Size: u.size})
	}
	var answer struct {
		Transfer string      `json:"transfer"`
		Objects  []lfsObject `json:"objects"`
	}
	path := "/" + repo.Path() + ".git/info/lfs/objects/batch"
	if _, err := c.api(ctx, call{method: "POST", path: path, header: lfsHeader()}, ask, &answer); err != nil {
		return nil, err
	}
	if answer.Transfer != "" && answer.Transfer != "basic" && answer.Transfer != "multipart" {
		return nil, fmt.Errorf("the Hub wants large files by %s, which is not known here", answer.Transfer)
	}
	return answer.Objects, nil
}

// sendObject sends one large file, in one piece or in parts as the Hub says.
func (c *Client) sendObject(ctx context.Context, o lfsObject, u *upload) error {
	if o.Error != nil {
		return fmt.Errorf("the Hub refuses it: %s (%d)", o.Error.Message, o.Error.Code)
	}
	if o.Actions == nil || o.Actions.Upload == nil {
		return nil // the Hub has it
	}
	up := *o.Actions.Upload
	var err error
	if chunk, parts := up.Header["chunk_size"]; parts {
		err = c.sendParts(ctx, up, chunk, u)
	} else {
		_, err = c.put(ctx, up, u, 0, u.size)
	}
	if err != nil || o.Actions.Verify == nil {
		return err
	}
	in := lfsObject{OID: u.sha256, Size: u.size}
	_, err = c.api(ctx, call{method: "POST", path: o.Actions.Verify.Href, header: lfsHeader(), limit: slowLimit}, in, nil)
	return err
}

// put sends a section of a file to a storage, which the address alone gives
// the right to. It returns the storage's tag.
func (c *Client) put(ctx context.Context, to lfsAction, u *upload, from, size int64) (string, error) {
	header := http.Header{}
	for name, v := range to.Header {
		header.Set(name, v)
	}
	resp, err := c.do(ctx, call{
		method: "PUT", path: to.Href, header: header, signed: true, limit: slowLimit,
		body: func() (io.ReadCloser, int64, error) {
			body, err := u.reopen()
			if err != nil {
				return nil, 0, err
			}
			return section{io.NewSectionReader(body, from, size), body}, size, nil
		},
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection can be used again
	return resp.Header.Get("ETag"), nil
}

type section struct {
	io.Reader
	io.Closer
}

// sendParts sends a file in parts and has the storage join them.
func (c *Client) sendParts(ctx context.Context, up lfsAction, chunkText string, u *upload) error {
	chunk, err := strconv.ParseInt(chunkText, 10, 64)
	if err != nil || chunk <= 0 {
		return fmt.Errorf("the Hub's part size %q is not a number above 0", chunkText)
	}
	urls := map[int]string{}
	var numbers []int
	for name, href := range up.Header {
		if n, err := strconv.Atoi(name); err == nil && n > 0 && n < maxPartAmount {
			urls[n] = href
			numbers = append(numbers, n)
		}
	}
	sort.Ints(numbers)
	if want := (u.size + chunk - 1) / chunk; int64(len(numbers)) != want {
		return fmt.Errorf("the Hub gave addresses for %d parts, not %d", len(numbers), want)
	}
	type part struct {
		Number int    `json:"partNumber"`
		ETag   string `json:"etag"`
	}
	parts := make([]part, len(numbers))
	for i, n := range numbers {
		from := int64(i) * chunk
		tag, err := c.put(ctx, lfsAction{Href: urls[n]}, u, from, min(chunk, u.size-from))
		if err != nil {
			return err
		}
		if tag == "" {
			return fmt.Errorf("the storage gave no tag for part %d", n)
		}
		parts[i] = part{i + 1, tag}
	}
	in := map[string]any{"oid": u.sha256, "parts": parts}
	_, err = c.api(ctx, call{method: "POST", path: up.Href, header: lfsHeader(), signed: true, limit: slowLimit}, in, nil)
	return err
}
