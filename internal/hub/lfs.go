package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	lfsType       = "application/vnd.git-lfs+json"
	lfsChunk      = 100
	lfsWorkers    = 3 // files at a time
	partWorkers   = 3 // parts of each
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
func (p *push) sendLarge(ctx context.Context, changed []*upload) error {
	bySum := map[string]*upload{} // the same content goes once
	var large []*upload
	for _, u := range changed {
		if u.large && bySum[u.sha256] == nil {
			bySum[u.sha256] = u
			large = append(large, u)
		}
	}
	for start := 0; start < len(large); start += lfsChunk {
		objects, err := p.client.lfsBatch(ctx, p.repo, p.in, large[start:min(start+lfsChunk, len(large))])
		if err != nil {
			return err
		}
		err = inParallel(ctx, lfsWorkers, objects, func(ctx context.Context, o lfsObject) error {
			u := bySum[o.OID]
			if u == nil || o.Size != u.size {
				return fmt.Errorf("the Hub asks for a large file %s that was not offered", o.OID)
			}
			if err := p.sendObject(ctx, o, u); err != nil {
				return fmt.Errorf("send %s: %w", u.Path, err)
			}
			p.in.Progress.tell(u.Path, u.size, u.size)
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
	if in.Revision != "" && !in.Pull {
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
// An upload in parts that an earlier call left is gone on with; if the storage
// does not know it any more it begins anew.
func (p *push) sendObject(ctx context.Context, o lfsObject, u *upload) error {
	note := p.notes.parts(p.client, p.repo, u)
	if note != nil && o.upload() != nil {
		err := p.sendParts(ctx, note, u)
		if err == nil {
			return p.verify(ctx, o, u)
		}
		if !refused(err) {
			return err
		}
		note.forget()
		again, err := p.client.lfsBatch(ctx, p.repo, p.in, []*upload{u})
		if err != nil {
			return err
		}
		if len(again) != 1 || again[0].OID != o.OID {
			return errors.New("the Hub does not say where to send it")
		}
		o = again[0]
	}
	if o.Error != nil {
		return fmt.Errorf("the Hub refuses it: %s (%d)", o.Error.Message, o.Error.Code)
	}
	up := o.upload()
	if up == nil {
		note.forget()
		return nil // the Hub has it
	}
	var err error
	if _, parts := up.Header["chunk_size"]; parts {
		err = p.sendParts(ctx, p.notes.begin(p.client, p.repo, u, *up), u)
	} else {
		_, err = p.put(ctx, *up, u, 0, u.size)
	}
	if err != nil {
		if refused(err) { // perhaps it is not what the notes say
			p.notes.forgetSum(u.Local)
			p.notes.parts(p.client, p.repo, u).forget()
		}
		return err
	}
	return p.verify(ctx, o, u)
}

func (o lfsObject) upload() *lfsAction {
	if o.Actions == nil {
		return nil
	}
	return o.Actions.Upload
}

// refused reports whether an answer was a no that stays one.
func refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusTooManyRequests
}

func (p *push) verify(ctx context.Context, o lfsObject, u *upload) error {
	if o.Actions == nil || o.Actions.Verify == nil {
		return nil
	}
	in := lfsObject{OID: u.sha256, Size: u.size}
	_, err := p.client.api(ctx, call{method: "POST", path: o.Actions.Verify.Href, header: lfsHeader(), limit: slowLimit}, in, nil)
	return err
}

// put sends a section of a file to a storage, which the address alone gives
// the right to. It returns the storage's tag.
func (p *push) put(ctx context.Context, to lfsAction, u *upload, from, size int64) (string, error) {
	if err := p.client.safe(to.Href); err != nil {
		return "", err
	}
	header := http.Header{}
	for name, v := range to.Header {
		header.Set(name, v)
	}
	var count *counted
	resp, err := p.client.do(ctx, call{
		method: "PUT", path: to.Href, header: header, signed: true, limit: slowLimit,
		body: func() (io.ReadCloser, int64, error) {
			body, err := u.reopen()
			if err != nil {
				return nil, 0, err
			}
			count.undo()
			count = &counted{Reader: io.NewSectionReader(body, from, size), Closer: body, u: u, progress: p.in.Progress}
			return count, size, nil
		},
	})
	if err != nil {
		count.undo()
		return "", err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection can be used again
	return resp.Header.Get("ETag"), nil
}

// safe refuses an address without encryption where the Hub has it: what is sent
// there may be private.
func (c *Client) safe(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("the Hub names an address to send to that is not a URL")
	}
	if u.Scheme != "https" && strings.HasPrefix(c.base(), "https:") {
		return fmt.Errorf("the Hub wants the content sent to %s, which is not encrypted", u.Host)
	}
	return nil
}

// counted tells how much of a file has been read to be sent.
type counted struct {
	io.Reader
	io.Closer
	u        *upload
	progress Progress

	mu   sync.Mutex // a transport may still read after it has given up
	n    int64
	over bool
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && !c.over {
		c.n += int64(n)
		c.progress.tell(c.u.Path, c.u.sent.Add(int64(n)), c.u.size)
	}
	return n, err
}

// undo takes back what was sent in vain.
func (c *counted) undo() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.over = true
		c.u.sent.Add(-c.n)
	}
}

// sendParts sends the parts of a file that have not arrived yet, and has the
// storage join them.
func (p *push) sendParts(ctx context.Context, note *partsNote, u *upload) error {
	parts, err := note.up.parts(u.size)
	if err != nil {
		return err
	}
	var missing []*part
	u.sent.Store(0)
	for i := range parts {
		if parts[i].Tag = note.tags[parts[i].Number]; parts[i].Tag == "" {
			missing = append(missing, &parts[i])
		} else {
			u.sent.Add(parts[i].size)
		}
	}
	p.in.Progress.tell(u.Path, u.sent.Load(), u.size)
	err = inParallel(ctx, partWorkers, missing, func(ctx context.Context, part *part) error {
		tag, err := p.put(ctx, lfsAction{Href: part.href}, u, part.from, part.size)
		if err != nil {
			return err
		}
		if tag == "" {
			return fmt.Errorf("the storage gave no tag for part %d", part.Number)
		}
		part.Tag = tag
		note.add(part.Number, tag)
		return nil
	})
	if err != nil {
		return err
	}
	in := map[string]any{"oid": u.sha256, "parts": parts}
	_, err = p.client.api(ctx, call{method: "POST", path: note.up.Href, header: lfsHeader(), signed: true, limit: slowLimit}, in, nil)
	if err == nil {
		note.forget()
	}
	return err
}

// A part is a section of a file that is sent by itself.
type part struct {
	Number int    `json:"partNumber"`
	Tag    string `json:"etag"`

	href       string
	from, size int64
}

// parts cuts a file of that size as the Hub wants it.
func (up lfsAction) parts(size int64) ([]part, error) {
	chunk, err := strconv.ParseInt(up.Header["chunk_size"], 10, 64)
	if err != nil || chunk <= 0 {
		return nil, fmt.Errorf("the Hub's part size %q is not a number above 0", up.Header["chunk_size"])
	}
	var parts []part
	for name, href := range up.Header {
		if n, err := strconv.Atoi(name); err == nil && n > 0 && n < maxPartAmount {
			parts = append(parts, part{Number: n, href: href})
		}
	}
	if want := (size + chunk - 1) / chunk; int64(len(parts)) != want {
		return nil, fmt.Errorf("the Hub gave addresses for %d parts, not %d", len(parts), want)
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.Number, b.Number) })
	for i := range parts {
		parts[i].Number = i + 1
		parts[i].from = int64(i) * chunk
		parts[i].size = min(chunk, size-parts[i].from)
	}
	return parts, nil
}
