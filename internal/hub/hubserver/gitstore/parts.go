package gitstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// A Part is one piece of a file that comes in pieces. All pieces of an upload
// are written into one file, each at its place; an empty file beside it, named
// by number and tag, says that a piece is there whole.
type Part struct {
	Upload string // the name of the upload, hex
	Number int    // from 1
	Offset int64  // where in the file
	Size   int64
}

func (s *Store) upload(name string) string { return s.path("parts", name) }

func (s *Store) contentPath(upload string) string { return filepath.Join(s.upload(upload), "content") }

func (s *Store) markPath(upload string, n int, tag string) string {
	return filepath.Join(s.upload(upload), strconv.Itoa(n)+"-"+tag)
}

// lockUpload keeps Assemble, which checks what is there, from those who write.
func (s *Store) lockUpload(ctx context.Context, upload string, alone bool) (unlock func(), err error) {
	l := flock.New(filepath.Join(s.upload(upload), "lock"))
	try := l.TryRLockContext
	if alone {
		try = l.TryLockContext
	}
	if _, err := try(ctx, 3*time.Millisecond); err != nil {
		return nil, err
	}
	return func() { _ = l.Close() }, nil
}

// PutPart stores a piece and returns its tag, which Assemble wants back.
func (s *Store) PutPart(ctx context.Context, p Part, r io.Reader) (string, error) {
	if !isHex(p.Upload, 32) || p.Number < 1 || p.Size < 0 || p.Offset < 0 {
		return "", fmt.Errorf("store part: %w", ErrInvalid)
	}
	tag, err := s.putPart(ctx, p, r)
	if err != nil {
		return "", fmt.Errorf("store part: %w", full(err))
	}
	return tag, nil
}

func (s *Store) putPart(ctx context.Context, p Part, r io.Reader) (string, error) {
	if err := os.MkdirAll(s.upload(p.Upload), 0o700); err != nil {
		return "", err
	}
	unlock, err := s.lockUpload(ctx, p.Upload, false)
	if err != nil {
		return "", err
	}
	defer unlock()
	old, err := filepath.Glob(s.markPath(p.Upload, p.Number, "*"))
	for _, mark := range old { // no longer true once the first byte is written
		err = errors.Join(err, os.Remove(mark))
	}
	if err != nil && !missing(err) {
		return "", err
	}
	f, err := os.OpenFile(s.contentPath(p.Upload), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	n, err := io.CopyBuffer(io.NewOffsetWriter(f, p.Offset), io.LimitReader(r, p.Size), make([]byte, copySize))
	if err == nil {
		if more, _ := r.Read(make([]byte, 1)); n != p.Size || more > 0 {
			err = fmt.Errorf("%w: part %d must have %d bytes", ErrInvalid, p.Number, p.Size)
		}
	}
	if err == nil {
		err = f.Sync() // while others come, rather than all of the file at the end
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	id := make([]byte, 16)
	rand.Read(id)
	tag := hex.EncodeToString(id)
	return tag, os.WriteFile(s.markPath(p.Upload, p.Number, tag), nil, 0o600)
}

// Assemble makes the pieces of an upload, given by their tags in order, the
// file l, and notes that owner has brought it. Asked again after it succeeded,
// it succeeds. That the file is here is not enough: another may have brought it.
func (s *Store) Assemble(ctx context.Context, l Large, owner, upload string, tags []string) error {
	if !isHex(upload, 32) || !isHex(l.OID, 64) {
		return fmt.Errorf("assemble large file: %w", ErrInvalid)
	}
	done := func() bool { return s.Claimed(owner, l.OID) && s.HasLarge(l) }
	if !done() {
		if err := s.assemble(ctx, l, owner, upload, tags); err != nil && !done() {
			return fmt.Errorf("assemble large file: %w", full(err))
		}
	}
	if err := os.RemoveAll(s.upload(upload)); err != nil {
		return fmt.Errorf("remove parts: %w", err)
	}
	return nil
}

func (s *Store) assemble(ctx context.Context, l Large, owner, upload string, tags []string) error {
	unlock, err := s.lockUpload(ctx, upload, true)
	if missing(err) {
		return fmt.Errorf("%w: no part has arrived", ErrInvalid)
	}
	if err != nil {
		return err
	}
	defer unlock()
	for i, tag := range tags {
		if !isHex(tag, 32) {
			return fmt.Errorf("%w: tag of part %d", ErrInvalid, i+1)
		}
		if _, err := os.Stat(s.markPath(upload, i+1, tag)); err != nil {
			return fmt.Errorf("%w: part %d is missing", ErrInvalid, i+1)
		}
	}
	f, err := os.OpenFile(s.contentPath(upload), os.O_RDWR, 0)
	if missing(err) {
		return fmt.Errorf("%w: no part has arrived", ErrInvalid)
	}
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.CopyBuffer(h, onlyReader{f}, make([]byte, copySize))
	if err == nil {
		err = checkLarge(l, n, hex.EncodeToString(h.Sum(nil)))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.Claim(owner, l.OID); err != nil { // first: it is the owner's even if the rest is cut short
		return err
	}
	return s.adopt(l, s.contentPath(upload))
}

// onlyReader hides what else a file can, so that a copy uses its buffer.
type onlyReader struct{ io.Reader }
