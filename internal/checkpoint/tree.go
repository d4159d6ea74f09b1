package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
)

// A Hash names what has it: SHA-256 of its bytes.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String wrote.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if n, err := hex.Decode(h[:], []byte(s)); err != nil || n != len(h) || len(s) != 2*len(h) {
		return h, fmt.Errorf("%q is not the id of a checkpoint", s)
	}
	return h, nil
}

// A Kind says what an entry of a folder is.
type Kind byte

// The kinds. What is none of the first four is left alone in both directions.
const (
	File    Kind = 'f' // kept whole
	Large   Kind = 'l' // held by a clone, a link or nothing; see the text of its entry
	Symlink Kind = 's' // kept as a link, never followed
	Folder  Kind = 'd'
	LeftOut Kind = 'x' // not kept; the text of its entry says why
)

// How a large file is held.
const (
	byClone   = "clone" // survives whatever is done to the file
	byLink    = "link"  // survives deleting and replacing, not writing into the file
	byNothing = ""      // known by size and time only
)

// An entry is one name in a folder, as it was.
type entry struct {
	name  string
	kind  Kind
	perm  fs.FileMode
	mtime int64 // ns; 0 for a folder
	size  int64
	ino   uint64 // of a large file
	hash  Hash   // of a file's bytes, a folder's tree; the name of what holds a large file
	text  string // target of a link, protection of a large file, reason of what is left out
}

// A tree is a folder as it was: entries sorted by name, and below each folder
// among them its own tree.
type tree struct {
	entries []entry
	below   map[string]*tree
}

// encode is the form in which a tree is kept and named.
func (t *tree) encode(buf []byte) []byte {
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	for i := range t.entries {
		e := &t.entries[i]
		text(e.name)
		buf = append(buf, byte(e.kind))
		buf = binary.AppendUvarint(buf, uint64(e.perm))
		switch e.kind {
		case File:
			buf = binary.AppendVarint(buf, e.mtime)
			buf = binary.AppendVarint(buf, e.size)
			buf = append(buf, e.hash[:]...)
		case Large:
			buf = binary.AppendVarint(buf, e.mtime)
			buf = binary.AppendVarint(buf, e.size)
			buf = binary.AppendUvarint(buf, e.ino)
			buf = append(buf, e.hash[:]...)
			text(e.text)
		case Folder:
			buf = append(buf, e.hash[:]...)
		case Symlink, LeftOut:
			text(e.text)
		}
	}
	return buf
}

var errTree = errors.New("a folder's list cannot be read")

// decodeTree reads what encode wrote. It trusts nothing.
func decodeTree(data []byte) (*tree, error) {
	t, r := &tree{}, reader{data: data}
	for len(r.data) > 0 && !r.bad {
		e := entry{name: r.text(), kind: Kind(r.byte()), perm: fs.FileMode(r.uvarint()) & fs.ModePerm}
		switch e.kind {
		case File:
			e.mtime, e.size = r.varint(), r.varint()
			e.hash = r.hash()
		case Large:
			e.mtime, e.size = r.varint(), r.varint()
			e.ino, e.hash, e.text = r.uvarint(), r.hash(), r.text()
		case Folder:
			e.hash = r.hash()
		case Symlink, LeftOut:
			e.text = r.text()
		default:
			return nil, errTree
		}
		if !plain(e.name) || len(t.entries) > 0 && t.entries[len(t.entries)-1].name >= e.name {
			return nil, errTree
		}
		t.entries = append(t.entries, e)
	}
	if r.bad {
		return nil, errTree
	}
	return t, nil
}

// plain reports whether a name stays in its folder.
func plain(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if name[i] == '/' || name[i] == 0 {
			return false
		}
	}
	return true
}

// A reader takes values off the front of its data, zeros after the first that
// is not there.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.data) {
		r.bad = true
		return nil
	}
	head := r.data[:n]
	r.data = r.data[n:]
	return head
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.data)) {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}

func (r *reader) hash() Hash {
	var h Hash
	copy(h[:], r.take(len(h)))
	return h
}
