package pdftext

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
)

// Reasons why a file gives no text.
var (
	ErrNotPDF    = errors.New("not a PDF")
	ErrEncrypted = errors.New("the PDF is encrypted")
	ErrNoText    = errors.New("the PDF holds no text, perhaps pictures of pages")
)

// A file is a PDF whose objects are found by going through it. The table at its
// end is not used: it is what broken and cut files have wrong.
type file struct {
	b       []byte
	places  map[ref]place
	read    map[ref]any
	trailer dict
	left    int // bytes that may still be decompressed
	parse   int // bytes that may still be parsed as objects
}

// place is where an object is: in b, or in the decompressed bytes of a stream.
type place struct {
	b      []byte
	at     int
	inside bool
}

const (
	maxStream   = 64 << 20
	maxInflate  = 512 << 20
	maxParse    = 512 << 20
	maxObjects  = 300_000
	maxTrailers = 200
	maxTrailer  = 64 << 10
)

func open(b []byte) (*file, error) {
	if at := bytes.Index(b[:min(len(b), 1024)], []byte("%PDF-")); at < 0 {
		return nil, ErrNotPDF
	}
	f := &file{b: b, places: map[ref]place{}, read: map[ref]any{}, trailer: dict{}, left: maxInflate, parse: maxParse}
	f.scan()
	f.trailers()
	if _, locked := f.trailer["Encrypt"]; locked {
		return nil, ErrEncrypted
	}
	return f, nil
}

// scan finds the objects in the order of the file, so that later versions take
// the place of earlier ones.
func (f *file) scan() {
	for at := 0; len(f.places) < maxObjects; {
		i := bytes.Index(f.b[at:], []byte("obj"))
		if i < 0 {
			return
		}
		end := at + i
		at = end + len("obj")
		number, ok := f.header(end)
		if !ok {
			continue
		}
		f.places[number] = place{b: f.b, at: at}
		delete(f.read, number)
		at = f.body(number, at)
	}
}

// header reads "12 0 " backwards from the word obj.
func (f *file) header(end int) (ref, bool) {
	back := func(at int, in func(byte) bool) int {
		for at > 0 && in(f.b[at-1]) {
			at--
		}
		return at
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	generation := back(end, space)
	start := back(generation, digit)
	gap := back(start, space)
	first := back(gap, digit)
	if generation == start || start == gap || first == gap || gap-first > 9 {
		return 0, false
	}
	n, err := strconv.Atoi(string(f.b[first:gap]))
	return ref(n), err == nil
}

// body returns where the object ends if that can be told, and takes apart a
// stream of objects.
func (f *file) body(number ref, at int) int {
	near := f.b[at:min(len(f.b), at+4096)]
	endobj := bytes.Index(near, []byte("endobj"))
	start := bytes.Index(near, []byte("stream"))
	if start < 0 || (endobj >= 0 && endobj < start) {
		return at
	}
	head := near[:start]
	end := bytes.Index(f.b[at+start:], []byte("endstream"))
	if end < 0 {
		end = len(f.b) - at - start
	}
	switch {
	case bytes.Contains(head, []byte("/ObjStm")):
		f.unpack(number)
	case bytes.Contains(head, []byte("/XRef")):
		if s, ok := f.get(number).(stream); ok {
			f.addTrailer(s.dict)
		}
	}
	return at + start + end
}

// unpack notes the places of the objects in a stream of objects.
func (f *file) unpack(number ref) {
	s, ok := f.get(number).(stream)
	if !ok {
		return
	}
	b := f.decode(s)
	first, count := f.integer(s.dict["First"]), f.integer(s.dict["N"])
	l := lexer{b: b}
	for range count {
		n, ok1 := l.next()
		offset, ok2 := l.next()
		id, isID := n.(float64)
		at, isAt := offset.(float64)
		if !ok1 || !ok2 || !isID || !isAt || len(f.places) >= maxObjects {
			return
		}
		if start := first + int(at); start >= 0 && start < len(b) {
			f.places[ref(id)] = place{b, start, true}
			delete(f.read, ref(id))
		}
	}
}

func (f *file) addTrailer(d dict) {
	for _, key := range []name{"Root", "Encrypt"} {
		if v, ok := d[key]; ok {
			f.trailer[key] = v
		}
	}
}

func (f *file) trailers() {
	for at, n := 0, 0; n < maxTrailers; n++ {
		i := bytes.Index(f.b[at:], []byte("trailer"))
		if i < 0 {
			break
		}
		at += i + len("trailer")
		l := lexer{b: f.b[:min(len(f.b), at+maxTrailer)], at: at}
		if v, ok := l.next(); ok {
			if d, ok := v.(dict); ok {
				f.addTrailer(d)
			}
		}
	}
	if _, ok := f.get(f.trailer["Root"]).(dict); ok {
		return
	}
	for _, number := range slices.Sorted(maps.Keys(f.places)) { // a cut file: look for the catalogue
		if d, ok := f.get(number).(dict); ok && d["Type"] == name("Catalog") {
			f.trailer["Root"] = number
		}
	}
}

// get follows a reference. Anything else is returned as it is.
func (f *file) get(v any) any {
	for range maxNesting {
		r, ok := v.(ref)
		if !ok {
			return v
		}
		if known, ok := f.read[r]; ok {
			v = known
			continue
		}
		f.read[r] = nil // for one whose length is itself
		v = f.object(r)
		f.read[r] = v
	}
	return nil
}

func (f *file) object(r ref) any {
	p, ok := f.places[r]
	if !ok || f.parse <= 0 {
		return nil
	}
	l := lexer{b: p.b, at: p.at}
	defer func() { f.parse -= l.at - p.at }()
	var values array
	for range 3 { // "12 0 R" is an object too
		v, ok := l.next()
		if !ok || v == word("endobj") || v == word("stream") {
			break
		}
		values = fold(append(values, v))
		if _, number := v.(float64); !number {
			break
		}
	}
	if len(values) == 0 {
		return nil
	}
	d, ok := values[0].(dict)
	if !ok {
		return values[0]
	}
	l.skipSpace()
	if p.inside || !bytes.HasPrefix(l.b[l.at:], []byte("stream")) {
		return d
	}
	return stream{d, f.raw(l.b, l.at+len("stream"), d)}
}

// raw returns the bytes of a stream: by its length if that is right, else up to
// the word endstream.
func (f *file) raw(b []byte, at int, d dict) []byte {
	if at < len(b) && b[at] == '\r' {
		at++
	}
	if at < len(b) && b[at] == '\n' {
		at++
	}
	if n := f.integer(d["Length"]); n > 0 && at+n <= len(b) {
		tail := bytes.TrimLeft(b[at+n:min(len(b), at+n+16)], "\r\n \t")
		if bytes.HasPrefix(tail, []byte("endstream")) {
			return b[at : at+n]
		}
	}
	at = min(at, len(b))
	if end := bytes.Index(b[at:], []byte("endstream")); end >= 0 {
		return b[at : at+end]
	}
	return b[at:]
}

func (f *file) integer(v any) int {
	n, _ := f.get(v).(float64)
	if n != n || n > 1<<31-1 || n < -1<<31 {
		return 0
	}
	return int(n)
}

func (f *file) dict(v any) dict {
	switch v := f.get(v).(type) {
	case dict:
		return v
	case stream:
		return v.dict
	}
	return nil
}

func (f *file) array(v any) array {
	a, _ := f.get(v).(array)
	return a
}

func (f *file) name(v any) name {
	n, _ := f.get(v).(name)
	return n
}

// decode undoes the filters that text is stored with. Of a stream that is cut
// or damaged it gives what can be had.
func (f *file) decode(s stream) []byte {
	filters := f.array(s.dict["Filter"])
	if n := f.name(s.dict["Filter"]); n != "" {
		filters = array{n}
	}
	b := s.raw
	for _, filter := range filters {
		switch f.name(filter) {
		case "FlateDecode", "Fl":
			b = f.inflate(b)
		case "ASCIIHexDecode", "AHx":
			b = unhex(b)
		case "ASCII85Decode", "A85":
			b = from85(b)
		default: // of pictures, or too old to be met
			return nil
		}
	}
	return b
}

func (f *file) inflate(b []byte) []byte {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(z, int64(min(maxStream, f.left)))) // the rest is lost
	f.left -= len(out)
	return out
}

func from85(b []byte) []byte {
	b = bytes.TrimPrefix(bytes.TrimSpace(b), []byte("<~"))
	if end := bytes.IndexByte(b, '~'); end >= 0 {
		b = b[:end]
	}
	out := make([]byte, 4*len(b)+4)
	n, _, _ := ascii85.Decode(out, b, true)
	return slices.Clip(out[:n])
}
