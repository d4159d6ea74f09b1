package gitstore

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/klauspost/compress/zlib"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// The kinds of git objects.
const (
	kindBlob   = "blob"
	kindTree   = "tree"
	kindCommit = "commit"
)

// maxObject bounds what is read into memory. Larger content is a large file.
const maxObject = 256 << 20

// OID is git's id of a blob with this content.
func OID(content []byte) string { return objectID(kindBlob, content) }

func objectID(kind string, content []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kind, len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

func (s *Store) objectPath(oid string) string { return s.path("objects", oid[:2], oid[2:]) }

func (s *Store) has(oid string) bool {
	_, err := os.Stat(s.objectPath(oid))
	return err == nil
}

// openObject opens an object behind its header.
func (s *Store) openObject(oid string) (kind string, size int64, body io.ReadCloser, err error) {
	if !isHex(oid, 40) {
		return "", 0, nil, fmt.Errorf("read object %q: %w", oid, ErrInvalid)
	}
	f, err := os.Open(s.objectPath(oid))
	if err != nil {
		return "", 0, nil, fmt.Errorf("read object: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	z, err := zlib.NewReader(f)
	if err != nil {
		return "", 0, nil, fmt.Errorf("read object %s: %w", oid, err)
	}
	r := bufio.NewReader(z)
	head, err := r.ReadString(0)
	if err != nil {
		return "", 0, nil, fmt.Errorf("read object %s: %w", oid, err)
	}
	kind, digits, _ := strings.Cut(strings.TrimSuffix(head, "\x00"), " ")
	if size, err = strconv.ParseInt(digits, 10, 64); err != nil {
		return "", 0, nil, fmt.Errorf("read object %s: its header is damaged", oid)
	}
	return kind, size, readCloser{r, f}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// read returns an object's content. What does not have the hash that it is
// stored under is an error.
func (s *Store) read(kind, oid string) ([]byte, error) {
	got, size, body, err := s.openObject(oid)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if got != kind || size > maxObject {
		return nil, fmt.Errorf("read object %s: it is a %s of %d bytes", oid, got, size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, fmt.Errorf("read object %s: %w", oid, err)
	}
	if objectID(kind, data) != oid {
		return nil, fmt.Errorf("read object %s: it is damaged", oid)
	}
	return data, nil
}

// Blob returns a blob's content.
func (s *Store) Blob(oid string) ([]byte, error) { return s.read(kindBlob, oid) }

// A Batch collects new objects, and makes them visible together. It is for one
// goroutine.
type Batch struct {
	store *Store
	temp  map[string]string // file of each object, by id
	long  map[string]bool   // blobs that are too long for a pointer
	zip   *zlib.Writer      // used again: a new one costs more than most objects
}

// Batch starts an empty batch. It must be flushed by Commit, or discarded.
func (s *Store) Batch() *Batch {
	return &Batch{store: s, temp: map[string]string{}, long: map[string]bool{}}
}

// Blob adds a blob and returns its id.
func (b *Batch) Blob(content []byte) (string, error) {
	oid, err := b.put(kindBlob, content)
	if err == nil && len(content) > maxPointer {
		b.long[oid] = true
	}
	return oid, err
}

func (b *Batch) put(kind string, content []byte) (string, error) {
	oid := objectID(kind, content)
	if _, known := b.temp[oid]; known || b.store.has(oid) {
		return oid, nil
	}
	f, err := b.store.temp()
	if err != nil {
		return "", fmt.Errorf("write object: %w", err)
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %d\x00", kind, len(content))
	if b.zip == nil {
		b.zip, _ = zlib.NewWriterLevel(f, zlib.BestSpeed) // the level is a good one
	}
	b.zip.Reset(f)
	_, err = io.Copy(b.zip, io.MultiReader(&head, bytes.NewReader(content)))
	if err = errors.Join(err, b.zip.Close(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("write object: %w", full(err))
	}
	b.temp[oid] = f.Name()
	return oid, nil
}

// read returns an object of the batch or of the store.
func (b *Batch) read(kind, oid string) ([]byte, error) {
	temp, ours := b.temp[oid]
	if !ours {
		return b.store.read(kind, oid)
	}
	data, err := os.ReadFile(temp)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	_, content, _ := bytes.Cut(plain, []byte{0})
	return content, nil
}

// flush makes the objects durable, then visible.
func (b *Batch) flush() error {
	journaled := len(b.temp) >= journalFrom
	persist := b.syncEach
	if journaled {
		unlock, err := b.store.lockJournals()
		if err != nil {
			return err
		}
		defer unlock()
		persist = b.journal
	}
	if err := persist(); err != nil {
		return fmt.Errorf("write objects: %w", full(err))
	}
	dirs := map[string]bool{b.store.path("objects"): true}
	for oid, temp := range b.temp {
		path := b.store.objectPath(oid)
		if dir := filepath.Dir(path); !dirs[dir] {
			dirs[dir] = true
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("write objects: %w", full(err))
			}
		}
		if err := rename(temp, path); err != nil {
			return fmt.Errorf("write objects: %w", full(err))
		}
		delete(b.temp, oid)
	}
	if journaled {
		return b.store.settle(journalAge)
	}
	for dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) syncEach() error {
	var wg sync.WaitGroup
	errs := make([]error, 0, len(b.temp))
	var mu sync.Mutex
	for _, temp := range b.temp {
		wg.Go(func() {
			err := syncFile(temp)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Discard throws away what was not flushed.
func (b *Batch) Discard() {
	for oid, temp := range b.temp {
		os.Remove(temp) // what stays is swept at a later start
		delete(b.temp, oid)
	}
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
