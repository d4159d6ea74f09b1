package gitstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Large is a file that git has only a pointer to.
type Large struct {
	OID  string // sha256 of the content
	Size int64
}

const pointerHead = "version https://git-lfs.github.com/spec/v1\n"

// maxPointer is git-lfs's own limit: what is longer is not a pointer.
const maxPointer = 1024

// Pointer is the text that stands for the file in git.
func (l Large) Pointer() []byte {
	return fmt.Appendf(nil, "%soid sha256:%s\nsize %d\n", pointerHead, l.OID, l.Size)
}

// ParsePointer reads a pointer's text.
func ParsePointer(text []byte) (Large, bool) {
	rest, ok := strings.CutPrefix(string(text), pointerHead)
	if !ok || len(text) > maxPointer {
		return Large{}, false
	}
	var l Large
	for line := range strings.Lines(rest) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch key {
		case "oid":
			l.OID = strings.TrimPrefix(value, "sha256:")
		case "size":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return Large{}, false
			}
			l.Size = n
		}
	}
	return l, isHex(l.OID, 64)
}

// Binary guesses from a file's beginning whether people can read it.
func Binary(sample []byte) bool {
	if bytes.IndexByte(sample, 0) >= 0 {
		return true
	}
	for cut := 0; cut < utf8.UTFMax && cut <= len(sample); cut++ { // the last sign may be cut
		if utf8.Valid(sample[:len(sample)-cut]) {
			return false
		}
	}
	return true
}

func (s *Store) largePath(oid string) string { return s.path("large", oid[:2], oid[2:4], oid) }

// HasLarge reports whether the file is here, whole.
func (s *Store) HasLarge(l Large) bool {
	if !isHex(l.OID, 64) {
		return false
	}
	info, err := os.Stat(s.largePath(l.OID))
	return err == nil && info.Size() == l.Size
}

// KeepLarge is HasLarge for one who is about to name the file in a commit: it
// will not be collected meanwhile.
func (s *Store) KeepLarge(l Large) bool {
	now := time.Now()
	return s.HasLarge(l) && os.Chtimes(s.largePath(l.OID), now, now) == nil
}

// LargeSize is the size of a file that is here.
func (s *Store) LargeSize(oid string) (int64, error) {
	if !isHex(oid, 64) {
		return 0, fmt.Errorf("large file %q: %w", oid, ErrInvalid)
	}
	info, err := os.Stat(s.largePath(oid))
	if missing(err) {
		return 0, fmt.Errorf("large file %s: %w", oid, ErrNoLarge)
	}
	if err != nil {
		return 0, fmt.Errorf("large file: %w", err)
	}
	return info.Size(), nil
}

// OpenLarge opens a file for reading.
func (s *Store) OpenLarge(oid string) (*os.File, error) {
	if !isHex(oid, 64) {
		return nil, fmt.Errorf("open large file %q: %w", oid, ErrInvalid)
	}
	f, err := os.Open(s.largePath(oid))
	if missing(err) {
		return nil, fmt.Errorf("open large file %s: %w", oid, ErrNoLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("open large file: %w", err)
	}
	return f, nil
}

const copySize = 256 << 10 // at a time

// PutLarge stores a file. It is not there before all of it has come and its
// size and hash are those of l.
func (s *Store) PutLarge(l Large, r io.Reader) error {
	if !isHex(l.OID, 64) || l.Size < 0 {
		return fmt.Errorf("store large file %q: %w", l.OID, ErrInvalid)
	}
	f, err := s.temp()
	if err != nil {
		return fmt.Errorf("store large file: %w", err)
	}
	defer os.Remove(f.Name())
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(f, h), io.LimitReader(r, l.Size+1), make([]byte, copySize))
	if err == nil {
		err = checkLarge(l, n, hex.EncodeToString(h.Sum(nil)))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("store large file: %w", full(err))
	}
	if err := s.adopt(l, f.Name()); err != nil {
		return fmt.Errorf("store large file: %w", full(err))
	}
	return nil
}

// adopt gives a file that was checked and synced its place.
func (s *Store) adopt(l Large, file string) error {
	path := s.largePath(l.OID)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if s.KeepLarge(l) { // somebody else brought the same
		return nil
	}
	if err := rename(file, path); err != nil {
		return err
	}
	for dir := filepath.Dir(path); dir != s.dir; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func checkLarge(l Large, size int64, oid string) error {
	switch {
	case size > l.Size:
		return fmt.Errorf("%w: more than the %d bytes that were announced", ErrInvalid, l.Size)
	case size < l.Size:
		return fmt.Errorf("%w: %d bytes came of %d", ErrInvalid, size, l.Size)
	case oid != l.OID:
		return fmt.Errorf("%w: the content has sha256 %s, not %s", ErrInvalid, oid, l.OID)
	}
	return nil
}
