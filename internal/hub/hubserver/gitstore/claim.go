package gitstore

import (
	"fmt"
	"os"
	"path/filepath"

	"ml-intern/internal/hub"
)

// Claim notes that a namespace has brought a large file here, and so may name
// it. Another, that only knows its hash, may not: it could read by that what it
// was never shown.
func (s *Store) Claim(namespace, oid string) error {
	path, err := s.claimPath(namespace, oid)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("claim large file: %w", full(err))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("claim large file: %w", full(err))
	}
	return f.Close()
}

// Claimed reports whether a namespace has brought a large file.
func (s *Store) Claimed(namespace, oid string) bool {
	path, err := s.claimPath(namespace, oid)
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

func (s *Store) claimPath(namespace, oid string) (string, error) {
	if err := (hub.RepoID{Type: hub.Model, Namespace: namespace, Name: "x"}).Check(); err != nil || namespace == "" || !isHex(oid, 64) {
		return "", fmt.Errorf("claim large file: %w", ErrInvalid)
	}
	return s.path("claims", namespace, oid[:2], oid), nil
}
