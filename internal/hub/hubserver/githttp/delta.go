package githttp

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// applyDelta makes an object of its base: pieces are copied from it or are in
// the delta.
func applyDelta(base, delta []byte, most int64) ([]byte, error) {
	bad := fmt.Errorf("%w: a delta does not fit its base", errPack)
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return nil, bad
	}
	delta = delta[n:]
	size, n := binary.Uvarint(delta)
	if n <= 0 {
		return nil, bad
	}
	if size > uint64(most) {
		return nil, errLarge
	}
	delta = delta[n:]
	var out []byte
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		var piece []byte
		switch {
		case op == 0:
			return nil, bad
		case op&0x80 == 0:
			if len(delta) < int(op) {
				return nil, bad
			}
			piece, delta = delta[:op], delta[op:]
		default:
			var arg [7]byte
			for i := range arg {
				if op>>i&1 == 0 {
					continue
				}
				if len(delta) == 0 {
					return nil, bad
				}
				arg[i], delta = delta[0], delta[1:]
			}
			off := int(binary.LittleEndian.Uint32(arg[:4]))
			length := int(arg[4]) | int(arg[5])<<8 | int(arg[6])<<16
			if length == 0 {
				length = 0x10000
			}
			if off > len(base) || length > len(base)-off {
				return nil, bad
			}
			piece = base[off : off+length]
		}
		if uint64(len(out)+len(piece)) > size {
			return nil, bad
		}
		out = append(out, piece...)
	}
	if uint64(len(out)) != size {
		return nil, bad
	}
	return out, nil
}

// A packReader counts and hashes what is read of a pack, no byte more.
type packReader struct {
	r      io.Reader
	buf    []byte
	from   int // what is hashed ends here
	pos    int
	end    int
	offset int64
	hash   hash.Hash
}

func newPackReader(r io.Reader) *packReader {
	return &packReader{r: r, buf: make([]byte, 64<<10), hash: sha1.New()}
}

func (p *packReader) fill() error {
	if p.pos < p.end {
		return nil
	}
	p.hash.Write(p.buf[p.from:p.pos])
	p.from, p.pos, p.end = 0, 0, 0
	for range 100 {
		n, err := p.r.Read(p.buf)
		if n > 0 {
			p.end = n
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (p *packReader) Read(out []byte) (int, error) {
	if err := p.fill(); err != nil {
		return 0, err
	}
	n := copy(out, p.buf[p.pos:p.end])
	p.pos += n
	p.offset += int64(n)
	return n, nil
}

// ReadByte keeps the decompressor from reading ahead.
func (p *packReader) ReadByte() (byte, error) {
	if err := p.fill(); err != nil {
		return 0, err
	}
	b := p.buf[p.pos]
	p.pos++
	p.offset++
	return b, nil
}

// sum is the hash of all that was read.
func (p *packReader) sum() []byte {
	p.hash.Write(p.buf[p.from:p.pos])
	p.from = p.pos
	return p.hash.Sum(nil)
}
