package gitstore

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// A journal is one file with all objects of a large batch. It is synced in
// place of them: to sync thousands of small files takes seconds. Objects that
// a crash of the machine has taken are put back from it when the folder is
// opened. When they are surely on the disk it goes away.

const (
	journalFrom = 16              // objects; fewer are synced one by one
	journalAge  = 2 * time.Minute // by then the system has written most by itself
)

// lockJournals keeps a process that opens the folder from settling a journal
// whose objects are on their way.
func (s *Store) lockJournals() (unlock func(), err error) {
	l := flock.New(s.path("locks", "journals.lock"))
	if err := l.Lock(); err != nil {
		return nil, fmt.Errorf("lock journals: %w", err)
	}
	return func() { _ = l.Close() }, nil
}

// journal makes the objects of the batch durable in one file.
func (b *Batch) journal() error {
	f, err := b.store.temp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	w := bufio.NewWriterSize(f, 256<<10)
	for oid, temp := range b.temp {
		if err = appendEntry(w, oid, temp); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	id := make([]byte, 8)
	rand.Read(id)
	if err := rename(f.Name(), b.store.path("journals", hex.EncodeToString(id))); err != nil {
		return err
	}
	return syncDir(b.store.path("journals"))
}

// appendEntry writes one object: its id, the length of its file, and that.
func appendEntry(w io.Writer, oid, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%s %d\n", oid, len(data)); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// settle ends the journals that are so old: every object of theirs is where it
// belongs, and synced, before they are removed. The caller has their lock.
func (s *Store) settle(age time.Duration) error {
	entries, err := os.ReadDir(s.path("journals"))
	if err != nil {
		return fmt.Errorf("settle journals: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < age { // somebody else has settled it
			continue
		}
		path := s.path("journals", e.Name())
		err = s.replay(path)
		if errors.Is(err, errJournal) {
			continue // it was written whole, so the disk has lost it: objects that are damaged will say so
		}
		if err != nil && !missing(err) {
			return fmt.Errorf("settle journal %s: %w", e.Name(), full(err))
		}
		os.Remove(path) // what stays is settled again
	}
	return nil
}

func (s *Store) replay(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	dirs := map[string]bool{s.path("objects"): true}
	for {
		oid, data, err := readEntry(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		dirs[filepath.Dir(s.objectPath(oid))] = true
		if err := s.restore(oid, data); err != nil {
			return err
		}
	}
	for dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// restore brings an object to the disk, if it is not there as it was.
func (s *Store) restore(oid string, data []byte) error {
	path := s.objectPath(oid)
	there, err := os.ReadFile(path)
	if err == nil && bytes.Equal(there, data) {
		return syncFile(path)
	}
	if err == nil && len(there) > 0 { // the same, packed by another version of the program
		if _, _, body, err := s.openObject(oid); err == nil {
			_, err = io.Copy(io.Discard, body)
			if err = errors.Join(err, body.Close()); err == nil {
				return syncFile(path)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return s.replace(path, data)
}

var errJournal = errors.New("the journal is damaged")

func readEntry(r *bufio.Reader) (oid string, data []byte, err error) {
	head, err := r.ReadString('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && head != "" {
			err = errJournal
		}
		return "", nil, err
	}
	oid, digits, _ := strings.Cut(strings.TrimSuffix(head, "\n"), " ")
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !isHex(oid, 40) || size < 0 || size > maxObject {
		return "", nil, errJournal
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(r, data); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil, errJournal
	} else if err != nil {
		return "", nil, err
	}
	return oid, data, nil
}
