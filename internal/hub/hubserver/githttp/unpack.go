package githttp

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// Bounds of a pack that comes in.
const (
	maxPack    = 2 << 30
	maxObjects = 250_000
	maxBlob    = 10 << 20
	maxBinary  = 1 << 20
	maxOther   = 32 << 20
	maxWaiting = 64 << 20 // of deltas whose base has not come
	maxWhole   = 32 << 30 // of all objects: a few bytes of delta can be ten megabytes
)

var (
	errPack  = errors.New("the pack is damaged")
	errLarge = errors.New("files larger than 10 MiB must be large files: https://git-lfs.github.com, then git lfs track")
)

// An unpacker reads a pack in one pass. Each object goes to the batch as it
// comes, so memory holds one object and its base, not the pack.
type unpacker struct {
	batch   *gitstore.Batch
	known   func(oid string) (kind string, err error) // "" if the repository does not have it
	in      *packReader
	zip     io.ReadCloser
	kinds   map[id]byte  // what the pack has
	at      map[int64]id // by where it began
	waiting map[base][]waiting
	held    int
	whole   int64 // bytes of all objects so far

	pointers map[id]gitstore.Large
	binaries map[id]int64 // not text, and too large for git
}

// A base is named by its id, or by where it began in the pack.
type base struct {
	oid id
	at  int64
}

type waiting struct {
	at    int64
	delta []byte
}

func newUnpacker(b *gitstore.Batch, known func(string) (string, error)) *unpacker {
	return &unpacker{
		batch: b, known: known, kinds: map[id]byte{}, at: map[int64]id{}, waiting: map[base][]waiting{},
		pointers: map[id]gitstore.Large{}, binaries: map[id]int64{},
	}
}

// read reads a pack to its end.
func (u *unpacker) read(r io.Reader) error {
	u.in = newPackReader(r)
	var head [12]byte
	if _, err := io.ReadFull(u.in, head[:]); err != nil {
		return damaged(err)
	}
	n := binary.BigEndian.Uint32(head[8:])
	if version := binary.BigEndian.Uint32(head[4:8]); string(head[:4]) != "PACK" || version != 2 && version != 3 {
		return fmt.Errorf("%w: it does not begin as one", errPack)
	}
	if n > maxObjects {
		return fmt.Errorf("a push has at most %d objects", maxObjects)
	}
	for range n {
		if err := u.entry(); err != nil {
			return err
		}
	}
	want := u.in.sum()
	var got [20]byte
	if _, err := io.ReadFull(u.in, got[:]); err != nil {
		return damaged(err)
	}
	if !bytes.Equal(want, got[:]) {
		return fmt.Errorf("%w: its checksum is not right", errPack)
	}
	if len(u.waiting) > 0 {
		return fmt.Errorf("%w: a base is missing", errPack)
	}
	return nil
}

// damaged tells a pack that is cut short from a connection that failed.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", errPack)
	}
	return err
}

func (u *unpacker) entry() error {
	at := u.in.offset
	typ, size, err := u.head()
	if err != nil {
		return err
	}
	if kind := kindOf(typ); kind != "" {
		if err := fits(kind, size); err != nil {
			return err
		}
		data, err := u.inflate(size)
		if err != nil {
			return err
		}
		return u.store(at, kind, data)
	}
	base, err := u.base(typ, at)
	if err != nil {
		return err
	}
	if size > maxOther {
		return errLarge
	}
	delta, err := u.inflate(size)
	if err != nil {
		return err
	}
	kind, oid, err := u.find(base)
	if err != nil {
		return err
	}
	if kind != "" {
		data, err := u.apply(kind, oid, delta)
		if err != nil {
			return err
		}
		return u.store(at, kind, data)
	}
	if u.held += len(delta); u.held > maxWaiting {
		return fmt.Errorf("%w: too many deltas come before their bases", errPack)
	}
	u.waiting[base] = append(u.waiting[base], waiting{at, delta})
	return nil
}

func kindOf(typ byte) string {
	for kind, t := range packTypes {
		if t == typ {
			return kind
		}
	}
	return ""
}

func fits(kind string, size int64) error {
	switch {
	case kind == gitstore.KindBlob && size > maxBlob:
		return errLarge
	case size > maxOther:
		return fmt.Errorf("a %s has at most %d bytes", kind, maxOther)
	}
	return nil
}

// head reads the type and the size of an object.
func (u *unpacker) head() (typ byte, size int64, err error) {
	b, err := u.in.ReadByte()
	if err != nil {
		return 0, 0, damaged(err)
	}
	typ, size = b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = u.in.ReadByte(); err != nil {
			return 0, 0, damaged(err)
		}
		if shift > 46 {
			return 0, 0, fmt.Errorf("%w: a size is too large", errPack)
		}
		size |= int64(b&0x7f) << shift
	}
	return typ, size, nil
}

// base reads what a delta is relative to.
func (u *unpacker) base(typ byte, at int64) (base base, err error) {
	switch typ {
	case packRefDelta:
		if _, err := io.ReadFull(u.in, base.oid[:]); err != nil {
			return base, damaged(err)
		}
		return base, nil
	case packOffDelta:
		back := int64(-1)
		for {
			b, err := u.in.ReadByte()
			if err != nil {
				return base, damaged(err)
			}
			if back = (back+1)<<7 | int64(b&0x7f); back >= at || back == 0 && b&0x80 == 0 {
				return base, fmt.Errorf("%w: a delta has no base", errPack)
			}
			if b&0x80 == 0 {
				base.at = at - back
				return base, nil
			}
		}
	}
	return base, fmt.Errorf("%w: there is no object type %d", errPack, typ)
}

// find looks for a base. The kind is "" if it has not come yet.
func (u *unpacker) find(b base) (kind string, oid id, err error) {
	oid = b.oid
	if b.at > 0 {
		var here bool
		if oid, here = u.at[b.at]; !here {
			return "", oid, nil
		}
	}
	if t := u.kinds[oid]; t != 0 {
		return kindOf(t), oid, nil
	}
	kind, err = u.known(oid.String())
	return kind, oid, err
}

// inflate reads one object's compressed content, which has to have size bytes.
func (u *unpacker) inflate(size int64) ([]byte, error) {
	var err error
	if u.zip == nil {
		u.zip, err = zlib.NewReader(u.in)
	} else {
		err = u.zip.(zlib.Resetter).Reset(u.in, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPack, damaged(err))
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(u.zip, size+1)) // grows with what comes, not with what is announced
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPack, damaged(err))
	}
	if n != size {
		return nil, fmt.Errorf("%w: an object has %d bytes, not %d", errPack, n, size)
	}
	return out.Bytes(), nil
}

// store takes an object, and then those that waited for it, and so on.
func (u *unpacker) store(at int64, kind string, data []byte) error {
	type job struct {
		waiting
		base id
	}
	var jobs []job
	for {
		oid, err := u.put(at, kind, data)
		if err != nil {
			return err
		}
		for _, b := range []base{{oid: oid}, {at: at}} {
			for _, w := range u.waiting[b] {
				jobs = append(jobs, job{w, oid})
			}
			delete(u.waiting, b)
		}
		if len(jobs) == 0 {
			return nil
		}
		next := jobs[len(jobs)-1]
		jobs = jobs[:len(jobs)-1]
		u.held -= len(next.delta)
		if data, err = u.apply(kind, next.base, next.delta); err != nil {
			return err
		}
		at = next.at
	}
}

func (u *unpacker) put(at int64, kind string, data []byte) (id, error) {
	if err := fits(kind, int64(len(data))); err != nil {
		return id{}, err
	}
	if u.whole += int64(len(data)); u.whole > maxWhole {
		return id{}, fmt.Errorf("the objects of a push have at most %d bytes", int64(maxWhole))
	}
	text, err := u.batch.Put(kind, data)
	if err != nil {
		return id{}, err
	}
	oid, err := parseID(text)
	if err != nil {
		return id{}, err
	}
	u.kinds[oid], u.at[at] = packTypes[kind], oid
	if kind == gitstore.KindBlob {
		u.note(oid, data)
	}
	return oid, nil
}

// note remembers of a file what the check wants to know, while it is at hand.
func (u *unpacker) note(oid id, data []byte) {
	if l, ok := gitstore.ParsePointer(data); ok {
		u.pointers[oid] = l
	}
	if int64(len(data)) > maxBinary && gitstore.Binary(data[:512]) {
		u.binaries[oid] = int64(len(data))
	}
}

func (u *unpacker) apply(kind string, base id, delta []byte) ([]byte, error) {
	from, err := u.batch.Read(kind, base.String())
	if err != nil {
		return nil, err
	}
	most := int64(maxOther)
	if kind == gitstore.KindBlob {
		most = maxBlob
	}
	return applyDelta(from, delta, most)
}
