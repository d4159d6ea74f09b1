package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// FileInfo is what the Hub says about a file's content.
type FileInfo struct {
	Commit string // of the revision that was asked for
	Size   int64  // -1 if the Hub does not say
	ETag   string // git's id of a regular file, the sha256 of a large one
}

func (c *Client) resolvePath(repo RepoID, rev, path string) string {
	return "/" + repo.Path() + "/resolve/" + revision(rev) + "/" + escapePath(path)
}

// identity keeps a server from compressing: sizes and ranges are of the file.
func identity() http.Header { return http.Header{"Accept-Encoding": {"identity"}} }

// Stat asks about a file without reading it.
func (c *Client) Stat(ctx context.Context, repo RepoID, rev, path string) (FileInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	resp, err := c.do(ctx, call{method: "HEAD", path: c.resolvePath(repo, rev, path), header: identity(), stay: true})
	if err != nil {
		return FileInfo{}, fmt.Errorf("stat %s in %s: %w", path, repo, err)
	}
	resp.Body.Close()
	return resp.file(), nil
}

// file reads a file's description off an answer, and off those that led to it.
func (r *reply) file() FileInfo {
	first := func(name string) string {
		if v := r.seen.Get(name); v != "" {
			return v
		}
		return r.Header.Get(name)
	}
	info := FileInfo{Commit: first("X-Repo-Commit"), Size: -1, ETag: first("X-Linked-Etag")}
	if info.ETag == "" {
		info.ETag = r.Header.Get("ETag")
	}
	info.ETag = strings.Trim(strings.TrimPrefix(info.ETag, "W/"), `"`)
	_, total, _ := strings.Cut(r.Header.Get("Content-Range"), "/")
	for _, v := range []string{first("X-Linked-Size"), total} {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 && info.Size < 0 {
			info.Size = n
		}
	}
	if info.Size < 0 && r.StatusCode == http.StatusOK {
		info.Size = r.ContentLength
	}
	return info
}

// Download writes a file of a repository to w. A connection that breaks is
// taken up where it broke. What was written is whole and has the hash that the
// Hub gave, or there is an error.
func (c *Client) Download(ctx context.Context, repo RepoID, rev, path string, w io.Writer) (FileInfo, error) {
	f := &fetch{client: c, repo: repo, path: path, url: c.resolvePath(repo, rev, path)}
	if err := f.run(ctx, w); err != nil {
		return FileInfo{}, fmt.Errorf("download %s of %s: %w", path, repo, err)
	}
	return f.info, nil
}

// File is what a download of a listed file must be, in the commit that was
// listed.
func (e Entry) File(commit string) FileInfo {
	info := FileInfo{Commit: commit, Size: e.Size, ETag: e.OID}
	if e.LFS != "" {
		info.ETag = e.LFS
	}
	return info
}

// Resume downloads what file lacks of a file that Stat or ListTree has
// described. What is there already counts if its hash can be checked, and is
// thrown away if it is wrong. Afterwards the file is whole, or there is an error.
func (c *Client) Resume(ctx context.Context, repo RepoID, path string, want FileInfo, file *os.File, progress Progress) error {
	f := &fetch{client: c, repo: repo, path: path, progress: progress}
	for {
		begun, err := f.resume(ctx, want, file)
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		if cut := file.Truncate(0); cut != nil || !begun {
			return errors.Join(err, cut)
		} // what an earlier call left was not what it should be: once more from the start
	}
}

// resume reports whether the file had something already.
func (f *fetch) resume(ctx context.Context, want FileInfo, file *os.File) (begun bool, err error) {
	f.url = f.client.resolvePath(f.repo, want.Commit, f.path)
	f.expect(want)
	if f.hash == nil { // nobody can say whether what is there is right
		f.done, err = 0, file.Truncate(0)
	} else if _, err = file.Seek(0, io.SeekStart); err == nil {
		f.done, err = io.Copy(f.hash, &obedient{ctx, file})
	}
	if err != nil {
		return false, err
	}
	begun = f.done > 0
	if f.info.Size >= 0 && f.done > f.info.Size {
		return begun, ErrDamaged
	}
	f.progress.tell(f.path, f.done, f.info.Size)
	return begun, f.run(ctx, io.NewOffsetWriter(file, f.done))
}

// A fetch is a download under way.
type fetch struct {
	client   *Client
	repo     RepoID
	path     string
	url      string
	known    bool // info is
	info     FileInfo
	done     int64 // bytes that are written and in the hash
	hash     hash.Hash
	progress Progress
}

// expect says beforehand what the file is.
func (f *fetch) expect(info FileInfo) {
	f.info, f.known, f.hash = info, true, newHash(info)
	if info.Commit != "" { // a branch may move on before the next attempt
		f.url = f.client.resolvePath(f.repo, info.Commit, f.path)
	}
}

// newHash is the hash whose sum the ETag is, nil if it is none that is known.
func newHash(info FileInfo) hash.Hash {
	switch {
	case len(info.ETag) == 64:
		return sha256.New()
	case len(info.ETag) == 40 && info.Size >= 0:
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", info.Size)
		return h
	}
	return nil
}

// errWriter is an error of the place that a download is written to.
type errWriter struct{ error }

func (e errWriter) Unwrap() error { return e.error }

// run reads the rest of the file into w, in as many attempts as bring
// something, and a few that do not.
func (f *fetch) run(ctx context.Context, w io.Writer) error {
	for failed := 1; ; failed++ {
		before := f.done
		err := f.attempt(ctx, w)
		if err == nil {
			return f.check()
		}
		_, refused := errors.AsType[*Error](err)
		_, local := errors.AsType[errWriter](err)
		if refused || local || ctx.Err() != nil || !worthAnother(err) {
			return err
		}
		if f.done > before {
			failed = 1
		}
		if failed == attempts {
			return err
		}
		if err := sleep(ctx, backoff(failed)); err != nil {
			return err
		}
	}
}

func (f *fetch) attempt(ctx context.Context, w io.Writer) error {
	if f.known && f.done == f.info.Size {
		return nil
	}
	header := identity()
	if f.done > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", f.done))
	}
	resp, err := f.client.do(ctx, call{method: "GET", path: f.url, header: header})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	info := resp.file()
	if !f.known {
		f.expect(info)
	} else if info.ETag != f.info.ETag && newHash(info) != nil && newHash(f.info) != nil {
		return errFinal{errors.New("the file changed during the download")}
	}
	if err := f.align(resp); err != nil {
		return err
	}
	err = f.receive(w, resp.Body)
	if _, local := errors.AsType[errWriter](err); err != nil && !local {
		return plainError(resp.Request.URL, err)
	}
	if err == nil && f.info.Size >= 0 && f.done < f.info.Size {
		return fmt.Errorf("the Hub sent %d bytes of %d", f.done, f.info.Size)
	}
	return err
}

// align brings an answer to the byte that is wanted next.
func (f *fetch) align(resp *reply) error {
	if resp.StatusCode == http.StatusPartialContent {
		var start int64
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &start)
		if err != nil || start != f.done {
			return errFinal{fmt.Errorf("the Hub sent another range than was asked for: %q", resp.Header.Get("Content-Range"))}
		}
		return nil
	}
	if resp.StatusCode != http.StatusOK {
		return errFinal{fmt.Errorf("the Hub answered %d", resp.StatusCode)}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, f.done); err != nil { // it does not know ranges
		return plainError(resp.Request.URL, err)
	}
	return nil
}

// receive writes what comes, and counts and hashes it. A file that does not end
// where it should is noticed one byte later.
func (f *fetch) receive(w io.Writer, r io.Reader) error {
	if f.info.Size >= 0 {
		r = io.LimitReader(r, f.info.Size-f.done+1)
	}
	return pump(r, f.hash, f.info.Size-f.done, func(p []byte) error {
		n, err := w.Write(p)
		if err != nil {
			return errWriter{err}
		}
		f.done += int64(n)
		f.progress.tell(f.path, f.done, f.info.Size)
		return nil
	})
}

// ErrDamaged says that content is not what the Hub says it is.
var ErrDamaged = errors.New("the content does not have the hash or the size that the Hub gave")

func (f *fetch) check() error {
	if f.info.Size >= 0 && f.done != f.info.Size {
		return fmt.Errorf("%w: %d bytes, not %d", ErrDamaged, f.done, f.info.Size)
	}
	if f.hash == nil {
		return nil
	}
	if got := hex.EncodeToString(f.hash.Sum(nil)); got != f.info.ETag {
		return fmt.Errorf("%w: %s, not %s", ErrDamaged, got, f.info.ETag)
	}
	f.info.Size = f.done
	return nil
}
