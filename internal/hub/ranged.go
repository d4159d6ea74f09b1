package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"ml-intern/internal/hub/weights"
)

// readAhead is how much is asked for at once: most headers of weights take one
// request.
const readAhead = 512 << 10

// A RemoteFile is a file of a repository of which only what is wanted is
// downloaded. Its reads may go on side by side.
type RemoteFile struct {
	FileInfo
	client *Client
	repo   RepoID
	path   string

	mu    sync.Mutex
	start int64 // of ahead
	ahead []byte
}

// OpenRemote looks at a file and fixes the commit that it is read from.
func (c *Client) OpenRemote(ctx context.Context, repo RepoID, rev, path string) (*RemoteFile, error) {
	info, err := c.Stat(ctx, repo, rev, path)
	if err != nil {
		return nil, err
	}
	if info.Size < 0 {
		return nil, fmt.Errorf("open %s in %s: the Hub does not say how large it is", path, repo)
	}
	if info.Commit == "" {
		info.Commit = rev
	}
	return &RemoteFile{FileInfo: info, client: c, repo: repo, path: path}, nil
}

// readerAt makes a function a reader.
type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// Reader reads the file for as long as ctx lasts.
func (f *RemoteFile) Reader(ctx context.Context) io.ReaderAt {
	return readerAt(func(p []byte, off int64) (int, error) { return f.readAt(ctx, p, off) })
}

func (f *RemoteFile) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read a remote file: the offset is negative")
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at >= f.Size {
			return done, io.EOF
		}
		if n := f.held(p[done:], at); n > 0 {
			done += n
			continue
		}
		n, err := f.fetch(ctx, p[done:], at)
		done += n
		if err != nil {
			return done, fmt.Errorf("read %s of %s: %w", f.path, f.repo, err)
		}
	}
	return done, nil
}

// held copies what was read ahead.
func (f *RemoteFile) held(p []byte, off int64) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < f.start || off >= f.start+int64(len(f.ahead)) {
		return 0
	}
	return copy(p, f.ahead[off-f.start:])
}

// fetch asks the Hub for the bytes at off and, if that is little, for those
// behind them.
func (f *RemoteFile) fetch(ctx context.Context, p []byte, off int64) (int, error) {
	p = p[:min(int64(len(p)), f.Size-off)]
	if len(p) >= readAhead {
		return f.fetchInto(ctx, p, off)
	}
	ahead := make([]byte, min(readAhead, f.Size-off))
	n, err := f.fetchInto(ctx, ahead, off)
	if err != nil {
		return copy(p, ahead[:n]), err
	}
	f.mu.Lock()
	f.start, f.ahead = off, ahead
	f.mu.Unlock()
	return copy(p, ahead), nil
}

// fetchInto fills p, in a few attempts.
func (f *RemoteFile) fetchInto(ctx context.Context, p []byte, off int64) (int, error) {
	done := 0
	for failed := 1; ; failed++ {
		n, err := f.fetchOnce(ctx, p[done:], off+int64(done))
		done += n
		if err == nil || done == len(p) {
			return done, nil
		}
		_, refused := errors.AsType[*Error](err)
		if n > 0 {
			failed = 1
		}
		if refused || ctx.Err() != nil || !worthAnother(err) || failed == attempts {
			return done, err
		}
		if err := sleep(ctx, backoff(failed)); err != nil {
			return done, err
		}
	}
}

func (f *RemoteFile) fetchOnce(ctx context.Context, p []byte, off int64) (int, error) {
	header := identity()
	header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	resp, err := f.client.do(ctx, call{method: "GET", path: f.client.resolvePath(f.repo, f.Commit, f.path), header: header})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if info := resp.file(); info.ETag != f.ETag && newHash(info) != nil && newHash(f.FileInfo) != nil {
		return 0, errFinal{errors.New("the file changed while it was read")}
	}
	if err := (&fetch{done: off}).align(resp); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(resp.Body, p)
	if err != nil {
		err = plainError(resp.Request.URL, err)
	}
	return n, err
}

// remoteFolder lets weights read the files of a repository.
type remoteFolder struct {
	client *Client
	repo   RepoID
	commit string
}

func (d remoteFolder) Open(ctx context.Context, path string) (io.ReaderAt, int64, error) {
	f, err := d.client.OpenRemote(ctx, d.repo, d.commit, path)
	if err != nil {
		return nil, 0, err
	}
	return f.Reader(ctx), f.Size, nil
}

// maxListed bounds how many files a model is looked for among.
const maxListed = 100_000

// Weights reads what the files of a model's weights say about themselves,
// without downloading them.
func (c *Client) Weights(ctx context.Context, repo RepoID, rev string) (*weights.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	info, err := c.RepoInfo(ctx, repo, rev)
	if err == nil {
		err = info.checkSHA()
	}
	if err != nil {
		return nil, fmt.Errorf("read the weights of %s: %w", repo, err)
	}
	var paths []string
	seen := 0
	for e, err := range c.ListTree(ctx, repo, TreeOptions{Revision: info.SHA, Recursive: true}) {
		if err != nil {
			return nil, fmt.Errorf("read the weights of %s: %w", repo, err)
		}
		name := strings.ToLower(e.Path)
		if strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".gguf") || strings.HasSuffix(name, ".safetensors.index.json") {
			paths = append(paths, e.Path)
		}
		if seen++; seen == maxListed {
			break
		}
	}
	s, err := weights.Read(ctx, remoteFolder{c, repo, info.SHA}, paths)
	if err != nil {
		return nil, fmt.Errorf("read the weights of %s: %w", repo, err)
	}
	return s, nil
}
