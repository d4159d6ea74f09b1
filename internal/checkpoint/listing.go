package checkpoint

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"time"
)

// A listing is what was in a folder when it looked like this: a folder whose
// names change gets another ctime, which nobody can set. To list folders takes a
// fifth of the time of a walk that finds nothing new.
type listing struct {
	key   uint64 // of its path
	ino   uint64
	mtime int64
	ctime int64
	names string // sorted, each ended by a NUL
}

func (l *listing) is(key uint64, st stat) bool {
	return l.key == key && l.ino == st.ino && l.mtime == st.mtime && l.ctime == st.ctime
}

// each is the names one by one.
func (l *listing) each() []string {
	names := make([]string, 0, strings.Count(l.names, "\x00"))
	for rest := l.names; rest != ""; {
		name, after, _ := strings.Cut(rest, "\x00")
		names, rest = append(names, name), after
	}
	return names
}

// listingHeader is the bytes of a listing in the cache before its names.
const listingHeader = 5 * 8

func (l *listing) encode(data []byte) []byte {
	for _, n := range []uint64{l.key, l.ino, uint64(l.mtime), uint64(l.ctime), uint64(len(l.names))} {
		data = binary.LittleEndian.AppendUint64(data, n)
	}
	return append(data, l.names...)
}

// decodeListings reads what encode wrote. It trusts no length.
func decodeListings(data []byte) (all map[uint64]listing, ok bool) {
	text := string(data) // one copy, of which the names are parts
	all = make(map[uint64]listing, len(data)/1024)
	for at := 0; at < len(data); {
		if len(data)-at < listingHeader {
			return nil, false
		}
		n := func(i int) uint64 { return binary.LittleEndian.Uint64(data[at+8*i:]) }
		l := listing{key: n(0), ino: n(1), mtime: int64(n(2)), ctime: int64(n(3))}
		size := n(4)
		at += listingHeader
		if size > uint64(len(data)-at) {
			return nil, false
		}
		l.names = text[at : at+int(size)]
		at += int(size)
		all[l.key] = l
	}
	return all, true
}

// list names what is in a folder: as it was listed before, where the disk says
// by its times that this is so still.
func (w *walker) list(dir folder, at spot) ([]string, error) {
	if !w.times {
		return w.read(dir)
	}
	start := time.Now()
	st, err := dir.self()
	if err != nil {
		return nil, err
	}
	if known, ok := w.before.listings[at.key]; ok && known.is(at.key, st) {
		w.record.addListing(known, false)
		return known.each(), nil
	}
	names, err := w.read(dir)
	if err == nil && settled(st, start) {
		var text strings.Builder
		for _, name := range names {
			text.WriteString(name)
			text.WriteByte(0)
		}
		w.record.addListing(listing{at.key, st.ino, st.mtime, st.ctime, text.String()}, true)
	}
	return names, err
}

// read asks the system what is in a folder.
func (w *walker) read(dir folder) ([]string, error) {
	buf, ok := w.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, 32<<10)
		buf = &b
	}
	defer w.buffers.Put(buf)
	return dir.names(*buf)
}

func (r *recorder) addListing(l listing, isNew bool) {
	r.mu.Lock()
	r.listings = append(r.listings, l)
	r.news = r.news || isNew
	r.mu.Unlock()
}

// encoded is the listings in the order of their keys, so that the same ones make
// the same file.
func (c *cache) encoded() []byte {
	var data []byte
	for _, key := range slices.Sorted(maps.Keys(c.listings)) {
		l := c.listings[key]
		data = l.encode(data)
	}
	return data
}
