package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// ErrDamaged is the reason why something cannot be brought back: its bytes are
// gone from the store, or are not what was put there.
var ErrDamaged = errors.New("the store of checkpoints is damaged")

// packs are all that a store has. Who uses them holds its lock.
type packs struct {
	dir   string
	list  []*pack
	zstd  *zstd.Decoder
	block struct { // that was read last: neighbours are wanted together
		pack  *pack
		place uint64
		data  []byte
	}
}

// A pack is one that is there.
type pack struct {
	name  string
	size  int64
	count int
	index []byte
}

// openPacks reads the indexes. A pack whose index is damaged counts as not
// there: what it had is kept anew if it is still to be had.
func openPacks(dir string) (*packs, error) {
	names, err := packNames(dir)
	if err != nil {
		return nil, err
	}
	ps := &packs{dir: dir}
	for _, name := range names {
		if p, err := openPack(dir, name); err == nil {
			ps.list = append(ps.list, p)
		}
	}
	return ps, nil
}

func packNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), packSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func openPack(dir, name string) (*pack, error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	trailer := make([]byte, packTrailer)
	if _, err := file.ReadAt(trailer, info.Size()-packTrailer); err != nil {
		return nil, fmt.Errorf("%w: pack %s is cut short", ErrDamaged, name)
	}
	count := binary.LittleEndian.Uint64(trailer[sha256.Size:])
	if string(trailer[sha256.Size+8:]) != packMagic || count > uint64(info.Size())/packEntry {
		return nil, fmt.Errorf("%w: pack %s has no index", ErrDamaged, name)
	}
	index := make([]byte, count*packEntry)
	if _, err := file.ReadAt(index, info.Size()-packTrailer-int64(len(index))); err != nil {
		return nil, fmt.Errorf("%w: read index of pack %s: %w", ErrDamaged, name, err)
	}
	if sha256.Sum256(index) != [sha256.Size]byte(trailer) {
		return nil, fmt.Errorf("%w: the index of pack %s is not what was written", ErrDamaged, name)
	}
	return &pack{name, info.Size(), int(count), index}, nil
}

// entry is the i-th object of a pack.
func (p *pack) entry(i int) (Hash, place) {
	e := p.index[i*packEntry : (i+1)*packEntry]
	n := e[sha256.Size:]
	return Hash(e[:sha256.Size]), place{
		binary.LittleEndian.Uint64(n), binary.LittleEndian.Uint32(n[8:]),
		binary.LittleEndian.Uint32(n[12:]), binary.LittleEndian.Uint32(n[16:]),
	}
}

func (p *pack) find(h Hash) (place, bool) {
	low, high := 0, p.count
	for low < high {
		mid := (low + high) / 2
		if bytes.Compare(p.index[mid*packEntry:mid*packEntry+sha256.Size], h[:]) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == p.count {
		return place{}, false
	}
	found, at := p.entry(low)
	return at, found == h
}

// has reports whether an object is there.
func (ps *packs) has(h Hash) bool {
	for _, p := range ps.list {
		if _, ok := p.find(h); ok {
			return true
		}
	}
	return false
}

// get reads an object and checks that it is what its name says. Of an object
// in two packs the second is tried if the first is damaged.
func (ps *packs) get(h Hash) ([]byte, error) {
	err := fmt.Errorf("%w: object %.12s is not there", ErrDamaged, h)
	for _, p := range ps.list {
		at, ok := p.find(h)
		if !ok {
			continue
		}
		var data []byte
		if data, err = ps.read(p, at); err == nil && sha256.Sum256(data) == h {
			return data, nil
		}
		err = fmt.Errorf("%w: object %.12s in pack %s is not what was put there", ErrDamaged, h, p.name)
	}
	return nil, err
}

func (ps *packs) read(p *pack, at place) ([]byte, error) {
	if ps.block.pack != p || ps.block.place != at.block {
		data, err := ps.unpack(p, at)
		if err != nil {
			return nil, err
		}
		ps.block.pack, ps.block.place, ps.block.data = p, at.block, data
	}
	data := ps.block.data
	if uint64(at.start)+uint64(at.len) > uint64(len(data)) {
		return nil, ErrDamaged
	}
	return data[at.start : at.start+at.len], nil
}

// unpack reads a block. The slice of the block before is used again.
func (ps *packs) unpack(p *pack, at place) ([]byte, error) {
	length := int64(at.packed &^ rawBlock)
	if length > min(p.size, maxBlock) {
		return nil, ErrDamaged
	}
	file, err := os.Open(filepath.Join(ps.dir, p.name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	packed := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(file, int64(at.block), length), packed); err != nil {
		return nil, err
	}
	if ps.block.pack = nil; at.packed&rawBlock != 0 {
		return packed, nil
	}
	if ps.zstd == nil {
		if ps.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
			return nil, err
		}
	}
	return ps.zstd.DecodeAll(packed, ps.block.data[:0])
}

// maxBlock bounds a block that is read: one file more than fits can be in it.
const maxBlock = blockSize + maxWhole + 1<<10

// tree reads a folder's list.
func (ps *packs) tree(h Hash) (*tree, error) {
	data, err := ps.get(h)
	if err != nil {
		return nil, err
	}
	t, err := decodeTree(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return t, nil
}

// whole reads a folder's list and all below.
func (ps *packs) whole(h Hash, depth int) (*tree, error) {
	t, err := ps.tree(h)
	if err != nil || depth > maxDepth {
		return nil, errors.Join(err, overDepth(depth))
	}
	for _, e := range t.entries {
		if e.kind != Folder {
			continue
		}
		if t.below == nil {
			t.below = make(map[string]*tree)
		}
		if t.below[e.name], err = ps.whole(e.hash, depth+1); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func overDepth(depth int) error {
	if depth > maxDepth {
		return ErrDamaged
	}
	return nil
}
