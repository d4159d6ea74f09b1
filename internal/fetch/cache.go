package fetch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	cacheLimit = 500 << 20
	strayAge   = time.Hour           // after which a file that nobody finished is removed
	keptFor    = 30 * 24 * time.Hour // after which an answer that nobody wanted is removed
)

// A cache keeps answers on disk: each in one file, a line of JSON and the
// body, named after the request. When an answer was fetched or confirmed is
// the time of its file.
//
// It is only a cache: what cannot be read or written is as if it were not
// there. A file that a crash left half written fails its checksum.
type cache struct {
	dir   string
	limit int64

	mu      sync.Mutex
	checked bool  // the folder was swept once
	written int64 // since then
}

type entry struct {
	URL     string      `json:"url"`
	Status  int         `json:"status"`
	Header  http.Header `json:"header"`
	Type    string      `json:"type"`
	Charset string      `json:"charset,omitempty"`
	Size    int         `json:"size"`
	CRC     uint32      `json:"crc32"`
}

// cacheKey names a request. What is got with a token or a header of its own
// is an answer of its own, and so is what only a trusted address could give.
func cacheKey(in Request, u *url.URL, trust bool) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q %q %v\n", in.Method, withoutFragment(u), in.Token, trust)
	names := make([]string, 0, len(in.Header))
	for name := range in.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(h, "%q %q\n", strings.ToLower(name), in.Header[name])
	}
	h.Write(in.Body)
	return hex.EncodeToString(h.Sum(nil))
}

func (c *cache) file(key string) string { return filepath.Join(c.dir, key[:2], key) }

// load returns what is kept, nil if that is nothing.
func (c *cache) load(key string) *Response {
	f, err := os.Open(c.file(key))
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > c.limit {
		return nil
	}
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := data.ReadFrom(f); err != nil {
		return nil
	}
	head, body, _ := bytes.Cut(data.Bytes(), []byte("\n"))
	var e entry
	if json.Unmarshal(head, &e) != nil || e.Size != len(body) || e.CRC != crc32.ChecksumIEEE(body) || e.Status != http.StatusOK {
		return nil
	}
	return &Response{URL: e.URL, Status: e.Status, Header: e.Header, Body: body, Type: e.Type, Charset: e.Charset, Time: info.ModTime()}
}

// confirm notes that the kept answer was still right at that time.
func (c *cache) confirm(key string, at time.Time) { _ = os.Chtimes(c.file(key), at, at) }

func (c *cache) save(key string, r *Response) {
	head, err := json.Marshal(entry{r.URL, r.Status, r.Header, r.Type, r.Charset, len(r.Body), crc32.ChecksumIEEE(r.Body)})
	if err != nil || int64(len(r.Body)) > c.limit/20 {
		return
	}
	if c.room(int64(len(head) + len(r.Body))) {
		_ = c.write(key, r.Time, append(head, '\n'), r.Body)
	}
}

// write puts a file in its place in one step.
func (c *cache) write(key string, at time.Time, parts ...[]byte) error {
	dir := filepath.Dir(c.file(key))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err == nil {
			_, err = f.Write(p)
		}
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chtimes(f.Name(), at, at)
	}
	if err == nil {
		err = os.Rename(f.Name(), c.file(key))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// room makes room for so many bytes. It sweeps when this process has written
// enough since the last time; while another process is at that, nothing is
// kept, so that together they stay within the limit.
func (c *cache) room(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.checked || c.written+n > c.limit/20 {
		if !c.sweep() {
			return false
		}
		c.checked, c.written = true, 0
	}
	c.written += n
	return true
}

// sweep removes the oldest files until the rest is well within the limit, so
// that several processes together stay within it too. It reports false if
// another process is at it.
func (c *cache) sweep() bool {
	if os.MkdirAll(c.dir, 0o700) != nil {
		return false
	}
	lock := flock.New(filepath.Join(c.dir, ".lock"))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return false
	}
	defer func() { _ = lock.Unlock() }()
	type kept struct {
		path string
		size int64
		time time.Time
	}
	var all []kept
	var total int64
	_ = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".lock" {
			return nil //nolint:nilerr // what cannot be seen is not ours to remove
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // removed meanwhile
		}
		if strings.HasPrefix(d.Name(), "new-") {
			if time.Since(info.ModTime()) > strayAge {
				os.Remove(path)
			}
			return nil
		}
		if time.Since(info.ModTime()) > keptFor {
			os.Remove(path)
			return nil
		}
		all = append(all, kept{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	slices.SortFunc(all, func(a, b kept) int { return a.time.Compare(b.time) })
	for _, k := range all {
		if total <= c.limit/10*8 {
			break
		}
		os.Remove(k.path)
		total -= k.size
	}
	return true
}
