package gitstore

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zlib"
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
	if _, _, ok := s.packs.find(oid); ok {
		return true
	}
	_, err := os.Stat(s.objectPath(oid))
	return err == nil
}

// openFile opens an object as it is packed.
func (s *Store) openFile(oid string) (io.Reader, io.Closer, error) {
	if r, file, ok, err := s.openPacked(oid); ok {
		return r, file, err
	}
	f, err := os.Open(s.objectPath(oid))
	if !missing(err) {
		return f, f, err
	}
	if err := s.readPacks(); err != nil { // perhaps another process has it in a new one
		return nil, nil, err
	}
	if r, file, ok, err := s.openPacked(oid); ok {
		return r, file, err
	}
	return nil, nil, err
}

// openObject opens an object behind its header.
func (s *Store) openObject(oid string) (kind string, size int64, body io.ReadCloser, err error) {
	if !isHex(oid, 40) {
		return "", 0, nil, fmt.Errorf("read object %q: %w", oid, ErrInvalid)
	}
	packed, f, err := s.openFile(oid)
	if err != nil {
		return "", 0, nil, fmt.Errorf("read object: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	z, err := zlib.NewReader(packed)
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
	spool *spool          // nil before the first object
	long  map[string]bool // blobs that are too long for a pointer
	zip   *zlib.Writer    // used again: a new one costs more than most objects
}

// Batch starts an empty batch. It must be flushed by Commit, or discarded.
func (s *Store) Batch() *Batch {
	return &Batch{store: s, long: map[string]bool{}}
}

// Blob adds a blob and returns its id.
func (b *Batch) Blob(content []byte) (string, error) {
	oid, err := b.put(kindBlob, content)
	if err == nil && len(content) > maxPointer {
		b.long[oid] = true
	}
	return oid, err
}

func (b *Batch) place(oid string) (place, bool) {
	if b.spool == nil {
		return place{}, false
	}
	at, ok := b.spool.at[oid]
	return at, ok
}

func (b *Batch) put(kind string, content []byte) (string, error) {
	oid := objectID(kind, content)
	if _, ours := b.place(oid); ours || b.store.has(oid) {
		return oid, nil
	}
	if err := b.write(oid, kind, content); err != nil {
		return "", fmt.Errorf("write object: %w", full(err))
	}
	return oid, nil
}

func (b *Batch) write(oid, kind string, content []byte) error {
	if b.spool == nil {
		var err error
		if b.spool, err = b.store.spool(); err != nil {
			return err
		}
		if b.zip == nil {
			b.zip, _ = zlib.NewWriterLevel(b.spool, zlib.BestSpeed) // the level is a good one
		}
	}
	at := place{offset: b.spool.size}
	b.zip.Reset(b.spool)
	_, err := fmt.Fprintf(b.zip, "%s %d\x00", kind, len(content))
	if err == nil {
		_, err = b.zip.Write(content)
	}
	if err = errors.Join(err, b.zip.Close()); err != nil {
		return err
	}
	at.size = uint32(b.spool.size - at.offset)
	b.spool.at[oid] = at
	return nil
}

// read returns an object of the batch or of the store.
func (b *Batch) read(kind, oid string) ([]byte, error) {
	at, ours := b.place(oid)
	if !ours {
		return b.store.read(kind, oid)
	}
	packed, err := b.spool.open(at)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", full(err))
	}
	z, err := zlib.NewReader(packed)
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
	if b.spool == nil {
		return nil
	}
	persist := b.store.unpack
	if len(b.spool.at) >= packFrom {
		persist = b.store.pack
	}
	if err := persist(b.spool); err != nil {
		return fmt.Errorf("write objects: %w", full(err))
	}
	b.Discard()
	return nil
}

// Discard throws away what was not flushed.
func (b *Batch) Discard() {
	if b.spool != nil {
		b.spool.discard()
		b.spool = nil
	}
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
