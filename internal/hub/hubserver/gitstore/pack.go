package gitstore

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A pack is one file with all objects of a large batch: to create, sync and
// open thousands of small files takes seconds. It has the objects, each as it
// would be in a file of its own, then an index of their ids and places, then
// the length of the index and a mark. A pack that has its name is whole and
// never changes, and the server knows the indexes of all.

const (
	packFrom = 16 // objects; fewer get files of their own

	packMark  = "mlpack1\n"
	packEntry = 20 + 8 + 4 // id, offset, length
	packTail  = 8 + 8
)

var errPack = errors.New("the pack is damaged")

// A place is where an object is in a file.
type place struct {
	pack   uint32 // number of the pack, as this process counts them
	size   uint32
	offset int64
}

// packs are the objects of all packs of a folder that this process knows.
type packs struct {
	mu    sync.RWMutex
	names []string
	known map[string]bool // by name; damaged ones too
	at    map[[20]byte]place
}

func (p *packs) find(oid string) (name string, at place, ok bool) {
	var id [20]byte
	if n, err := hex.Decode(id[:], []byte(oid)); n != len(id) || err != nil {
		return "", place{}, false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if at, ok = p.at[id]; ok {
		name = p.names[at.pack]
	}
	return name, at, ok
}

func (p *packs) add(name string, index map[[20]byte]place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known[name] {
		return
	}
	if p.known == nil {
		p.known, p.at = map[string]bool{}, map[[20]byte]place{}
	}
	p.known[name] = true
	for id, at := range index {
		at.pack = uint32(len(p.names))
		p.at[id] = at
	}
	p.names = append(p.names, name)
}

func (p *packs) has(name string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.known[name]
}

// readPacks reads the indexes of packs that are new here: the folder is shared.
func (s *Store) readPacks() error {
	entries, err := os.ReadDir(s.path("packs"))
	if err != nil {
		return fmt.Errorf("read packs: %w", err)
	}
	for _, e := range entries {
		if s.packs.has(e.Name()) {
			continue
		}
		index, err := readIndex(s.path("packs", e.Name()))
		if err != nil && !errors.Is(err, errPack) {
			return fmt.Errorf("read pack %s: %w", e.Name(), err)
		}
		s.packs.add(e.Name(), index) // nothing of a damaged one: its objects are missed when they are read
	}
	return nil
}

func readIndex(path string) (map[[20]byte]place, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size() - packTail
	if end < 0 {
		return nil, errPack
	}
	tail := make([]byte, packTail)
	if _, err := f.ReadAt(tail, end); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint64(tail)
	if string(tail[8:]) != packMark || length > uint64(end) || length%packEntry != 0 {
		return nil, errPack
	}
	index := map[[20]byte]place{}
	start := end - int64(length)
	r := bufio.NewReader(io.NewSectionReader(f, start, int64(length)))
	entry := make([]byte, packEntry)
	for range length / packEntry {
		if _, err := io.ReadFull(r, entry); err != nil {
			return nil, err
		}
		at := place{offset: int64(binary.BigEndian.Uint64(entry[20:])), size: binary.BigEndian.Uint32(entry[28:])}
		if at.offset < 0 || at.offset > start-int64(at.size) {
			return nil, errPack
		}
		index[[20]byte(entry)] = at
	}
	return index, nil
}

// openPacked opens an object of a pack as it is packed.
func (s *Store) openPacked(oid string) (r io.Reader, file io.Closer, ok bool, err error) {
	name, at, ok := s.packs.find(oid)
	if !ok {
		return nil, nil, false, nil
	}
	f, err := os.Open(s.path("packs", name))
	if err != nil {
		return nil, nil, true, err
	}
	return io.NewSectionReader(f, at.offset, int64(at.size)), f, true, nil
}

// A spool is where a batch keeps its objects until they have their place.
type spool struct {
	file *os.File
	w    *bufio.Writer
	size int64
	at   map[string]place // by id
}

func (s *Store) spool() (*spool, error) {
	f, err := s.temp()
	if err != nil {
		return nil, err
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 256<<10), at: map[string]place{}}, nil
}

func (p *spool) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.size += int64(n)
	return n, err
}

// open reads an object as it is packed.
func (p *spool) open(at place) (io.Reader, error) {
	if err := p.w.Flush(); err != nil {
		return nil, err
	}
	return io.NewSectionReader(p.file, at.offset, int64(at.size)), nil
}

// discard closes and removes the file, unless it has become a pack.
func (p *spool) discard() {
	p.file.Close()
	os.Remove(p.file.Name()) // what stays is swept at a later start
}

// pack makes the spool a pack, durable and then visible.
func (s *Store) pack(p *spool) error {
	index := map[[20]byte]place{}
	length := uint64(0)
	for oid, at := range p.at {
		var id [20]byte
		if _, err := hex.Decode(id[:], []byte(oid)); err != nil {
			return err
		}
		index[id] = at
		entry := binary.BigEndian.AppendUint64(id[:], uint64(at.offset))
		entry = binary.BigEndian.AppendUint32(entry, at.size)
		if _, err := p.w.Write(entry); err != nil {
			return err
		}
		length += packEntry
	}
	_, err := p.w.Write(append(binary.BigEndian.AppendUint64(nil, length), packMark...))
	if err == nil {
		err = p.w.Flush()
	}
	if err == nil {
		err = p.file.Sync()
	}
	if err = errors.Join(err, p.file.Close()); err != nil {
		return err
	}
	name := make([]byte, 8)
	rand.Read(name)
	path := s.path("packs", hex.EncodeToString(name))
	if err := rename(p.file.Name(), path); err != nil {
		return err
	}
	if err := syncDir(s.path("packs")); err != nil {
		return err
	}
	s.packs.add(hex.EncodeToString(name), index)
	return nil
}

// unpack gives each object of the spool a file of its own.
func (s *Store) unpack(p *spool) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(p.at)+1)
	dirs := map[string]bool{s.path("objects"): true}
	for oid, at := range p.at {
		dir := s.path("objects", oid[:2])
		if !dirs[dir] {
			dirs[dir] = true
			if err := os.MkdirAll(dir, 0o700); err != nil {
				errs <- err
				break
			}
		}
		src, err := p.open(at)
		if err != nil {
			errs <- err
			break
		}
		wg.Go(func() { errs <- s.writeObject(oid, src) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
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

func (s *Store) writeObject(oid string, src io.Reader) error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	_, err = io.Copy(f, src)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return rename(f.Name(), s.objectPath(oid))
}
