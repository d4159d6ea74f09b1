package weights

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
)

// GGUF is what the metadata of a GGUF file say of the model.
type GGUF struct {
	Version       int
	Architecture  string
	Name          string
	ContextLength int64
	Quantization  string // of most tensors, as the file's author named it: Q4_K_M
	Tokenizer     string // the kind: gpt2, llama, bert …
	ChatTemplate  string
	Metadata      map[string]any // texts, numbers and truths; an array is its length, as Array
}

// An Array stands for an array of metadata, which may be a whole vocabulary.
type Array struct{ Len int64 }

const (
	maxGGUF     = 256 << 20 // of header: vocabularies take a few MB
	maxPairs    = 1 << 16
	maxKey      = 1 << 10
	maxText     = 1 << 20 // of a value that is kept; longer ones are cut
	maxKept     = 8 << 20 // of all of them
	maxNesting  = 4
	maxGGUFDims = 8
)

// The types of GGUF's metadata.
const (
	ggufUint8 = iota
	ggufInt8
	ggufUint16
	ggufInt16
	ggufUint32
	ggufInt32
	ggufFloat32
	ggufBool
	ggufString
	ggufArray
	ggufUint64
	ggufInt64
	ggufFloat64
)

// ReadGGUF reads the header of a GGUF file.
func ReadGGUF(r io.ReaderAt, size int64) (*Summary, error) {
	g := &ggufReader{in: bufio.NewReaderSize(io.NewSectionReader(r, 0, min(size, maxGGUF)), 256<<10), size: size, order: binary.LittleEndian}
	s := &Summary{Format: "gguf", Parameters: map[string]int64{}, Files: 1, GGUF: &GGUF{Metadata: map[string]any{}}}
	g.read(s)
	if g.err != nil {
		if errors.Is(g.err, io.EOF) || errors.Is(g.err, io.ErrUnexpectedEOF) {
			return nil, malformed("the header is cut off, or longer than %d bytes", min(size, maxGGUF))
		}
		return nil, g.err
	}
	s.GGUF.settle()
	return s, nil
}

// A ggufReader reads numbers in a row, until the first error.
type ggufReader struct {
	in      *bufio.Reader
	order   binary.ByteOrder
	size    int64
	version uint32
	kept    int64 // bytes of texts that are held
	err     error
}

func (g *ggufReader) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

func (g *ggufReader) bytes(n int) []byte {
	var buf [8]byte
	if g.err == nil {
		_, err := io.ReadFull(g.in, buf[:n])
		if err != nil {
			g.fail(err)
		}
	}
	return buf[:n]
}

func (g *ggufReader) u32() uint32 { return g.order.Uint32(g.bytes(4)) }
func (g *ggufReader) u64() uint64 { return g.order.Uint64(g.bytes(8)) }

// length reads a count, which the first version wrote in 32 bits.
func (g *ggufReader) length() int64 {
	n := uint64(0)
	if g.version == 1 {
		n = uint64(g.u32())
	} else {
		n = g.u64()
	}
	if n > uint64(g.size) { // whatever is counted takes a byte each
		g.fail(malformed("a count of %d in a file of %d bytes", n, g.size))
		return 0
	}
	return int64(n)
}

// skip passes over n bytes.
func (g *ggufReader) skip(n int64) {
	for n > 0 && g.err == nil {
		step, err := g.in.Discard(int(min(n, 1<<30)))
		n -= int64(step)
		if err != nil {
			g.fail(err)
		}
	}
}

// text reads a string and keeps at most so many bytes of it.
func (g *ggufReader) text(most int64) string {
	n := g.length()
	if g.err != nil {
		return ""
	}
	var b strings.Builder
	most = min(n, most, maxKept-g.kept)
	g.kept += most
	if _, err := io.CopyN(&b, g.in, most); err != nil {
		g.fail(err)
	}
	g.skip(n - most)
	return b.String()
}

func (g *ggufReader) read(s *Summary) {
	if string(g.bytes(4)) != "GGUF" {
		g.fail(malformed("the file does not begin with GGUF"))
	}
	if g.version = g.u32(); g.version > 0xffff { // written on the other kind of machine
		g.order = binary.BigEndian
		g.version = g.version>>24 | g.version>>8&0xff00
	}
	if g.err == nil && (g.version < 1 || g.version > 3) {
		g.fail(malformed("version %d of GGUF is not known", g.version))
	}
	s.GGUF.Version = int(g.version)
	tensors, pairs := g.length(), g.length()
	if tensors > maxTensors || pairs > maxPairs {
		g.fail(malformed("%d tensors and %d values are too many", tensors, pairs))
	}
	for i := int64(0); i < pairs && g.err == nil; i++ {
		key := g.text(maxKey)
		s.GGUF.Metadata[key] = g.value(g.u32(), 0)
	}
	for i := int64(0); i < tensors && g.err == nil; i++ {
		g.tensor(s)
	}
}

func (g *ggufReader) tensor(s *Summary) {
	t := Tensor{Name: g.text(maxKey)}
	dims := g.u32()
	if dims > maxGGUFDims {
		g.fail(malformed("tensor %.80q has %d dimensions", t.Name, dims))
		return
	}
	for range dims {
		n := uint64(0)
		if g.version == 1 {
			n = uint64(g.u32())
		} else {
			n = g.u64()
		}
		if n > math.MaxInt64 {
			g.fail(malformed("tensor %.80q has an impossible shape", t.Name))
			return
		}
		t.Shape = append(t.Shape, int64(n))
	}
	t.DType = ggmlType(g.u32())
	g.u64() // where it begins
	if g.err == nil {
		if err := s.add(t); err != nil {
			g.fail(err)
		}
	}
}

// value reads a value of metadata; depth counts the arrays that it is in.
func (g *ggufReader) value(kind uint32, depth int) any {
	switch kind {
	case ggufUint8:
		return int64(g.bytes(1)[0])
	case ggufInt8:
		return int64(int8(g.bytes(1)[0]))
	case ggufUint16:
		return int64(g.order.Uint16(g.bytes(2)))
	case ggufInt16:
		return int64(int16(g.order.Uint16(g.bytes(2))))
	case ggufUint32:
		return int64(g.u32())
	case ggufInt32:
		return int64(int32(g.u32()))
	case ggufUint64:
		return int64(min(g.u64(), math.MaxInt64))
	case ggufInt64:
		return int64(g.u64())
	case ggufFloat32:
		return float64(math.Float32frombits(g.u32()))
	case ggufFloat64:
		return math.Float64frombits(g.u64())
	case ggufBool:
		return g.bytes(1)[0] != 0
	case ggufString:
		return g.text(maxText)
	case ggufArray:
		return g.array(depth)
	}
	g.fail(malformed("a value has the unknown type %d", kind))
	return nil
}

// array passes over an array.
func (g *ggufReader) array(depth int) Array {
	kind, n := g.u32(), g.length()
	if depth >= maxNesting {
		g.fail(malformed("arrays are nested too deep"))
	}
	if width := ggufWidth(kind); width > 0 {
		if n > g.size/width {
			g.fail(malformed("an array of %d in a file of %d bytes", n, g.size))
			return Array{}
		}
		g.skip(n * width)
		return Array{n}
	}
	for i := int64(0); i < n && g.err == nil; i++ {
		if kind == ggufString {
			g.text(0)
		} else {
			g.value(kind, depth+1)
		}
	}
	return Array{n}
}

func ggufWidth(kind uint32) int64 {
	switch kind {
	case ggufUint8, ggufInt8, ggufBool:
		return 1
	case ggufUint16, ggufInt16:
		return 2
	case ggufUint32, ggufInt32, ggufFloat32:
		return 4
	case ggufUint64, ggufInt64, ggufFloat64:
		return 8
	}
	return 0
}

// settle picks what people ask for out of the metadata.
func (g *GGUF) settle() {
	word := func(key string) string {
		s, _ := g.Metadata[key].(string)
		return s
	}
	number := func(key string) int64 {
		n, _ := g.Metadata[key].(int64)
		return n
	}
	g.Architecture, g.Name = word("general.architecture"), word("general.name")
	g.ContextLength = number(g.Architecture + ".context_length")
	g.Tokenizer, g.ChatTemplate = word("tokenizer.ggml.model"), word("tokenizer.chat_template")
	if _, ok := g.Metadata["general.file_type"]; ok {
		g.Quantization = fileType(number("general.file_type"))
	}
}
