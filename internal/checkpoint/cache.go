package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A stat is what the system says of a file without reading it.
type stat struct {
	kind         Kind // 0 for what is neither file, folder nor link
	perm         os.FileMode
	size         int64
	mtime, ctime int64 // ns
	ino, dev     uint64
}

// A cached file had these bytes when it looked like this. The key is of its
// path. A file that looks the same has them still: nobody can set a ctime.
type cached struct {
	key   uint64
	ino   uint64
	size  int64
	mtime int64
	ctime int64
	hash  Hash
}

func (c *cached) is(key uint64, st stat) bool {
	return c.key == key && c.ino == st.ino && c.size == st.size && c.mtime == st.mtime && c.ctime == st.ctime
}

// A cache is what the last walk found, and which trees it had. It vouches that
// all of it is in the store: who removes from there removes the cache, too.
//
//	file  magic 8, packs' names hashed 32, files 8, trees 8, then records, trees and listings, CRC-32 4
type cache struct {
	files    []cached
	trees    []Hash             // sorted
	listings map[uint64]listing // by the key of their paths
	slots    []uint32
}

const (
	cacheMagic  = "mlicach2"
	cacheHeader = 8 + sha256.Size + 8 + 8
	cacheRecord = 5*8 + sha256.Size
)

// castagnoli is the polynomial for which processors have an instruction.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// loadCache reads the cache, an empty one if it is gone, damaged or of other
// packs: then everything is read again.
func loadCache(path string, packs []string) *cache {
	data, err := os.ReadFile(path)
	none := &cache{}
	if err != nil || len(data) < cacheHeader+4 || string(data[:8]) != cacheMagic || [sha256.Size]byte(data[8:]) != nameSum(packs) {
		return none
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	files, trees := binary.LittleEndian.Uint64(data[40:]), binary.LittleEndian.Uint64(data[48:])
	if most := uint64(len(data)); files > most || trees > most || files*cacheRecord+trees*sha256.Size > uint64(len(body)-cacheHeader) {
		return none
	}
	if crc32.Checksum(body, castagnoli()) != sum {
		return none
	}
	c := &cache{files: make([]cached, files), trees: make([]Hash, trees)}
	rest := body[cacheHeader:]
	for i := range c.files {
		n := func(at int) uint64 { return binary.LittleEndian.Uint64(rest[at:]) }
		c.files[i] = cached{n(0), n(8), int64(n(16)), int64(n(24)), int64(n(32)), Hash(rest[40:cacheRecord])}
		rest = rest[cacheRecord:]
	}
	for i := range c.trees {
		c.trees[i] = Hash(rest)
		rest = rest[sha256.Size:]
	}
	var ok bool
	if c.listings, ok = decodeListings(rest); !ok {
		return none
	}
	c.fill()
	return c
}

// nameSum stands for the packs that a cache relies on.
func nameSum(packs []string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(packs, "\n")))
}

// fill makes the table in which files are found by key.
func (c *cache) fill() {
	size := 1
	for size < 2*len(c.files) {
		size *= 2
	}
	c.slots = make([]uint32, size)
	for i := range c.files {
		at := c.files[i].key & uint64(size-1)
		for c.slots[at] != 0 {
			at = (at + 1) & uint64(size-1)
		}
		c.slots[at] = uint32(i) + 1
	}
}

// find returns the place of a file that looks as it did. Most are where one
// would guess: behind the file that was found before.
func (c *cache) find(key uint64, st stat, guess int) (int, bool) {
	switch {
	case len(c.files) == 0:
		return 0, false
	case guess < len(c.files) && c.files[guess].is(key, st):
		return guess, true
	}
	mask := uint64(len(c.slots) - 1)
	for at := key & mask; c.slots[at] != 0; at = (at + 1) & mask {
		if i := int(c.slots[at]) - 1; c.files[i].is(key, st) {
			return i, true
		}
	}
	return 0, false
}

// only is the cache of what the store still has.
func (c *cache) only(there map[Hash]bool) *cache {
	return &cache{
		files: slices.DeleteFunc(c.files, func(f cached) bool { return !there[f.hash] }),
		trees: slices.DeleteFunc(c.trees, func(h Hash) bool { return !there[h] }),

		listings: c.listings, // they are of the workspace, not of the store
	}
}

func (c *cache) hasTree(h Hash) bool {
	_, ok := slices.BinarySearchFunc(c.trees, h, compareHash)
	return ok
}

func compareHash(a, b Hash) int { return slices.Compare(a[:], b[:]) }

// save writes the cache. It is not synced: one that is cut short is not read.
func (c *cache) save(path string, packs []string) error {
	slices.SortFunc(c.trees, compareHash)
	sum := nameSum(packs)
	data := make([]byte, 0, cacheHeader+len(c.files)*cacheRecord+len(c.trees)*sha256.Size+4)
	data = append(append(data, cacheMagic...), sum[:]...)
	data = binary.LittleEndian.AppendUint64(data, uint64(len(c.files)))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(c.trees)))
	for i := range c.files {
		f := &c.files[i]
		for _, n := range []uint64{f.key, f.ino, uint64(f.size), uint64(f.mtime), uint64(f.ctime)} {
			data = binary.LittleEndian.AppendUint64(data, n)
		}
		data = append(data, f.hash[:]...)
	}
	for i := range c.trees {
		data = append(data, c.trees[i][:]...)
	}
	data = append(data, c.encoded()...)
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli()))
	return replaceFile(path, data)
}

// A recorder collects what will be the next cache, if that is not the same.
type recorder struct {
	mu       sync.Mutex
	hits     [][]uint32 // places in the cache before
	files    [][]cached
	trees    []Hash
	listings []listing
	news     bool // something is not in the cache before
}

func (r *recorder) add(hits []uint32, files []cached) {
	r.mu.Lock()
	r.hits, r.files = append(r.hits, hits), append(r.files, files)
	r.news = r.news || len(files) > 0
	r.mu.Unlock()
}

func (r *recorder) addTree(h Hash, isNew bool) {
	r.mu.Lock()
	r.trees = append(r.trees, h)
	r.news = r.news || isNew
	r.mu.Unlock()
}

// cache is the next cache.
func (r *recorder) cache(before *cache) *cache {
	n := 0
	for i := range r.hits {
		n += len(r.hits[i]) + len(r.files[i])
	}
	c := &cache{trees: r.trees, files: make([]cached, 0, n), listings: make(map[uint64]listing, len(r.listings))}
	for _, l := range r.listings {
		c.listings[l.key] = l
	}
	for i := range r.hits {
		for _, hit := range r.hits[i] {
			c.files = append(c.files, before.files[hit])
		}
		c.files = append(c.files, r.files[i]...)
	}
	return c
}

// settled reports whether a file that was read at that time, and has not been
// touched since it looked like this, could not have been written again without
// looking different: clocks of file systems are coarse.
func settled(st stat, read time.Time) bool {
	grain := 100 * time.Millisecond
	if st.mtime%int64(time.Second) == 0 && st.ctime%int64(time.Second) == 0 {
		grain = 2500 * time.Millisecond // its clock may tick in seconds
	}
	return max(st.mtime, st.ctime) < read.Add(-grain).UnixNano()
}

// pathKey is FNV-1a of a path, going on from that of its folder.
func pathKey(above uint64, name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := above
	if h == 0 {
		h = offset
	}
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	return (h ^ '/') * prime
}
