package checkpoint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A pack is a file of objects that were new at one time: blocks of them, each
// compressed on its own, then the index, then the trailer.
//
//	index    per object, sorted: hash 32, block's place 8, its length 4, place in the block 4, length 4
//	trailer  SHA-256 of the index 32, objects 8, magic 8
const (
	packMagic   = "mlipack1"
	packEntry   = sha256.Size + 8 + 4 + 4 + 4
	packTrailer = sha256.Size + 8 + 8
	packSuffix  = ".pack"

	// bulkPrefix begins the name of a pack that was written in a hurry: nothing
	// beyond its first part is compressed, and the disk was not waited for. It is
	// written anew when the turn is over.
	bulkPrefix = "bulk-"
	bulkFrom   = 2 << 20
	mostBulk   = 128 << 20 // beyond which it stays as it is

	rawBlock = 1 << 31 // in the length of a block that is not compressed

	// blockSize is how much is compressed together: small files cost little
	// then, and one of them is found fast.
	blockSize = 256 << 10
)

// A place is where an object lies in a pack.
type place struct {
	block      uint64
	packed     uint32
	start, len uint32
}

// A packer writes one pack. It is safe for concurrent use, each user with a
// block of its own.
type packer struct {
	dir   string
	known func(Hash) bool // there already
	tight bool            // take the time to compress well
	bulk  bool            // it has blocks that are not compressed
	room  int64           // bytes that it may take

	mu     sync.Mutex
	file   *os.File
	out    *bufio.Writer
	size   uint64
	places map[Hash]place
	free   []*block // that nobody uses
	all    []*block
}

func newPacker(dir string, known func(Hash) bool) *packer {
	return &packer{dir: dir, known: known, places: make(map[Hash]place)}
}

// A block is what will be compressed together.
type block struct {
	data   []byte
	hashes []Hash
	ends   []int
	raw    bool
	packed []byte
	zstd   *zstd.Encoder
}

// borrow lends a block for as long as its user fills it.
func (p *packer) borrow() *block {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	b := &block{}
	p.all = append(p.all, b)
	return b
}

func (p *packer) giveBack(b *block) {
	p.mu.Lock()
	p.free = append(p.free, b)
	p.mu.Unlock()
}

// add keeps what stands at the end of the block's data from start on, unless it
// is kept already, and returns its hash.
func (p *packer) add(b *block, start int) (Hash, bool, error) {
	h := Hash(sha256.Sum256(b.data[start:]))
	if !p.claim(h) {
		b.data = b.data[:start]
		return h, false, nil
	}
	b.hashes, b.ends = append(b.hashes, h), append(b.ends, len(b.data))
	if len(b.data) < blockSize {
		return h, true, nil
	}
	return h, true, p.flush(b)
}

// claim reports whether the object is new. It is the caller's to write then.
func (p *packer) claim(h Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, here := p.places[h]; here || p.known(h) {
		return false
	}
	p.places[h] = place{}
	return true
}

// flush compresses a block and writes it.
func (p *packer) flush(b *block) error {
	if len(b.hashes) == 0 {
		return nil
	}
	if err := b.pack(p.tight, p.hurries()); err != nil {
		return err
	}
	err := p.write(b)
	b.data, b.hashes, b.ends = b.data[:0], b.hashes[:0], b.ends[:0]
	return err
}

// hurries reports whether so much is new that somebody would wait for it.
func (p *packer) hurries() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bulk = p.bulk || p.size > bulkFrom && !p.tight
	return p.bulk
}

// pack compresses the block, or leaves it as it is.
func (b *block) pack(tight, raw bool) error {
	if b.raw = raw; raw {
		return nil
	}
	if b.zstd == nil {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(blockSize), zstd.WithEncoderCRC(false), zstd.WithNoEntropyCompression(!tight))
		if err != nil {
			return err
		}
		b.zstd = enc
	}
	b.packed = b.zstd.EncodeAll(b.data, b.packed[:0])
	return nil
}

func (p *packer) write(b *block) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, length := b.packed, uint32(len(b.packed))
	if b.raw {
		out, length = b.data, uint32(len(b.data))|rawBlock
	}
	if int64(p.size)+int64(len(out)) > p.room {
		return ErrQuota
	}
	if p.file == nil {
		file, err := os.CreateTemp(p.dir, "new-*.tmp") // only its owner may read it
		if err != nil {
			return err
		}
		p.file, p.out = file, bufio.NewWriterSize(file, 64<<10)
	}
	if _, err := p.out.Write(out); err != nil {
		return err
	}
	start := 0
	for i, h := range b.hashes {
		p.places[h] = place{p.size, length, uint32(start), uint32(b.ends[i] - start)}
		start = b.ends[i]
	}
	p.size += uint64(len(out))
	return nil
}

// finish writes what is left and makes the pack durable, but for one that was
// written in a hurry. It returns the pack's
// size, 0 if nothing was new.
func (p *packer) finish() (int64, error) {
	for _, b := range p.all {
		if err := p.flush(b); err != nil {
			return 0, p.fail(err)
		}
	}
	if p.file == nil {
		return 0, nil
	}
	index, name := p.index()
	_, err := p.out.Write(index)
	err = errors.Join(err, p.out.Flush())
	if p.bulk {
		name = bulkPrefix + name
	} else {
		err = errors.Join(err, p.file.Sync())
	}
	if err = errors.Join(err, p.file.Close()); err == nil {
		err = os.Rename(p.file.Name(), filepath.Join(p.dir, name))
	}
	if err != nil {
		return 0, p.fail(err)
	}
	p.file = nil
	return int64(p.size) + int64(len(index)), syncFolder(p.dir)
}

// index is what follows the blocks, and the name of the pack.
func (p *packer) index() (index []byte, name string) {
	hashes := make([]Hash, 0, len(p.places))
	for h := range p.places {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	index = make([]byte, 0, len(hashes)*packEntry+packTrailer)
	for _, h := range hashes {
		at := p.places[h]
		index = append(index, h[:]...)
		index = binary.LittleEndian.AppendUint64(index, at.block)
		index = binary.LittleEndian.AppendUint32(index, at.packed)
		index = binary.LittleEndian.AppendUint32(index, at.start)
		index = binary.LittleEndian.AppendUint32(index, at.len)
	}
	sum := sha256.Sum256(index)
	index = append(index, sum[:]...)
	index = binary.LittleEndian.AppendUint64(index, uint64(len(hashes)))
	return append(index, packMagic...), fmt.Sprintf("%x%s", sum[:12], packSuffix)
}

// drop forgets the pack.
func (p *packer) drop() {
	if p.file != nil {
		_ = p.fail(nil)
	}
}

func (p *packer) fail(err error) error {
	if p.file != nil {
		_ = p.file.Close()           // it is thrown away
		_ = os.Remove(p.file.Name()) // else collect removes it
		p.file = nil
	}
	return err
}

// syncFolder makes new names in a folder durable, where the system can.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	_ = dir.Sync() // some file systems cannot, and some systems
	return nil
}
